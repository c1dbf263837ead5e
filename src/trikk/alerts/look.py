"""One look at a project: evaluate what is due, judge rules, keep incidents, tell people, start pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from trikk.alerts.channel_check import unset
from trikk.alerts.config import AlertSettings, alert_settings
from trikk.alerts.delivery.reader_notices import reader_channels
from trikk.alerts.delivery.sender import deliver
from trikk.alerts.evaluations import declared, evaluate_due
from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.decision import Change, Decision
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.incidents.lifecycle import decide, withdrawn
from trikk.alerts.incidents.starts import start
from trikk.alerts.rules.rule import Reading, Scene
from trikk.alerts.rules.sources import Seen, rules_of, see
from trikk.core.errors import TrikkError, UsageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.queued_run import RunQueue
from trikk.execution.session import Session
from trikk.monitoring.figures.records import names
from trikk.pipeline.graph import Graph
from trikk.runs.living_servers import living

_ROUNDS = 50
_RUNS = 500
_NAMED = 3


@dataclass(slots=True)
class Looked:
    """What a look has done, for people and programs.

    Attributes:
        evaluated: monitors that were due: monitor, run, state, why.
        changes: what happened to incidents: incident, kind, title, why.
        delivered: messages: incident, channel, state ("delivered", "failed", "given up"), why.
        started: pipelines that incidents started: incident, pipeline, run, state.
        notes: what could not be done, in sentences; it is tried again at the next look.
        errors: what is wrong with the settings or the code, in sentences.
        is_broken: whether the project's code can't be loaded: nothing was evaluated or started.
    """

    evaluated: list[dict[str, JSON]] = field(default_factory=list)
    changes: list[dict[str, JSON]] = field(default_factory=list)
    delivered: list[dict[str, JSON]] = field(default_factory=list)
    started: list[dict[str, JSON]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    is_broken: bool = False

    def to_json(self) -> dict[str, JSON]:
        """All of it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "is_broken"}


def look(
    project: Project, session: Session | RunQueue, *, now: datetime, trouble: TrikkError | None = None
) -> Looked:
    """Look at a project as of a time; safe to be done by several processes at once, and again after a kill.

    Args:
        project: the project.
        session: its code, loaded; monitors' pipelines and those that incidents start are run through it, or queued
            by it.
        now: the time, with its zone; everything that is recorded and decided takes it for the present.
        trouble: why the code that is there now can't be loaded, if that is known already: `session` has what was
            loaded before.

    Raises:
        UsageError: if the project's rules are wrong; nothing was done.
        RunError: if the process that imports its code is killed from outside; nothing was done.
    """
    settings = alert_settings(project.settings)
    book, at, outcome = Book(project.journal), now.timestamp(), Looked()
    graphs, broken = _code(session) if trouble is None else ({}, trouble)
    monitors = [spec.name for spec in declared(graphs).values()] if broken is None else names(project.journal)
    pipelines = list(graphs) if broken is None else _once_run(project)
    # first, since rules judge the figures of now, by the alarms with which a monitor was evaluated
    outcome.evaluated, outcome.notes = evaluate_due(project, session, graphs, now)
    rules = rules_of(project, settings.rules, monitors)
    servers = project.journal.servers()
    there = living(servers, at)
    scene = Scene(project, now, monitors, pipelines, set(names(project.journal)), broken, servers, there)
    seen = see(rules, scene)
    outcome.errors += seen.errors
    causes = book.causes()
    outcome.notes += unjudged(seen.readings)
    for reading in seen.readings:
        if reading.bad < reading.rule.windows and reading.cause not in causes:
            continue  # nothing is wrong, and nothing was: as it is with most of some thousand devices
        outcome.changes += _decided(project, book, settings, reading, at)
    if broken is None:  # a monitor that can't be seen is not gone
        outcome.changes += _ended(project, book, settings, seen, at)
    else:
        outcome.is_broken = True
        outcome.errors.append(f"the project's code can't be loaded: {broken.what}")
    # people are told before anything is started: what an incident starts may train for hours
    unfinished = book.unfinished()
    outcome.delivered, errors = deliver(project, settings, unfinished, at)
    outcome.errors += dict.fromkeys([*errors, *unset(project.settings, settings)])
    for incident in unfinished if broken is None else ():
        started = start(project, session, incident, now)
        outcome.started += [started] if started else []
    return outcome


