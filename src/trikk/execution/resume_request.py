"""A resume that is asked for: the run is queued again, and whoever drives queued runs goes on with it."""

from __future__ import annotations

from trikk.core.errors import Conflict, RunError
from trikk.core.values import JSON
from trikk.execution.code.own_code import changed_files
from trikk.execution.project import Project
from trikk.execution.resume import Code, check_resumable
from trikk.runs.events import EventKind
from trikk.runs.states import RunStatus


def request_resume(project: Project, run: str, *, by: str, why: str = "", code: Code | None, now: float) -> None:
    """Queue a run again that has failed or was cancelled; nothing happens to one that is queued or goes on.

    Args:
        project: the project.
        run: the run's full id.
        by: who asks for it.
        why: in their words.
        code: whose code runs the remaining steps, the run's own or the project's; None if both are the same.
        now: wall time in seconds since 1970.

    Raises:
        RunError: if it can't go on, or the code has changed since and nobody says whose counts.
        UnknownName: if there is no such run.
    """
    while (state := project.run(run)).state not in (RunStatus.QUEUED, RunStatus.RUNNING):
        check_resumable(project, state, now)
        changed = changed_files(project, state) if code is None else []
        if changed:
            raise RunError(
                f"the project's code has changed since run {run}: {', '.join(changed[:5])}",
                next='say which code runs the remaining steps: "current" or "locked"',
            )
        said: dict[str, JSON] = {"by": by, "why": why, "code": code or "locked"}
        try:
            project.journal.append(run, EventKind.RUN_RESUME_REQUESTED, said, at=now, after=state.seq)
        except Conflict:
            continue  # somebody else has done something with it meanwhile
