"""How a run failed, for a message: the step, its error and the end of its log."""

from __future__ import annotations

from trikk.alerts.delivery.message import Failure
from trikk.core.errors import TrikkError
from trikk.core.logs import tail_of
from trikk.execution.project import Project
from trikk.execution.upkeep.next_command import way_on
from trikk.execution.workers.traces import headline

LINES = 15


def failure_of(project: Project, run: str) -> Failure | None:
    """The failed step of a run; None if there is none, or nothing is known of it any more."""
    if not run:
        return None
    try:
        state = project.run(run)
    except TrikkError:
        return None
    culprit = state.culprit()
    if culprit is None:
        return None
    name, step = culprit
    error = step.error or {}
    log = tail_of(project.settings.state / step.log, LINES) if step.log else []
    log = log or str(error.get("traceback") or "").splitlines()[-LINES:]
    return Failure(name, headline(step.error), tuple(log), way_on(project, state))
