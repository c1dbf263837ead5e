"""Go on with a run that was decided, where no server does: with the run's own code, as it was approved."""

from __future__ import annotations

from trikk.core.errors import LeaseHeld
from trikk.execution.project import Project
from trikk.execution.resume import resume
from trikk.execution.run_options import How
from trikk.runs.living_servers import living
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus

_WAIT = 5.0  # seconds that a driver may need to leave after it has written that its run waits
_LOOK_EVERY = 0.05


def go_on(project: Project, run: str, how: How) -> RunState | None:
    """Drive a run in which something was decided, if nobody else does, until it is over or asks the next question.

    Args:
        project: the project.
        run: the run's full id.
        how: how to carry it out.

    Returns:
        The run's state at the end; None if it is in other hands.

    Raises:
        RunError: if it can't be resumed.
    """
    if living(project.journal.servers(), how.clock.now()):
        return None
    until = how.clock.monotonic() + _WAIT
    while _is_left(project, run):
        try:
            return resume(project, run, how, code="locked", confirm=lambda _: None)
        except LeaseHeld:
            if how.clock.monotonic() > until:
                return None
            how.clock.sleep(_LOOK_EVERY)
    return None


def _is_left(project: Project, run: str) -> bool:
    """Whether there is something to do in a run and nobody at it, be it that its driver has died meanwhile."""
    state = project.journal.row(run).state
    return state == RunStatus.QUEUED or (state == RunStatus.RUNNING and not project.is_driven(run))
