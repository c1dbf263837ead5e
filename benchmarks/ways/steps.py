"""Pipelines of tiny steps and of frames, each a whole fresh process: by trikk and without any tool."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks import process
from benchmarks.places import FLOWS
from benchmarks.samples import Sample
from benchmarks.ways import Unavailable
from benchmarks.ways.commands import Command, fresh, kept, python_command, result, trikk_command

SETTLE = 3.0
STOPS = {"resume": 8, "kill": 5}
"""In which of ten steps the first try fails, or hangs and is killed."""


def trikk(size: int, case: str) -> Callable[[], Sample]:
    """`trikk run` of a pipeline of `flows/trikk_steps.py` or `trikk_frames.py`, in a new project each time."""

    def run() -> Sample:
        folder, env = project(fresh(), case), of_size(case, size)
        command = trikk_command(folder, "run", "bench", **env)
        if case in STOPS:
            return second_try(case, size, command, trikk_command(folder, "resume", "last", **env))
        return command.run().telling(result(folder), kept_MB=kept(folder / ".trikk"))

    return run


@contextlib.contextmanager
def traced(size: int, case: str) -> Iterator[Callable[[], Sample]]:
    """`trikk` with a collector of traces beside it, which reads every span; what that takes does not count."""
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise Unavailable("opentelemetry-sdk is not installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}

    def run() -> Sample:
        folder, before = project(fresh(), case), _Collector.requests
        sample = trikk_command(folder, "run", "bench", **of_size(case, size), **where).run()
        if _Collector.requests == before:
            raise RuntimeError("no trace has come")
        return sample.telling(result(folder))

    try:
        yield run
    finally:
        server.shutdown()
        server.server_close()


class _Collector(BaseHTTPRequestHandler):
    requests = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).requests += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def trikk_driver(size: int, case: str) -> Callable[[], Sample]:
    """The same, with the peak of the driving process alone instead of the largest one's."""

    def run() -> Sample:
        folder = project(fresh(), case)
        ended = trikk_command(folder, "run", "bench", **of_size(case, size)).start(watch_memory=True)
        return Sample(ended.seconds, ended.cpu, ended.own_peak or 0)

    return run


def by_hand(size: int, case: str, way: str) -> Callable[[], Sample]:
    """The same work in one of the ways of `flows/floor_flow.py`."""

    def run() -> Sample:
        folder = fresh()
        command = python_command(folder, "floor_flow.py", way, case, str(size))
        if case in STOPS:
            return second_try(case, size, command, command)
        return command.run().telling(result(folder), kept_MB=kept(folder))

    return run


def project(folder: Path, case: str) -> Path:
    """A project of one pipeline, `bench`, with the shared workload beside it."""
    (folder / "trikk.toml").write_text('name = "bench"\npipelines = ["pipelines"]\n')
    flow = "trikk_frames.py" if case in ("polars", "pandas") else "trikk_steps.py"
    shutil.copy(FLOWS / flow, folder / "pipelines.py")
    shutil.copy(FLOWS / "workload.py", folder)
    return folder


def of_size(case: str, size: int) -> dict[str, str]:
    """The variables by which a flow knows what to do."""
    return {"BENCH_CASE": case, "BENCH_SIZE": str(size)}


def second_try(case: str, size: int, first: Command, again: Command) -> Sample:
    """Let the first command fail, or kill it; mend the cause; what the second one costs.

    Raises:
        RuntimeError: the two together did not run every step, or the second did not run the last.
    """
    folder = first.folder
    (folder / ("fail" if case == "resume" else "hang")).touch()
    effects = folder / "effects.txt"
    first.start(kill_when=(effects, str(STOPS[case])) if case == "kill" else None)
    left: list[int] = []
    if case == "kill":
        time.sleep(SETTLE)
        process.end(left := process.survivors(folder))
    before = [int(line) for line in process.lines_of(effects)]
    (folder / "fixed").touch()
    cost = again.run()
    after = [int(line) for line in process.lines_of(effects)][len(before) :]
    if not complete(before, after, size):
        raise RuntimeError(f"ran {before} and then {after}, see {again.log}")
    return cost.telling(result(folder), redone=redone(before, after), left_alive=len(left))


def redone(first: list[int], second: list[int]) -> int:
    """Steps that the second try ran though the first had finished them.

    The first try's last effect is the step that failed or hung; all before it had finished.
    """
    finished = set(first[:-1])
    return sum(number in finished for number in second)


def complete(first: list[int], second: list[int], steps: int) -> bool:
    """Whether both tries together ran every step, the last one in the second."""
    return set(first) | set(second) >= set(range(1, steps + 1)) and bool(second) and second[-1] == steps


def start_of_trikk(size: int, *arguments: str) -> Callable[[], Sample]:  # noqa: ARG001 - every way gets a size
    """A `trikk` command with nothing to do, such as `--help`."""
    return lambda: trikk_command(fresh(), *arguments).run()


def start_of_python(size: int, code: str) -> Callable[[], Sample]:  # noqa: ARG001 - every way gets a size
    """A fresh interpreter that runs a line of code; of trikk, that of the build that is measured."""
    return lambda: python_command(fresh(), "-c", code, PYTHONPATH=os.environ["BENCH_SOURCE"]).run()


def runs(size: int, fewer: int | None = None) -> Callable[[], Sample]:
    """`trikk runs` over a journal of so many runs."""
    folder, source = project(fresh("journal"), "one"), os.environ["BENCH_SOURCE"]
    python_command(folder, "trikk_journal.py", str(folder), str(fewer or size), PYTHONPATH=source).run()
    return trikk_command(folder, "runs").run
