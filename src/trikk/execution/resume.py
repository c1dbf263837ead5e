"""Resume: the same run goes on from what is unfinished, after saying what it reuses, what it runs, and why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from msgspec.structs import replace

from trikk.core.errors import RunError, TrikkError, UnknownName
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.code.code_since import Since, code_since
from trikk.execution.code.own_code import changed_files, code_changed
from trikk.execution.launch import drive, driver_of, graph_of, leased, pin_tables
from trikk.execution.project import Project
from trikk.execution.queued_run import Warm, start_queued
from trikk.execution.replay import begin_replay, is_replay_to_begin
from trikk.execution.run_options import How, ProjectExecutor
from trikk.execution.session import open_executor
from trikk.pipeline.arguments import OutputRef, TableRef, walk
from trikk.pipeline.graph import Graph, Node
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.bundle import capture, commit_of, restore
from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Lease
from trikk.runs.lock import Lock
from trikk.runs.run_state import ResumeOptions, RunState, StepState, TaskState
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
    warm: Warm | None = None,
) -> RunState:
    """Go on with a run that failed, was cancelled, or lost its driver; start one that waits in a queue.

    Args:
        project: the project.
        run: the run's full id.
        how: how to carry it out.
        code: which runs the remaining steps, the run's own or the project's; None if both are the same.
        confirm: is given the plan before anything runs, and may raise to stop.
        current_data: lock the run to the tables as they are now; steps that have read another version run again.
        again: names of steps that run again though they have succeeded, with all that is given their results.
        keep: names of steps whose results stay though their code has changed since.
        ask: what to do with steps that have succeeded and whose code has changed since, and are in neither.
        warm: for a run that waits in a queue.

    Returns:
        The run's state at the end.

    Raises:
        RunError: if the run has succeeded or is of another environment, the project's code is another and
            `code` is None, steps to be reused have other code now and there is no `ask`, one to be kept can't
            be, or a table would have to take other rows than it has from this run.
        UnknownName: if there is no such step to run again or to keep.
        LeaseHeld: if another driver has the run.
    """
    options = ResumeOptions(code=code, current_data=current_data, again=tuple(again), keep=tuple(keep))
    # The lease comes first: what follows decides by a state that no other driver may change meanwhile.
    with leased(project.journal, run, how.clock) as lease:
        state = project.run(run)
        is_plain = not (options.again or current_data or code == "current")
        check_resumable(project, state, how.clock.now() if is_plain else None)
        if not state.is_locked or is_replay_to_begin(state):  # there is nothing to go on from
            return _begun(project, state, lease, how, warm)
        has_new_code, source = _chosen_code(project, state, code)
        with contextlib.closing(open_executor(project, how, source)) as executor:
            graph, body = _graph_and_body(project, state, executor, has_new_code=has_new_code)
            if current_data:
                body["lock"] = {**body.get("lock", state.lock), "tables": pin_tables(project, graph)}
            executor.check(graph, str(body.get("lock", state.lock)["code"]))
            case = ResumeCase(project, state, graph, body.get("lock", state.lock), options, has_new_code)
            planned = case.agreed(confirm, ask)
            body |= {"driver": driver_of(lease), "isolation": executor.isolation}
            batch = [(EventKind.RUN_RESUMED, body), *_invalidations(state, graph, planned, options.again)]
            resumed = _written(project, state, graph, batch, lease, at=how.clock.now())
            return drive(project, executor, graph, resumed, lease, how, since=state.seq)


def _chosen_code(project: Project, state: RunState, code: Code | None) -> tuple[bool, Path | None]:
    """Whether the run goes on with other code than its own, and the folder to import if not the project's."""
    changed = changed_files(project, state)
    if changed and code is None:
        raise code_changed(state.id, changed)
    if not changed or code == "current":
        return bool(changed), None
    return False, restore(project.store, state.lock["code"], project.state_dir / "code")


def _begun(project: Project, state: RunState, lease: Lease, how: How, warm: Warm | None) -> RunState:
    """The end of a run that waits in a queue, or could not be started."""
    if is_replay_to_begin(state):
        return begin_replay(project, state, lease, how)
    with contextlib.closing(warm.executor if warm else open_executor(project, how)) as executor:
        return start_queued(project, executor, state, lease, how, warm.base if warm else None)