def _code(session: Session | RunQueue) -> tuple[Mapping[str, Graph], TrikkError | None]:
    """The project's pipelines; none, and why, if its code can't be loaded."""
    try:
        return session.graphs, None
    except UsageError as error:  # a host that was killed, say, is no verdict on the code: nothing was looked at
        return {}, error


def unjudged(readings: Sequence[Reading]) -> list[str]:
    """Rules whose newest window can't be judged, and why; of the values of a slice a few."""
    by_cause: dict[tuple[str, str], list[str]] = {}
    for one in readings:
        if one.unknown:
            where = f"{one.subject}.{one.rule.name}" + (f" at {one.part[0]} {one.part[1]}" if one.part else "")
            by_cause.setdefault((one.subject, one.rule.name), []).append(f"{where} was not judged: {one.unknown}")
    more = {cause: len(notes) - _NAMED for cause, notes in by_cause.items()}
    named = [note for notes in by_cause.values() for note in notes[:_NAMED]]
    return named + [f"{'.'.join(cause)} was not judged at {n} more" for cause, n in more.items() if n > 0]


def _once_run(project: Project) -> list[str]:
    """Pipelines that have been run lately."""
    return sorted({row.pipeline for row in project.journal.runs(limit=_RUNS)})


def _decided(
    project: Project, book: Book, settings: AlertSettings, reading: Reading, at: float
) -> list[dict[str, JSON]]:
    """Decide about one cause until there is nothing left to decide."""
    changes: list[dict[str, JSON]] = []
    for _ in range(_ROUNDS):
        latest = book.latest(reading.cause)
        decision = decide(latest, reading, at)
        if decision is None:
            break
        severity = latest.severity if latest is not None and latest.is_open else reading.rule.severity
        channels = settings.route(severity, escalated=decision.kind is Change.ESCALATED)
        readers = reader_channels(project, reading.rule, reading.part, decision.kind)
        changed = book.apply(latest, reading.cause, decision, at=at, channels=(*channels, *readers))
        if changed is not None:
            changes.append(_change(changed, decision))
    return changes


def _ended(project: Project, book: Book, settings: AlertSettings, seen: Seen, at: float) -> list[dict[str, JSON]]:
    """Resolve incidents of which nothing more will be seen."""
    changes: list[dict[str, JSON]] = []
    causes = {reading.cause for reading in seen.readings}
    read = {(reading.rule.name, reading.subject) for reading in seen.readings}
    for incident in book.unfinished():
        if not incident.is_open or at < incident.opened:
            continue
        why = _unseen(incident, seen.watched.get((incident.rule.name, incident.subject)))
        is_read = (incident.rule.name, incident.subject) in read
        if not why and is_read and incident.rule.reads_every_part and incident.cause not in causes:
            why = f"{' '.join(incident.part or ())} is in none of the last windows"
        if not why:
            continue
        decision = withdrawn(incident, why, at)
        readers = reader_channels(project, incident.rule, incident.part, decision.kind)
        channels = (*settings.route(incident.severity), *readers)
        changed = book.apply(incident, incident.cause, decision, at=at, channels=channels)
        if changed is not None:
            changes.append(_change(changed, decision))
    return changes


def _unseen(incident: Incident, slices: set[str] | None) -> str:
    """Why no rule looks at an incident's cause any more; "" if one does.

    Args:
        incident: the incident.
        slices: by which columns the rule looks at the subject, "" for all of it; None if it does not.
    """
    rule = incident.rule
    if slices is None:
        return f"no rule {rule.name} looks at {incident.subject} any more"
    if incident.part is not None and incident.part[0] not in slices:
        return f"no rule {rule.name} looks at {incident.subject} by {incident.part[0]} any more"
    if incident.part is None and rule.reads_every_part and "" not in slices:
        return f"rule {rule.name} looks at {incident.subject} by {', '.join(sorted(slices))} now"
    return ""


def _change(incident: Incident, decision: Decision) -> dict[str, JSON]:
    return {
        "incident": incident.id,
        "kind": decision.kind.word,
        "severity": incident.severity,
        "title": incident.title,
        "why": decision.why,
        "told": decision.tell,
    }
