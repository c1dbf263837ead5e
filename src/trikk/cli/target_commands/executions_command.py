"""`trikk executions`: what engines elsewhere do, written into the journal as runs."""

from __future__ import annotations

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, state_text
from trikk.core.clock import SystemClock
from trikk.core.errors import TrikkError
from trikk.execution.project import Project
from trikk.runs.run_state import RunState


@click.command()
@click.argument("execution", required=False)
@json_option
@audited("take_in_executions", "execution")
def executions(execution: str | None, as_json: bool) -> int:
    """Take in what jobs of an engine elsewhere have done: of EXECUTION, or of all that are not over.

    A server does the same by itself. Exit code 1 if an execution could not be taken in.
    """
    from trikk.targets.mirroring.project_mirror import ProjectMirror

    project = Project.open()
    mirrored = ProjectMirror(project, SystemClock())
    looks = [mirrored.look_at(execution)] if execution else list(mirrored.look())
    runs = [look for look in looks if isinstance(look, RunState)]
    errors = [look for look in looks if isinstance(look, TrikkError)]
    if as_json:
        print_json({"runs": [run.to_json() for run in runs], "errors": [error.to_json() for error in errors]})
        return 1 if errors else 0
    for run in runs:
        echo(f"{state_text(run.state)} {run.pipeline} {run.id}  {run.engine} {run.origin.get('execution')}")
    for error in errors:
        echo(f"error: {error}", err=True)
    if not looks:
        echo("nothing new: no execution is under way")
    return 1 if errors else 0