def _graph_and_body(
    project: Project, state: RunState, executor: ProjectExecutor, *, has_new_code: bool
) -> tuple[Graph, dict[str, Any]]:
    """What the run does from now on, and what its `run.resumed` says of code, graph and lock."""
    if not has_new_code:
        executor.graphs()  # raises if the code can't be imported, before anything is written
        return project.graph(state), {"code": state.code}
    graph = graph_of(executor, state.pipeline)
    parameters_for(graph, state.parameters)  # raises if the pipeline takes other parameters now
    return graph, _current_code(project, state, graph)


def _written(
    project: Project,
    state: RunState,
    graph: Graph,
    batch: list[tuple[str, dict[str, Any]]],
    lease: Lease,
    *,
    at: float,
) -> RunState:
    """The run's state after it was written down that it is resumed, and what of it runs again."""
    # In one transaction: a run that is resumed without its invalidations would reuse what it must not.
    project.journal.append_many(state.id, batch, at=at, lease=lease)
    resumed = RunState.fold(state.id, project.journal.events(state.id), graph.nodes)
    resumed.steps = {name: resumed.steps[name] for name in graph.nodes}  # steps that other code had are gone
    return resumed


def _invalidations(
    state: RunState, graph: Graph, planned: list[Planned], again: Collection[str]
) -> Iterator[tuple[str, dict[str, JSON]]]:
    """Events for what has succeeded or was asked and is done again: whole steps, then items of mapped ones."""
    anew = {one.step: one.why for one in planned if not one.reuse and _has_succeeded(state, one.step)}
    for name in state.approvals.keys() & graph.nodes.keys():
        above = next((up for up in graph.nodes[name].upstream() if up in anew), None)
        if above is not None:
            anew.setdefault(name, f"it asked about step {above}, which runs again")
        elif name in again:
            anew.setdefault(name, "you asked for it")
    for name, why in anew.items():
        yield EventKind.STEP_INVALIDATED, {"step": name, "reason": why}
    for one in planned:
        for item in one.damaged:
            reason = "its result can't be used any more"
            yield EventKind.STEP_INVALIDATED, {"step": one.step, "item": item, "reason": reason}


def _has_succeeded(state: RunState, step: str) -> bool:
    return step in state.steps and state.steps[step].state == StepStatus.SUCCEEDED


def _check_decided(state: RunState, now: float) -> None:
    """Raise RunError if all that is left to do in a run is what people have to decide."""
    opened = state.open_approvals()
    if state.state == RunStatus.WAITING and not any(approval.has_expired(now) for approval in opened):
        asked = "; ".join(f"{approval.step} asks: {approval.question}" for approval in opened)
        raise RunError(
            f"run {state.id} waits for a decision: {asked}",
            next=f'trikk approve {state.id} --why "...", or trikk refuse {state.id} --why "..."',
        )


def check_resumable(project: Project, state: RunState, now: float | None) -> None:
    """Raise RunError if the run can't go on; with `now`, also if it only waits for people."""
    run, environment = state.id, project.settings.environment
    if state.forgotten:
        raise RunError(f"run {run} was forgotten by clean-up", next=f"start a new one: trikk run {state.pipeline}")
    if state.state == RunStatus.SUCCEEDED:
        raise RunError(
            f"run {run} has succeeded; there is nothing to resume", next=f"prove it: trikk replay {run}"
        )
    if project.is_at_engine(state):
        raise RunError(
            f"run {run} is at {state.engine}, which calls it {state.origin.get('execution')}",
            next=f"wait for its end, or stop it there: trikk cancel {run}",
        )
    if state.environment not in ("", environment):  # its effects would be done to another environment's models
        raise RunError(
            f"run {run} is of environment {state.environment}, and this is {environment}",
            next=f"TRIKK_ENVIRONMENT={state.environment} trikk resume {run}",
        )
    if now is not None:
        _check_decided(state, now)


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
    reasons = dict.fromkeys(again, "you asked for it")
    then = state.lock.get("tables", {})
    for name, node in graph.nodes.items():
        for ref in node.tables():
            was, now = then.get(ref.table), lock["tables"].get(ref.table)
            if was != now:
                reasons.setdefault(
                    name, f"it read version {was} of table {ref.table}, which is at version {now} now"
                )
    return reasons


