"""Which declared monitors are due, and their evaluation by the pipelines that they bring."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from trikk.core.errors import Conflict, TrikkError
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.execution.project import Project
from trikk.execution.queued_run import RunQueue, enqueue
from trikk.execution.session import Session
from trikk.monitoring.cases.windows import window_named
from trikk.monitoring.figures.records import Cursor, Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.pipeline.graph import Graph, Role
from trikk.runs.back_off import BackOff
from trikk.runs.claims import Claim, Claims, is_at_it
from trikk.runs.journals.journal import Cause, RunRow
from trikk.runs.journals.ledger import Ledger
from trikk.runs.living_servers import living
from trikk.runs.states import RunStatus

_BACK_OFF = BackOff(first=60.0, longest=6 * 3600.0)
_MOST_FAILURES = 12  # by then the pause has long been the longest
_CLAIMED, _RELEASED, _QUEUED = "watch.claimed", "watch.released", "watch.queued"


def declared(graphs: Mapping[str, Graph]) -> dict[str, MonitorSpec]:
    """The monitors that the project's code declares, by the pipelines that evaluate them."""
    return {
        name: MonitorSpec.read(spec) for name, graph in graphs.items() for spec in graph.declared(Role.MONITOR)
    }


def why_due(
    spec: MonitorSpec, last: MonitorSpec | None, cursor: Cursor, versions: Mapping[str, int | None], now: datetime
) -> str:
    """Why a monitor has to be evaluated now; "" if nothing can have changed. Pure."""
    if last is None or cursor.at is None:
        return "it was never evaluated"
    if last != spec or cursor.is_of_another(spec):
        return "its definition has changed"
    changed = [table for table, version in versions.items() if cursor.versions.get(table) != version]
    if changed:
        return f"table {changed[0]} has changed"
    zone = zone_of(spec.timezone)
    for kind, labels in cursor.open.items():
        for label in labels:
            end = window_named(kind, label, zone).end
            if any(cursor.at < at.timestamp() <= now.timestamp() for at in (end, end + spec.label_delay)):
                return f"the time of {kind} {label} is over"
    return ""


def evaluate_due(
    project: Project, session: Session | RunQueue, graphs: Mapping[str, Graph], now: datetime
) -> tuple[list[dict[str, JSON]], list[str]]:
    """Run the pipelines of monitors that are due, or queue them.

    Returns:
        For each that was run or queued monitor, run, state and why; and what could not be done, in sentences.
    """
    done: list[dict[str, JSON]] = []
    notes: list[str] = []
    for pipeline, spec in declared(graphs).items():
        missing = [t for t in (spec.predictions, spec.truth) if project.tables.version(t) is None]
        if missing:
            notes.append(f"monitor {spec.name} can't be evaluated yet: there is no table {missing[0]}")
            continue
        if not _why(project, spec, now):
            continue
        if isinstance(session, RunQueue):
            try:
                done += _queued(project, session, pipeline, spec, now)
            except TrikkError as error:
                notes.append(f"monitor {spec.name} could not be evaluated: {error.what}")
            continue
        is_run = functools.partial(_is_run, project, pipeline)
        with _claimed(project.journal, f"watch/{spec.name}", now.timestamp(), is_run) as mine:
            why = _why(project, spec, now) if mine and not _is_seen_to(project, pipeline) else ""
            if not why or not _may_try(project, session, pipeline, now):
                continue
            origin: dict[str, JSON] = {"kind": "watch", "at": now.timestamp()}
            try:
                state = session.run(pipeline, {}, origin=origin, as_of=now.timestamp())
            except TrikkError as error:
                notes.append(f"monitor {spec.name} could not be evaluated: {error.what}")
                continue
            done.append({"monitor": spec.name, "run": state.id, "state": state.state, "why": why})
            if state.state != RunStatus.SUCCEEDED:
                notes.append(f"monitor {spec.name} could not be evaluated: see trikk show {state.id}")
    return done, notes


