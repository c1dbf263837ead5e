"""Requests to a model over HTTP: one row of eight numbers in JSON each, wrk (github.com/wg/wrk) as the load."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import environments
from benchmarks.flows.endpoint_model import NAMES, fitted
from benchmarks.places import BIN, FLOWS
from benchmarks.samples import Sample
from benchmarks.ways import Unavailable
from benchmarks.ways.commands import fresh, own_folder

SECONDS = 2
"""Of load in a round."""

ROW = {name: 0.1 * number for number, name in enumerate(NAMES, 1)}
INSTANCES = {"instances": [ROW]}
SPLIT = {"dataframe_split": {"columns": NAMES, "data": [list(ROW.values())]}}
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT {"requests": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""
Serving = contextlib.AbstractContextManager[Callable[[], Sample]]


def by_trikk(size: int, *options: str) -> Serving:
    """`trikk endpoint`, which checks the row, answers with an id, and logs each prediction before its answer."""
    folder = project()
    argv = [str(BIN / "trikk"), "endpoint", "bench@champion", *options, "--port", "{port}"]
    return loaded(size, argv, folder, INSTANCES, PYTHONPATH=os.environ["BENCH_SOURCE"])


def bare(size: int) -> Serving:
    """An ASGI function that calls the model in the server's own process, without checks or log."""
    argv = [str(BIN / "python"), str(FLOWS / "endpoint_model.py"), "floor", "{port}"]
    return loaded(size, argv, own_folder(), INSTANCES)


def by_mlflow(size: int, workers: int) -> Serving:
    """`mlflow models serve`, which checks the row."""
    trouble = environments.make("mlflow")
    if trouble is not None:
        raise Unavailable(trouble)
    place, folder = environments.python_of("mlflow").parent, own_folder()
    subprocess.run([place / "python", FLOWS / "endpoint_model.py", "mlflow", folder / "model"], check=True)
    argv = [str(place / "mlflow"), "models", "serve", "-m", str(folder / "model"), "--env-manager", "local"]
    path = f"{place}:{os.environ['PATH']}"
    return loaded(size, [*argv, "-p", "{port}", "-w", str(workers)], folder, SPLIT, PATH=path)


def project() -> Path:
    """A project with the model registered as bench@champion."""
    import polars as pl

    from trikk.execution.project import Project
    from trikk.models.register import infer
    from trikk.models.registry import Registry
    from trikk.models.version import ModelVersion
    from trikk.runs.bundle import capture

    folder = fresh("project")
    (folder / "trikk.toml").write_text('name = "bench"\n')
    (folder / "pipelines.py").write_text("")
    model, rows = fitted()
    opened, now = Project.open(folder), time.time()
    code = capture(opened.root, opened.settings.code, opened.store)
    signature = infer(model, pl.DataFrame(rows, schema=NAMES))
    registry = Registry(opened.journal)
    added = registry.register(
        ModelVersion("bench", 0, opened.artifacts.save(model), signature, code=code, created=now)
    )
    place = opened.settings.environment
    registry.move("bench", "champion", added.version, place, by="benchmark", why="benchmark", at=now)
    return folder


@contextlib.contextmanager
def loaded(
    connections: int, argv: Sequence[str], folder: Path, body: object, **env: str
) -> Iterator[Callable[[], Sample]]:
    """A server that answers, and a load on it: what 1,000 requests cost, with latencies."""
    if shutil.which("wrk") is None:
        raise Unavailable("wrk is not installed: apt-get install wrk")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [part.replace("{port}", str(port)) for part in argv]
    script = own_folder() / "load.lua"
    script.write_text(LUA % json.dumps(body))
    with (own_folder() / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(port)
        yield lambda: load(script, port, connections)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(port: int) -> None:
    """Return when /ping answers 200; TimeoutError after two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}: {(own_folder() / 'server.log').read_text()[-500:]}")


def load(script: Path, port: int, connections: int) -> Sample:
    """What wrk measures; RuntimeError if a request failed."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--timeout", "30s", "-s", str(script)]
    url = f"http://127.0.0.1:{port}/invocations"
    done = subprocess.run([*argv, url], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.partition("RESULT ")[2])
    if said["errors"] or not said["requests"]:
        raise RuntimeError(f"requests failed: {said}")
    cost = Sample(1000 * said["seconds"] / said["requests"], 0.0, 0)
    return cost.telling(None, p50_ms=said["p50"], p99_ms=said["p99"])
