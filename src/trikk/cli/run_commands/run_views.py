"""Commands that only look: pipelines, runs, show."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import click

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
from trikk.cli.run_commands.run_end import explain_questions
from trikk.cli.server_option import find_run, or_by_server, trikk
from trikk.core.durations import show_bytes, show_seconds
from trikk.core.errors import UnknownName
from trikk.core.text import counted
from trikk.core.values import JSON, plain
from trikk.execution.project import Project
from trikk.execution.upkeep.next_command import way_on
from trikk.execution.workers.traces import headline
from trikk.pipeline.graph import Graph
from trikk.runs.approval_state import ApprovalState
from trikk.runs.cost import Cost
from trikk.runs.journals.journal import RunRow
from trikk.runs.run_state import RunState
from trikk.runs.states import OVER, RunStatus, StepStatus
from trikk.server.declaration_check import declared_graphs
from trikk.tracking.fold import label, read_record
from trikk.tracking.run_document import run_document, step_document

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

_METRICS_SHOWN = 30
_STATES = click.Choice([status.value for status in RunStatus])  # of members, click would take their names


def _pipelines_by_server(client: Client, name: str | None, as_json: bool) -> None:
    graphs = [Graph.read(dict(document)) for document in client.pipelines()["pipelines"]]
    _print_graphs({graph.pipeline: graph for graph in graphs}, name, "no pipelines yet", as_json=as_json)


def _runs_by_server(
    client: Client, pipeline: str | None, state: str | None, limit: int, everything: bool, as_json: bool
) -> None:
    coming = islice(client.runs(pipeline, state), None if everything else limit)
    if as_json:
        print_json_list("runs", map(RunRow.to_json, coming))
        return
    rows = list(coming)
    _print_runs([(row, state_text(row.state)) for row in rows], is_filtered=bool(pipeline or state))
    going_on = [row.id for row in rows if row.state not in OVER]
    _print_reasons({run: reason for run in going_on if (reason := client.show(run).get("waits", ""))})


def _show_by_server(client: Client, run: str, step: str | None, as_json: bool) -> None:
    run_id = find_run(client, run)
    shown = client.show(run_id)
    if step is not None:
        _print_step(client.step(run_id, step), shown["gates"], as_json=as_json)
    elif as_json:
        print_json(shown)
    else:
        _print_run(shown, f"{trikk()} resume {run_id}")


@click.command()
@click.argument("name", required=False)
@json_option
@or_by_server(_pipelines_by_server)
def pipelines(name: str | None, as_json: bool) -> None:
    """List the project's pipelines, or show the steps of the one called NAME."""
    project = Project.open()
    nothing_yet = "no pipelines yet: write one with @pipeline in " + ", ".join(project.settings.pipelines) + ".py"
    _print_graphs(declared_graphs(project), name, nothing_yet, as_json=as_json)


def _print_graphs(known: Mapping[str, Graph], name: str | None, nothing_yet: str, *, as_json: bool) -> None:
    if name is not None and name not in known:
        raise UnknownName("pipeline", name, known)
    graphs = [known[name]] if name else list(known.values())
    if as_json:
        print_json(graphs[0].to_json() if name else {"pipelines": [g.to_json() for g in graphs]})
    elif name:
        _print_graph(graphs[0])
    elif not graphs:
        echo(nothing_yet)
    else:
        rows = [[g.pipeline, _signature(g), str(len(g.nodes)), g.doc] for g in graphs]
        table(["PIPELINE", "PARAMETERS", "STEPS", ""], rows, right=["STEPS"])


@click.command()
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--state", type=_STATES, help="Only runs in this state.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@json_option
@or_by_server(_runs_by_server)
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
    _print_runs([(row, _state(project, row)) for row in rows], is_filtered=bool(pipeline or state))
    if not rows:
        return
    _print_reasons(_reasons(project, [row.id for row in rows if row.state not in OVER]))
    # Asked of the journal: the rows that are shown may be the first of a hundred thousand.
    total = project.journal.count(pipeline=pipeline, state=state)
    if total > len(rows):
        echo(f"{len(rows)} of {total:,} runs; more: --limit N, or --all")


