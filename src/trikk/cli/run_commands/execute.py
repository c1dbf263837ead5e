"""Commands that make something happen: run, resume, replay, cancel."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, log_format_option, print_json
from trikk.cli.run_commands.progress import Progress
from trikk.cli.run_commands.run_end import (
    LAST_LINES,
    exit_code,
    explain_waiting,
    print_comparison,
    say_failed,
    say_succeeded,
)
from trikk.cli.server_option import find_run, or_by_server
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.states import OVER, RunStatus
from trikk.tracking.mlflow.background_mirror import mirroring

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.execution.resume import Planned
    from trikk.pipeline.graph import Graph
    from trikk.runs.run_state import RunState

F = TypeVar("F", bound=Callable[..., Any])


def _parameters(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    parameters = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not name:
            raise click.UsageError(f"-p {value!r} is not name=value")
        # Taking the last one would hide a slip in a long command line.
        if name in parameters:
            raise click.UsageError(f"-p {name} is given twice")
        parameters[name] = text
    return parameters


parameter_option = click.option(
    "-p", "parameters", multiple=True, metavar="NAME=VALUE", callback=_parameters, help="A parameter; repeatable."
)
keep_going_option = click.option(
    "--keep-going", is_flag=True, help="After a failure, finish every step that does not depend on it."
)
inline_option = click.option("--inline", is_flag=True, help="Run steps in this process, so that breakpoints work.")


def target_option(*targets: str) -> Callable[[F], F]:
    """Where steps run: on this machine, or one of the targets."""
    kind = click.Choice(("local", *targets))
    return click.option("--target", type=kind, default="local", help="Where steps run; see docs/engines.md.")


parallel_option = click.option("--max-parallel", type=click.IntRange(1), help="How many steps run at once.")


def _run_by_server(client: Client, pipeline: str, parameters: dict[str, str], as_json: bool) -> int:
    from trikk.cli.run_commands.followed_run import start

    return start(client, pipeline, parameters, as_json=as_json)


def _resume_by_server(
    client: Client, run: str, code: Any, data: bool, again: tuple[str, ...], keep: tuple[str, ...], as_json: bool
) -> int:
    from trikk.cli.run_commands.followed_run import resume

    return resume(client, run, code, current_data=data, again=again, keep=keep, as_json=as_json)


def _replay_by_server(client: Client, run: str, as_json: bool) -> int:
    from trikk.cli.run_commands.followed_run import replay

    return replay(client, run, as_json=as_json)


def _cancel_by_server(client: Client, run: str, as_json: bool) -> int:
    return _print_cancelled(client.cancel(find_run(client, run)), as_json=as_json)


@click.command()
@click.argument("pipeline")
@parameter_option
@keep_going_option
@inline_option
@target_option("ray", "sagemaker-local")
@parallel_option
@json_option
@log_format_option
@or_by_server(_run_by_server, without=("inline", "target", "keep_going", "max_parallel"))
@audited("start_run", "pipeline")
def run(
    pipeline: str,
    parameters: dict[str, str],
    keep_going: bool,
    inline: bool,
    target: str,
    max_parallel: int | None,
    as_json: bool,
) -> int:
    """Run PIPELINE to its end; exit code 0 if it succeeded, 1 if not, 3 if it waits for a decision."""
    project = Project.open()
    if target == "sagemaker-local":
        if inline or keep_going:
            raise click.UsageError(f"--inline and --keep-going are for --target local, and this is {target}")
        with mirroring(project), Progress(quiet=as_json) as progress:
            state = _run_as_on_sagemaker(project, pipeline, parameters, max_parallel, progress)
        return finish(project, state, as_json=as_json)
    with mirroring(project), Progress(quiet=as_json) as progress, _place(project, inline=inline, as_json=as_json):
        how = _how(target, inline, keep_going, max_parallel, progress)
        with Session(project, how) as session:
            session.capture()
            warn_of_effects(session, session.graph(pipeline), parameters)
            state = session.run(pipeline, parameters, text=True)
    return finish(project, state, as_json=as_json)


def _run_as_on_sagemaker(
    project: Project, pipeline: str, parameters: dict[str, str], max_parallel: int | None, progress: Progress
) -> RunState:
    from trikk.targets.sagemaker.local.local_run import run_on_this_machine

    def look(session: Session, graph: Graph) -> None:
        warn_of_effects(session, graph, parameters)

    how = How(max_parallel=max_parallel, listener=progress)
    return run_on_this_machine(project, pipeline, parameters, how, look)


@click.command()
@click.argument("run")
@click.option(
    "--with-current-code", "code", flag_value="current", help="Run the remaining steps with the code as it is now."
)
@click.option(
    "--with-locked-code", "code", flag_value="locked", help="Run the remaining steps with the run's own code."
)
@click.option(
    "--with-current-data", "data", is_flag=True, help="Read the tables as they are now instead of as locked."
)
@click.option("--again", multiple=True, metavar="STEP", help="Run STEP again even though it has succeeded.")
@click.option("--keep", multiple=True, metavar="STEP", help="Keep STEP's result even though its code has changed.")
@keep_going_option
@inline_option
@target_option("ray")
@parallel_option
@json_option
@log_format_option
@or_by_server(_resume_by_server, without=("inline", "target", "keep_going", "max_parallel"))
@audited("resume_run", "run")
def resume(
    run: str,
    code: Any,
    data: bool,
    again: tuple[str, ...],
    keep: tuple[str, ...],
    keep_going: bool,
    inline: bool,
    target: str,
    max_parallel: int | None,
    as_json: bool,
) -> int:
    """Continue RUN (an id, its beginning, or `last`) from its failed or unfinished steps."""
    from trikk.execution.resume import resume as go_on

    project = Project.open()
    run_id = project.find_run(run)
    state = project.run(run_id)
    # A script or a scheduler gets an error with the options to give, and never waits for an answer.
    asks = not as_json and sys.stdin.isatty() and sys.stderr.isatty()
    # A run that has succeeded has no remaining steps, so there is nothing to choose.
    if code is None and state.state != RunStatus.SUCCEEDED:
        code = _chosen_code(project, state, asks=asks)

    def announce(plan: list[Planned]) -> None:
        if as_json:
            return
        echo(f"resuming run {run_id} of {state.pipeline}", err=True)
        for planned in plan:
            verb = "reuse" if planned.reuse else "run"
            echo(f"  {verb:5} {planned.step}: {planned.why}", err=True)

    with mirroring(project), Progress(quiet=as_json) as progress, _place(project, inline=inline, as_json=as_json):
        how = _how(target, inline, keep_going, max_parallel, progress)
        resumed = go_on(
            project,
            run_id,
            how,
            code=code,
            confirm=announce,
            current_data=data,
            again=again,
            keep=keep,
            ask=_again_or_keep if asks else None,
        )
    return finish(project, resumed, as_json=as_json)


def _how(target: str, inline: bool, keep_going: bool, max_parallel: int | None, progress: Progress) -> How:
    if inline and target != "local":
        raise click.UsageError(f"--inline runs steps in this process, and --target {target} elsewhere")
    return How(target, inline=inline, keep_going=keep_going, max_parallel=max_parallel, listener=progress)


def _chosen_code(project: Project, state: RunState, *, asks: bool) -> Any:
    """Which code runs the remaining steps, where the project's has changed; None where it has not."""
    from trikk.execution.code.own_code import changed_files, code_changed

    changed = changed_files(project, state)
    if not changed:
        return None
    if not asks:
        raise code_changed(state.id, changed)
    echo(f"The project's code has changed since run {state.id}: {', '.join(changed[:8])}", err=True)
    return _prompted("Run the remaining steps with which code?", "current", "locked")


