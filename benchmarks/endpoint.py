"""`python -m benchmarks.endpoint`: requests a second and latency of `trikk endpoint` beside `mlflow models serve`.

One gradient boosting regressor, one row of eight numbers in JSON a request, wrk (github.com/wg/wrk) as the load:

- the floor: a bare ASGI function on uvicorn that calls the model in the server's process, without checks or log;
- trikk endpoint, which checks the row, answers with a prediction id, and logs each prediction before its answer;
- the same with --no-log;
- mlflow models serve, which checks the row, with its default of one worker, and with two.

Each server is started for each round, warmed up, and loaded with 1, 8 and 32 connections, in turns.
Figures are medians of the rounds. wrk is installed with apt-get where that can be done.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import machine
from benchmarks.flows.endpoint_model import NAMES, fitted
from benchmarks.places import BIN, ENVIRONMENTS, FLOWS, WORK

CONNECTIONS = (1, 8, 32)
FOLDER = WORK / "endpoint"
MODEL = FLOWS / "endpoint_model.py"
PEER = ENVIRONMENTS / "mlflow"
ROW = {name: 0.1 * number for number, name in enumerate(NAMES, 1)}
BODIES = {
    "mlflow": {"dataframe_split": {"columns": NAMES, "data": [list(ROW.values())]}},
    "": {"instances": [ROW]},
}
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


@dataclass(frozen=True)
class Server:
    """Something that answers /invocations and /ping on a port."""

    name: str
    command: list[str]
    cwd: Path = FOLDER
    body: str = ""


def main() -> int:
    """Measure, print, write; 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endpoint", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="rounds for each median")
    parser.add_argument("--seconds", type=int, default=5, help="of load at each number of connections")
    parser.add_argument("--json", type=Path, default=WORK / "endpoint.json", help="where the samples go")
    options = parser.parse_args()
    if (trouble := load_generator()) is not None:
        print(f"skipped: {trouble}")
        return 0
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    before = machine.state()
    project()
    servers = [*ours(), *peers()]
    samples: dict[str, dict[int, list[dict[str, float]]]] = {s.name: {c: [] for c in CONNECTIONS} for s in servers}
    for _ in range(options.repeat):
        for server in servers:
            with running(server) as port:
                load(server, port, 8, 2)
                for connections in CONNECTIONS:
                    samples[server.name][connections].append(load(server, port, connections, options.seconds))
    about = {**before, "load_at_end": machine.load()}
    options.json.write_text(json.dumps({"machine": about, "samples": samples}, indent=1) + "\n")
    print(json.dumps(about))
    report(samples)
    return 0


def load_generator() -> str | None:
    """None if wrk is there, installed now if need be; else why it is not."""
    if shutil.which("wrk") is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], capture_output=True, check=False)
    return None if shutil.which("wrk") else "wrk is not installed: apt-get install wrk"


def project() -> None:
    """A project with the model registered as bench@champion."""
    import polars as pl

    from trikk.execution.project import Project
    from trikk.models.register import infer
    from trikk.models.registry import Registry
    from trikk.models.version import ModelVersion
    from trikk.runs.bundle import capture

    (FOLDER / "trikk.toml").write_text('name = "bench"\n')
    (FOLDER / "pipelines.py").write_text("")
    model, rows = fitted()
    opened = Project.open(FOLDER)
    registry = Registry(opened.journal)
    version = registry.register(
        ModelVersion(
            "bench",
            0,
            opened.artifacts.save(model),
            infer(model, pl.DataFrame(rows, schema=NAMES)),
            code=capture(opened.root, opened.settings.code, opened.store),
            created=time.time(),
        )
    )
    environment = opened.settings.environment
    registry.move(
        "bench", "champion", version.version, environment, by="benchmark", why="benchmark", at=time.time()
    )


