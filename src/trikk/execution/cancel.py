"""Cancel: ask a run's driver to stop it, or stop it here where the driver is dead."""

from __future__ import annotations

import getpass

from trikk.core.clock import Clock, SystemClock
from trikk.core.errors import LeaseHeld, RunError
from trikk.execution.launch import leased
from trikk.execution.project import Project
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Journal
from trikk.runs.run_state import RunState
from trikk.runs.states import OVER, RunStatus

_WAIT = 15.0
_LOOK_EVERY = 0.1


def cancel(
    project: Project, run: str, clock: Clock | None = None, *, by: str = "", wait: float = _WAIT
) -> RunState:
    """Stop a run and wait until it has stopped.

    Args:
        project: the project.
        run: the run's full id.
        clock: time; the machine's if not given.
        by: who asks; this process's user if not given.
        wait: seconds to wait.

    Returns:
        The run's state; still running if its driver has not reacted within that time.

    Raises:
        RunError: if the run is over.
    """
    clock, by = clock or SystemClock(), by or _user()
    state = project.run(run)
    if state.state in OVER:
        raise RunError(f"run {run} is over: it has {state.state}", next="see it: trikk show " + run)
    project.journal.append(run, EventKind.RUN_CANCEL_REQUESTED, {"by": by}, at=clock.now())
    until = clock.monotonic() + wait
    while clock.monotonic() < until:
        state = project.run(run)
        if state.state in OVER:
            return state
        if project.is_at_engine(state):
            clock.sleep(_LOOK_EVERY)  # the engine is asked to stop it by whoever mirrors it
            continue
        try:
            gone = "; its driver was gone" if state.state == RunStatus.RUNNING else ""
            cancel_undriven(project.journal, run, f"cancelled by {by}{gone}", clock)
        except LeaseHeld:
            clock.sleep(_LOOK_EVERY)
    return project.run(run)


def cancel_undriven(journal: Journal, run: str, why: str, clock: Clock) -> None:
    """Write down that a run is cancelled, unless it is over.

    Raises:
        LeaseHeld: if a process drives it.
    """
    with leased(journal, run, clock) as lease:
        if journal.row(run).state not in OVER:
            journal.append(run, EventKind.RUN_CANCELLED, {"error": why}, at=clock.now(), lease=lease)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "someone"