def _again_or_keep(opened: list[Planned]) -> Any:
    echo(f"The code of these steps has changed: {', '.join(p.step for p in opened)}", err=True)
    return _prompted("Run them again, or keep their results?", "again", "keep")


def _prompted(question: str, *answers: str) -> str:
    """One of the answers; click.Abort for a third one, "stop"."""
    answer: str = click.prompt(question, type=click.Choice([*answers, "stop"]), err=True)
    if answer == "stop":
        raise click.Abort
    return answer


@click.command()
@click.argument("run")
@parallel_option
@json_option
@or_by_server(_replay_by_server, without=("max_parallel",))
@audited("replay_run", "run")
def replay(run: str, max_parallel: int | None, as_json: bool) -> int:
    """Repeat RUN as a new run, from its locked data, code, parameters and seed, and compare every artifact.

    Tables are not written. Exit code 0 only if every step's results are identical.
    """
    from trikk.execution.replay import replay as again

    project = Project.open()
    run_id = project.find_run(run)
    with Progress(quiet=as_json) as progress:
        # To its end, whatever fails: every result is to be compared.
        how = How(max_parallel=max_parallel, listener=progress, keep_going=True)
        comparison = again(project, run_id, how, lambda text: echo(f"note: {text}", err=True))
    # A failure that the first run had as well is no finding.
    if comparison.run.state != comparison.was.state and not as_json:
        explain(project, comparison.run)
    return print_comparison(comparison.to_json(), as_json=as_json)


