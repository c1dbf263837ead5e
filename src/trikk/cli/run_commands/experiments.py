"""Commands on what runs have in common and in which they differ: compare, artifacts, sweep, mirror."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import (
    artifact_text,
    echo,
    json_option,
    parameters_text,
    print_json,
    show_page,
    state_text,
    table,
)
from trikk.cli.run_commands.execute import parameter_option
from trikk.cli.server_option import find_run, or_by_server
from trikk.core.durations import show_bytes, show_seconds
from trikk.core.errors import UsageError
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.tracking.mlflow.background_mirror import mirroring

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.storage.artifact import Artifact
    from trikk.tracking.run_artifacts import Output
    from trikk.tracking.trials import Plan, Trial

_SHOWABLE = (".html", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf")


def _compare_by_server(client: Client, runs: tuple[str, ...], everything: bool, as_json: bool) -> None:
    compared = client.compare([find_run(client, run) for run in runs], all=everything)
    _print_compared(compared, everything=everything, as_json=as_json)


def _artifacts_by_server(client: Client, run: str, name: str | None, as_json: bool) -> None:
    if name is not None:
        raise UsageError(
            "a server lists what a run made, and shows none of it",
            next=f"leave out {name}, or: trikk show RUN STEP",
        )
    made = client.artifacts(find_run(client, run))
    is_forgotten = not made["artifacts"] and client.show(made["run"])["forgotten"]
    _print_outputs(made["run"], made["artifacts"], is_forgotten=is_forgotten, as_json=as_json)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--all", "everything", is_flag=True, help="Show what is equal in all of them, too.")
@json_option
@or_by_server(_compare_by_server)
def compare(runs: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Show RUNs side by side: parameters, metrics, versions of data and models, code, packages."""
    from trikk.tracking.run_table import compare as put_together

    project = Project.open()
    compared = put_together(project, [project.find_run(run) for run in runs], everything=everything)
    _print_compared(compared.to_json(), everything=everything, as_json=as_json)


def _print_compared(compared: Mapping[str, Any], *, everything: bool, as_json: bool) -> None:
    if as_json:
        print_json(compared)
        return
    rows = []
    group = None
    for row in compared["rows"]:
        # A group's name once, so that groups can be seen.
        rows.append([row["group"] if row["group"] != group else "", row["name"], *map(_cell, row["values"])])
        group = row["group"]
    table(["", "", *compared["runs"]], rows)
    if not everything:
        echo("(only what differs, and metrics; --all shows the rest)")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