@click.command()
@click.argument("run")
@click.argument("step", required=False)
@click.option("--events", is_flag=True, help="Every event of the run, as in the journal.")
@json_option
@or_by_server(_show_by_server, without=("events",))
def show(run: str, step: str | None, events: bool, as_json: bool) -> None:
    """Show RUN (an id, its beginning, or `last`), or what its STEP made: schema, first rows, size."""
    project = Project.open()
    state = project.run(project.find_run(run))
    if step is not None:
        gates: Any = [] if as_json else read_record(project.journal, state.id).to_json()["gates"]
        _print_step(step_document(project, state, step), gates, as_json=as_json)
    elif events:
        happened = project.journal.events(state.id)
        document = [{"seq": e.seq, "kind": e.kind, "at": e.at, "body": e.body} for e in happened]
        print_json({"events": document})
    else:
        waits: dict[str, JSON] = {"waits": reason} if (reason := _reason(project, state)) else {}
        shown = {**run_document(project, state.id, time.time()), **waits}
        if as_json:
            print_json(shown)
        else:
            _print_run(shown, way_on(project, state))


def _print_runs(rows: Sequence[tuple[RunRow, str]], *, is_filtered: bool) -> None:
    """Runs, each with its state in words."""
    if not rows:
        echo("no runs" + (" like that" if is_filtered else f" yet: {trikk()} run PIPELINE"))
        return
    lines = [[r.id, r.pipeline, state, when(r.created), took(r.started, r.ended), _about(r)] for r, state in rows]
    table(["RUN", "PIPELINE", "STATE", "CREATED", "TOOK", "PARAMETERS"], lines, right=["TOOK"])


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


def _print_reasons(reasons: Mapping[str, str]) -> None:
    """Why runs wait, those together that wait for the same."""
    for reason, waiting in groupby(sorted(reasons, key=reasons.__getitem__), reasons.__getitem__):
        echo(f"{', '.join(waiting)}: {reason}")


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


def _print_run(run: Mapping[str, Any], way: str) -> None:
    """A run's document; `way` is the command that goes on with it."""
    where = f" in {run['environment']}" if run["environment"] not in ("", "main") else ""
    echo(f"run {run['id']} of {run['pipeline']}{where}: ", state_text(run["state"]))
    if run["error"]:
        echo(f"  {run['error']}")
    if run["forgotten"]:
        echo("  clean-up has forgotten its steps, its logs and what it made")
    echo(f"  created {when(run['created'])}, took {took(run['started'], run['ended'])}, resumed {run['resumed']}x")
    echo(f"  parameters  {parameters_text(run['parameters']) or '-'}")
    if "code" in run["lock"]:  # it is decided what exactly the run does
        _print_lock(run["lock"])
    if "cost" in run:
        echo(f"  cost        {Cost.read(run['cost']).text()}, estimated from what its steps ask for")
    if engine := run["origin"].get("engine"):
        echo(f"  engine      {engine}, which calls it {run['origin'].get('execution')}")
    if run["isolation"] and run["isolation"] not in ("fork", engine):
        echo(f"  isolation   {run['isolation']}")
    gates = {gate["step"]: gate for gate in run["gates"] if gate["item"] is None}
    table(
        ["STEP", "STATE", "ATTEMPTS", "TOOK", "MEMORY", "RESULT"],
        [_step_row(step, gates.get(step["name"])) for step in run["steps"]],
    )
    _print_gates(run["gates"])
    _print_logged(run)
    if run["state"] == RunStatus.WAITING:
        explain_questions(run["id"], [ApprovalState(**a) for a in run["approvals"] if a["approved"] is None])
    if run["state"] in (RunStatus.FAILED, RunStatus.CANCELLED) and not run["forgotten"]:
        echo(f"next: {trikk()} logs {run['id']}, then {way}")
    if reason := run.get("waits"):
        echo(f"it waits: {reason}" if run["state"] == RunStatus.QUEUED else f"its driver is gone: {reason}")


