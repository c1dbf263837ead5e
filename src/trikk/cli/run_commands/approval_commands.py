"""`trikk approvals`, `trikk approve` and `trikk refuse`: what runs ask people, and what these decide."""

from __future__ import annotations

from typing import Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, table, user_name, when
from trikk.cli.run_commands.execute import finish, shown_text
from trikk.cli.run_commands.progress import Progress
from trikk.core.errors import ApprovalExpired
from trikk.execution.approvals.decisions import asked_document, decide, open_approvals
from trikk.execution.approvals.going_on import go_on
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.runs.states import RunStatus
from trikk.tracking.mlflow.background_mirror import mirroring

run_argument = click.argument("run")
step_argument = click.argument("step", required=False)
why_option = click.option("--why", required=True, metavar="TEXT", help="The reason; recorded with your name.")
later_option = click.option("--later", is_flag=True, help="Only decide; a server, or `trikk resume`, goes on.")


@click.command()
@json_option
def approvals(as_json: bool) -> None:
    """List what runs ask and nobody has decided."""
    asked = list(open_approvals(Project.open().journal))
    if as_json:
        print_json({"approvals": [asked_document(state, approval) for state, approval in asked]})
    elif not asked:
        echo("nothing is asked")
    else:
        lines = [
            [s.id, s.pipeline, a.step, when(a.asked), when(a.expires), f"{a.question} {shown_text(a)}".strip()]
            for s, a in asked
        ]
        table(["RUN", "PIPELINE", "STEP", "ASKED", "EXPIRES", "QUESTION"], lines)


@click.command()
@run_argument
@step_argument
@why_option
@later_option
@json_option
@audited("approve_run", "run", "step")
def approve(run: str, step: str | None, **options: Any) -> int:
    """Say yes to what RUN asks (its STEP, if it asks several things), and go on with the run."""
    return _decide(run, step, approved=True, **options)


@click.command()
@run_argument
@step_argument
@why_option
@later_option
@json_option
@audited("refuse_run", "run", "step")
def refuse(run: str, step: str | None, **options: Any) -> int:
    """Say no to what RUN asks (its STEP, if it asks several things), and go on with the run."""
    return _decide(run, step, approved=False, **options)


def _decide(run: str, step: str | None, *, approved: bool, why: str, later: bool, as_json: bool) -> int:
    project = Project.open()
    run_id, how = project.find_run(run), How()
    by, now, too_late = user_name(), how.clock.now(), None
    try:
        decide(project.journal, run_id, step, approved=approved, by=by, why=why, now=now)
        echo(f"run {run_id}: {'approved' if approved else 'refused'} by {by}", err=True)
    except ApprovalExpired as error:
        too_late = error  # the run has to go on all the same
    with mirroring(project), Progress(quiet=as_json) as progress:
        how.listener = progress
        driven = None if later else go_on(project, run_id, how)
    if too_late is not None:
        raise too_late
    if driven is not None:
        return finish(project, driven, as_json=as_json)
    if as_json:
        print_json(project.run(run_id).to_json())
    elif project.journal.row(run_id).state == RunStatus.QUEUED:
        echo(f"run {run_id} is queued; a server goes on with it, or: trikk resume {run_id}")
    else:
        echo(f"another process goes on with run {run_id}; look: trikk show {run_id}")
    return 0
