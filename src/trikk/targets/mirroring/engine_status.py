"""What an engine itself says of an execution: the port that each engine's own reader implements."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from trikk.core.record import Record


class ExecutionState(StrEnum):
    """What an execution, or one of its jobs, is at."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


class EngineJob(Record, frozen=True):
    """A job as its engine sees it.

    Attributes:
        state: what it is at.
        reason: why it failed or was stopped; "" if the engine says nothing.
        log: where the engine keeps what it printed, for people; "" if nowhere.
    """

    state: ExecutionState
    reason: str = ""
    log: str = ""


class EngineStatus(Record, frozen=True):
    """An execution as its engine sees it.

    Attributes:
        state: what it is at.
        reason: why it failed or was stopped.
        jobs: by step; one that the engine has not begun, or will not begin, is absent.
        ended: seconds since 1970; None while it runs, or if the engine does not say.
    """

    state: ExecutionState
    reason: str = ""
    jobs: Mapping[str, EngineJob] = msgspec.field(default_factory=dict)
    ended: float | None = None


class Engine(Protocol):
    """An engine that can be asked about its executions.

    Attributes:
        name: the target's.
    """

    name: str

    def status(self, execution: str, steps: Mapping[str, str]) -> EngineStatus | None:
        """What the engine says of an execution; None if it does not know it, or not any more.

        Args:
            execution: what it calls the execution.
            steps: by what it calls a step, the step.

        Raises:
            ServerError: if it can't be asked.
        """

    def stop(self, execution: str) -> None:
        """Have it stop an execution; ServerError if that can't be asked for."""
