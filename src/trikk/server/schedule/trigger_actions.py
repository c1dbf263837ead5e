"""What is done by one trigger: what is due, an event, a start by hand; by a server, or by a command without one.

Everything is decided by the last entry of the trigger's subject, and written on the condition that it still is the
last one: if somebody else was faster, it is read and decided again. A tick's run and its entry are one transaction
under the tick's identity (`execution.queued_run`), so that a tick has one run however many look at it, whenever
they die. What is left by a process that is killed:

- before that transaction: nothing, and whoever looks next decides the same;
- after it: a run in the queue, which any server starts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from trikk.core.errors import Conflict, ParameterError, RunError, UnknownName
from trikk.core.values import JSON
from trikk.execution.cancel import cancel
from trikk.execution.project import Project
from trikk.execution.queued_run import enqueue
from trikk.pipeline.graph import Graph
from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.journals.journal import Cause
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.runs.states import OVER, RunStatus
from trikk.server.schedule.trigger_standing import Standing, as_it_counts, counts_otherwise, standing_of
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.declaration import Overlap
from trikk.triggers.declared import Declared
from trikk.triggers.due_ticks import (
    FULL,
    LOSSES,
    QUEUED_AT_MOST,
    Miss,
    Skip,
    Start,
    Wait,
    by_event,
    due,
    next_tick,
    within,
)
from trikk.triggers.trigger_state import TriggerEntry, TriggerState, body_of, subject_of, tick_text

_CANCEL_WAIT = 0.01  # seconds: long enough for one try, and no wait for a driver that has it
_PAYLOAD = 256_000
"""How large an event's JSON may be, in characters: it becomes part of its run's record, which every list reads."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of a tick or an event.

    Attributes:
        run: its run; "" if it has none.
        repeated: whether it had been decided before.
        why: why it has no run, in a sentence.
        waits: whether it is to come again later: nothing was decided.
    """

    run: str = ""
    repeated: bool = False
    why: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the moments of a trigger that were due.

    Attributes:
        fired: what became of each that was decided, but for those that were missed.
        waits: why others stay due, in a sentence; "" if none has to wait.
        since: the first of those that stay due.
        is_elsewhere: whether they were left to another process, which decides them at this time.
    """

    fired: list[Fired]
    waits: str = ""
    since: datetime | None = None
    is_elsewhere: bool = False


def decide_due(project: Project, declared: Declared, graph: Graph, now: datetime, at_most: int) -> Outcome:
    """Carry out what is due of a trigger by the clock.

    Nothing is done if another release's declaration counts by now, or if it is retired.

    Args:
        project: the project.
        declared: the trigger.
        graph: its pipeline.
        now: the time, with its zone.
        at_most: how many moments are decided; what is left over is due at once.
    """
    fired: list[Fired] = []
    lost = 0
    while (left := at_most - len(fired)) > 0:
        standing = standing_of(project.journal, declared.name, now)
        if standing is None or counts_otherwise(standing, declared, now):
            break
        unfinished = _unfinished(project, declared, standing)
        decisions = due(declared, standing.state, now, unfinished)[:left]
        try:
            for decision in within(_room(project, declared, len(decisions)), declared, decisions):
                if isinstance(decision, Wait):
                    first = next_tick(declared, standing.state, standing.state.decided)
                    return Outcome(fired, decision.why, first)
                fired += _carry_out(project, declared, graph, standing, decision, now)
        except Conflict:
            lost += 1
            if lost == LOSSES:
                return Outcome(fired, is_elsewhere=True)
            continue
        if len(decisions) < left:
            break
    return Outcome(fired)


