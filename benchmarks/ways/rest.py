"""Answers by HTTP beside MLflow's tracking server: pages of many runs, and requests beside runs that go on.

Both keep runs in SQLite, and have one process. MLflow's runs are copies of one that its client has made, since
making 100,000 of them by requests takes hours. Costs are the server's own (those of all processes of its session),
and neither those of the runs nor of the load.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import environments
from benchmarks.samples import Sample
from benchmarks.ways import Unavailable
from benchmarks.ways.commands import Command, fresh, own_folder, trikk_command
from benchmarks.ways.server import running, tree, until, wait_for

GOING, SECONDS, CONNECTIONS = 20, 5, 4
"""Runs that go on, seconds of load in a round, and connections that ask."""
PIPELINES = """
import time
from pathlib import Path

from trikk import log_metric, pipeline, step


@step
def busy() -> int:
    for number in range(3600):
        log_metric("loss", 1 / (number + 1), index=number)
        time.sleep(1)
        if Path("stop").exists():
            break
    return 1


@pipeline
def goes_on():
    busy()
"""
MLFLOW_PORT = 8772
FIRST_RUN = """
import sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
run = client.create_run("0")
client.log_param(run.info.run_id, "day", "2026-01-01")
client.set_terminated(run.info.run_id)
for _ in range(int(sys.argv[2])):
    client.log_param(client.create_run("0").info.run_id, "day", "2026-01-01")