@dataclass(frozen=True)
class ResumeCase:
    """A run that is to go on, and how.

    Attributes:
        project: the project.
        state: the run's.
        graph: what it will do.
        lock: what it will be locked to, as JSON.
        options: what was asked for.
        has_new_code: whether it goes on with other code than its own.
        verifies: whether results that are needed are verified by their digests.
    """

    project: Project
    state: RunState
    graph: Graph
    lock: Mapping[str, Any]
    options: ResumeOptions
    has_new_code: bool
    verifies: bool = True

    @cached_property
    def since(self) -> Mapping[str, Since]:
        """What has become of the code of steps that have results; empty if the run goes on with its own."""
        if not self.has_new_code:
            return {}
        return code_since(self.project, self.state.id, self.state.pipeline, str(self.lock["code"]))

    def planned(self, changed: Mapping[str, str] = MappingProxyType({})) -> list[Planned]:
        """What becomes of each step, if those that have `changed` run again, too, for these reasons."""
        anew = _anew(self.state, self.graph, self.lock, self.options.again, self.options.keep)
        return plan(self.project, self.state, self.graph, {**anew, **changed}, self.since, verifies=self.verifies)

    def agreed(self, confirm: Confirm, ask: Ask | None) -> list[Planned]:
        """The plan, with it settled whether steps whose code has changed run again; raises as `resume`."""
        planned = self.planned()
        confirm(planned)
        opened = [p for p in planned if p.is_open and p.step not in self.options.keep]
        if opened and ask is None:
            raise steps_changed(self.state.id, opened)
        if opened and ask is not None and ask(opened) == "again":
            planned = self.planned({p.step: "its code has changed since it ran" for p in opened})
            _refuse_effects(self.state, self.graph, planned, self.options.again)
            confirm(planned)
        _refuse_unkept(planned, self.options.keep)
        if self.has_new_code or self.options.current_data or self.options.again:
            _refuse_other_rows(self.state, self.graph, planned)
        return planned


def _refuse_unkept(planned: list[Planned], keep: Collection[str]) -> None:
    """Raise RunError if a step that is to be kept has to run again."""
    for one in planned:
        if one.step in keep and not one.reuse and not one.kept:
            raise RunError(
                f"the result of step {one.step} can't be kept: {one.why}", next=f"leave out --keep {one.step}"
            )


def _refuse_effects(state: RunState, graph: Graph, planned: list[Planned], again: Collection[str]) -> None:
    """Raise RunError if nobody has said that a step may do something outside again, which it has done already."""
    for one in planned:
        step = state.steps.get(one.step)
        if (
            not one.reuse
            and one.step not in again
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
    *,
    verifies: bool = True,
) -> list[Planned]:
    """For each step whether its result is reused, and why.

    Args:
        project: the project.
        state: the run so far.
        graph: what it will do.
        anew: reasons by step for running it again though it has succeeded.
        since: what has become of the code of steps that have results.
        verifies: whether results that are needed are verified by digest.
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
    # From the end to the beginning, so that a damaged result, which makes its step run again, has that step's own
    # inputs verified in turn. Results that nothing will read are not read here either.
    for name in reversed(list(graph.nodes)):
        node, step = graph.nodes[name], state.steps.get(name)
        if not planned[name].reuse:
            for up in _needs(node):
                if verifies and planned[up].reuse and (damage := _damage(project, state.steps[up])):
                    planned[up] = Planned(up, reuse=False, why=damage)
            if step is not None and step.state != StepStatus.SUCCEEDED and step.items:
                is_changed = name in old and _shape(old[name]) != _shape(node)
                all_again = is_changed or name in anew or any(not planned[up].reuse for up in _needs(node))
                planned[name] = _items(project, planned[name], step, anew=all_again, verifies=verifies)
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


def _items(project: Project, thought: Planned, step: StepState, *, anew: bool, verifies: bool) -> Planned:
    """With the items of an unfinished mapped step that run again: damaged ones, or all if their inputs are new."""
    done = [i for i, item in step.items.items() if item.state == StepStatus.SUCCEEDED]
    again = tuple(i for i in done if anew or (verifies and _damage(project, step.items[i])))
    kept = f"; {len(done) - len(again)} of its {step.count} items are reused" if done else ""
    return replace(thought, damaged=again, kept=len(done) - len(again), why=thought.why + kept)


def _shape(node: Node) -> dict[str, JSON]:
    """What makes a step's result another one, beside its code."""
    data = node.to_json()
    return {key: data.get(key) for key in ("arguments", "outputs", "mapped", "write", "question")}


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
    if node.question is not None:  # what stands before a question is what was approved, though no data flows
        yield from node.after


def _damage(project: Project, step: TaskState) -> str | None:
    for output in step.outputs or []:
        try:
            project.artifacts.verify(Artifact.read(output))
        except TrikkError as error:
            return f"its result is needed, but {error.what}"
    return None


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
