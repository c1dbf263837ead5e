"""A project's folder, and a real server process over it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.routing import compile_path
from tests.execution.command import WAIT, until

from trikk.execution.project import Project
from trikk.server.http.openapi import description
from trikk.server.http.route_table import ROUTES
from trikk.web.refused import JSON_TYPE

DESCRIPTION = description(ROUTES)

PIPELINES = """
import time
from pathlib import Path

import polars as pl

from trikk import Resources, Table, pipeline, step

totals = Table("totals")


@step
def total(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": [n]})


@pipeline
def add(n: int, note: str = ""):
    "Keep a number in a table."
    totals.append(total(n))


@step(resources=Resources(cpus=0))
def wait(file: str) -> int:
    while not Path(file).exists():
        time.sleep(0.02)
    return 1


@pipeline
def waits(file: str):
    wait(file)


@step
def fails(file: str) -> int:
    if not Path(file).exists():
        raise ValueError("not yet")
    return 1


@pipeline
def fragile(file: str):
    fails(file)
"""


class ServedProject:
    """A project's folder, in which servers are started."""

    def __init__(self, root: Path, pipelines: str = PIPELINES, settings: str = 'name = "served"\n') -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        (root / "trikk.toml").write_text(settings)
        (root / "pipelines.py").write_text(pipelines)
        self.project = Project.open(root)

    def start(self, *options: str, **variables: str) -> RunningServer:
        """Start a server on a free port, and wait until it is ready."""
        with (self.root / "server.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trikk.cli.main", "serve", "--port=0", *options],
                cwd=self.root,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving http"), self.log()
        return RunningServer(process, line.removeprefix("serving ").strip())

    @contextlib.contextmanager
    def server(self, *options: str, **variables: str) -> Iterator[RunningServer]:
        """A server that is ended by SIGTERM at the end, must then exit 0, and logged no stack trace."""
        running = self.start(*options, **variables)
        try:
            yield running
            running.end()
        finally:
            running.process.kill()
            running.process.wait()
            running.client.close()
            running.process.stdout.close()  # type: ignore[union-attr]
        assert "Traceback" not in self.log(), self.log()

    def log(self) -> str:
        """What servers have written to stderr."""
        return (self.root / "server.log").read_text()


class RunningServer:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=WAIT, event_hooks={"response": [fits_its_type]})

    def end(self) -> None:
        """Tell it to end, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(WAIT) == 0

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """The document of a path below the API's."""
        answer = self.client.get(f"/api/v1{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """Post a document; the answer's."""
        answer = self.client.post(f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def run(self, pipeline: str, **parameters: Any) -> dict[str, Any]:
        """Start a run, and wait for its end."""
        run = self.post("/runs", {"pipeline": pipeline, "parameters": parameters}, 201)["id"]
        return self.ended(run)

    def ended(self, run: str, *states: str) -> dict[str, Any]:
        """Wait until a run is over, or in one of these states."""
        wanted = states or ("succeeded", "failed", "cancelled")
        return until(lambda: (found := self.get(f"/runs/{run}"))["state"] in wanted and found)  # type: ignore[no-any-return]

    def metric(self, name: str) -> float:
        """One sample of /metrics."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no metric {name}")

    def events(self, run: str, last: int = 0) -> list[dict[str, Any]]:
        """A run's events to the stream's end, each with its id."""
        with self.client.stream("GET", f"/api/v1/runs/{run}/events", headers=_after(last)) as stream:
            assert stream.status_code == 200, stream.read()
            assert stream.headers["content-type"].startswith("text/event-stream")
            return list(read_events(stream.iter_lines()))


def fits_its_type(answer: httpx.Response) -> None:
    """Hold an answer to what its route says of it."""
    method = "GET" if answer.request.method == "HEAD" else answer.request.method
    path = answer.request.url.path
    route = next((r for r in ROUTES if r.method == method and compile_path(r.path)[0].match(path)), None)
    if route is None or answer.status_code >= 500:
        return
    if answer.is_success or answer.status_code == 304:
        assert answer.status_code in {*route.statuses, 304}, (path, answer.status_code)
    else:
        described = DESCRIPTION["paths"][re.sub(r":\w+}", "}", route.path)][method.lower()]["responses"]
        assert str(answer.status_code) in {*described, "405"}, (path, answer.status_code)
    if answer.status_code in (200, 201, 202) and answer.request.method != "HEAD" and route.content == JSON_TYPE:
        answer.read()
        document = answer.json()
        # Its type names all of its keys, else clients by the type would not get them.
        whole = msgspec.json.encode(msgspec.convert(document, route.answer))
        assert msgspec.json.decode(whole) == document, path


def _after(last: int) -> dict[str, str]:
    return {"last-event-id": str(last)} if last else {}


def read_events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Server-sent events: id, event, and data as JSON."""
    fields: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if not line:
            if "data" in fields:
                yield {**fields, "data": json.loads(fields["data"])}
            fields = {}
        elif name:
            fields[name] = value