def _print_lock(lock: Mapping[str, Any]) -> None:
    tables = ", ".join(f"{n} at version {v}" if v is not None else f"{n} (new)" for n, v in lock["tables"].items())
    git = lock.get("git") or {}
    commit = f", commit {git['commit'][:10]}{' with changes' if git.get('dirty') else ''}" if git else ""
    echo(f"  tables      {tables or '-'}")
    if lock.get("models"):
        models = (
            f"{ref} is version {v['version']}" if v else f"{ref} (none)" for ref, v in lock["models"].items()
        )
        echo(f"  models      {', '.join(models)}")
    echo(f"  code        {lock['code'][:12]}{commit}, Python {lock['python']}, seed {lock['seed']}")


def _print_gates(gates: Sequence[Mapping[str, Any]]) -> None:
    """Every check of the gates, failed ones first."""
    rows = [
        [
            label((gate["step"], gate["item"])),
            check["name"],
            _verdict(check),
            number_text(check["failing"], ","),
            check["observed"],
        ]
        for gate in gates
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


def _print_logged(run: Mapping[str, Any]) -> None:
    rows = [[m["name"], f"{float(m['value']):.6g}", m["step"], str(m["count"])] for m in run["metrics"]]
    if rows:
        table(["METRIC", "VALUE", "STEP", "LOGGED"], rows[:_METRICS_SHOWN], right=["LOGGED"])
        if len(rows) > _METRICS_SHOWN:
            echo(f"and {len(rows) - _METRICS_SHOWN:,} more metrics: --json has all")
    logged = parameters_text({name: plain(value, float) for name, value in run["logged_parameters"].items()})
    if logged:
        echo(f"logged parameters: {logged}")
    if files := [artifact["name"] for artifact in run["artifacts"]]:
        echo(f"logged artifacts: {', '.join(files)}; see: {trikk()} artifacts {run['id']}")


def _step_row(step: Mapping[str, Any], gate: Mapping[str, Any] | None = None) -> list[str]:
    result = ", ".join(artifact_text(a) for a in step["outputs"] or [])
    if gate is not None:
        from trikk.quality.check_verdict import summary

        result = summary(gate)
    write = step["write"]
    if write and "version" in write:
        result = f"{counted(write['rows'], 'row')} into {write['table']}, version {write['version']}"
    if step["error"] and step["state"] in (StepStatus.FAILED, StepStatus.RETRYING):
        result = headline(step["error"])
    if step["reason"]:
        result = f"{result} ({step['reason']})" if result else step["reason"]
    state = step["state"] if step.get("count") is None else f"{step['state']} x{step['count']}"
    state += " (allowed)" if step["allowed"] else ""
    seconds = "-" if step["seconds"] is None else show_seconds(step["seconds"])
    memory = show_bytes(step["peak_memory"]) if step["peak_memory"] else "-"
    return [step["name"], state_text(state), str(step["attempts"]), seconds, memory, result]


def _print_step(step: Mapping[str, Any], all_gates: Sequence[Any], *, as_json: bool) -> None:
    """The document of a step, or of an item of one; of its run's gates, its own."""
    if as_json:
        print_json(step)
        return
    echo(f"step {step['name']} of run {step['run']}: ", state_text(step["state"]))
    gates = [gate for gate in all_gates if label((gate["step"], gate["item"])) == step["name"]]
    _print_gates(gates)
    for output, preview in zip(step["outputs"] or [], step["previews"], strict=True):
        echo(f"{artifact_text(output)}  digest {output['digest'][:16]}, codec {output['codec']}")
        columns: Any = preview.get("columns") or {}
        for column, kind in columns.items():
            echo(f"  {column}: {kind}")
        if "error" in preview:
            echo(f"  {preview['error']}")
        # A gate's own result is its checks, which are shown above.
        if columns or not gates:
            _print_head(preview.get("head"))
    if step["error"]:
        echo(f"failed: {headline(step['error'])}")
        for line in (step["error"]["traceback"] or step["error"]["message"]).splitlines():
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
