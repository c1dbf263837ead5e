"""Backfills in the ledger: begun, found, and changed by whoever is to stop them or let them go on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from trikk.core.errors import Conflict, RunError, UnknownName
from trikk.core.names import new_run_id
from trikk.core.values import JSON
from trikk.execution.backfills.backfill_state import (
    PREFIX,
    Backfill,
    BackfillStatus,
    Change,
    Day,
    Declaration,
    backfill_of,
    next_days,
    progress,
)
from trikk.execution.project import Project
from trikk.execution.queued_run import enqueue
from trikk.pipeline.graph import Graph
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Cause, Journal
from trikk.runs.states import OVER, RunStatus


def begin(journal: Journal, declaration: Declaration, now: float) -> Backfill:
    """Write down that a backfill is to be done."""
    backfill = new_run_id()
    entry = journal.add(PREFIX + backfill, Change.BEGUN, declaration.to_json(), at=now, identity="begun").entry
    return Backfill(backfill, declaration, now, seq=entry.seq)


def find(journal: Journal, text: str) -> Backfill:
    """The backfill that a user means: `last`, or the beginning of its id.

    Raises:
        UnknownName: if there is none, or several begin so.
    """
    known = every(journal) if text == "last" else []
    if known:
        return known[0]
    ids = [subject.removeprefix(PREFIX) for subject in journal.subjects(PREFIX + text)]
    if len(ids) != 1 or text == "last":
        more = f"several begin so: {', '.join(ids)}" if ids else "trikk backfills lists them"
        raise UnknownName("backfill", text, [s.removeprefix(PREFIX) for s in journal.subjects(PREFIX)], next=more)
    backfill = backfill_of(ids[0], journal.entries(PREFIX + ids[0]))
    assert backfill is not None
    return backfill


def every(journal: Journal) -> list[Backfill]:
    """All of them, the newest first."""
    ids = [subject.removeprefix(PREFIX) for subject in journal.subjects(PREFIX)]
    backfills = [backfill_of(one, journal.entries(PREFIX + one)) for one in ids]
    return sorted((one for one in backfills if one is not None), key=lambda one: one.begun, reverse=True)


def refresh(journal: Journal, backfill: Backfill) -> None:
    """Take in what others have written since."""
    for entry in journal.entries(PREFIX + backfill.id, after=backfill.seq):
        backfill.take_in(entry)


def states_of(
    journal: Journal, backfill: Backfill, known: dict[str, RunStatus] | None = None
) -> dict[str, RunStatus]:
    """What the runs of a backfill are at.

    Args:
        journal: the project's.
        backfill: the backfill.
        known: what was returned before, brought up to date; those that have succeeded are not asked again.
    """
    states = {} if known is None else known
    for run in backfill.runs.values():
        if states.get(run) != RunStatus.SUCCEEDED:
            states[run] = journal.row(run).state
    return states


def change(journal: Journal, backfill: Backfill, kind: Change, *, by: str, why: str, now: float) -> None:
    """Pause a backfill, let it go on, or cancel it with the runs that go on.

    Raises:
        RunError: if it is cancelled already, or has succeeded.
    """
    while True:
        refresh(journal, backfill)
        if backfill.cancelled:
            raise RunError(
                f"backfill {backfill.id} was cancelled by {backfill.by}",
                next="begin another: trikk backfill ... --missing leaves out what has succeeded",
            )
        if progress(backfill, states_of(journal, backfill)).state == BackfillStatus.SUCCEEDED:
            raise RunError(f"backfill {backfill.id} has succeeded", next=f"see it: trikk backfills {backfill.id}")
        body: dict[str, JSON] = {"by": by, "why": why}
        try:
            backfill.take_in(journal.add(PREFIX + backfill.id, kind, body, at=now, after=backfill.seq).entry)
            break
        except Conflict:
            continue  # another process has just begun a day
    if kind == Change.CANCELLED:
        for run, state in states_of(journal, backfill).items():
            if state not in OVER:
                journal.append(run, EventKind.RUN_CANCEL_REQUESTED, {"by": by}, at=now)


def parameters_of(declared: Declaration, day: Day) -> dict[str, str]:
    """What a pipeline is given for a day, as texts."""
    name = declared.day_parameters.get(day[0])
    return {**declared.parameters.get(day[0], {}), **({name: day[1]} if name else {})}


def moment_of(declared: Declaration, day: Day, zone: str) -> float | None:
    """What steps take for the present, seconds since 1970; None for the real time."""
    if not declared.at:
        return None
    return datetime.combine(
        date.fromisoformat(day[1]), time.fromisoformat(declared.at), ZoneInfo(zone)
    ).timestamp()


def origin_of(backfill: Backfill, as_of: float | None) -> dict[str, JSON]:
    """Why a run of it exists."""
    return {"kind": "backfill", "backfill": backfill.id, **({} if as_of is None else {"at": as_of})}


def cause_of(backfill: Backfill, day: Day) -> Cause:
    """What makes a day begin once, and only if nothing has happened since the backfill was read."""
    entry: dict[str, JSON] = {"pipeline": day[0], "day": day[1]}
    return Cause(PREFIX + backfill.id, Change.DAY_BEGUN, "/".join(day), entry, after=backfill.seq)


def enqueue_next(
    project: Project,
    graphs: Mapping[str, Graph],
    backfill: Backfill,
    now: float,
    known: dict[str, RunStatus] | None = None,
) -> list[str]:
    """Queue the runs that may begin now, for a server to drive; their ids.

    Safe to be called by several servers at once. Days are begun as `next_days` says; what `missing` leaves out is
    for `Carrier`, which looks at earlier runs.

    Args:
        project: the project.
        graphs: its pipelines by name.
        backfill: is brought up to date.
        now: wall time in seconds since 1970.
        known: as of `states_of`.

    Raises:
        UnknownName: if a pipeline is not there any more.
        ParameterError: if it takes other parameters now.
    """
    runs = []
    refresh(project.journal, backfill)
    for day in next_days(backfill, states_of(project.journal, backfill, known)):
        if day[0] not in graphs:
            raise UnknownName("pipeline", day[0], graphs)
        as_of = moment_of(backfill.declaration, day, project.settings.timezone)
        given, origin = parameters_of(backfill.declaration, day), origin_of(backfill, as_of)
        try:
            cause = cause_of(backfill, day)
            added = enqueue(project, graphs[day[0]], given, origin, cause, text=True, as_of=as_of, at=now)
        except Conflict:
            break  # somebody was faster; the next look sees what is left
        backfill.take_in(added.entry)
        runs.append(str(added.entry.body["run"]))
    return runs