def _queued(
    project: Project, queue: RunQueue, pipeline: str, spec: MonitorSpec, now: datetime
) -> list[dict[str, JSON]]:
    """Have a monitor evaluated that is due, unless another process has; errors as of `enqueue`."""
    subject, at = f"watch/{spec.name}", now.timestamp()
    last = project.journal.last(subject)
    after = last.seq if last else 0
    # Asked after `last` was read: whoever queues one in between adds an entry.
    why = "" if _is_waiting(project, pipeline) else _why(project, spec, now)
    if not why or not _may_try(project, queue, pipeline, now):
        return []
    origin: dict[str, JSON] = {"kind": "watch", "at": at}
    cause = Cause(subject, _QUEUED, f"after/{after}", after=after)
    try:
        added = enqueue(project, queue.graph(pipeline), {}, origin, cause, at=at, as_of=at)
    except Conflict:
        return []
    run = added.entry.body["run"]
    return [] if added.repeated else [{"monitor": spec.name, "run": run, "state": RunStatus.QUEUED, "why": why}]


def _is_waiting(project: Project, pipeline: str) -> bool:
    """Whether an evaluation waits or is on its way; one whose driver is dead, too, as a server resumes it."""
    rows = [
        row
        for state in (RunStatus.QUEUED, RunStatus.RUNNING)
        for row in project.journal.runs(pipeline=pipeline, state=state, limit=None)
    ]
    return any(row.origin.get("kind") == "watch" for row in rows)


def _is_seen_to(project: Project, pipeline: str) -> bool:
    """Whether servers see to an evaluation that waits."""
    return bool(living(project.journal.servers(), time.time())) and _is_waiting(project, pipeline)


def _may_try(project: Project, session: Session | RunQueue, pipeline: str, now: datetime) -> bool:
    """Whether an evaluation that has failed on the same tables and the same code may be tried again by now."""
    failed = list(itertools.takewhile(_has_failed, project.journal.runs(pipeline=pipeline, limit=_MOST_FAILURES)))
    if not failed:
        return True
    lock, current = project.run(failed[0].id).lock, session.pin(pipeline)
    # One that could not be started when its turn came was never locked: nobody knows what has changed since.
    if "tables" in lock and (lock["tables"], lock["code"]) != (current.tables, current.code):
        return True
    last = failed[0].origin.get("at") or failed[0].created
    return _BACK_OFF.is_due(len(failed), float(str(last)), now.timestamp())


def _has_failed(row: RunRow) -> bool:
    return row.state == RunStatus.FAILED and row.origin.get("kind") == "watch"


def _is_run(project: Project, pipeline: str) -> bool:
    """Whether a run of a pipeline is being driven, wherever."""
    return any(
        project.is_driven(row.id) for row in project.journal.runs(pipeline=pipeline, state=RunStatus.RUNNING)
    )


def _why(project: Project, spec: MonitorSpec, now: datetime) -> str:
    records = Records(project.journal, spec.name)
    entry = project.journal.last(f"monitor/{spec.name}")
    last: Any = None if entry is None else MonitorSpec.read(entry.body)
    versions = {t: project.tables.version(t) for t in (spec.predictions, spec.truth)}
    return why_due(spec, last, records.cursor(), versions, now)


@contextlib.contextmanager
def _claimed(ledger: Ledger, subject: str, at: float, is_busy: Callable[[], bool]) -> Iterator[bool]:
    """Have a monitor for oneself for a while; False if a process that may be at it has it."""
    last, now = ledger.last(subject), time.time()
    if last is not None and last.kind == _CLAIMED:
        claim = Claim.read(last.at, last.body)
        alive = claim.is_alive()
        if is_at_it(alive, claim.since, now) or (alive is None and is_busy()):
            yield False
            return
    with Claims(ledger, at) as claims:
        # A look may be as of another day, but how long a process has been silent is told by the clock on the wall.
        entry = claims.take(subject, _CLAIMED, {}, after=last.seq if last else 0, since=now)
        try:
            yield entry is not None
        finally:
            if entry is not None:
                claims.note(subject, _RELEASED, {}, after=entry.seq)
