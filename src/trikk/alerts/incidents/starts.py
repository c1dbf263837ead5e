"""Pipelines that incidents start, once for each opening."""

from __future__ import annotations

from datetime import datetime

from trikk.alerts.incidents.book import subject_of
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.incidents.lifecycle import start_is_due
from trikk.core.values import JSON
from trikk.execution.once import Job, run_once
from trikk.execution.project import Project
from trikk.execution.queued_run import RunQueue
from trikk.execution.session import Session


def start(
    project: Project, session: Session | RunQueue, incident: Incident, now: datetime
) -> dict[str, JSON] | None:
    """Run the incident's pipeline to its end, or queue it, if that is still to be done and nobody else does it.

    Returns:
        incident, pipeline, attempt, run, state and why; None if there was nothing to do.
    """
    if not (incident.starts or start_is_due(incident)):
        return None
    job = Job(
        subject=subject_of(incident.id),
        pipeline=incident.rule.starts,
        origin={"kind": "incident", "incident": incident.id},
        parameters=incident.rule.parameters,
        moment=now,
    )
    done = run_once(project, session, job, incident.starts, after=incident.seq, now=now, wanted=incident.is_open)
    return None if done is None else {"incident": incident.id, **done}
