"""What an execution here gets from the process that carries it out: variables, and what stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from types import FrameType

from trikk.targets.sagemaker.local.containers.bucket_transfer import S3Access
from trikk.targets.sagemaker.local.local_execution import LocalExecution
from trikk.targets.sagemaker.local.object_server import ObjectServer

_LOOK = 0.2


def job_environment(access: S3Access, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that containers have: this process's, with this Python first on the path, and the S3 server's.

    Args:
        access: the server; where it is a run's own, no other credentials for AWS are handed on.
        more: those that jobs need beside.
    """
    kept = {
        name: value for name, value in os.environ.items() if not (access.access_key and name.startswith("AWS_"))
    }
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "PYTHONUNBUFFERED": "1", **access.environment(), **(more or {})}


@contextlib.contextmanager
def needing(server: ObjectServer | None, execution: LocalExecution) -> Iterator[None]:
    """Have an execution fail at once, for the block, when the S3 server of its own has ended."""
    if server is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK):
            if problem := server.problem():
                execution.abort(problem)
                return

    watcher = threading.Thread(target=watch, name="s3", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@contextlib.contextmanager
def stopping(execution: LocalExecution) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM stop an execution for the block, and a second one kill its jobs."""
    signals: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        (execution.kill if signals else execution.stop)()
        signals.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