def give_event(project: Project, declared: Declared, graph: Graph, event: Event, now: datetime) -> Fired:
    """Start the run that an event calls for, unless it has one; safe to be repeated, and done by several at once.

    Args:
        project: the project.
        declared: the trigger.
        graph: its pipeline.
        event: what has happened; its `id` is its identity.
        now: the time, with its zone.

    Returns:
        Its run, or why it has none; `waits` if the trigger is paused, not taken in as it is here, or has
        too many runs in the queue: nothing is lost if the event is given again later.
    """
    while True:
        standing = standing_of(project.journal, declared.name, now)
        if standing is None:
            return Fired(waits=True, why="no server has taken the trigger in")
        if counts_otherwise(standing, declared, now):
            return Fired(waits=True, why="by the release that counts, the trigger is another")
        if standing.state.paused:
            return Fired(waits=True, why="the trigger is paused")
        if _room(project, declared, 1) == 0:
            return Fired(waits=True, why=FULL)
        unfinished = _unfinished(project, declared, standing)
        decision = by_event(declared, standing.state, event, unfinished)
        if len(str(event.to_json())) > _PAYLOAD:
            decision = Skip(event.id, f"the event has more than {_PAYLOAD // 1000} kB")
        try:
            return _carry_out(project, declared, graph, standing, decision, now)[0]
        except Conflict:
            continue


def fire(
    project: Project,
    declared: Declared,
    graph: Graph,
    *,
    tick: datetime | None = None,
    event: Event | None = None,
    by: str,
    now: datetime,
) -> Fired:
    """Start a trigger's run by hand, be it paused or not, unless its tick has one.

    Args:
        project: the project.
        declared: the trigger.
        graph: its pipeline.
        tick: the scheduled moment that the run is for, with its zone; this moment if None.
        event: what the run is for, of a trigger that waits for events.
        by: who asks for it.
        now: the time, with its zone.

    Raises:
        ParameterError: if the pipeline can't be run with its parameters.
    """
    is_scheduled = tick is not None and isinstance(declared.trigger, ClockTrigger)
    at = (tick or now).astimezone(UTC)
    kind = declared.trigger.kind if is_scheduled else "hand"
    event = event or Event(id=tick_text(at), kind=kind, at=at)
    while True:
        standing = as_it_counts(project.journal, declared, now)
        try:
            fired = _start(project, declared, graph, standing, event, standing.state, now, by=by)
            if fired.repeated and not fired.run:
                # skipped by the clock; whoever asks by hand wants it all the same
                fired = _start(project, declared, graph, standing, event, standing.state, now, by=by, again=True)
        except Conflict:
            continue
        return fired


def _carry_out(
    project: Project,
    declared: Declared,
    graph: Graph,
    standing: Standing,
    decision: Start | Skip | Miss,
    now: datetime,
) -> list[Fired]:
    """Carry out a decision, and bring `standing` up to date; Conflict if somebody else has written meanwhile."""
    state, journal = standing.state, project.journal
    if isinstance(decision, Miss):
        moved = state.moved(tick_text(decision.last))
        body = body_of(moved, first=tick_text(decision.first), last=tick_text(decision.last))
        body |= {"count": decision.count, "why": decision.why}
        _write(journal, standing, TriggerEntry.MISSED, body, now)
        return []
    is_clock = isinstance(declared.trigger, ClockTrigger)
    if isinstance(decision, Start):
        moved = state.moved(decision.event.id) if is_clock else state
        if decision.cancels:
            _cancel(project, declared, state)
        try:
            fired = _start(project, declared, graph, standing, decision.event, moved, now)
        except ParameterError as error:
            decision = Skip(decision.event.id, error.what)
        else:
            if fired.repeated and is_clock:
                _pass(journal, standing, decision.event.id, fired, now)
                return []
            return [fired]
    moved = state.moved(decision.tick) if is_clock else state
    body = body_of(moved, tick=decision.tick, why=decision.why)
    repeated = _write(journal, standing, TriggerEntry.SKIPPED, body, now, identity=f"tick/{decision.tick}")
    run = str(repeated.body.get("run", "")) if repeated else ""
    if repeated and is_clock:
        _pass(journal, standing, decision.tick, Fired(run=run), now)
        return []
    return [Fired(run=run, repeated=repeated is not None, why="" if run else decision.why)]


