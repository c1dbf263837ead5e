"""Replay: a new run from an old one's lock, and a proof, artifact by artifact, of whether it is the same.

A replay touches no table: it reads the versions that the old run was locked to, and its own writes are laid over
them. Steps that read from outside (`source=True`, such as `sql`) are not asked again; their results are taken as
they were; nor are effects (`effect=True`, such as `publish`) done again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from msgspec import field

from trikk.core.errors import RunError, StorageError, TrikkError
from trikk.core.names import new_run_id
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.code.own_code import source_folder
from trikk.execution.driving.limits import Capacity, check_gpus
from trikk.execution.launch import create, drive, driver_of, leased
from trikk.execution.project import Project
from trikk.execution.run_options import How, ProjectExecutor
from trikk.execution.session import open_executor
from trikk.pipeline.graph import Graph, Node
from trikk.runs.approval_state import ApprovalState
from trikk.runs.bundle import touch
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Cause
from trikk.runs.journals.lease import Lease
from trikk.runs.journals.ledger import Added
from trikk.runs.lock import Lock, differences, installed_packages, platform_name, python_version
from trikk.runs.run_state import RunState, output_name
from trikk.runs.states import OVER
from trikk.storage.artifact import Artifact

_PACKAGES_NAMED = 8


class ArtifactComparison(Record, frozen=True):
    """How one thing that a step made compares with what it was in the old run.

    Attributes:
        name: as `trikk artifacts` has it: the step, or the step and the output's position.
        verdict: identical, reordered, close or different.
        detail: in words.
        was: digest of the old one.
        now: digest of the new one.
    """

    name: str
    verdict: str
    detail: str
    was: str
    now: str


class StepComparison(Record, frozen=True):
    """How a step's results compare with the old run's.

    Attributes:
        name: the step.
        identical: whether every output is.
        verdict: identical, reordered, close, different, missing (one run has no result) or taken (not run again).
        detail: in words: the largest difference, the first differing rows ...
        facts: the same for programs.
        artifacts: each of its outputs; empty if one of the runs has none, or they were taken.
    """

    name: str
    identical: bool
    verdict: str
    detail: str
    facts: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[ArtifactComparison] = field(default_factory=list)


class Replayed(Record, frozen=True):
    """A replay and what it proved."""

    run: RunState
    was: RunState
    warnings: list[str]
    steps: list[StepComparison]

    @property
    def identical(self) -> bool:
        """Whether it ended as the old run did and every step's results are the same."""
        return self.run.state == self.was.state and all(s.identical for s in self.steps)

    def to_json(self) -> dict[str, JSON]:
        """The outcome as `trikk replay --json` prints it."""
        return {
            "run": self.run.id,
            "of": self.was.id,
            "identical": self.identical,
            "state": self.run.state,
            "error": self.run.error,
            "warnings": list(self.warnings),
            "steps": [s.to_json() for s in self.steps],
        }


class Obstacles(Record, frozen=True):
    """What stands in the way of a replay: `blocking` makes it impossible, `differing` may change results."""

    blocking: list[str]
    differing: list[str]


def obstacles(project: Project, state: RunState, graph: Graph) -> Obstacles:
    """Look for everything that can't be as it was in the old run, before anything runs."""
    blocking: list[str] = []
    lock = Lock.read(state.lock)
    try:
        whole = touch(project.store, lock.code)
    except StorageError:
        whole = False
    if not whole:
        blocking.append(f"the run's code {lock.code[:12]} is not in the store any more")
    for name, version in lock.tables.items():
        if version is not None:
            try:
                project.tables.scan(name, version)
            except TrikkError as error:
                blocking.append(f"version {version} of table {name} can't be read any more: {error.what}")
    for reference, model in lock.models.items():
        if model is not None:
            blocking += _lost(project, f"model {reference}", [model["artifact"]])
    for name, node in graph.nodes.items():
        if node.source:
            blocking += _lost_sources(project, state, name)
    return Obstacles(blocking, _other_environment(project, lock, state))


def _lost_sources(project: Project, state: RunState, name: str) -> list[str]:
    outputs = state.steps[name].outputs
    if state.steps[name].allowed:
        return []
    if outputs is None:
        return [f"source step {name} has no result in run {state.id}"]
    return _lost(project, f"what source step {name} read", outputs)


def _lost(project: Project, described: str, artifacts: Iterable[Any]) -> list[str]:
    try:
        for artifact in artifacts:
            project.artifacts.reuse(Artifact.read(artifact))
    except TrikkError as error:
        return [f"{described} is lost: {error.what}"]
    return []


