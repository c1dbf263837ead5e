"""One look at a project: evaluate what is due, judge rules, keep incidents, tell people, start pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trikk.alerts.book import Book
from trikk.alerts.config import AlertSettings, alert_settings
from trikk.alerts.deliver import deliver
from trikk.alerts.evaluate import evaluate_due
from trikk.alerts.incident import ESCALATED, Incident
from trikk.alerts.lifecycle import Decision, decide, withdrawn
from trikk.alerts.reading import Reading
from trikk.alerts.sources import rules_of, see
from trikk.alerts.starts import start
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.session import Session

_ROUNDS = 50


@dataclass(slots=True)
class Looked:
    """What a look has done, for people and programs.

    Attributes:
        evaluated: monitors that were due: monitor, run, state, why.
        changes: what happened to incidents: incident, kind, title, why.
        delivered: messages: incident, channel, state ("delivered", "failed", "given up"), why.
        started: pipelines that incidents started: incident, pipeline, run, state.
        notes: what could not be done, in sentences; it is tried again at the next look.
        errors: what is wrong with the settings, in sentences.
    """

    evaluated: list[dict[str, JSON]] = field(default_factory=list)
    changes: list[dict[str, JSON]] = field(default_factory=list)
    delivered: list[dict[str, JSON]] = field(default_factory=list)
    started: list[dict[str, JSON]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, JSON]:
        """All of it as JSON."""
        found: dict[str, JSON] = {name: getattr(self, name) for name in self.__slots__}
        return found


def look(project: Project, session: Session, *, now: datetime) -> Looked:
    """Look at a project as of a time; safe to be done by several processes at once, and again after a kill.

    Args:
        project: the project.
        session: its code, loaded; monitors' pipelines and those that incidents start are run through it.
        now: the time, with its zone; everything that is recorded and decided takes it for the present.

    Raises:
        UsageError: if the project's rules are wrong; nothing was done.
    """
    settings = alert_settings(project.settings)
    book, graphs = Book(project.journal), session.executor.graphs()
    looked = Looked()
    looked.evaluated, looked.notes = evaluate_due(project, session, graphs, now)
    seen = see(project, rules_of(project, settings.rules), list(graphs), now)
    looked.errors += seen.errors
    at, causes = now.timestamp(), book.causes()
    for reading in seen.readings:
        if reading.bad < reading.rule.windows and reading.cause not in causes:
            continue  # nothing is wrong, and nothing was: as it is with most of some thousand devices
        looked.changes += _decided(book, settings, reading, at)
    looked.changes += _withdrawn(book, settings, seen.watched, at)
    unfinished = book.unfinished()
    looked.delivered, errors = deliver(project, settings, book, unfinished, at)
    looked.errors += errors
    for incident in unfinished:
        started = start(project, session, incident, now)
        looked.started += [started] if started else []
    return looked


def _decided(book: Book, settings: AlertSettings, reading: Reading, at: float) -> list[dict[str, JSON]]:
    """Decide about one cause until there is nothing left to decide."""
    found: list[dict[str, JSON]] = []
    for _ in range(_ROUNDS):
        latest = book.latest(reading.cause)
        decision = decide(latest, reading, at)
        if decision is None:
            break
        severity = latest.severity if latest is not None and latest.is_open else reading.rule.severity
        channels = settings.route(severity, escalated=decision.kind == ESCALATED)
        made = book.apply(latest, reading.cause, decision, at=at, channels=channels)
        if made is not None:
            found.append(_change(made, decision))
    return found


def _withdrawn(
    book: Book, settings: AlertSettings, watched: Mapping[tuple[str, str], set[str]], at: float
) -> list[dict[str, JSON]]:
    """Resolve incidents that no rule looks at any more, at all or by that slice."""
    found: list[dict[str, JSON]] = []
    for incident in book.unfinished():
        slices = watched.get((incident.rule.name, incident.subject))
        is_watched = slices is not None and (incident.part is None or incident.part[0] in slices)
        if not incident.is_open or is_watched or at < incident.opened:
            continue
        by = f" by {incident.part[0]}" if incident.part is not None and slices is not None else ""
        decision = withdrawn(f"no rule {incident.rule.name} looks at {incident.subject}{by} any more")
        channels = settings.route(incident.severity)
        made = book.apply(incident, incident.cause, decision, at=at, channels=channels)
        if made is not None:
            found.append(_change(made, decision))
    return found


def _change(incident: Incident, decision: Decision) -> dict[str, JSON]:
    return {
        "incident": incident.id,
        "kind": decision.kind.rpartition(".")[2],
        "severity": incident.severity,
        "title": incident.title,
        "why": decision.why,
        "told": decision.tell,
    }
