"""Pipelines that incidents start, once for each opening: taken on in the ledger first, then run.

Of many processes one takes a start on. If it dies, the run tells by its origin whether it was begun; only if it
was not, and the process is known to be dead, another takes it on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from trikk.alerts.book import Book
from trikk.alerts.incident import NOT_STARTED, STARTED, STARTING, Incident
from trikk.alerts.lifecycle import start_is_due
from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.session import Session
from trikk.pipeline.graph import Graph
from trikk.runs.lease import Holder

_ATTEMPTS = 3


def start(
    project: Project, session: Session, book: Book, incident: Incident, now: datetime
) -> dict[str, JSON] | None:
    """Run the incident's pipeline to its end, if that is still to be done and nobody else does it.

    Returns:
        incident, pipeline, run, state and why; None if there was nothing to do.
    """
    if incident.starts and incident.starts[-1].state == "claimed":
        return _found_again(project, session, book, incident, now)
    return _begun(project, session, book, incident, now) if start_is_due(incident) else None


def _begun(
    project: Project, session: Session, book: Book, incident: Incident, now: datetime
) -> dict[str, JSON] | None:
    rule, at, attempt = incident.rule, now.timestamp(), len(incident.starts) + 1
    problem = ""
    given: dict[str, str] = {}
    try:
        given = parameters(session.graph(rule.starts), rule.parameters, now, project.settings.timezone)
    except TrikkError as error:
        problem = error.what
    claim: dict[str, JSON] = {"pipeline": rule.starts, "parameters": dict(given), "holder": _me()}
    if not book.note(incident, STARTING, claim, at=at, identity=f"start/{attempt}", alone=True):
        return None
    run, state = "", "failed"
    if not problem:
        origin: dict[str, JSON] = {"kind": "incident", "incident": incident.id, "at": at}
        try:
            done = session.run(rule.starts, given, text=True, origin=origin, as_of=at)
            run, state, problem = done.id, done.state, done.error or ""
        except TrikkError as error:
            run, problem = _run_of(project, incident), error.what
    return _noted(book, incident, attempt, run, state, problem, at)


def _found_again(
    project: Project, session: Session, book: Book, incident: Incident, now: datetime
) -> dict[str, JSON] | None:
    """What became of a start whose process has not said how it ended."""
    claimed, attempt, at = incident.starts[-1], len(incident.starts), now.timestamp()
    if Holder(**claimed.holder).is_alive() is not False:
        return None
    run = _run_of(project, incident)
    if run:
        row = project.journal.row(run)
        why = "" if row.state == "succeeded" else f"the process that started it is gone; go on: trikk resume {run}"
        return _noted(book, incident, attempt, run, row.state, why, at)
    if not incident.is_open or attempt >= _ATTEMPTS:
        return _noted(book, incident, attempt, "", "failed", "the process that was to start it is gone", at)
    return _begun(project, session, book, incident, now)


def _noted(
    book: Book, incident: Incident, attempt: int, run: str, state: str, why: str, at: float
) -> dict[str, JSON]:
    pipeline = incident.starts[attempt - 1].pipeline
    body: dict[str, JSON] = {"pipeline": pipeline, "attempt": attempt, "run": run, "state": state, "why": why}
    kind = STARTED if run else NOT_STARTED
    book.note(incident, kind, body, at=at, identity=f"start/{attempt}/end")
    return {"incident": incident.id, **body}


def parameters(graph: Graph, given: Mapping[str, JSON], now: datetime, zone: str) -> dict[str, str]:
    """The parameters of a started pipeline as texts: those given, and the day and time where it needs them."""
    found = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    for spec in graph.parameters:
        if spec.required and spec.name not in found:
            if spec.kind.name == "date":
                found[spec.name] = now.astimezone(ZoneInfo(zone)).date().isoformat()
            elif spec.kind.name == "datetime":
                found[spec.name] = now.isoformat()
    return found


def _run_of(project: Project, incident: Incident) -> str:
    """The run that was begun for an incident; "" if none was."""
    rows = project.journal.runs(pipeline=incident.rule.starts, limit=None)
    return next((row.id for row in rows if row.origin.get("incident") == incident.id), "")


def _me() -> dict[str, Any]:
    return {name: getattr(Holder.current(), name) for name in ("host", "boot", "pid", "started")}
