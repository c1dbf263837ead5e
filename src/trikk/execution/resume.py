"""Resume: the same run goes on from what is unfinished, after saying what it reuses, what it runs, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from trikk.core.errors import RunError, TrikkError, UnknownName
from trikk.core.values import JSON
from trikk.execution.how import How
from trikk.execution.launch import drive, driver_of, graph_of, leased, pin_tables
from trikk.execution.limits import Capacity, check_gpus
from trikk.execution.project import Project
from trikk.execution.session import open_executor
from trikk.pipeline.arguments import OutputRef, TableRef, walk
from trikk.pipeline.graph import Graph, Node
from trikk.pipeline.pipeline import parameters_for
from trikk.runs import events as e
from trikk.runs.bundle import bundle_digest, capture, commit_of, contents, manifest, restore
from trikk.runs.lock import Lock
from trikk.runs.state import RunState, StepState, TaskState
from trikk.storage.artifact import Artifact

Code = Literal["locked", "current"]


@dataclass(frozen=True, slots=True)
class Planned:
    """What resuming will do with one step: reuse it or run it, and why; `damaged` items of it run again."""

    step: str
    reuse: bool
    why: str
    damaged: tuple[int, ...] = ()


Confirm = Callable[[list[Planned]], None]


def resume(
    project: Project,
    run: str,
    how: How,
    *,
    code: Code | None,
    confirm: Confirm,
    current_data: bool = False,
    again: Iterable[str] = (),
) -> RunState:
    """Go on with a run that failed, was cancelled, or lost its driver.

    Args:
        project: the project.
        run: the run's full id.
        how: how to carry it out.
        code: whose code runs what is left: the run's own or the project's as it is now; may be None where
            both are the same.
        confirm: is given the plan before anything runs, and may raise to stop.
        current_data: lock the run to the tables as they are now; steps that have read another version run again.
        again: names of steps that run again though they have succeeded, with all that is given their results.

    Returns:
        The run's state at the end.

    Raises:
        RunError: if the run has succeeded or is of another environment, the project's code is another and
            `code` is None, or a table would have to take other rows than it has from this run.
        UnknownName: if there is no such step to run again.
        LeaseHeld: if another driver has the run.
    """
    with leased(project.journal, run, how.clock) as lease:
        state = project.run(run)
        _check_resumable(project, state)
        changed = changed_files(project, state)
        if changed and code is None:
            raise code_changed(run, changed)
        current = not changed or code == "current"
        source = None if current else restore(project.store, str(state.lock["code"]), project.state_dir / "code")
        executor = open_executor(project, how, source)
        try:
            if changed and current:
                graph = graph_of(executor, state.pipeline)
                parameters_for(graph, state.parameters)
                body = _current_code(project, state, graph)
            else:
                graph, body = project.graph(state), {"code": state.code}
                _ = executor.graphs()
            if current_data:
                body["lock"] = {**body.get("lock", state.lock), "tables": pin_tables(project, graph)}
            check_gpus(graph, Capacity.of_machine())
            planned = plan(project, state, graph, _anew(state, graph, body.get("lock", state.lock), again))
            confirm(planned)
            if (changed and current) or current_data or again:
                _refuse_other_rows(state, planned)
            body |= {"driver": driver_of(lease), "isolation": executor.isolation}
            batch: list[tuple[str, dict[str, JSON]]] = [(e.RUN_RESUMED, body)]
            batch += [
                (e.STEP_INVALIDATED, {"step": p.step, "reason": p.why})
                for p in planned
                if not p.reuse and p.step in state.steps and state.steps[p.step].state == "succeeded"
            ]
            batch += [
                (e.STEP_INVALIDATED, {"step": p.step, "item": item, "reason": "its result can't be used any more"})
                for p in planned
                for item in p.damaged
            ]
            project.journal.append_many(run, batch, at=how.clock.now(), lease=lease)
            fresh = RunState.fold(run, project.journal.events(run), graph.nodes)
            fresh.steps = {name: fresh.steps[name] for name in graph.nodes}
            return drive(project, executor, graph, fresh, lease, how, dry=state.origin.get("kind") == "replay")
        finally:
            executor.close()


def _check_resumable(project: Project, state: RunState) -> None:
    run, here = state.id, project.settings.environment
    if state.forgotten:
        raise RunError(f"run {run} was forgotten by clean-up", next=f"start a new one: trikk run {state.pipeline}")
    if state.state == "succeeded":
        raise RunError(
            f"run {run} has succeeded; there is nothing to resume", next=f"prove it: trikk replay {run}"
        )
    if state.environment not in ("", here):  # its effects would be done to another environment's models
        raise RunError(
            f"run {run} is of environment {state.environment}, and this is {here}",
            next=f"TRIKK_ENVIRONMENT={state.environment} trikk resume {run}",
        )


def _anew(state: RunState, graph: Graph, lock: Mapping[str, Any], again: Iterable[str]) -> dict[str, str]:
    """Steps that must run again though nothing of theirs failed, with the reason."""
    found = {}
    for name in again:
        if name not in graph.nodes:
            raise UnknownName("step", name, graph.nodes)
        found[name] = "you asked for it"
    then = state.lock.get("tables", {})
    for name, node in graph.nodes.items():
        for ref in node.tables():
            was, now = then.get(ref.table), lock["tables"].get(ref.table)
            if was != now:
                found.setdefault(
                    name, f"it read version {was} of table {ref.table}, which is at version {now} now"
                )
    return found


def _refuse_other_rows(state: RunState, planned: list[Planned]) -> None:
    """Raise RunError if other code would give a table other rows than those that the run has committed already."""
    for one in planned:
        step = state.steps.get(one.step)
        if not one.reuse and step is not None and step.write and "version" in step.write:
            raise RunError(
                f"step {one.step} has written its rows, and would have to write others: {one.why}",
                next=f"start a new run: trikk run {state.pipeline}; or go on with --with-locked-code",
            )


def plan(
    project: Project, state: RunState, graph: Graph, anew: Mapping[str, str] = MappingProxyType({})
) -> list[Planned]:
    """For each step whether its result is reused, and why; results that are needed are verified by digest.

    Args:
        project: the project.
        state: the run so far.
        graph: what it will do.
        anew: reasons by step for running it again though it has succeeded.
    """
    planned: dict[str, Planned] = {}
    old = _old_nodes(project, state)
    for name, node in graph.nodes.items():
        step = state.steps.get(name)
        planned[name] = _first_thought(name, node, step, old.get(name))
        if planned[name].reuse and name in anew:
            planned[name] = Planned(name, reuse=False, why=anew[name])
        again = next((up for up in _needs(node) if not planned[up].reuse), None)
        if planned[name].reuse and again is not None:
            planned[name] = Planned(name, reuse=False, why=f"step {again}, whose result it is given, runs again")
    for name in reversed(list(graph.nodes)):
        node, step = graph.nodes[name], state.steps.get(name)
        if not planned[name].reuse:
            for up in _needs(node):
                if planned[up].reuse and (damage := _damage(project, state.steps[up])):
                    planned[up] = Planned(up, reuse=False, why=damage)
            if step is not None and step.state != "succeeded" and step.items:
                other = name in old and _shape(old[name]) != _shape(node)
                all_again = other or name in anew or any(not planned[up].reuse for up in _needs(node))
                planned[name] = _items(project, planned[name], step, anew=all_again)
    return list(planned.values())


def _first_thought(name: str, node: Node, step: StepState | None, old: Node | None) -> Planned:
    if step is None:
        return Planned(name, reuse=False, why="it is new in the pipeline")
    if step.state == "succeeded":
        if old is not None and _shape(old) != _shape(node):
            return Planned(name, reuse=False, why="the pipeline gives it other arguments now")
        return Planned(name, reuse=True, why="it has succeeded")
    whys = {
        "failed": "it failed",
        "running": "it was in flight when the driver ended",
        "retrying": "it was about to be tried again",
        "cancelled": "it was cancelled",
        "skipped": "it was skipped; its condition is looked at again",
    }
    return Planned(name, reuse=False, why=whys.get(step.state, "it had not begun"))


def _items(project: Project, thought: Planned, step: StepState, *, anew: bool) -> Planned:
    """With the items of an unfinished mapped step that run again: damaged ones, or all if their inputs are new."""
    done = [i for i, item in step.items.items() if item.state == "succeeded"]
    again = tuple(i for i in done if anew or _damage(project, step.items[i]))
    kept = f"; {len(done) - len(again)} of its {step.count} items are reused" if done else ""
    return replace(thought, damaged=again, why=thought.why + kept)


def _shape(node: Node) -> dict[str, JSON]:
    """What makes a step's result another one, beside its code."""
    data = node.to_json()
    return {key: data.get(key) for key in ("arguments", "outputs", "mapped", "write")}


