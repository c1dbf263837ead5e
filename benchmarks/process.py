"""Starts one whole process, waits for it and says what it cost, children included.

It does so from a bare interpreter of its own (this file, run as a script): Linux counts the memory of the process
that forks into the peak that `wait4` reports for the child, and whoever calls `run` may have imported polars.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

QUIET = {
    "DO_NOT_TRACK": "1",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "KEDRO_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "SCARF_ANALYTICS": "false",
    "METAFLOW_USER": "bench",
}
"""Telemetry off, for every process alike."""

TICK = 0.005
GRACE = 0.2
MARK = "BENCH_WORK"
"""The variable that marks the processes of one way, and names its folder."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it cost.

    Attributes:
        code: exit code; negative for a signal.
        seconds: wall time from start to end of the process.
        cpu: user and system seconds of it and of every child that was waited for.
        peak: the largest peak RSS of any process in that tree, in bytes.
        own_peak: the peak RSS of the started process alone, in bytes; seen every 5 ms, where it was asked for.
    """

    code: int
    seconds: float
    cpu: float
    peak: int
    own_peak: int | None = None


def environment(folder: Path, home: Path, **more: str) -> dict[str, str]:
    """The bare environment of a measured process: nothing of the caller's but PATH, language and time zone."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "JAVA_HOME") if name in os.environ}
    return {**kept, **QUIET, "HOME": str(home), MARK: str(folder), **more}


def run(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    *,
    timeout: float = 420,
    kill_when: tuple[Path, str] | None = None,
    watch_memory: bool = False,
) -> Ended:
    """Start a command in a session of its own and wait for its end.

    Args:
        argv: the command.
        cwd: where it runs.
        env: its whole environment.
        log: file that gets its output.
        timeout: seconds after which the process group is killed.
        kill_when: a file and a line; once the file has the line, the process group gets SIGKILL 0.2 s later.
        watch_memory: read the process's own peak RSS every 5 ms.
    """
    awaited = None if kill_when is None else [str(kill_when[0]), kill_when[1]]
    wanted = [[*argv], str(cwd), {**env}, str(log), timeout, awaited, watch_memory]
    starter = [sys.executable, "-I", "-S", __file__]
    said = subprocess.run(starter, input=json.dumps(wanted), stdout=subprocess.PIPE, text=True, check=True).stdout
    return Ended(**json.loads(said))


def started(argv: Sequence[str], cwd: Path | str, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A command that was started in a session of its own; the arguments are those of `run`."""
    with log.open("wb") as out:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _start_and_wait(
    argv: list[str],
    cwd: str,
    env: dict[str, str],
    log: str,
    timeout: float,
    awaited: list[str] | None,
    watch_memory: bool,
) -> Ended:
    began = time.perf_counter()
    process = started(argv, cwd, env, Path(log))
    own_peak = _await_end(process.pid, began + timeout, awaited, watch_memory)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    code = process.returncode = os.waitstatus_to_exitcode(status)
    return Ended(code, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, own_peak)


def _await_end(pid: int, deadline: float, awaited: list[str] | None, watch_memory: bool) -> int | None:
    """Return when the process has ended, killing its group at the deadline or when the awaited line is there."""
    peak: int | None = None
    descriptor = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    attentive = watch_memory or awaited is not None
    try:
        while not poll.poll(1000 * (TICK if attentive else max(0.0, deadline - time.perf_counter()))):
            if watch_memory:
                peak = peak_of(pid) or peak
            if awaited is not None and awaited[1] in lines_of(Path(awaited[0])):
                time.sleep(GRACE)
                os.killpg(pid, signal.SIGKILL)
                awaited = None
            elif time.perf_counter() >= deadline:
                os.killpg(pid, signal.SIGKILL)
                deadline += 60
    finally:
        os.close(descriptor)
    return peak


def lines_of(path: Path) -> list[str]:
    """The lines of a file; none when it is not there."""
    with suppress(FileNotFoundError):
        return path.read_text().split()
    return []


def peak_of(pid: int | str = "self") -> int | None:
    """Peak RSS in bytes of one living process, or None when it is gone."""
    return _memory_in(Path(f"/proc/{pid}/status"), "VmHWM:")


def share_of(pid: int) -> int | None:
    """Memory in bytes of one living process, of shared pages its share (PSS); None when it is gone."""
    return _memory_in(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _memory_in(file: Path, name: str) -> int | None:
    with suppress(OSError):
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return None


def survivors(folder: Path) -> list[int]:
    """Process ids still alive that were started for `folder` or one below it; found by their BENCH_WORK."""
    marker = f"{MARK}={folder}/".encode()
    alive = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                variables = (entry / "environ").read_bytes().split(b"\0")
                if any((one + b"/").startswith(marker) for one in variables):
                    alive.append(int(entry.name))
    return alive


def end(pids: list[int]) -> None:
    """SIGKILL each of these processes and wait, some seconds, until their memory is free again."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(peak_of(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(TICK)


if __name__ == "__main__":
    json.dump(asdict(_start_and_wait(*json.load(sys.stdin))), sys.stdout)
