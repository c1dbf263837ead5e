"""Resume: the same run goes on from what is unfinished, after saying what it reuses, what it runs, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from msgspec.structs import replace

from trikk.core.errors import RunError, TrikkError, UnknownName
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.code.code_since import Since, code_since
from trikk.execution.launch import drive, driver_of, graph_of, leased, pin_tables
from trikk.execution.limits import Capacity, check_gpus
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import open_executor
from trikk.pipeline.arguments import OutputRef, TableRef, walk
from trikk.pipeline.graph import Graph, Node
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.bundle import bundle_digest, capture, commit_of, contents, manifest, restore
from trikk.runs.events import EventKind
from trikk.runs.lock import Lock
from trikk.runs.run_state import RunState, StepState, TaskState
from trikk.runs.states import RunStatus, StepStatus
from trikk.storage.artifact import Artifact

Code = Literal["locked", "current"]
_SINCE = {
    Since.SAME: "its code is as it was",
    Since.CHANGED: "its code has changed since",
    Since.UNKNOWN: "whether its code has changed since can't be told",
}


class Planned(Record, frozen=True):
    """What resuming will do with one step.

    Attributes:
        step: its name.
        reuse: whether its result is reused; otherwise it runs.
        why: in words.
        damaged: items of it that run again.
        kept: how many of its items are reused, if it runs.
        since: what has become of the code of what is reused; None if that was not asked.
    """

    step: str
    reuse: bool
    why: str
    damaged: tuple[int, ...] = ()
    kept: int = 0
    since: Since | None = None

    @property
    def is_open(self) -> bool:
        """Whether results of other code than the run goes on with are reused."""
        return self.since not in (None, Since.SAME) and (self.reuse or self.kept > 0)


Confirm = Callable[[list[Planned]], None]
Ask = Callable[[list[Planned]], "Answer"]
Answer = Literal["again", "keep"]


def again_without_effects(planned: list[Planned]) -> Answer:  # noqa: ARG001 - the signature of `Ask`
    """The answer where nobody can be asked: what has changed runs again; what may not is refused all the same."""
    return "again"


def resume(
    project: Project,
    run: str,
    how: How,
    *,
    code: Code | None,
    confirm: Confirm,
    current_data: bool = False,
    again: Iterable[str] = (),
    keep: Iterable[str] = (),
    ask: Ask | None = None,
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
        keep: names of steps whose results stay though their code has changed since.
        ask: what to do with steps that have succeeded and whose code has changed since, and are in neither.

    Returns:
        The run's state at the end.

    Raises:
        RunError: if the run has succeeded or is of another environment, the project's code is another and
            `code` is None, steps to be reused have other code now and there is no `ask`, one to be kept can't
            be, or a table would have to take other rows than it has from this run.
        UnknownName: if there is no such step to run again or to keep.
        LeaseHeld: if another driver has the run.
    """
    again, keep = tuple(again), tuple(keep)
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
            anew = _anew(state, graph, body.get("lock", state.lock), again, keep)
            since = code_since(project, run, state.pipeline, body["lock"]["code"]) if changed and current else {}
            planned = _agreed(project, state, graph, anew, since, keep=keep, confirm=confirm, ask=ask)
            if (changed and current) or current_data or again:
                _refuse_other_rows(state, graph, planned)
            body |= {"driver": driver_of(lease), "isolation": executor.isolation}
            batch: list[tuple[str, dict[str, JSON]]] = [(EventKind.RUN_RESUMED, body)]
            batch += [
                (EventKind.STEP_INVALIDATED, {"step": p.step, "reason": p.why})
                for p in planned
                if not p.reuse and p.step in state.steps and state.steps[p.step].state == StepStatus.SUCCEEDED
            ]
            batch += [
                (
                    EventKind.STEP_INVALIDATED,
                    {"step": p.step, "item": item, "reason": "its result can't be used any more"},
                )
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
    if state.state == RunStatus.SUCCEEDED:
        raise RunError(
            f"run {run} has succeeded; there is nothing to resume", next=f"prove it: trikk replay {run}"
        )
    if state.environment not in ("", here):  # its effects would be done to another environment's models
        raise RunError(
            f"run {run} is of environment {state.environment}, and this is {here}",
            next=f"TRIKK_ENVIRONMENT={state.environment} trikk resume {run}",
        )


def _anew(
    state: RunState, graph: Graph, lock: Mapping[str, Any], again: Iterable[str], keep: Iterable[str]
) -> dict[str, str]:
    """Steps that must run again though nothing of theirs failed, with the reason."""
    for name in (*again, *keep):
        if name not in graph.nodes:
            raise UnknownName("step", name, graph.nodes)
    if both := sorted({*again} & {*keep}):
        raise RunError(
            f"step {both[0]} can't both run again and be kept", next="name it in one of --again, --keep"
        )
    found = dict.fromkeys(again, "you asked for it")
    then = state.lock.get("tables", {})
    for name, node in graph.nodes.items():
        for ref in node.tables():
            was, now = then.get(ref.table), lock["tables"].get(ref.table)
            if was != now:
                found.setdefault(
                    name, f"it read version {was} of table {ref.table}, which is at version {now} now"
                )
    return found


def _agreed(
    project: Project,
    state: RunState,
    graph: Graph,
    anew: Mapping[str, str],
    since: Mapping[str, Since],
    *,
    keep: Collection[str],
    confirm: Confirm,
    ask: Ask | None,
) -> list[Planned]:
    """The plan, with it settled for steps whose code has changed whether they run again; raises as `resume`."""
    planned = plan(project, state, graph, anew, since)
    confirm(planned)
    opened = [p for p in planned if p.is_open and p.step not in keep]
    if opened and ask is None:
        raise steps_changed(state.id, opened)
    if opened and ask is not None and ask(opened) == "again":
        changed = {p.step: "its code has changed since it ran" for p in opened}
        planned = plan(project, state, graph, {**anew, **changed}, since)
        _refuse_effects(state, graph, planned)
        confirm(planned)
    _refuse_unkept(planned, keep)
    return planned


def _refuse_unkept(planned: list[Planned], keep: Collection[str]) -> None:
    """Raise RunError if a step that is to be kept has to run again."""
    for one in planned:
        if one.step in keep and not one.reuse and not one.kept:
            raise RunError(
                f"the result of step {one.step} can't be kept: {one.why}", next=f"leave out --keep {one.step}"
            )


def _refuse_effects(state: RunState, graph: Graph, planned: list[Planned]) -> None:
    """Raise RunError if nobody has said that a step may do something outside again, which it has done already."""
    for one in planned:
        step = state.steps.get(one.step)
        if (
            not one.reuse
            and graph.nodes[one.step].effect
            and step is not None
            and step.state == StepStatus.SUCCEEDED
        ):
            raise RunError(
                f"step {one.step} has already changed something outside and would do it again: {one.why}",
                next=f"trikk resume {state.id} --with-current-code --again {one.step}, or --keep {one.step}",
            )


def _refuse_other_rows(state: RunState, graph: Graph, planned: list[Planned]) -> None:
    """Raise RunError if other code would give a table other rows than those that the run has committed already."""
    gone = {
        str(step.write["table"]): name
        for name, step in state.steps.items()
        if name not in graph.nodes and step.write and "version" in step.write
    }
    for one in planned:
        write = graph.nodes[one.step].write
        if write is not None and write.table in gone and one.step not in state.steps:
            raise RunError(
                f"step {gone[write.table]} has written to table {write.table} and is gone from the pipeline; "
                f"step {one.step} would write to it again",
                next=f"give {one.step} the old name, or start a new run: trikk run {state.pipeline}",
            )
        step = state.steps.get(one.step)
        if not one.reuse and step is not None and step.write and "version" in step.write:
            raise RunError(
                f"step {one.step} has written its rows, and would have to write others: {one.why}",
                next=f"start a new run: trikk run {state.pipeline}; or go on with --with-locked-code",
            )


def plan(
    project: Project,
    state: RunState,
    graph: Graph,
    anew: Mapping[str, str] = MappingProxyType({}),
    since: Mapping[str, Since] = MappingProxyType({}),
) -> list[Planned]:
    """For each step whether its result is reused, and why; results that are needed are verified by digest.

    Args:
        project: the project.
        state: the run so far.
        graph: what it will do.
        anew: reasons by step for running it again though it has succeeded.
        since: what has become of the code of steps that have results.
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
            if step is not None and step.state != StepStatus.SUCCEEDED and step.items:
                other = name in old and _shape(old[name]) != _shape(node)
                all_again = other or name in anew or any(not planned[up].reuse for up in _needs(node))
                planned[name] = _items(project, planned[name], step, anew=all_again)
    return [
        _with_code(planned[name], None if node.write else since.get(name)) for name, node in graph.nodes.items()
    ]


def _with_code(planned: Planned, since: Since | None) -> Planned:
    if since is None or not (planned.reuse or planned.kept):
        return planned
    return replace(planned, since=since, why=f"{planned.why}; {_SINCE[since]}")


def _first_thought(name: str, node: Node, step: StepState | None, old: Node | None) -> Planned:
    if step is None:
        return Planned(name, reuse=False, why="it is new in the pipeline")
    if step.state == StepStatus.SUCCEEDED:
        if old is not None and _shape(old) != _shape(node):
            return Planned(name, reuse=False, why="the pipeline gives it other arguments now")
        return Planned(name, reuse=True, why="it has succeeded")
    whys = {
        StepStatus.FAILED: "it failed",
        StepStatus.RUNNING: "it was in flight when the driver ended",
        StepStatus.RETRYING: "it was about to be tried again",
        StepStatus.CANCELLED: "it was cancelled",
        StepStatus.SKIPPED: "it was skipped; its condition is looked at again",
    }
    return Planned(name, reuse=False, why=whys.get(step.state, "it had not begun"))


def _items(project: Project, thought: Planned, step: StepState, *, anew: bool) -> Planned:
    """With the items of an unfinished mapped step that run again: damaged ones, or all if their inputs are new."""
    done = [i for i, item in step.items.items() if item.state == StepStatus.SUCCEEDED]
    again = tuple(i for i in done if anew or _damage(project, step.items[i]))
    kept = f"; {len(done) - len(again)} of its {step.count} items are reused" if done else ""
    return replace(thought, damaged=again, kept=len(done) - len(again), why=thought.why + kept)


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
            project.artifacts.verify(Artifact.read(output))
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
        f"the project's code has changed since run {run}: {shown}",
        next=f"choose which code runs the remaining steps: trikk resume {run} --with-current-code, "
        "or --with-locked-code (the run's own)",
    )


def steps_changed(run: str, opened: list[Planned]) -> RunError:
    """The error that names both ways of going on where steps to be reused have other code now."""
    names = [p.step for p in opened]
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    have, their = ("has", "its code") if len(names) == 1 else ("have", "their code")
    known = all(p.since is Since.CHANGED for p in opened)
    said = f"and {their} has changed since" if known else f"and whether {their} has changed since can't be told"
    again, keep = (" ".join(f"--{word} {name}" for name in names) for word in ("again", "keep"))
    return RunError(
        f"{shown} {have} succeeded in run {run}, {said}",
        next=f"trikk resume {run} --with-current-code {again} (run it with the present code), "
        f"or {keep} (keep the result), step by step",
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