def _old_nodes(project: Project, state: RunState) -> Mapping[str, Node]:
    try:
        return project.graph(state).nodes
    except TrikkError:
        return {}


def _needs(node: Node) -> Iterable[str]:
    for argument in node.arguments.values():
        for part in walk(argument):
            if isinstance(part, OutputRef):
                yield part.step
            elif isinstance(part, TableRef):
                yield from part.writes
    yield from node.asks()


def _damage(project: Project, step: TaskState) -> str | None:
    for output in step.outputs or []:
        try:
            project.artifacts.verify(Artifact.from_json(output))
        except TrikkError as error:
            return f"its result is needed, but {error.what}"
    return None


def changed_files(project: Project, state: RunState) -> list[str]:
    """The code files that are not what they were in the run: changed, new (+) or gone (-)."""
    now = manifest(project.root, project.settings.code)
    if bundle_digest(now) == state.lock.get("code"):
        return []
    then = contents(project.store, str(state.lock["code"]))
    marks = [
        f"{'+' if name not in then else '-' if name not in now else ''}{name}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    return marks or ["the project's code"]


def code_changed(run: str, changed: list[str]) -> RunError:
    """The error that names both ways of going on when the code is no longer the run's."""
    shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
    return RunError(
        f"the project's code is no longer that of run {run}: {shown}",
        next=f"trikk resume {run} --with-current-code (what was mended), or --with-locked-code (as it was)",
    )


def _current_code(project: Project, state: RunState, graph: Graph) -> dict[str, Any]:
    lock = replace(
        Lock.read(state.lock),
        code=capture(project.root, project.settings.code, project.store),
        git=commit_of(project.root),
    )
    missing = [t for t in graph.tables_read() if t not in lock.tables]
    pinned = {**lock.tables, **{t: project.tables.version(t) for t in missing}}
    return {
        "code": "current",
        "graph": project.keep_json(graph.to_json()),
        "lock": {**lock.to_json(), "tables": dict(pinned)},
    }


def source_folder(project: Project, state: RunState) -> Path | None:
    """Where a run's own code is: None for the project's folder if nothing changed, else the bundle laid out."""
    if not changed_files(project, state):
        return None
    return restore(project.store, str(state.lock["code"]), project.state_dir / "code")