def _other_environment(project: Project, lock: Lock, state: RunState) -> list[str]:
    differing = []
    if lock.python != python_version():
        differing.append(f"Python was {lock.python} and is {python_version()}")
    if lock.platform != platform_name():
        differing.append(f"the platform was {lock.platform} and is {platform_name()}")
    try:
        changed = differences(project.read_json(lock.packages), installed_packages())
    except TrikkError:
        changed = ["the list of packages is not in the store any more"]
    if changed:
        more = f" and {len(changed) - _PACKAGES_NAMED} more" if len(changed) > _PACKAGES_NAMED else ""
        differing.append("packages differ: " + ", ".join(changed[:_PACKAGES_NAMED]) + more)
    if state.code == "current":
        differing.append(
            "the run was resumed with other code than it began with; its last code is used for all steps"
        )
    return differing


def replay(project: Project, old: str, how: How, announce: Any) -> Replayed:
    """Run an old run again from its lock and compare.

    Args:
        project: the project.
        old: the old run's full id.
        how: how to carry it out.
        announce: called with each warning before anything runs.

    Raises:
        RunError: if it is not over, or something that it needs is gone; all of it is named.
    """
    was, graph, differing = _replayable(project, old)
    for warning in differing:
        announce(warning)
    with contextlib.closing(open_executor(project, how, source_folder(project, was))) as executor:
        _ = executor.graphs()
        run = create(project, graph, how, was.parameters, was.lock, was.graph, _origin(was)).id
        _refuse_forgotten(project, old, run, how.clock.now())
        with leased(project.journal, run, how.clock) as lease:
            repeated = _driven(project, executor, was, graph, project.run(run), lease, how)
    return Replayed(repeated, was, differing, compare_runs(project, graph, was, repeated))


def queue_replay(project: Project, old: str, cause: Cause, *, at: float) -> Added:
    """Write a replay of a run down, unless what calls for it has one; it is queued then.

    Args:
        project: the project.
        old: the old run's full id.
        cause: what calls for it.
        at: wall time in seconds since 1970.

    Raises:
        RunError: as `replay`; nothing was written.
    """
    was, graph, _ = _replayable(project, old)
    body: dict[str, JSON] = {"parameters": was.parameters, "origin": _origin(was), "lock": was.lock}
    body |= {"graph": was.graph, "environment": project.settings.environment}
    added = project.journal.create_once(new_run_id(), graph.pipeline, body, cause, at=at)
    if not added.repeated:
        _refuse_forgotten(project, old, str(added.entry.body["run"]), at)
    return added


def is_replay_to_begin(state: RunState) -> bool:
    """Whether a run is a replay that nobody has begun; what was begun is resumed as any other run."""
    return state.origin.get("kind") == "replay" and state.started is None


def begin_replay(project: Project, state: RunState, lease: Lease, how: How) -> RunState:
    """Drive a replay that waits in the queue to its end.

    Args:
        project: the project.
        state: the replay's, read while it was leased.
        lease: this process's right to drive it.
        how: how to carry it out.

    Raises:
        RunError: as `replay`; nothing was written.
    """
    was, graph, _ = _replayable(project, str(state.origin["of"]))
    with contextlib.closing(open_executor(project, how, source_folder(project, was))) as executor:
        _ = executor.graphs()
        return _driven(project, executor, was, graph, state, lease, how)


def comparison_of(project: Project, run: str) -> Replayed:
    """What a replay that is over has proved; RunError if the run is none, or is not over."""
    state = project.run(run)
    if state.origin.get("kind") != "replay" or state.state not in OVER:
        why = "is not over" if state.origin.get("kind") == "replay" else "is no replay"
        raise RunError(f"run {run} {why}: there is nothing to compare", next=f"look: trikk show {run}")
    was = project.run(str(state.origin["of"]))
    graph = project.graph(was)
    differing = obstacles(project, was, graph).differing
    return Replayed(state, was, differing, compare_runs(project, graph, was, state))


def _replayable(project: Project, old: str) -> tuple[RunState, Graph, list[str]]:
    """A run, its graph, and what may make results differ; RunError if it can't be replayed."""
    was = project.run(old)
    if was.state not in OVER:
        raise RunError(f"run {old} is not over", next=f"wait for it, or resume it: trikk resume {old}")
    if was.forgotten:
        raise RunError(f"run {old} was forgotten by clean-up", next="choose another: trikk runs")
    graph = project.graph(was)
    in_the_way = obstacles(project, was, graph)
    if in_the_way.blocking:
        raise RunError(
            f"run {old} can't be replayed: " + "; ".join(in_the_way.blocking), next="choose another: trikk runs"
        )
    check_gpus(graph, Capacity.of_machine())
    for digest in (was.graph, str(was.lock["packages"])):
        project.store.touch(digest)
    return was, graph, in_the_way.differing


