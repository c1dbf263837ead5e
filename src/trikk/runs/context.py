"""What a step's function may know of the run that it is part of, and where it writes down what happened.

Ready-made steps (gates, registrations, publications) and `trikk.log_metric` find their run here; an author's own
steps may, too. There is one step at a time in a process, so that threads that a step starts find it as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.core.network.masking import hide_within
from trikk.core.values import JSON

if TYPE_CHECKING:
    from trikk.runs.journals.journal import Journal
    from trikk.storage.artifact import Artifact
    from trikk.storage.artifacts import Artifacts


@dataclass(frozen=True, slots=True)
class StepContext:
    """The step that runs.

    Attributes:
        run: the run as which the step acts; in a replay, the run that is repeated, so that results are the same.
        recorded_in: the run whose events get what is recorded; in a replay, the replay itself.
        pipeline: the pipeline's name.
        step: the step's name.
        item: the position in a mapped step, else None.
        attempt: 1 for the first.
        dry: nothing outside of the run may be changed, as in a replay.
        moment: seconds since 1970 at which the run was created; the same in every attempt, resume and replay.
        as_of: whether the run was told another time than the clock's, as in a backfill of the past.
        environment: the environment's name, as aliases of models and streams are kept apart by it.
        root: the project's folder.
        state_dir: the project's `.trikk`, a local folder that outlives the run.
        artifacts: the store's values.
        tables: the project's tables.
        journal: the project's journal.
        notes: lines that a ready-made step says of itself; the last one is shown where its result would be.
        given: the arguments that are whole results of earlier steps, as artifacts by the argument's name.
    """

    run: str
    recorded_in: str
    pipeline: str
    step: str
    item: int | None
    attempt: int
    dry: bool
    moment: float
    environment: str
    root: Path
    state_dir: Path
    artifacts: Artifacts
    tables: Any
    journal: Journal
    given: Mapping[str, Artifact] = field(default_factory=dict)
    as_of: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def identity(self) -> str:
        """The same in every attempt of this step and in replays of its run: what makes an effect happen once."""
        return f"{self.run}/{self.step}" if self.item is None else f"{self.run}/{self.step}/{self.item}"

    @property
    def now(self) -> datetime:
        """The run's `moment` in UTC: use it where a result holds the time at which it was made."""
        return datetime.fromtimestamp(self.moment, UTC)

    def time(self) -> float:
        """Seconds since 1970 for what is written down outside of the run: now, or the time it was told."""
        return self.moment if self.as_of else time.time()

    def record(self, kind: str, body: Mapping[str, JSON]) -> None:
        """Append an event to the run, which stays there whatever becomes of the step.

        Args:
            kind: such as "metric.logged".
            body: JSON; step, item and attempt are added, and secrets that the step has asked for masked.

        Raises:
            JournalError: if the journal can't be written.
            UsageError: if the body is not JSON.
        """
        about: dict[str, JSON] = {"step": self.step, "item": self.item, "attempt": self.attempt}
        self.journal.append(self.recorded_in, kind, {**about, **hide_within(body)}, at=time.time())

    def record_many(self, events: Sequence[tuple[str, Mapping[str, JSON]]]) -> None:
        """Append several events in one transaction; as `record`."""
        about: dict[str, JSON] = {"step": self.step, "item": self.item, "attempt": self.attempt}
        pairs: list[tuple[str, dict[str, JSON]]] = [
            (kind, {**about, **hide_within(body)}) for kind, body in events
        ]
        self.journal.append_many(self.recorded_in, pairs, at=time.time())


_current: StepContext | None = None
_at_exit: list[Callable[[], None]] = []
_entered_by = 0


def current_step() -> StepContext | None:
    """The step that runs in this process; None outside of a run."""
    return _current


def step_context(purpose: str) -> StepContext:
    """The step that runs in this process.

    Args:
        purpose: what needs it, for the error.

    Raises:
        UsageError: outside of a run.
    """
    if _current is None:
        raise UsageError(f"{purpose} works in a step of a run only", next="call it in a function with @step")
    return _current


def at_exit(call: Callable[[], None]) -> bool:
    """Have something called, once, when the step that runs is over, also when it has failed.

    Returns:
        False, and nothing is called, in a process that the step has forked: that ends in ways of its own.
    """
    if os.getpid() != _entered_by:
        return False
    _at_exit.append(call)
    return True


@contextmanager
def entered(context: StepContext) -> Iterator[None]:
    """Make this the step that runs, for the duration."""
    global _current, _at_exit, _entered_by
    before = (_current, _at_exit, _entered_by)
    _current, _at_exit, _entered_by = context, [], os.getpid()
    try:
        yield
    finally:
        try:
            for call in _at_exit:
                call()
        finally:
            _current, _at_exit, _entered_by = before