def ours() -> list[Server]:
    """The floor, and trikk's own."""
    trikk = [str(BIN / "trikk"), "endpoint", "bench@champion", "--port", "{port}"]
    return [
        Server("floor", [sys.executable, str(MODEL), "floor", "{port}"]),
        Server("trikk endpoint", trikk),
        Server("trikk endpoint --no-log", [*trikk, "--no-log"]),
    ]


def peers() -> list[Server]:
    """MLflow's, in an environment of its own; none, said by name, if that can't be made."""
    trouble = environment()
    if trouble is not None:
        print(f"skipped: mlflow models serve: {trouble}")
        return []
    python, saved = PEER / "bin" / "python", FOLDER / "mlflow-model"
    subprocess.run([str(python), str(MODEL), "mlflow", str(saved)], check=True, capture_output=True)
    serve = [str(PEER / "bin" / "mlflow"), "models", "serve", "-m", str(saved), "--env-manager", "local"]
    return [
        Server("mlflow models serve", [*serve, "-p", "{port}"], body="mlflow"),
        Server("mlflow models serve -w 2", [*serve, "-p", "{port}", "-w", "2"], body="mlflow"),
    ]


def environment() -> str | None:
    """MLflow and the same scikit-learn in a virtual environment; None when it is ready, else why it is not."""
    wanted = ["mlflow==3.17.2", f"scikit-learn=={version('scikit-learn')}"]
    stamp = PEER / "made-from.txt"
    text = "\n".join((sys.version, *wanted))
    if stamp.exists() and stamp.read_text() == text:
        return None
    shutil.rmtree(PEER, ignore_errors=True)
    base = getattr(sys, "_base_executable", sys.executable)
    for arguments in (
        ["venv", "-q", "--python", base, str(PEER)],
        ["pip", "install", "-q", "--compile-bytecode", "--python", str(PEER / "bin" / "python"), *wanted],
    ):
        done = subprocess.run([str(BIN / "uv"), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["uv failed"])[-1]
    stamp.write_text(text)
    return None


@contextlib.contextmanager
def running(server: Server) -> Iterator[int]:
    """A server that answers, on a port of its own; ended with all its processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [part.replace("{port}", str(port)) for part in server.command]
    path = f"{PEER / 'bin'}:{os.environ['PATH']}" if server.body else os.environ["PATH"]
    with (FOLDER / "servers.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=server.cwd,
            env={**os.environ, "PATH": path, "DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(port)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(port: int) -> None:
    """Return when /ping answers 200."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}, see {FOLDER / 'servers.log'}")


def load(server: Server, port: int, connections: int, seconds: int) -> dict[str, float]:
    """What wrk measures: requests a second, latency in milliseconds; raises if a request failed."""
    script = FOLDER / f"{server.body or 'instances'}.lua"
    script.write_text(LUA % json.dumps(BODIES[server.body]))
    url = f"http://127.0.0.1:{port}/invocations"
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(done.stdout.partition("RESULT ")[2])
    if results["errors"] or not results["requests"]:
        raise RuntimeError(f"{server.name}: {results}")
    return {"per_second": results["requests"] / results["seconds"], "p50": results["p50"], "p99": results["p99"]}


def report(samples: dict[str, dict[int, list[dict[str, float]]]]) -> None:
    """Print medians, and how they compare with MLflow's."""

    def median(name: str, connections: int, figure: str) -> float:
        return statistics.median(sample[figure] for sample in samples[name][connections])

    peer = "mlflow models serve"
    print(
        f"{'':26} {'conn.':>5} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8}   requests/s and p99 beside {peer}"
    )
    for connections in CONNECTIONS:
        for name in samples:
            rate, p50, p99 = (median(name, connections, figure) for figure in ("per_second", "p50", "p99"))
            beside = ""
            if peer in samples:
                r = rate / median(peer, connections, "per_second")
                beside = f"{r:.1f}x, {p99 / median(peer, connections, 'p99'):.2f}x"
            print(f"{name:26} {connections:5} {rate:11,.0f} {p50:8.2f} {p99:8.2f}   {beside}")


if __name__ == "__main__":
    sys.exit(main())
