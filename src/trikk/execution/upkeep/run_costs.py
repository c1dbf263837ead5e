"""What a project's runs took, read from their events once and kept in the ledger.

`cost/DAY` has the runs that ended in a day (UTC). A run that is resumed ends anew, and is read anew. What was read
outlives the run's events, which clean-up drops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from trikk.core.errors import StorageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.runs.cost import Cost, Need, Prices, Usage, graphs_of, needs_of, usage
from trikk.runs.journals.journal import Event, RunRow

SPENT = "runs.spent"
_BATCH = 200
_DIGITS = 3

_PAGE = 5000  # runs

RESUMED_WITHIN = timedelta(days=7)
"""A run that was created longer than this before a time does not count from then on, though it ended later."""

Spent = dict[str, Usage]
"""What each step of a run took."""


class _Kept(NamedTuple):
    """What was read of a run that ended then, and its code's branch; None where an older build has kept it."""

    ended: float
    spent: Spent
    branch: str | None


class Spending:
    """Reads what runs took.

    Args:
        project: whose runs.

    Attributes:
        branches: of the runs that `ended` was asked for, the branch that their code was on; "" if it was on none.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._graphs: dict[str, dict[str, Need]] = {}
        self._days: dict[str, dict[str, _Kept]] = {}
        self.branches: dict[str, str] = {}

    def of(self, run: str, now: float) -> Spent:
        """What a run took up to a time (seconds since 1970), from its events."""
        events = self._project.journal.events(run)
        return self._read(events, self._alive(run, now, events[-1].at))

    def ended(self, rows: Sequence[RunRow], now: float) -> dict[str, Spent]:
        """What runs that are over took, by run; one that was forgotten before it was read is left out."""
        spent_by_run: dict[str, Spent] = {}
        new: dict[str, dict[str, JSON]] = {}
        for row in rows:
            if row.ended is None:
                continue
            day = f"{datetime.fromtimestamp(row.ended, UTC):%Y-%m-%d}"
            kept = self._kept(day).get(row.id)
            is_whole = kept is not None and kept.ended == row.ended and kept.branch is not None
            if not is_whole and not row.forgotten:
                events = self._project.journal.events(row.id)
                steps, branch = _plain(self._read(events, row.ended)), _branch(events)
                # As it is kept: who reads it later, rounded, has to come to the same sums.
                kept = self._days[day][row.id] = _Kept(row.ended, _usages(steps), branch)
                record: dict[str, Any] = {"steps": steps, "branch": branch}
                unkept = new.setdefault(day, {})
                unkept[row.id] = {"ended": row.ended, **record}
                if len(unkept) == _BATCH:  # as it goes: who is stopped on the way has come further all the same
                    self._keep(day, new.pop(day), now)
            if kept is not None and kept.ended == row.ended:
                spent_by_run[row.id] = kept.spent
                self.branches[row.id] = kept.branch or ""
        for day, runs in new.items():
            self._keep(day, runs, now)
        return spent_by_run

    def _read(self, events: Sequence[Event], until: float) -> Spent:
        for digest in graphs_of(events):
            if digest not in self._graphs:
                try:
                    self._graphs[digest] = needs_of(self._project.read_json(digest))
                except StorageError:
                    self._graphs[digest] = {}  # it is lost: each step counts as one core
        return usage(events, self._graphs, until)

    def _alive(self, run: str, now: float, last: float) -> float:
        """Up to when a run was surely driven: its driver may have died without a word."""
        lease = self._project.journal.lease(run)
        if lease is None:
            return last
        return now if lease.holder.is_alive() else min(now, lease.expires)

    def _kept(self, day: str) -> dict[str, _Kept]:
        if day not in self._days:
            kept: dict[str, _Kept] = {}
            for entry in self._project.journal.entries(_subject(day)):
                runs: Any = entry.body["runs"]
                for run, one in runs.items():
                    kept[run] = _Kept(one["ended"], _usages(one["steps"]), one.get("branch"))
            self._days[day] = kept
        return self._days[day]

    def _keep(self, day: str, runs: dict[str, JSON], now: float) -> None:
        self._project.journal.add(_subject(day), SPENT, {"runs": runs}, at=now)


def cost_of(project: Project, run: str, now: float) -> Cost | None:
    """What a run costs up to a time; None if no prices are set, or it was forgotten before that was read."""
    prices = Prices.of_section(project.settings.costs)
    if prices is None:
        return None
    spending, row = Spending(project), project.journal.row(run)
    spent = spending.ended([row], now).get(run) if row.forgotten else spending.of(run, now)
    return None if spent is None else Cost.of(spent, prices)


def added(spent: Iterable[Spent]) -> Spent:
    """What several runs took together, by step."""
    sums: Spent = {}
    for one in spent:
        for step, more in one.items():
            sums[step] = sums.get(step, Usage()) + more
    return sums


def ended_since(project: Project, pipeline: str | None, first: float, last: float) -> list[RunRow]:
    """The runs that ended between two times, of a pipeline or of all.

    They are listed by creation, so that it looks back further, by `RESUMED_WITHIN`.
    """
    earliest = first - RESUMED_WITHIN.total_seconds()
    rows: dict[str, RunRow] = {}
    offset = 0
    while True:
        page = project.journal.runs(pipeline=pipeline, limit=_PAGE, offset=offset)
        rows |= {row.id: row for row in page if row.ended is not None and first <= row.ended <= last}
        if len(page) < _PAGE or page[-1].created < earliest:
            return list(rows.values())
        offset += _PAGE


def _branch(events: Iterable[Event]) -> str:
    """The branch that a run's code was on when it was last locked; "" if it was on none."""
    locks: list[Any] = [lock for event in events if (lock := event.body.get("lock"))]
    return str((locks[-1].get("git") or {}).get("branch") or "") if locks else ""


def _subject(day: str) -> str:
    return f"cost/{day}"


def _plain(spent: Spent) -> dict[str, list[float]]:
    return {step: [round(n, _DIGITS) for n in (u.core, u.gb, u.gpu, u.seconds)] for step, u in spent.items()}


def _usages(steps: dict[str, list[float]]) -> Spent:
    return {step: Usage(*numbers) for step, numbers in steps.items()}
