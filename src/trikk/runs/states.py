"""The states of runs and steps, by name; how they follow on each other is in `run_state` and in docs/concepts."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """What a run is at."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    """Nothing is left to do until somebody has decided; no process is at it."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepStatus(StrEnum):
    """What a step is at, or an item of a mapped one."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


OVER = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
"""States of a run that has ended, be it that it can be resumed."""
DONE = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
"""States of a step that has nothing left to do."""
