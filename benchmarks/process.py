"""Starts one whole process, waits for it and says what it cost, children included.

The harness itself stays small on purpose: Linux counts the memory of the forking process into the
peak that `wait4` reports for the child, so a harness that had imported polars would add to every figure.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.jobs import Command

QUIET = {
    "DO_NOT_TRACK": "1",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "KEDRO_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "SCARF_ANALYTICS": "false",
    "METAFLOW_USER": "bench",
}
"""Telemetry off, for every process alike."""

TICK = 0.005
GRACE = 0.2


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process cost.

    Attributes:
        code: exit code; negative for a signal.
        seconds: wall time from start to end of the process.
        cpu: user and system seconds of it and of every child that was waited for.
        peak: the largest peak RSS of any process in that tree, in bytes.
        own_peak: the peak RSS of the started process alone in bytes, where it was watched.
    """

    code: int
    seconds: float
    cpu: float
    peak: int
    own_peak: int | None = None


def environment(command: Command, folder: Path, home: Path) -> dict[str, str]:
    """The bare environment of a measured process: nothing of the caller's but PATH, language and time zone."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return {**kept, **QUIET, "HOME": str(home), "BENCH_WORK": str(folder), **command.env}


def run(
    command: Command,
    environ: dict[str, str],
    log: Path,
    *,
    timeout: float,
    kill_when: Callable[[], bool] | None = None,
    watch_memory: bool = False,
) -> Sample:
    """Start `command` in a session of its own and wait for its end.

    Args:
        command: what to start.
        environ: its whole environment.
        log: file that gets its output.
        timeout: seconds after which the process group is killed.
        kill_when: asked every 5 ms; once true, the process group gets SIGKILL 0.2 s later.
        watch_memory: read the process's own peak RSS every 5 ms.
    """
    with log.open("wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        own_peak = _await_end(process.pid, started + timeout, kill_when, watch_memory)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(process.returncode, seconds, cpu, usage.ru_maxrss * 1024, own_peak)


def _await_end(pid: int, deadline: float, kill_when: Callable[[], bool] | None, watch_memory: bool) -> int | None:
    """Return when the process has ended, killing its group at the deadline or when told."""
    peak: int | None = None
    descriptor = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    attentive = watch_memory or kill_when is not None
    try:
        while not poll.poll(1000 * (TICK if attentive else max(0.0, deadline - time.perf_counter()))):
            if watch_memory:
                peak = own_peak(pid) or peak
            if kill_when is not None and kill_when():
                time.sleep(GRACE)
                os.killpg(pid, signal.SIGKILL)
                kill_when = None
            elif time.perf_counter() >= deadline:
                os.killpg(pid, signal.SIGKILL)
                deadline += 60
    finally:
        os.close(descriptor)
    return peak


def own_peak(pid: int) -> int | None:
    """Peak RSS in bytes of one living process, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def survivors(folder: Path) -> list[int]:
    """Process ids still alive that were started for `folder`, found by their BENCH_WORK variable."""
    marker = f"BENCH_WORK={folder}".encode()
    alive = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if marker in variables:
                alive.append(int(entry.name))
    return alive


def end(pids: list[int]) -> None:
    """SIGKILL each of these processes; one that has gone meanwhile is fine."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
