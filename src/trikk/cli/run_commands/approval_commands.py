"""`trikk approvals`, `trikk approve` and `trikk refuse`: what runs ask people, and what these decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, table, user_name, when
from trikk.cli.run_commands.execute import finish
from trikk.cli.run_commands.progress import Progress
from trikk.cli.run_commands.run_end import shown_text
from trikk.cli.server_option import find_run, or_by_server, trikk
from trikk.core.errors import ApprovalExpired
from trikk.execution.approvals.decisions import asked_document, decide, open_approvals
from trikk.execution.approvals.going_on import go_on
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.runs.states import RunStatus
from trikk.tracking.mlflow.background_mirror import mirroring

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

run_argument = click.argument("run")
step_argument = click.argument("step", required=False)
why_option = click.option("--why", required=True, metavar="TEXT", help="The reason; recorded with your name.")
later_option = click.option("--later", is_flag=True, help="Only decide; a server, or `trikk resume`, goes on.")


def _approvals_by_server(client: Client, as_json: bool) -> None:
    _print_asked(client.approvals()["approvals"], as_json=as_json)


def _approve_by_server(client: Client, run: str, step: str | None, why: str, as_json: bool, **_: Any) -> None:
    _print_decided(client.approve(find_run(client, run), why, step), "approved", client.by, as_json=as_json)


def _refuse_by_server(client: Client, run: str, step: str | None, why: str, as_json: bool, **_: Any) -> None:
    _print_decided(client.refuse(find_run(client, run), why, step), "refused", client.by, as_json=as_json)


def _print_decided(run: Mapping[str, Any], verdict: str, by: str, *, as_json: bool) -> None:
    echo(f"run {run['id']}: {verdict} by {by}", err=True)
    if as_json:
        print_json(run)
    else:
        echo(f"the server goes on with run {run['id']}; look: {trikk()} show {run['id']}")


@click.command()
@json_option
@or_by_server(_approvals_by_server)
def approvals(as_json: bool) -> None:
    """List what runs ask and nobody has decided."""
    asked = open_approvals(Project.open().journal)
    _print_asked([asked_document(state, approval) for state, approval in asked], as_json=as_json)


def _print_asked(approvals: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"approvals": approvals})
    elif not approvals:
        echo("nothing is asked")
    else:
        lines = [
            [
                a["run"],
                a["pipeline"],
                a["step"],
                when(a["asked"]),
                when(a["expires"]),
                f"{a['question']} {shown_text(a['shown'])}".strip(),
            ]
            for a in approvals
        ]
        table(["RUN", "PIPELINE", "STEP", "ASKED", "EXPIRES", "QUESTION"], lines)


@click.command()
@run_argument
@step_argument
@why_option
@later_option
@json_option
@or_by_server(_approve_by_server)
@audited("approve", "run", "step")
def approve(run: str, step: str | None, **options: Any) -> int:
    """Say yes to what RUN asks (its STEP, if it asks several things), and go on with the run."""
    return _decide(run, step, approved=True, **options)


@click.command()
@run_argument
@step_argument
@why_option
@later_option
@json_option
@or_by_server(_refuse_by_server)
@audited("refuse", "run", "step")
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
