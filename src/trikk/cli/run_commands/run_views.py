"""Commands that only look: pipelines, runs, show."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import click

from trikk.cli.declaration_check import declared_graphs
from trikk.cli.printing import (
    artifact_text,
    echo,
    json_option,
    number_text,
    parameters_text,
    print_json,
    print_json_list,
    state_text,
    table,
    tick_shown,
    took,
    value_text,
    when,
)
from trikk.cli.run_commands.execute import explain_waiting
from trikk.core.durations import show_bytes, show_seconds
from trikk.core.errors import UnknownName
from trikk.core.text import counted
from trikk.core.values import JSON, plain
from trikk.execution.project import Project
from trikk.execution.upkeep.next_command import way_on
from trikk.execution.upkeep.run_costs import cost_of
from trikk.execution.workers.traces import headline
from trikk.pipeline.graph import Graph
from trikk.runs.cost import Cost
from trikk.runs.journals.journal import RunRow
from trikk.runs.run_state import RunState, StepState, Task
from trikk.runs.states import OVER, RunStatus, StepStatus
from trikk.tracking.fold import RunRecord, label, read_record
from trikk.tracking.run_document import preview_of, run_document, step_document, task_named

_METRICS_SHOWN = 30
_STATES = click.Choice([status.value for status in RunStatus])  # of members, click would take their names


@click.command()
@click.argument("name", required=False)
@json_option
def pipelines(name: str | None, as_json: bool) -> None:
    """List the project's pipelines, or show the steps of the one called NAME."""
    project = Project.open()
    graphs_by_name = declared_graphs(project)
    if name is not None and name not in graphs_by_name:
        raise UnknownName("pipeline", name, graphs_by_name)
    graphs = [graphs_by_name[name]] if name else list(graphs_by_name.values())
    if as_json:
        print_json(graphs[0].to_json() if name else {"pipelines": [g.to_json() for g in graphs]})
    elif name:
        _print_graph(graphs[0])
    elif not graphs:
        echo("no pipelines yet: write one with @pipeline in " + ", ".join(project.settings.pipelines) + ".py")
    else:
        rows = [[g.pipeline, _signature(g), str(len(g.nodes)), g.doc] for g in graphs]
        table(["PIPELINE", "PARAMETERS", "STEPS", ""], rows, right=["STEPS"])


@click.command()
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--state", type=_STATES, help="Only runs in this state.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@json_option
def runs(pipeline: str | None, state: str | None, limit: int, everything: bool, as_json: bool) -> None:
    """List runs, the newest first."""
    project = Project.open()
    # One by one: 100,000 runs as one document would take gigabytes.
    if as_json and everything:
        print_json_list("runs", map(RunRow.to_json, project.journal.each_run(pipeline=pipeline, state=state)))
        return
    rows = project.journal.runs(pipeline=pipeline, state=state, limit=None if everything else limit)
    if as_json:
        print_json({"runs": [row.to_json() for row in rows]})
        return
    if not rows:
        echo("no runs" + (" like that" if pipeline or state else " yet: trikk run PIPELINE"))
        return
    lines = [
        [r.id, r.pipeline, _state(project, r), when(r.created), took(r.started, r.ended), _about(r)] for r in rows
    ]
    table(["RUN", "PIPELINE", "STATE", "CREATED", "TOOK", "PARAMETERS"], lines, right=["TOOK"])
    reasons = _reasons(project, [row.id for row in rows if row.state not in OVER])
    for reason, waiting in groupby(sorted(reasons, key=reasons.__getitem__), reasons.__getitem__):
        echo(f"{', '.join(waiting)}: {reason}")
    # Asked of the journal: the rows that are shown may be the first of a hundred thousand.
    total = project.journal.count(pipeline=pipeline, state=state)
    if total > len(rows):
        echo(f"{len(rows)} of {total:,} runs; more: --limit N, or --all")


@click.command()
@click.argument("run")
@click.argument("step", required=False)
@click.option("--events", is_flag=True, help="Every event of the run, as in the journal.")
@json_option
def show(run: str, step: str | None, events: bool, as_json: bool) -> None:
    """Show RUN (an id, its beginning, or `last`), or what its STEP made: schema, first rows, size."""
    project = Project.open()
    state = project.run(project.find_run(run))
    if step is not None:
        _show_step(project, state, step, as_json=as_json)
    elif events:
        happened = project.journal.events(state.id)
        document = [{"seq": e.seq, "kind": e.kind, "at": e.at, "body": e.body} for e in happened]
        print_json({"events": document})
    elif as_json:
        waits: dict[str, JSON] = {"waits": reason} if (reason := _reason(project, state)) else {}
        print_json({**run_document(project, state.id, time.time()), **waits})
    else:
        _print_run(project, state, read_record(project.journal, state.id), cost_of(project, state.id, time.time()))
        if reason := _reason(project, state):
            echo(f"it waits: {reason}" if state.state == RunStatus.QUEUED else f"its driver is gone: {reason}")


