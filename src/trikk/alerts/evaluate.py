"""Which declared monitors are due, and their evaluation by the pipelines that they bring."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from trikk.core.errors import Conflict, TrikkError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.session import Session
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.records import Cursor, Records
from trikk.monitoring.windows import window_named, zone_of
from trikk.pipeline.arguments import Constant
from trikk.pipeline.graph import Graph
from trikk.runs.lease import Holder
from trikk.runs.ledger import Ledger

EVALUATES = "trikk.monitoring.monitor:evaluate_monitor"
_CLAIMED, _RELEASED = "watch.claimed", "watch.released"


def declared(graphs: Mapping[str, Graph]) -> dict[str, MonitorSpec]:
    """The monitors that the project's code declares, by the pipelines that evaluate them."""
    found = {}
    for name, graph in graphs.items():
        for node in graph.nodes.values():
            spec = node.arguments.get("spec")
            if node.function == EVALUATES and isinstance(spec, Constant) and isinstance(spec.value, Mapping):
                found[name] = MonitorSpec.read(spec.value)
    return found


def why_due(
    spec: MonitorSpec, held: MonitorSpec | None, cursor: Cursor, versions: Mapping[str, int | None], now: datetime
) -> str:
    """Why a monitor has to be evaluated now; "" if nothing can have changed. Pure.

    Args:
        spec: as it is declared.
        held: as it was evaluated last; None if it never was.
        cursor: how far evaluation has come.
        versions: its tables' versions now.
        now: the time.
    """
    if held is None or cursor.at is None:
        return "it was never evaluated"
    if held != spec:
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
    project: Project, session: Session, graphs: Mapping[str, Graph], now: datetime
) -> tuple[list[dict[str, JSON]], list[str]]:
    """Run the pipelines of monitors that are due.

    Returns:
        For each that was run monitor, run, state and why; and what could not be done, in sentences.
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
        with claimed(project.journal, f"watch/{spec.name}", now.timestamp()) as mine:
            why = _why(project, spec, now) if mine else ""
            if not why:
                continue
            origin: dict[str, JSON] = {"kind": "watch", "at": now.timestamp()}
            try:
                state = session.run(pipeline, {}, origin=origin, as_of=now.timestamp())
            except TrikkError as error:
                notes.append(f"monitor {spec.name} could not be evaluated: {error.what}")
                continue
            done.append({"monitor": spec.name, "run": state.id, "state": state.state, "why": why})
            if state.state != "succeeded":
                notes.append(f"monitor {spec.name} could not be evaluated: see trikk show {state.id}")
    return done, notes


def _why(project: Project, spec: MonitorSpec, now: datetime) -> str:
    records = Records(project.journal, spec.name)
    entry = project.journal.last(f"monitor/{spec.name}")
    held: Any = None if entry is None else MonitorSpec.read(entry.body)
    versions = {t: project.tables.version(t) for t in (spec.predictions, spec.truth)}
    return why_due(spec, held, records.cursor(), versions, now)


@contextlib.contextmanager
def claimed(ledger: Ledger, subject: str, at: float) -> Iterator[bool]:
    """Have something for oneself for a while; False if a process that may be alive has it.

    Args:
        ledger: where it is written down.
        subject: what is taken.
        at: the time, seconds since 1970.
    """
    last = ledger.last(subject)
    body: Any = {} if last is None else last.body
    me = Holder.current()
    holder: dict[str, JSON] = {"host": me.host, "boot": me.boot, "pid": me.pid, "started": me.started}
    if last is not None and last.kind == _CLAIMED and Holder(**body["holder"]).is_alive() is not False:
        yield False
        return
    try:
        mine = ledger.add(subject, _CLAIMED, {"holder": holder}, at=at, after=last.seq if last else 0).entry
    except Conflict:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(Conflict):
            ledger.add(subject, _RELEASED, {}, at=at, after=mine.seq)
