"""A job's container, without one: its command as a process with its own `/opt/ml`, stopped as there."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from trikk.core.errors import RecordError, UsageError
from trikk.execution.workers.descendants import TOKEN, end_marked, new_token
from trikk.targets.sagemaker.local.containers.private_view import KILL, ML, View, ViewEnd, ViewRequest

GRACE = 120.0
"""Seconds from SIGTERM to SIGKILL: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html."""
_LOOK = 0.05
_PROBE_SECONDS = 60
_SECONDS_TO_KILL = 10
_PROGRAM = "trikk.targets.sagemaker.local.containers.private_view"
_MEASURE_SHARE = 0.05  # of the time may go to measuring a job's folder


class EndReason(StrEnum):
    """Why a job's process is over."""

    EXITED = "exited"
    STOPPED = "stopped"
    TIMED_OUT = "timed_out"
    FULL = "full"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """How a job's process ended.

    Attributes:
        reason: why.
        code: its exit code, as a shell gives it.
        problem: why it could not be begun, or was lost; "" where it ran.
    """

    reason: EndReason
    code: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a job's process may take.

    Attributes:
        seconds: until it is told to end; None without a limit.
        size: bytes of its folder; None without a limit.
        grace: seconds from being told to end until it is killed.
    """

    seconds: float | None = None
    size: int | None = None
    grace: float = GRACE


@functools.cache
def best_view() -> View:
    """How jobs get a `/opt/ml` of their own on this machine; asked of the kernel once.

    Raises:
        UsageError: if there is no way.
    """
    if sys.platform != "linux":
        raise UsageError(
            "jobs get /opt/ml of their own from Linux, and this is another system",
            next="run on Linux: a virtual machine or a container; or here without: --target local",
        )
    problem = ""
    for view in (View.NAMESPACES, View.MOUNTS):
        problem = _probe(view)
        if not problem:
            return view
    if os.access(ML.parent, os.W_OK) and (ML.is_symlink() or not ML.exists()):
        return View.TURNS
    raise UsageError(
        f"this machine lets no process have a view of {ML} of its own ({problem})",
        next="allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu; "
        "--cap-add SYS_ADMIN in a container), or run as root",
    )


def _probe(view: View) -> str:
    """Why a view can't be had; "" if it can."""
    with tempfile.TemporaryDirectory(prefix="trikk-view-") as folder:
        end = run_process((), {}, Path(folder), Path(folder, "log"), view, ProcessLimits(seconds=_PROBE_SECONDS))
        return end.problem


def run_process(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    view: View,
    limits: ProcessLimits,
    stopping: threading.Event | None = None,
    killing: threading.Event | None = None,
) -> ProcessEnd:
    """Run a command to its end, with `folder/ml` as its /opt/ml; nothing that it has started outlives it.

    Args:
        command: the program and its arguments.
        environment: its variables, all of them.
        folder: the job's: `ml` in it is /opt/ml, `scratch` its current folder.
        log: the file that its output goes to.
        view: how it gets its /opt/ml.
        limits: what it may take.
        stopping: set to have it told to end, and killed after the grace.
        killing: set to have it killed at once.
    """
    ml, scratch, status = folder / "ml", folder / "scratch", folder / "status.json"
    for path in (ml, scratch):
        path.mkdir(parents=True, exist_ok=True)
    status.unlink(missing_ok=True)
    token = new_token()
    # Where there is no namespace whose processes the kernel ends, what is left behind is known by a variable.
    known = dict(environment) if view == View.NAMESPACES else {**environment, TOKEN: token}
    request = ViewRequest(view, str(ml), str(scratch), str(status), tuple(command), known)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C is the run's
        )
    try:
        _hand_over(process, request)
        reason = _watch(process, ml, limits, stopping or threading.Event(), killing or threading.Event())
    finally:
        _kill(process)
        if view != View.NAMESPACES:
            end_marked(token)
    return _ended(status, reason)


def _hand_over(process: subprocess.Popen[bytes], request: ViewRequest) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(request.to_bytes())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has died: `_ended` says so


def _watch(
    process: subprocess.Popen[bytes],
    ml: Path,
    limits: ProcessLimits,
    stopping: threading.Event,
    killing: threading.Event,
) -> EndReason:
    """Wait for the end, and see to it that it comes."""
    begin, reason, kill_at, measure_at = time.monotonic(), EndReason.EXITED, float("inf"), 0.0
    while True:
        try:
            process.wait(_LOOK)
        except subprocess.TimeoutExpired:
            pass
        else:
            return reason
        now = time.monotonic()
        if reason == EndReason.EXITED:
            if stopping.is_set() or killing.is_set():
                reason = EndReason.STOPPED
            elif limits.seconds is not None and now - begin >= limits.seconds:
                reason = EndReason.TIMED_OUT
            if reason != EndReason.EXITED:
                process.terminate()
                kill_at = now + limits.grace
        if limits.size is not None and now >= measure_at:
            if size_of(ml) > limits.size:
                reason, kill_at = EndReason.FULL, now
            measure_at = time.monotonic() + max(1.0, (time.monotonic() - now) / _MEASURE_SHARE)
        if now >= kill_at or killing.is_set():
            _kill(process)
            return reason


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a job, and wait until nothing of it is left."""
    process.send_signal(KILL)
    try:
        process.wait(_SECONDS_TO_KILL)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ended(status: Path, reason: EndReason) -> ProcessEnd:
    try:
        end = ViewEnd.from_bytes(status.read_bytes())
    except (OSError, RecordError):
        if reason == EndReason.EXITED:
            return ProcessEnd(EndReason.LOST, 137, "the job's first process was killed from outside")
        return ProcessEnd(reason, 137)
    if end.problem and reason == EndReason.EXITED:
        return ProcessEnd(EndReason.LOST, end.code, end.problem)
    return ProcessEnd(reason, end.code)


def size_of(folder: Path) -> int:
    """Bytes that a folder takes on its disk; what goes meanwhile does not count."""
    total, stack = 0, [str(folder)]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def program_on_path(name: str, environment: Mapping[str, str]) -> str | None:
    """Where a program lies on the PATH of an environment; None if it is not there."""
    return shutil.which(name, path=environment.get("PATH"))
