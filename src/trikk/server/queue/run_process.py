"""The process of one run: `python -m trikk.server.queue.run_process ROOT RUN`.

A server starts it for a run that waits, or whose driver has died. It has a session of its own and takes nothing
from the server, so that the run goes on when the server is killed or restarted; any server finds it by its lease.

It ends in one of these ways:

- The run is over: its events say how.
- It is told to end (SIGTERM, as when the machine is shut down): it stops its steps and leaves the run to whoever
  goes on with it. A run is cancelled by `trikk cancel`, never by the end of a process.
- Another process has the run: it ends without a word.
- The run can't be driven (its code is gone, the journal is away, this process is killed): it stays as it is, and
  `driver.log` in the run's folder says why. A server tries again.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from trikk.core.errors import LeaseHeld, LeaseLost, TrikkError
from trikk.core.logs import log_as, log_to_stderr
from trikk.execution.cancel import cancel_undriven
from trikk.execution.project import Project
from trikk.execution.queued_run import Warm
from trikk.execution.resume import again_without_effects, resume
from trikk.execution.run_options import How
from trikk.runs.run_state import ResumeOptions, RunState
from trikk.runs.states import OVER
from trikk.tracking.mlflow.background_mirror import mirroring


def drive(project: Project, run: str, warm: Warm | None = None) -> int:
    """Start a run that waits, or go on with it, to its end; the exit code of the process that does so.

    Args:
        project: the project.
        run: the run's full id.
        warm: what was made ready for it, if anything was.
    """
    how = How(hands_over=True)
    log_to_stderr(project.settings, logging.WARNING)
    log_as({"run": run})
    try:
        with mirroring(project):
            state = RunState.fold(run, project.journal.events(run))
            if state.state in OVER:
                return 0  # another process has brought it to its end, and nobody has asked for more
            if state.cancel_requested is not None:
                why = f"cancelled by {state.cancel_requested}; it had no driver"
                cancel_undriven(project.journal, run, why, how.clock)
                return 0
            wanted = state.resume_with or ResumeOptions()
            resume(
                project,
                run,
                how,
                code=wanted.code or "locked",
                confirm=lambda _: None,
                current_data=wanted.current_data,
                again=wanted.again,
                keep=wanted.keep,
                ask=again_without_effects,
                warm=warm,
            )
    except (LeaseHeld, LeaseLost):
        return 0  # another process has it, and that is as good
    except TrikkError as error:
        # Whoever sees the run wait reads this: a server shows the end of the log as the reason.
        logging.getLogger("trikk.driver").error("%s", error)  # noqa: TRY400 - it is in words
        return 1
    return 0


def main() -> None:
    """Drive the run that the command line names."""
    sys.exit(drive(Project.open(Path(sys.argv[1])), sys.argv[2]))


if __name__ == "__main__":
    main()