def _print_graph(graph: Graph) -> None:
    echo(f"{graph.pipeline}  {_signature(graph)}")
    if graph.doc:
        echo(graph.doc)
    rows = []
    for node in graph.nodes.values():
        notes = [f"writes {node.write.table}"] if node.write else []
        notes += [f"reads {t.table}" for t in node.tables()]
        notes += [f"uses {m.model}" for m in node.models()]
        notes += [f"maps over {node.mapped}"] if node.mapped else []
        notes += [f"when {c}" for c in node.when]
        notes += [f"asks: {node.question.text}"] if node.question else []
        rows.append([node.name, ", ".join(node.upstream()) or "-", "; ".join(notes), node.where])
    table(["STEP", "AFTER", "", "WHERE"], rows)


def _signature(graph: Graph) -> str:
    shown = [
        f"{s.name}: {s.kind}" if s.required else f"{s.name}: {s.kind} = {s.default}" for s in graph.parameters
    ]
    return ", ".join(shown) or "-"


def _state(project: Project, row: RunRow) -> str:
    """The state, with a note if the run goes on only in name."""
    # Only running ones are asked about: it takes a look at the lease and its process.
    gone = row.state == RunStatus.RUNNING and not project.is_driven(row.id)
    return state_text(row.state) + (", driver gone" if gone else "")


def _reason(project: Project, state: RunState) -> str:
    return "" if state.state in OVER else _reasons(project, [state.id]).get(state.id, "")


def _reasons(project: Project, runs: Sequence[str]) -> dict[str, str]:
    """Why runs wait for a process that drives them, for those that do."""
    if not runs:
        return {}
    from trikk.server.queue.queue_view import why_waiting

    return why_waiting(project, time.time(), runs)


def _about(row: RunRow) -> str:
    kind, parameters = str(row.origin.get("kind", "manual")), parameters_text(row.parameters)
    tick = tick_shown(str(row.origin.get("tick", "")))
    notes = {
        "replay": f" (replay of {row.origin.get('of')})",
        "backfill": " (backfill)",
        # An event that is among the parameters is not named twice.
        "trigger": f" (trigger {row.origin.get('trigger')}{'' if f'={tick}' in parameters else f', {tick}'})",
        "sweep": f" (sweep {row.origin.get('sweep')})",
    }
    note = notes.get(kind, "")
    return parameters + note


def _print_run(project: Project, state: RunState, record: RunRecord, cost: Cost | None) -> None:
    where = f" in {state.environment}" if state.environment not in ("", "main") else ""
    echo(f"run {state.id} of {state.pipeline}{where}: ", state_text(state.state))
    if state.error:
        echo(f"  {state.error}")
    if state.forgotten:
        echo("  clean-up has forgotten its steps, its logs and what it made")
    echo(f"  created {when(state.created)}, took {took(state.started, state.ended)}, resumed {state.resumed}x")
    echo(f"  parameters  {parameters_text(state.parameters) or '-'}")
    lock = state.lock
    if state.is_locked:
        tables = ", ".join(
            f"{n} at version {v}" if v is not None else f"{n} (new)" for n, v in lock["tables"].items()
        )
        git = lock.get("git") or {}
        commit = f", commit {git['commit'][:10]}{' with changes' if git.get('dirty') else ''}" if git else ""
        echo(f"  tables      {tables or '-'}")
        if lock.get("models"):
            models = (
                f"{ref} is version {v['version']}" if v else f"{ref} (none)" for ref, v in lock["models"].items()
            )
            echo(f"  models      {', '.join(models)}")
        echo(f"  code        {lock['code'][:12]}{commit}, Python {lock['python']}, seed {lock['seed']}")
    if cost is not None:
        echo(f"  cost        {cost.text()}, estimated from what its steps ask for")
    if state.isolation and state.isolation != "fork":
        echo(f"  isolation   {state.isolation}")
    table(
        ["STEP", "STATE", "ATTEMPTS", "TOOK", "MEMORY", "RESULT"],
        [_step_row(n, s, record.gates.get((n, None))) for n, s in state.steps.items()],
    )
    _print_gates(record.gates)
    _print_logged(record)
    if state.state == RunStatus.WAITING:
        explain_waiting(state)
    if state.state in (RunStatus.FAILED, RunStatus.CANCELLED) and not state.forgotten:
        echo(f"next: trikk logs {state.id}, then {way_on(project, state)}")