@click.command()
@click.argument("run")
@click.argument("name", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Write it there, in the format of the path's ending.")
@click.option("--open", "show", is_flag=True, help="Open it in a browser: figures and HTML.")
@json_option
@or_by_server(_artifacts_by_server, without=("out", "show"))
def artifacts(run: str, name: str | None, out: Path | None, show: bool, as_json: bool) -> None:
    """List what RUN made and logged, or show, write or open what is called NAME there."""
    from trikk.tracking.fold import read_record
    from trikk.tracking.run_artifacts import export, find, outputs

    project = Project.open()
    if name is None and (out is not None or show):
        raise click.UsageError("--out and --open need the NAME of one artifact")
    state = project.run(project.find_run(run))
    listed = outputs(state, read_record(project.journal, state.id))
    if name is None:
        _print_outputs(state.id, listed, is_forgotten=state.forgotten, as_json=as_json)
        return
    output = find(listed, name)
    if out is not None:
        written = export(project.artifacts, output.artifact, out)
        _say(
            as_json, {"run": state.id, "name": name, "path": str(written)}, f"{name} of run {state.id}: {written}"
        )
    elif show:
        path = _open(project, output.artifact, name)
        _say(as_json, {"run": state.id, "name": name, "path": str(path)}, f"{name} of run {state.id}: {path}")
    elif as_json:
        preview = project.artifacts.preview(output.artifact)
        print_json({"run": state.id, **output.to_json(), "preview": preview})
    else:
        about = output.artifact.to_json()
        echo(f"{name}: {artifact_text(about)}  digest {output.artifact.digest[:16]}")
        echo(f"  write it to a file: trikk artifacts {state.id} {name} --out FILE")


def _print_outputs(run: str, listed: Sequence[Output], *, is_forgotten: bool, as_json: bool) -> None:
    if as_json:
        print_json({"run": run, "artifacts": [output.to_json() for output in listed]})
    elif not listed:
        echo(f"run {run} has made nothing" + (" that is left" if is_forgotten else " yet"))
    else:
        rows = [
            [o.name, o.step, o.kind, artifact_text(o.artifact.to_json()), show_bytes(o.artifact.size)]
            for o in listed
        ]
        table(["NAME", "STEP", "KIND", "WHAT", "SIZE"], rows, right=["SIZE"])


def _say(as_json: bool, document: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(document)
    else:
        echo(text)


def _open(project: Project, artifact: Artifact, name: str) -> Path:
    """A copy of a figure or a page, shown by the browser; it stays in `.trikk/opened`, which may be removed."""
    from trikk.tracking.run_artifacts import export, file_name

    path = project.state_dir / "opened" / artifact.digest[:16] / file_name(artifact, name)
    # A browser would offer anything else as a download, without a word on what it is.
    if path.suffix.lower() not in _SHOWABLE:
        raise UsageError(f"{name} is not something a browser shows", next="write it to a file: --out FILE")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of an earlier look, if it was broken off: `export` writes over nothing
    export(project.artifacts, artifact, path)
    show_page(path)
    return path


@click.command()
@click.argument("pipeline", required=False)
@parameter_option
@click.option("--metric", help="What ranks the runs: a logged metric, or STEP.KEY of what a step returned.")
@click.option("--maximize", is_flag=True, help="Larger is better.")
@click.option("--grid", "as_grid", is_flag=True, help="Try all combinations; the default without --optuna.")
@click.option("--optuna", "trials", type=click.IntRange(1), metavar="N", help="Let Optuna choose N combinations.")
@click.option(
    "--parallel", type=click.IntRange(1), help="How many runs at once; the number of cores if not given."
)
@click.option("--resume", "sweep_id", metavar="ID", help="Continue a search that was stopped.")
@json_option
@audited("start_sweep", "pipeline")
def sweep(
    pipeline: str | None,
    parameters: dict[str, str],
    metric: str | None,
    maximize: bool,
    as_grid: bool,
    trials: int | None,
    parallel: int | None,
    sweep_id: str | None,
    as_json: bool,
) -> int:
    """Search for good parameters of PIPELINE: one run for each combination, ranked by a metric.

    Several values are tried of a parameter that is given as -p learning_rate=0.05,0.1,0.2 or, with --optuna, as a
    range: -p weeks=4..20 or -p learning_rate=log:0.001..0.1. All runs have the same data, code and seed. Exit code
    0 if a run could be ranked.
    """
    from trikk.tracking.parameter_sweep import Sweep
    from trikk.tracking.trials import read_plan

    # A search goes on as it was written down: other numbers would make another search of it.
    if sweep_id is not None and (pipeline or parameters or metric or trials or maximize or as_grid):
        raise click.UsageError("--resume takes what to do from the search; leave the rest out")
    if as_grid and trials:
        raise click.UsageError("--grid and --optuna can't be combined")
    project = Project.open()
    with mirroring(project), Sweep(project, parallel=parallel, listener=None if as_json else _announce) as search:
        if sweep_id is not None:
            plan = read_plan(project, sweep_id)
            return _ranking(plan, search.resume(plan), as_json=as_json)
        if pipeline is None or metric is None:
            raise click.UsageError("name the PIPELINE, and the --metric that ranks its runs")
        plan = search.plan(pipeline, parameters, metric, maximize=maximize, trials=trials)
        if not as_json:
            echo(f"sweep {plan.id} of {pipeline}; if it is stopped: trikk sweep --resume {plan.id}", err=True)
        return _ranking(plan, search.run(plan), as_json=as_json)


def _announce(trial: Trial) -> None:
    value = trial.why or trial.state if trial.value is None else f"{trial.value:.6g}"
    echo(f"  {parameters_text(trial.parameters)}: {value}  (run {trial.run or '-'})", err=True)


def _ranking(plan: Plan, trials: list[Trial], *, as_json: bool) -> int:
    best = next((trial for trial in trials if trial.rank == 1), None)
    if as_json:
        about = {"sweep": plan.id, "pipeline": plan.pipeline, "metric": plan.metric, "maximize": plan.maximize}
        print_json({**about, "best": best.to_json() if best else None, "trials": [t.to_json() for t in trials]})
        return 0 if best else 1
    rows = [
        [
            "-" if t.rank is None else str(t.rank),
            "-" if t.value is None else f"{t.value:.6g}",
            *(_cell(t.parameters[name]) for name in plan.space.searched),
            state_text(t.state),
            "-" if t.seconds is None else show_seconds(t.seconds),
            t.run or "-",
            (t.why or "").partition("\n")[0],
        ]
        for t in trials
    ]
    table(["RANK", plan.metric, *plan.space.searched, "STATE", "TOOK", "RUN", ""], rows, right=["RANK", "TOOK"])
    if best is None:
        echo("no run could be ranked", err=True)
    return 0 if best else 1


@click.command()
@click.argument("kind", type=click.Choice(["mlflow"]))
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@click.option("--to", "uri", metavar="URI", help="The server; [tracking] mlflow in trikk.toml if not given.")
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How often to try a server that is away.",
)
@json_option
@audited("mirror_runs", "runs")
def mirror(kind: str, runs: tuple[str, ...], uri: str | None, attempts: int, as_json: bool) -> int:
    """Copy runs that are over, their figures and models to an MLflow server: RUNs, or all that are not there yet.

    Nothing is copied twice. When the server is away, or refuses something, the exit code is 1, and the next call
    goes on.
    """
    from trikk.tracking.mlflow.mirror import Mirror
    from trikk.tracking.mlflow.target import MlflowTarget

    project = Project.open()
    to = uri or project.settings.tracking_server
    if not to:
        raise click.UsageError(f"name the server: trikk mirror {kind} --to http://host:5000, or in trikk.toml")
    chosen = [project.find_run(run) for run in runs]
    target = MlflowTarget(to, project.artifacts)
    done = Mirror(project, to, target, attempts=attempts).copy(chosen or None)
    if as_json:
        print_json(done.to_json())
    else:
        parts = [(done.runs, "run", ""), (done.models, "model version", ""), (done.aliases, "alias", "aliases")]
        echo(f"{', '.join(counted(len(ids), one, many) for ids, one, many in parts)} mirrored")
        for sentence in done.refused:
            echo(f"  {sentence}", err=True)
        if done.away:
            echo(f"{done.away}\n{counted(done.left, 'run')} left; next: trikk mirror {kind}", err=True)
    return 1 if done.away or done.refused else 0
