"""A project with a registered model, and a real endpoint process over it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import polars as pl
from tests.execution.command import WAIT

from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.models.signature import Field, Signature
from trikk.models.task import Classes
from trikk.models.version import ModelVersion
from trikk.runs.bundle import capture

SIGNATURE = Signature((Field("a", "Float64"), Field("b", "Int64")), Field("value", "Float64"), "polars")
CODE = """
{first}
class Shape:
    '''Gives FACTOR * a + b; a module of its own, so that two versions have two of them.'''

    def predict(self, frame):
        import os, time
        factor = {factor}
        if (frame["a"] == 666.0).any():
            os.kill(os.getpid(), 9)
        if (frame["a"] == 555.0).any():
            time.sleep(60)
        values = factor * frame["a"] + frame["b"]
        return values if {fits} else 1 / 0
"""
CLASSES = """
class Shape:
    '''Says the class at place `a`, sure to that degree.'''

    def __init__(self, classes, sure):
        self.classes_, self.sure = classes, sure

    def predict(self, frame):
        return [self.classes_[int(place)] for place in frame["a"]]

    def predict_proba(self, frame):
        rest = (1 - self.sure) / (len(self.classes_) - 1)
        places = range(len(self.classes_))
        return [[self.sure if place == int(a) else rest for place in places] for a in frame["a"]]
"""


class Served:
    """A project's folder with versions of the model "shape"; a `fresh` one is begun for that."""

    def __init__(self, root: Path, *, fresh: bool = True) -> None:
        self.root = root
        if fresh:
            root.mkdir(parents=True, exist_ok=True)
            (root / "trikk.toml").write_text('name = "served"\n')
            (root / "pipelines.py").write_text("")
        self.project = Project.open(root)
        self.registry = Registry(self.project.journal)

    def register(
        self, factor: float, *, fits: bool = True, signature: Signature | None = SIGNATURE, first: str = ""
    ) -> int:
        """Register a version whose code gives `factor` * a + b, and runs `first` when it is loaded; its number."""
        kept = CODE.format(factor=factor, fits=fits, first=first)
        source = CODE.format(factor=factor, fits=fits, first="")
        return self.register_code(source, signature, kept=kept, run=f"run{factor:g}")

    def register_classes(self, *values: Any, positive: Any = None, sure: float = 0.5) -> int:
        """Register a version that says values[a], with a probability of `sure`, and shares the rest out."""
        classes = Classes(values, positive)
        output = Field("value", str(pl.Series([*values]).dtype))
        signature = replace(SIGNATURE, output=output, task=classes.task, classes=classes, probabilities=True)
        return self.register_code(CLASSES, signature, made=f"Shape({[*values]!r}, {sure!r})")

    def register_code(
        self, source: str, signature: Signature | None, *, made: str = "Shape()", kept: str = "", run: str = "run"
    ) -> int:
        """Register what `made` gives in a module of that source; the project keeps it, or the one `kept`."""
        (self.root / "shapes.py").write_text(kept or source)
        module = types.ModuleType("shapes")
        exec(source, module.__dict__)
        sys.modules["shapes"] = module
        try:
            artifact = self.project.artifacts.save(eval(made, module.__dict__))
        finally:
            del sys.modules["shapes"]
        code = capture(self.root, self.project.settings.code, self.project.store)
        version = ModelVersion("shape", 0, artifact, signature, run=run, code=code, created=time.time())
        return self.registry.register(version).version

    def promote(self, version: int, alias: str = "champion") -> None:
        """Move the alias."""
        self.registry.move("shape", alias, version, "main", by="test", why="test", at=time.time())

    def rows(self, table: str = "shape_predictions") -> pl.DataFrame:
        """What is in the predictions table; no rows if there is none."""
        if self.project.tables.version(table) is None:
            return pl.DataFrame({"prediction_id": []}, schema={"prediction_id": pl.String})
        return self.project.tables.scan(table).collect()

    def start(self, *options: str, reference: str = "shape@champion", files: int = 0) -> subprocess.Popen[str]:
        """Start an endpoint on a free port; with `files`, as a process that may open only so many."""
        limited = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"] if files else []
        with (self.root / "endpoint.log").open("a") as log:
            return subprocess.Popen(
                [
                    *limited,
                    sys.executable,
                    "-m",
                    "trikk.cli.main",
                    "endpoint",
                    "--port=0",
                    "--json",
                    reference,
                    *options,
                ],
                cwd=self.root,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    @contextlib.contextmanager
    def endpoint(self, *options: str, reference: str = "shape@champion", files: int = 0) -> Iterator[Endpoint]:
        """An endpoint that is ended by SIGTERM at the end, and must then exit 0."""
        process = self.start(*options, reference=reference, files=files)
        running = Endpoint(process)
        try:
            yield running
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(WAIT) == 0, self.log()
        finally:
            process.kill()
            process.wait()
            running.client.close()
            assert process.stdout is not None
            process.stdout.close()

    def log(self) -> str:
        """What endpoints have written to stderr."""
        return (self.root / "endpoint.log").read_text()


class Endpoint:
    """A running endpoint."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the endpoint did not start"
        self.told: dict[str, Any] = json.loads(line)
        self.url = str(self.told["url"])
        self.client = httpx.Client(base_url=self.url, timeout=WAIT)

    def ask(self, *rows: dict[str, Any]) -> httpx.Response:
        """Send rows as JSON."""
        return self.client.post("/invocations", json={"instances": list(rows)})

    def send(self, content: bytes, kind: str, **headers: str) -> httpx.Response:
        """Send a body."""
        sent = {"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.client.post("/invocations", content=content, headers=sent)

    def metric(self, name: str) -> float:
        """One sample of /metrics."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"trikk_endpoint_{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no metric {name}")

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()
