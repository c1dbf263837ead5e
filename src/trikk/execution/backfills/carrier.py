"""Carry a backfill out in this process, with one loading of the code; any number of processes may do so together.

What a process leaves that is killed is a day's run that nobody drives: whoever looks next goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from trikk.core.errors import Conflict, LeaseHeld, RunError, TrikkError, UsageError
from trikk.execution.backfills.backfill_ledger import (
    cause_of,
    change,
    moment_of,
    note,
    origin_of,
    parameters_of,
    refresh,
    states_of,
    to_retry,
)
from trikk.execution.backfills.backfill_state import (
    Backfill,
    BackfillStatus,
    Change,
    Day,
    next_days,
    progress,
)
from trikk.execution.code.earlier import Earlier, earlier, is_driven
from trikk.execution.resume import Code, again_without_effects, resume
from trikk.execution.session import Session
from trikk.pipeline.graph import Graph
from trikk.runs.journals.journal import RunRow
from trikk.runs.run_state import RunState
from trikk.runs.states import OVER, RunStatus

_LOOK_EVERY = 0.2  # seconds, while other processes are at what the next day waits for


class Teller(Protocol):
    """Who is told what a backfill does."""

    def begins(self, day: Day) -> None:
        """A pipeline is about to be run for a day."""

    def left_out(self, day: Day) -> None:
        """It had succeeded for that day."""

    def starts(self, graph: Graph, given: dict[str, str]) -> None:
        """A run is about to be started."""

    def goes_on(self, row: RunRow, effects: Iterable[str]) -> None:
        """A run is gone on with."""

    def failed(self, day: Day, error: TrikkError) -> None:
        """A day could not be run at all."""

    def ended(self, day: Day, state: RunState) -> None:
        """A run has ended."""

    def forgotten(self, row: RunRow, effects: Iterable[str], given: dict[str, str]) -> RunError:
        """The error for a run that clean-up has forgotten after it had changed something."""


@dataclass(slots=True)
class Carrier:
    """What one process does of a backfill.

    Attributes:
        session: the project's code.
        backfill: is kept up to date.
        teller: is told of everything.
        code: whose code goes on with a run, where the project's is no longer the run's.
        done: the runs that this process has carried out, as they ended.
        errors: what could not be run at all.
    """

    session: Session
    backfill: Backfill
    teller: Teller
    code: Code | None = None
    done: list[RunState] = field(default_factory=list)
    errors: dict[Day, TrikkError] = field(default_factory=dict)
    _states: dict[str, RunStatus] = field(default_factory=dict)

    def work(self) -> None:
        """Go on until nothing is left to do, or others have to do something first.

        Raises:
            UsageError: if the very first run can't be begun: it would go wrong on every day.
        """
        while not (self.done and self.done[-1].state == RunStatus.CANCELLED):
            refresh(self.session.project.journal, self.backfill)
            runs = states_of(self.session.project.journal, self.backfill, self._states)
            if self._is_at_an_end(runs):
                return
            left = self._left_behind(runs)
            due = next_days(self.backfill, runs, self.errors)
            if left is not None:
                self._carry_out(left)
            elif due:
                self._carry_out(due[0])
            elif any(state not in OVER and state != RunStatus.WAITING for state in runs.values()):
                self.session.how.clock.sleep(_LOOK_EVERY)
            else:
                return

    def _is_at_an_end(self, runs: dict[str, RunStatus]) -> bool:
        if self.backfill.paused or self.backfill.cancelled:
            return True
        if self.errors and not self.backfill.declaration.keep_going:
            return True
        is_stopped = progress(self.backfill, runs).state == BackfillStatus.STOPPED
        return is_stopped and not self._to_retry(runs)

    def _to_retry(self, runs: dict[str, RunStatus]) -> set[str]:
        return {*to_retry(self.session.project.journal, self.backfill, runs)} - {state.id for state in self.done}

    def _left_behind(self, runs: dict[str, RunStatus]) -> Day | None:
        """The first day whose run is to be gone on with: nobody drives it, or it has failed and may again."""
        project, now = self.session.project, self.session.how.clock.now()
        tried, retried = {state.id for state in self.done}, self._to_retry(runs)
        for day, run in self.backfill.runs.items():
            state = runs[run]
            if state in (RunStatus.SUCCEEDED, RunStatus.WAITING) or run in tried or day in self.errors:
                continue
            if run in retried or (state not in OVER and not is_driven(project, project.journal.row(run), now)):
                return day
        return None

    def _carry_out(self, day: Day) -> None:
        try:
            state = self._gone_on_with(day) if day in self.backfill.runs else self._begun(day)
        except (Conflict, LeaseHeld):
            return  # another process was faster, or somebody has paused it: look again
        except TrikkError as error:
            if isinstance(error, UsageError) and not (self.backfill.runs or self.backfill.left_out or self.errors):
                self._withdraw(error)
                raise
            self.errors[day] = error
            self.teller.failed(day, error)
            return
        if state is not None:
            self.done.append(state)
            self.teller.ended(day, state)

    def _withdraw(self, error: UsageError) -> None:
        now = self.session.how.clock.now()
        journal = self.session.project.journal
        change(journal, self.backfill, Change.CANCELLED, by="trikk backfill", why=error.what, now=now)

    def _begun(self, day: Day) -> RunState | None:
        """The run at its end; None if there is one that has succeeded."""
        session, declared = self.session, self.backfill.declaration
        graph, given = session.graph(day[0]), parameters_of(declared, day)
        as_of = moment_of(declared, day, session.project.settings.timezone)
        self.teller.begins(day)
        if declared.missing:
            journal, now = session.project.journal, session.how.clock.now()
            before = earlier(session.project, graph, given, at=as_of, now=now)
            if before.succeeded is not None:
                note(journal, self.backfill, Change.DAY_LEFT_OUT, day, before.succeeded.id, now)
                self.teller.left_out(day)
                return None
            if (row := self._unfinished(before, given)) is not None:
                note(journal, self.backfill, Change.DAY_BEGUN, day, row.id, now)
                self.teller.goes_on(row, before.effects)
                return resume(session.project, row.id, session.how, code=self.code, confirm=lambda _: None)
        self.teller.starts(graph, given)
        cause, origin = cause_of(self.backfill, day), origin_of(self.backfill, as_of)
        return session.run(day[0], given, text=True, origin=origin, as_of=as_of, cause=cause)

    def _unfinished(self, before: Earlier, given: dict[str, str]) -> RunRow | None:
        """The run of an earlier day that is to be gone on with; RunError if that is not for this process to do."""
        if before.driven is not None:
            waits = before.driven.state == RunStatus.WAITING
            how = "waits for a decision" if waits else "is still running in another process"
            mend = f"trikk approve {before.driven.id}" if waits else "wait for it"
            raise RunError(
                f"run {before.driven.id} of this day {how}",
                next=f"{mend}, or end it: trikk cancel {before.driven.id}",
            )
        if before.unfinished is not None and before.unfinished.forgotten:
            raise self.teller.forgotten(before.unfinished, before.effects, given)
        return before.unfinished

    def _gone_on_with(self, day: Day) -> RunState:
        """A day's run, from where it has stopped."""
        session = self.session
        row = session.project.journal.row(self.backfill.runs[day])
        self.teller.begins(day)
        self.teller.goes_on(row, ())
        ask = again_without_effects if self.code == "current" else None
        return resume(session.project, row.id, session.how, code=self.code, confirm=lambda _: None, ask=ask)
