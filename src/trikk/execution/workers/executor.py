"""The port between a driver and whoever carries its calls to workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trikk.core.record import Record
from trikk.execution.step_messages import StepCall, StepResult


class Ended(Record, frozen=True):
    """An attempt is over.

    Attributes:
        task: the id that `start` was given.
        result: what the worker answered; None if it died without an answer.
        status: the wait status as of os.waitpid, 0 where there is no process.
        peak: largest resident set in bytes, 0 if unknown.
    """

    task: str
    result: StepResult | None
    status: int = 0
    peak: int = 0


class Began(Record, frozen=True, tag=True):
    """An attempt has been going on for so many seconds; before that, it may have waited somewhere."""

    task: str
    seconds: float


class Executor(Protocol):
    """Starts attempts and tells how they ended.

    Attributes:
        isolation: how attempts are kept apart, for people: "fork", "fresh interpreter: why", "inline".
        queues: whether an attempt may wait elsewhere before it begins; `poll` tells then when longer ones have.
    """

    isolation: str
    queues: bool

    def start(self, task: str, call: StepCall) -> None:
        """Begin an attempt; returns at once where attempts have processes of their own."""

    def poll(self, timeout: float) -> Sequence[Ended | Began]:
        """The attempts that have ended, or begun where they queue, waiting at most `timeout` seconds for one.

        Raises:
            RunError: if the executor itself is broken.
        """

    def stop(self, task: str, *, force: bool) -> None:
        """Ask an attempt's processes to end, or end them (`force`); it will still be reported by `poll`."""

    def close(self) -> None:
        """End everything that is still running."""