@click.command()
@click.argument("run")
@json_option
@or_by_server(_cancel_by_server)
@audited("cancel_run", "run")
def cancel(run: str, as_json: bool) -> int:
    """Stop RUN: its steps are asked to end, then ended. It can be resumed later. Exit code 1 if it goes on."""
    from trikk.execution.cancel import cancel as stop

    project = Project.open()
    return _print_cancelled(stop(project, project.find_run(run)).to_json(), as_json=as_json)


def _print_cancelled(run: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(run)
    else:
        echo(f"run {run['id']}: {run['state']}")
    return 0 if run["state"] in OVER else 1


@contextlib.contextmanager
def _place(project: Project, *, inline: bool, as_json: bool) -> Iterator[None]:
    """Steps that run in this very process find the project's folder as theirs, and leave stdout to the JSON."""
    if not inline:
        yield
        return
    os.chdir(project.root)  # as a worker's current folder
    if not as_json:
        yield
        return
    # By descriptor, since libraries in C print past sys.stdout.
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def finish(project: Project, state: RunState, *, as_json: bool) -> int:
    """Say how a run has ended, or what it asks; the exit code."""
    if as_json:
        from trikk.tracking.fold import read_record

        print_json({**state.to_json(), **read_record(project.journal, state.id).to_json()})
    elif state.state == RunStatus.SUCCEEDED:
        say_succeeded(state)
    elif state.state == RunStatus.WAITING:
        explain_waiting(state)
    else:
        explain(project, state)
    return exit_code(state)


def warn_of_effects(session: Session, graph: Graph, given: Mapping[str, str]) -> None:
    """Say so if a run with these parameters is unfinished that has changed something, which another does again."""
    from trikk.execution.code.earlier import left_with_effects

    left = left_with_effects(session.project, graph, given, now=session.how.clock.now())
    if left.unfinished is not None:
        effects = ", ".join(left.effects[:5]) + (", ..." if len(left.effects) > 5 else "")
        echo(
            f"warning: run {left.unfinished.id} ({left.unfinished.state}) has the same parameters and may already "
            f"have changed something outside: {effects}. A new run does that again; to continue it instead: "
            f"trikk resume {left.unfinished.id}",
            err=True,
        )


def explain(project: Project, state: RunState) -> None:
    """The failed step, the last lines of its log, and the command that helps."""
    from trikk.core.logs import tail_of
    from trikk.execution.upkeep.next_command import way_on

    culprit = state.culprit()
    log = project.settings.state / culprit[1].log if culprit and culprit[1].log else None
    say_failed(state, str(log), tail_of(log, LAST_LINES) if log else [], way_on(project, state))