def _origin(was: RunState) -> dict[str, JSON]:
    return {"kind": "replay", "of": was.id}


def _driven(
    project: Project,
    executor: ProjectExecutor,
    was: RunState,
    graph: Graph,
    new: RunState,
    lease: Lease,
    how: How,
) -> RunState:
    """Drive a replay from its beginning, with what is taken from the old run."""
    batch: list[tuple[str, dict[str, JSON]]] = [
        (EventKind.RUN_STARTED, {"driver": driver_of(lease), "isolation": executor.isolation})
    ]
    batch += [_taken(was, node) for node in graph.nodes.values() if _is_taken(was, node)]
    batch += [event for approval in was.approvals.values() for event in _as_decided(approval)]
    project.journal.append_many(new.id, batch, at=how.clock.now(), lease=lease)
    state = RunState.fold(new.id, project.journal.events(new.id), graph.nodes)
    return drive(project, executor, graph, state, lease, how, since=new.seq)


def _refuse_forgotten(project: Project, old: str, run: str, now: float) -> None:
    """Raise RunError if clean-up has forgotten the old run before the new one, which names the same, was there.

    Clean-up forgets first and then looks what is needed: had it forgotten the old run later, it would have seen
    the new one. Nothing else keeps an old version of a table, which can't be touched.
    """
    if project.journal.row(old).forgotten:
        project.journal.append(
            run, EventKind.RUN_CANCELLED, {"error": "clean-up forgot the run that it repeats"}, at=now
        )
        raise RunError(f"run {old} was forgotten by clean-up", next="choose another: trikk runs")


def _is_taken(was: RunState, node: Node) -> bool:
    """Whether a step's result is taken as it was: sources always, effects if they were done or were to be."""
    step = was.steps[node.name]
    return node.source or (node.effect and (step.outputs is not None or step.allowed))


def _as_decided(approval: ApprovalState) -> list[tuple[str, dict[str, JSON]]]:
    """The question and the decision of the old run, of which the new one makes the same result."""
    if approval.is_open:
        return []  # nobody is asked, and the step fails
    step = approval.step
    question: dict[str, JSON] = {"step": step, "question": approval.question, "shown": approval.shown}
    decision: dict[str, JSON] = {"approved": approval.approved, "by": approval.by, "why": approval.why}
    return [(EventKind.APPROVAL_ASKED, question), (EventKind.APPROVAL_DECIDED, {"step": step, **decision})]


def _taken(was: RunState, node: Node) -> tuple[str, dict[str, JSON]]:
    step = was.steps[node.name]
    if step.allowed:
        return EventKind.STEP_FAILED, {"step": node.name, "attempt": 0, "error": step.error, "allowed": True}
    outputs: Any = step.outputs
    kind = "a source" if node.source else "an effect"
    reason = f"{kind}: its result is taken from run {was.id}"
    return EventKind.STEP_CACHED, {"step": node.name, "outputs": outputs, "run": was.id, "reason": reason}


def compare_runs(project: Project, graph: Graph, old: RunState, new: RunState) -> list[StepComparison]:
    """Compare two runs of one graph, step by step."""
    return [_compare_step(project, node, old, new) for node in graph.nodes.values()]


def _compare_step(project: Project, node: Node, old: RunState, new: RunState) -> StepComparison:
    name = node.name
    was, now = old.steps[name], new.steps[name]
    if _is_taken(old, node):
        return StepComparison(
            name, True, "taken", "a source: not asked again" if node.source else "an effect: not done again"
        )
    if was.outputs is None or now.outputs is None:
        same = was.state == now.state
        return StepComparison(name, same, "identical" if same else "missing", f"was {was.state}, is {now.state}")
    from trikk.storage.artifact_compare import compare

    pairs = [(Artifact.read(a), Artifact.read(b)) for a, b in zip(was.outputs, now.outputs, strict=True)]
    comparisons = [compare(project.artifacts, a, b) for a, b in pairs]
    worst = max(comparisons, key=lambda d: ("identical", "reordered", "close", "different").index(d.verdict))
    return StepComparison(
        name,
        all(d.verdict == "identical" for d in comparisons),
        worst.verdict,
        worst.detail,
        [d.to_json() for d in comparisons],
        [
            ArtifactComparison(output_name(name, place, len(pairs)), d.verdict, d.detail, a.digest, b.digest)
            for place, (d, (a, b)) in enumerate(zip(comparisons, pairs, strict=True))
        ],
    )