def _print_gates(gates: Mapping[Task, Mapping[str, Any]]) -> None:
    """Every check of the gates, failed ones first."""
    rows = [
        [label(task), check["name"], _verdict(check), number_text(check["failing"], ","), check["observed"]]
        for task, gate in gates.items()
        # Stable, so that within each group they are as the author wrote them.
        for check in sorted(gate["checks"], key=lambda check: bool(check["passed"]))
    ]
    if rows:
        table(["GATE", "CHECK", "VERDICT", "FAILING", "OBSERVED"], rows, right=["FAILING"])


def _verdict(check: Mapping[str, Any]) -> str:
    if check["passed"]:
        return "passed"
    return (
        "set aside"
        if check.get("set_aside")
        else {"block": "blocks", "warn": "warns"}.get(check["severity"], "info")
    )


def _print_logged(record: RunRecord) -> None:
    history, files = record.history(), record.files()
    if history:
        rows = [
            [name, f"{s.entries[-1].value:.6g}", label(s.task), str(len(s.entries))] for name, s in history.items()
        ]
        table(["METRIC", "VALUE", "STEP", "LOGGED"], rows[:_METRICS_SHOWN], right=["LOGGED"])
        if len(rows) > _METRICS_SHOWN:
            echo(f"and {len(rows) - _METRICS_SHOWN:,} more metrics: --json has all")
    logged = parameters_text({name: plain(value, float) for name, value in record.parameters().items()})
    if logged:
        echo(f"logged parameters: {logged}")
    if files:
        echo(f"logged artifacts: {', '.join(files)}; see: trikk artifacts {record.run}")


def _step_row(name: str, step: StepState, gate: Mapping[str, Any] | None = None) -> list[str]:
    result = ", ".join(artifact_text(a) for a in step.outputs or [])
    if gate is not None:
        from trikk.quality.check_verdict import summary

        result = summary(gate)
    if step.write and "version" in step.write:
        result = (
            f"{counted(step.write['rows'], 'row')} into {step.write['table']}, version {step.write['version']}"
        )
    if step.error and step.state in (StepStatus.FAILED, StepStatus.RETRYING):
        result = headline(step.error)
    if step.reason:
        result = f"{result} ({step.reason})" if result else step.reason
    state = step.state if step.count is None else f"{step.state} x{step.count}"
    state += " (allowed)" if step.allowed else ""
    seconds = "-" if step.seconds is None else show_seconds(step.seconds)
    memory = show_bytes(step.peak_memory) if step.peak_memory else "-"
    return [name, state_text(state), str(step.attempts), seconds, memory, result]


def _show_step(project: Project, state: RunState, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(step_document(project, state, text))
        return
    step = task_named(state, text)
    outputs: list[Any] = step.outputs or []
    previews = [preview_of(project, output) for output in outputs]
    echo(f"step {text} of run {state.id}: ", state_text(step.state))
    all_gates = read_record(project.journal, state.id).gates
    gates = {task: gate for task, gate in all_gates.items() if label(task) == text}
    _print_gates(gates)
    for output, preview in zip(outputs, previews, strict=True):
        echo(f"{artifact_text(output)}  digest {output['digest'][:16]}, codec {output['codec']}")
        columns: Any = preview.get("columns") or {}
        for column, kind in columns.items():
            echo(f"  {column}: {kind}")
        if "error" in preview:
            echo(f"  {preview['error']}")
        # A gate's own result is its checks, which are shown above.
        if columns or not gates:
            _print_head(preview.get("head"))
    if step.error:
        echo(f"failed: {headline(step.error)}")
        for line in (step.error["traceback"] or step.error["message"]).splitlines():
            echo(f"  | {line}".rstrip())


def _print_head(head: Any) -> None:
    if isinstance(head, list) and head and all(isinstance(row, dict) for row in head):
        columns = list(head[0])
        table(columns, [[value_text(row.get(c)) for c in columns] for row in head])
    elif isinstance(head, list):
        for line in head:
            echo(f"  {line}")
    elif head is not None:
        echo(f"  {plain(head, float)}")
