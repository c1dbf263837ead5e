"""Where and with what a job is carried out, how it ends, and what its container left to be told."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from trikk.core.clock import Clock
from trikk.core.errors import RunError
from trikk.core.values import JSON
from trikk.targets.sagemaker.local.containers.bucket_transfer import BucketTransfer, ServiceFault
from trikk.targets.sagemaker.local.containers.job_process import (
    EndReason,
    ProcessEnd,
    ProcessLimits,
    run_process,
)
from trikk.targets.sagemaker.local.containers.job_requests import seconds_of, volume_of
from trikk.targets.sagemaker.local.containers.private_view import ML, View
from trikk.targets.sagemaker.local.definition.service_retries import FailureType
from trikk.targets.sagemaker.local.definition.step_order import StepPhase

MOST_TOLD = 1024
"""Characters of a failure, and bytes of a message, that an answer of the API holds."""
_LARGEST_MESSAGE = 1 << 20


@dataclass(frozen=True, slots=True)
class JobSite:
    """Where and with what a job is carried out.

    Attributes:
        folder: of this attempt, empty; `ml` in it is the job's /opt/ml.
        log: the file for what the container prints.
        transfer: to and from S3.
        view: how jobs get their /opt/ml.
        environment: the variables that a container has beside its own.
        grace: seconds from SIGTERM to SIGKILL.
        clock: time.
        stopping: set when jobs are to end.
        killing: set when they are to end at once.
    """

    folder: Path
    log: Path
    transfer: BucketTransfer
    view: View
    environment: Mapping[str, str]
    grace: float
    clock: Clock
    stopping: threading.Event = field(default_factory=threading.Event)
    killing: threading.Event = field(default_factory=threading.Event)

    @property
    def ml(self) -> Path:
        """The folder that the job sees as /opt/ml."""
        return self.folder / "ml"

    def place(self, path: str) -> Path:
        """Where a path below /opt/ml lies outside of the job."""
        return self.ml / PurePosixPath(path).relative_to(ML)

    def write(self, files: Mapping[str, JSON]) -> None:
        """Put JSON files under the job's /opt/ml."""
        for name, content in files.items():
            path = self.ml / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, indent=2, default=str))

    def run(self, command: Sequence[str], request: Mapping[str, Any], own: Mapping[str, str]) -> ProcessEnd:
        """Run the container's command; `own` are the variables that the platform gives this kind of job."""
        temporary = self.folder / "scratch" / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        base = {**self.environment, "TMPDIR": str(temporary)}
        environment = {**base, **own, **(request.get("Environment") or {})}
        limits = ProcessLimits(seconds_of(request), volume_of(request), self.grace)
        return run_process(
            command, environment, self.folder, self.log, self.view, limits, self.stopping, self.killing
        )


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How an attempt at a step has ended.

    Attributes:
        state: succeeded, failed or stopped.
        answer: what the Describe call would say of it.
        failure: of which type, for retry policies; None if it has not failed.
        reason: why it failed, for people; "" if it has not.
    """

    state: StepPhase
    answer: Mapping[str, Any]
    failure: FailureType | None = None
    reason: str = ""


class JobFailed(RunError):
    """An attempt has failed; `failure` says of which type."""

    def __init__(self, what: str, failure: FailureType) -> None:
        super().__init__(what)
        self.failure = failure


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn what goes wrong around a container into `JobFailed`, by whose fault it is."""
    try:
        yield
    except JobFailed:
        raise
    except ServiceFault as error:
        raise JobFailed(error.what, FailureType.SERVICE_FAULT) from error
    except RunError as error:
        raise JobFailed(f"ClientError: {error.what}", FailureType.CLIENT) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise JobFailed("ClientError: No space left on device", FailureType.CLIENT) from error
        raise JobFailed(f"InternalServerError: {error}", FailureType.INTERNAL) from error


def check_end(end: ProcessEnd, told: str, size: int | None) -> None:
    """Raise JobFailed if a process did not end well by itself; one that was stopped is no failure.

    Args:
        end: how it ended.
        told: what the container said of it; "" if nothing.
        size: bytes of the disk that it asked for.
    """
    if end.reason == EndReason.LOST:
        raise JobFailed(f"InternalServerError: {end.problem}", FailureType.INTERNAL)
    if end.reason == EndReason.FULL:
        given = f" of {(size or 0) >> 30} GB"
        raise JobFailed(f"ClientError: the job has filled its volume{given}", FailureType.CLIENT)
    if end.reason == EndReason.EXITED and end.code:
        raise JobFailed(told or f"AlgorithmError: see the job's log, exit code: {end.code}", FailureType.CLIENT)


def message_of(path: Path) -> str:
    """The first KB of the text that a container has left in a file; "" if it has left none.

    Raises:
        JobFailed: if it is not UTF-8, as the service fails the job.
    """
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        data = file.read(_LARGEST_MESSAGE)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise JobFailed("ClientError: /opt/ml/output/message is not UTF-8", FailureType.CLIENT) from error
    return text.encode()[:MOST_TOLD].decode(errors="ignore")


def failure_of(path: Path) -> str:
    """The first 1,024 characters of the failure that a container has written down; "" if it has not."""
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(_LARGEST_MESSAGE).decode(errors="replace").strip()[:MOST_TOLD]