def _start(
    project: Project,
    declared: Declared,
    graph: Graph,
    standing: Standing,
    event: Event,
    moved: TriggerState,
    now: datetime,
    *,
    by: str = "",
    again: bool = False,
) -> Fired:
    """Queue the run of a tick, if it has none, and bring `standing` up to date."""
    origin: dict[str, JSON] = {"kind": "trigger", "trigger": declared.name, "tick": event.id}
    cause = Cause(
        subject_of(declared.name),
        TriggerEntry.STARTED,
        identity=f"tick/{event.id}" + "/again" * again,
        entry=body_of(moved, tick=event.id, **({"by": by} if by else {})),
        after=standing.entry.seq,
    )
    given = declared.trigger.parameters_at(graph, event)
    added = enqueue(project, graph, given, origin, cause, at=now.timestamp())
    body = added.entry.body
    if added.repeated:
        return Fired(run=str(body.get("run", "")), repeated=True, why=str(body.get("why", "")))
    standing.entry = added.entry
    standing.state = TriggerState.of(added.entry) or moved
    return Fired(run=str(body["run"]))


def _pass(ledger: Ledger, standing: Standing, tick: str, fired: Fired, now: datetime) -> None:
    """Move the cursor past a tick that had its run before it came due; Conflict if another server was faster."""
    # Without an identity: it may come due once more, where the clock is put back and the trigger taken in anew.
    body = body_of(standing.state.moved(tick), tick=tick, run=fired.run, why=fired.why)
    _write(ledger, standing, TriggerEntry.PASSED, body, now)


def _cancel(project: Project, declared: Declared, state: TriggerState) -> None:
    """Cancel earlier runs, or ask their drivers to: before the later one is there, so that a kill loses none."""
    for run in state.unfinished:
        with suppress(RunError, UnknownName):  # it has ended meanwhile
            # Here and now, if nobody drives it: one that waits for people would otherwise be in the way for ever.
            cancel(project, run, by=f"trigger {declared.name}", wait=_CANCEL_WAIT)


def _unfinished(project: Project, declared: Declared, standing: Standing) -> int:
    """How many of its runs are not over, as far as that matters; the others are left out of `standing`."""
    if declared.trigger.overlap not in (Overlap.SKIP, Overlap.CANCEL):
        return 0
    over = [run for run in standing.state.unfinished if not _is_unfinished(project, run)]
    standing.state = standing.state.without(over)
    return len(standing.state.unfinished)


def _room(project: Project, declared: Declared, wanted: int) -> int:
    """How many of the runs that are wanted may wait, beside those of the trigger that do."""
    journal, pipeline, queued = project.journal, declared.pipeline, RunStatus.QUEUED
    if declared.trigger.overlap in (Overlap.SKIP, Overlap.CANCEL):
        return wanted
    # The pipeline's first: they are counted without being read, and are seldom as many.
    if journal.count(pipeline=pipeline, state=queued) + wanted <= QUEUED_AT_MOST:
        return wanted
    names = [row.origin.get("trigger") for row in journal.runs(pipeline=pipeline, state=queued, limit=None)]
    return min(wanted, max(0, QUEUED_AT_MOST - names.count(declared.name)))


def _is_unfinished(project: Project, run: str) -> bool:
    try:
        return project.journal.row(run).state not in OVER
    except UnknownName:
        return False


def _write(
    ledger: Ledger,
    standing: Standing,
    kind: str,
    body: dict[str, JSON],
    now: datetime,
    identity: str | None = None,
) -> Entry | None:
    """Add an entry after that of `standing`; if its identity is taken, the entry that has it is returned."""
    added = ledger.add(
        standing.entry.subject, kind, body, at=now.timestamp(), identity=identity, after=standing.entry.seq
    )
    if added.repeated:
        return added.entry
    standing.entry = added.entry
    standing.state = TriggerState.of(added.entry) or standing.state
    return None
