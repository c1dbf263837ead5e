"""Backfills in the ledger: begun, found, and changed by whoever is to stop them or let them go on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from trikk.core.clock import SystemClock
from trikk.core.errors import Conflict, LeaseHeld, RunError, UnknownName
from trikk.core.names import new_run_id
from trikk.core.values import JSON
from trikk.execution.backfills.backfill_state import (
    LOST,
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
from trikk.execution.cancel import cancel_undriven
from trikk.execution.code.earlier import earlier
from trikk.execution.code.own_code import changed_files
from trikk.execution.project import Project
from trikk.execution.queued_run import enqueue
from trikk.execution.resume import Code
from trikk.execution.resume_request import request_resume
from trikk.pipeline.graph import Graph
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Cause, Journal, RunRow
from trikk.runs.run_state import ResumeOptions
from trikk.runs.states import OVER, RunStatus


def begin(journal: Journal, declaration: Declaration, now: float) -> Backfill:
    """Write down that a backfill is to be done."""
    return begin_once(journal, declaration, now, new_run_id())[0]


def begin_once(journal: Journal, declaration: Declaration, now: float, backfill: str) -> tuple[Backfill, bool]:
    """The backfill of an id, and whether it was begun by this call, with this declaration."""
    added = journal.add(PREFIX + backfill, Change.BEGUN, declaration.to_json(), at=now, identity="begun")
    if added.repeated:
        return find(journal, backfill), False
    return Backfill(backfill, declaration, now, seq=added.entry.seq), True


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


def to_retry(journal: Journal, backfill: Backfill, runs: Mapping[str, RunStatus]) -> list[str]:
    """The runs that had failed, or were cancelled, when somebody had the backfill go on: each is tried once more.

    It is the same for every process that carries the backfill out: what fails again has ended later.
    """
    rows = [journal.row(run) for run, state in runs.items() if state in LOST] if backfill.resumed else []
    return [row.id for row in rows if row.state in LOST and (row.ended or 0.0) <= backfill.resumed]


def note(journal: Journal, backfill: Backfill, kind: Change, day: Day, run: str, now: float) -> None:
    """Add what has become of a day; Conflict if somebody has added something meanwhile."""
    body: dict[str, JSON] = {"pipeline": day[0], "day": day[1], "run": run}
    identity, subject = "/".join(day), PREFIX + backfill.id
    backfill.take_in(journal.add(subject, kind, body, at=now, identity=identity, after=backfill.seq).entry)


def change(
    journal: Journal, backfill: Backfill, kind: Change, *, by: str, why: str, now: float, code: str = ""
) -> None:
    """Pause a backfill, let it go on, or cancel it with the runs that go on or wait.

    Args:
        journal: the project's.
        backfill: is brought up to date.
        kind: which of these.
        by: who asks for it.
        why: in their words.
        now: wall time in seconds since 1970.
        code: whose code goes on with what has failed, "locked" or "current"; "" for either.

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
        body: dict[str, JSON] = {"by": by, "why": why, **({"code": code} if code else {})}
        try:
            backfill.take_in(journal.add(PREFIX + backfill.id, kind, body, at=now, after=backfill.seq).entry)
            break
        except Conflict:
            continue  # another process has just begun a day
    if kind == Change.CANCELLED:
        for run, state in states_of(journal, backfill).items():
            if state not in OVER:
                journal.append(run, EventKind.RUN_CANCEL_REQUESTED, {"by": by}, at=now)
                with suppress(LeaseHeld):  # whoever drives it ends it
                    cancel_undriven(journal, run, f"cancelled by {by} with backfill {backfill.id}", SystemClock())


def check_code(project: Project, backfill: Backfill) -> None:
    """Raise RunError if a run that is to be tried again has other code than the project, and nobody says whose."""
    for run, state in states_of(project.journal, backfill).items():
        if state in LOST and (changed := changed_files(project, project.run(run))):
            raise RunError(
                f"the project's code has changed since run {run}: {', '.join(changed[:5])}",
                next="choose: --with-current-code or --with-locked-code",
            )


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

    Safe to be called by several servers at once. What had failed when somebody had the backfill go on is queued
    again; other days are begun as `next_days` says. With `missing`, days that have succeeded are left out, and a
    run that goes on already, or has changed something before it failed, is that of its day.

    Args:
        project: the project.
        graphs: its pipelines by name.
        backfill: is brought up to date.
        now: wall time in seconds since 1970.
        known: as of `states_of`.

    Raises:
        UnknownName: if a pipeline is not there any more.
        ParameterError: if it takes other parameters now.
        RunError: if a run can't be gone on with.
    """
    refresh(project.journal, backfill)
    states = states_of(project.journal, backfill, known)
    if backfill.paused or backfill.cancelled:
        return []
    runs = to_retry(project.journal, backfill, states)
    for run in runs:
        _resume(project, backfill, run, now)
    rows: dict[str, list[RunRow]] = {}
    days = [] if runs else next_days(backfill, states)
    while days:
        for day in days:
            if day[0] not in graphs:
                raise UnknownName("pipeline", day[0], graphs)
            if backfill.declaration.missing and day[0] not in rows:
                rows[day[0]] = project.journal.runs(pipeline=day[0], limit=None)
            try:
                run = _begin(project, graphs[day[0]], backfill, day, now, rows.get(day[0]))
            except Conflict:
                return runs  # somebody was faster; the next look sees what is left
            runs += [run] if run else []
        # Those that were left out make room for others, which need not wait for the next look.
        days = next_days(backfill, states_of(project.journal, backfill, known))
    return runs


def _begin(
    project: Project, graph: Graph, backfill: Backfill, day: Day, now: float, rows: list[RunRow] | None
) -> str:
    """The run of a day, queued now or begun before, of which `rows` may be; "" if it is left out."""
    as_of = moment_of(backfill.declaration, day, project.settings.timezone)
    given, origin = parameters_of(backfill.declaration, day), origin_of(backfill, as_of)
    if rows is not None:
        before = earlier(project, graph, given, at=as_of, now=now, rows=rows)
        if before.succeeded is not None:
            note(project.journal, backfill, Change.DAY_LEFT_OUT, day, before.succeeded.id, now)
            return ""
        if (row := before.driven or before.unfinished) is not None:
            note(project.journal, backfill, Change.DAY_BEGUN, day, row.id, now)
            if before.driven is None:
                _resume(project, backfill, row.id, now)
            return row.id
    added = enqueue(project, graph, given, origin, cause_of(backfill, day), text=True, as_of=as_of, at=now)
    backfill.take_in(added.entry)
    return str(added.entry.body["run"])


def _resume(project: Project, backfill: Backfill, run: str, now: float) -> None:
    code: Code = "current" if backfill.code == "current" else "locked"
    request_resume(project, run, ResumeOptions(code=code), by=f"backfill {backfill.id}", now=now)