print(run.info.run_id)
"""
LUA = """
local asked, number = {%s}, 0
request = function()
  number = number %% #asked + 1
  local one = asked[number]
  return wrk.format(one[1], one[2], {["Content-Type"] = "application/json"}, one[3])
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT {"requests": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Request:
    """A method, a path and a body ("" for none)."""

    method: str
    path: str
    body: str = ""


@contextlib.contextmanager
def pages_of_trikk(size: int) -> Iterator[Callable[[], Sample]]:
    """Pages of `GET /api/v1/runs`."""
    with served(size, going=0) as address:
        middle = f"r{size // 2:011d}"
        yield lambda: timed(
            address,
            {
                "50": Request("GET", "/api/v1/runs?limit=50"),
                "50 from the middle": Request("GET", f"/api/v1/runs?limit=50&cursor={middle}"),
                "1,000 from the middle": Request("GET", f"/api/v1/runs?limit=1000&cursor={middle}"),
            },
        )


@contextlib.contextmanager
def pages_of_mlflow(size: int) -> Iterator[Callable[[], Sample]]:
    """Pages of `runs/search`."""
    with mlflow_served(size, going=0) as (address, _):
        yield lambda: timed(address, {"50": search(50), "1,000": search(1000)})


@contextlib.contextmanager
def rate_of_trikk(size: int) -> Iterator[Callable[[], Sample]]:
    """Half of the requests list fifty runs, half show one."""
    with served(size, GOING) as address:
        asked = [Request("GET", "/api/v1/runs?limit=50"), Request("GET", f"/api/v1/runs/r{size // 2:011d}")]
        yield lambda: loaded(address, asked)


@contextlib.contextmanager
def rate_of_mlflow(size: int) -> Iterator[Callable[[], Sample]]:
    """The same; its running runs are rows, as it starts none itself."""
    with mlflow_served(size, GOING) as (address, run):
        yield lambda: loaded(address, [search(50), Request("GET", f"/api/2.0/mlflow/runs/get?run_id={run}")])


def search(most: int) -> Request:
    """MLflow's listing of runs."""
    body = json.dumps({"experiment_ids": ["0"], "max_results": most})
    return Request("POST", "/api/2.0/mlflow/runs/search", body)


@contextlib.contextmanager
def served(size: int, going: int) -> Iterator[str]:
    """A server of a project with so many recorded runs, while others go on."""
    folder = fresh()
    (folder / "trikk.toml").write_text(f'name = "bench"\n[server]\nslots = {GOING}\nmemory = "1TB"\n')
    (folder / "pipelines.py").write_text(PIPELINES)
    record(folder, size)
    with running(trikk_command(folder, "serve", "--port=0", "--no-triggers")) as address:
        for _ in range(going):
            body = json.dumps({"pipeline": "goes_on"}).encode()
            headers = {"Content-Type": "application/json"}
            urllib.request.urlopen(
                urllib.request.Request(f"{address}/api/v1/runs", body, headers), timeout=60
            ).close()
        until(lambda: in_state(address, "running") == going, 120)
        yield address
        (folder / "stop").touch()


def in_state(address: str, state: str) -> int:
    """How many runs are in that state."""
    with urllib.request.urlopen(f"{address}/api/v1/runs?state={state}&limit=100", timeout=30) as answer:
        return len(json.load(answer)["runs"])


def record(folder: Path, size: int) -> None:
    """So many runs that are over, as their drivers would have written them."""
    from trikk.execution.project import Project

    journal = Project.open(folder).journal
    for number in range(size):
        run, body = f"r{number:011d}", {"parameters": {"day": "2026-01-01"}, "origin": {"kind": "manual"}}
        journal.create(run, f"p{number % 7}", body, at=float(number))
        journal.append_many(run, [("run.started", {}), ("run.succeeded", {})], at=float(number))


@contextlib.contextmanager
def mlflow_served(size: int, going: int) -> Iterator[tuple[str, str]]:
    """Its server as it comes, and a run of it. Raises Unavailable if its environment can't be made."""
    trouble = environments.make("mlflow")
    if trouble is not None:
        raise Unavailable(trouble)
    folder, python = fresh(), environments.python_of("mlflow")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    made = subprocess.run(
        [python, "-c", FIRST_RUN, store, str(going)], cwd=folder, capture_output=True, text=True, check=True
    )
    run = made.stdout.split()[-1]
    copy_run(folder / "mlflow.db", run, size)
    argv = [
        str(python.with_name("mlflow")),
        "server",
        "--workers=1",
        "--backend-store-uri",
        store,
        f"--port={MLFLOW_PORT}",
    ]
    # Without the processes for its jobs, which start beside it and have nothing to do with answers.
    env = {"PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with running(Command(argv, folder, env)):
        address = f"http://127.0.0.1:{MLFLOW_PORT}"
        wait_for(f"{address}/health")
        timed(address, {"": search(50)})  # it imports most of what it needs when it is first asked
        yield address, run


def copy_run(database: Path, run: str, count: int) -> None:
    """Copy a run's rows in MLflow's tables, each copy a second later."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for table in ("runs", "params", "tags"):
            cursor = connection.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", (run,))
            names, rows = [column[0] for column in cursor.description], cursor.fetchall()
            ids = (uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex for number in range(count))
            copies = (
                [new if n == "run_uuid" else value + at * 1000 if n == "start_time" else value
                 for n, value in zip(names, row, strict=True)]
                for at, new in enumerate(ids) for row in rows
            )  # fmt: skip
            connection.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(names))})", copies)


def timed(address: str, requests: dict[str, Request], times: int = 30) -> Sample:
    """How long each of these takes on one connection: the median, in ms, and all of them together."""
    before, began = own_costs(), time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    medians = {}
    for name, asked in requests.items():
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            connection.request(asked.method, asked.path, asked.body or None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            taken.append(time.perf_counter() - start)
            assert answer.status == 200, answer.status
        medians[f"{name}, ms"] = 1000 * statistics.median(taken)
    connection.close()
    return Sample(time.perf_counter() - began, own_costs() - before, 0, medians)


def loaded(address: str, requests: list[Request]) -> Sample:
    """What a thousand of these requests cost, as fast as they come; with latencies, in ms."""
    if shutil.which("wrk") is None:
        raise Unavailable("wrk is not installed: apt-get install wrk")
    script = own_folder() / "rest.lua"
    rows = (f"{{{json.dumps(r.method)}, {json.dumps(r.path)}, {json.dumps(r.body)}}}" for r in requests)
    script.write_text(LUA % ", ".join(rows))
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "30s", "-s", str(script), address]
    before = own_costs()
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    cpu, said = own_costs() - before, json.loads(done.stdout.partition("RESULT ")[2])
    if said["errors"] or not said["requests"]:
        raise RuntimeError(f"requests failed: {said}")
    count = said["requests"]
    figures = {"requests a second of CPU": count / cpu, "p50 ms": said["p50"], "p99 ms": said["p99"]}
    return Sample(1000 * said["seconds"] / count, 1000 * cpu / count, 0, figures)


def own_costs() -> float:
    """Seconds of CPU of the server: of the processes of its session."""
    ticks, seconds = os.sysconf("SC_CLK_TCK"), 0.0
    own = [pid for pid in tree() if "server" in arguments_of(pid) or "serve" in arguments_of(pid)]
    leader = min(own)
    for pid in tree():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                seconds += sum(int(each) for each in fields[11:15]) / ticks
    return seconds


def arguments_of(pid: int) -> list[str]:
    """A process's command line; empty if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return []
