"""Runs that wait: written down when they are asked for, locked and driven when their turn comes.

A run that waits has its parameters and its origin, but no lock. It is locked to tables, models, code and packages
when it starts, so that a run which waited for another sees what that one has written. Whoever asks for it and
whoever drives it may be different processes; between them there is only the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from trikk.core.clock import Clock, SystemClock
from trikk.core.errors import TrikkError, UnknownName
from trikk.core.names import new_run_id
from trikk.core.values import JSON
from trikk.execution.launch import current_lock, drive, driver_of, graph_of, keep_young, pin
from trikk.execution.project import Project
from trikk.execution.run_options import How, ProjectExecutor
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Cause
from trikk.runs.journals.lease import Lease
from trikk.runs.journals.ledger import Added
from trikk.runs.lock import Lock
from trikk.runs.run_state import RunState


class RunQueue:
    """Stands where a `Session` does, for somebody who has runs written down for others to drive.

    Args:
        project: the project.
        graphs: its pipelines by name.
        clock: the time.
    """

    def __init__(self, project: Project, graphs: Mapping[str, Graph], clock: Clock | None = None) -> None:
        self.project = project
        self.graphs = graphs
        self.how = How(clock=clock or SystemClock())

    def graph(self, pipeline: str) -> Graph:
        """The graph of a pipeline; UnknownName if there is none of that name."""
        if pipeline not in self.graphs:
            raise UnknownName("pipeline", pipeline, self.graphs)
        return self.graphs[pipeline]

    def pin(self, pipeline: str) -> Lock:
        """What a run of that pipeline would be locked to now; UsageError if a table or model is missing."""
        return pin(self.project, self.graph(pipeline), current_lock(self.project))


@dataclass(frozen=True, slots=True)
class Warm:
    """What was made ready for a run before it starts.

    Attributes:
        executor: with the project's code; closed by whoever is given it.
        base: what all runs of that code are locked to.
    """

    executor: ProjectExecutor
    base: Lock


def enqueue(
    project: Project,
    graph: Graph,
    parameters: Mapping[str, object],
    origin: Mapping[str, JSON],
    cause: Cause,
    *,
    at: float,
    text: bool = False,
    as_of: float | None = None,
) -> Added:
    """Write down the run that a cause calls for, unless the cause has one; the run is queued then.

    Args:
        project: the project.
        graph: the pipeline, as it is now; the run takes it as it is when it starts.
        parameters: real values, or texts as written on a command line if `text`.
        origin: why the run exists.
        cause: the cause.
        at: wall time in seconds since 1970.
        text: whether the parameters are texts.
        as_of: seconds since 1970 that steps take for the present; `at` if not given.

    Returns:
        The cause's entry, whose body has the `run`; `repeated` if the cause had that run before.

    Raises:
        ParameterError: if a parameter is wrong; nothing was written.
        Conflict: if its subject has a later entry than the cause says.
    """
    checked = parameters_for(graph, parameters, text=text)
    moment: dict[str, JSON] = {} if as_of is None else {"moment": as_of, "as_of": True}
    body: dict[str, JSON] = {"parameters": checked, "origin": dict(origin), "lock": moment, "graph": ""}
    body["environment"] = project.settings.environment
    return project.journal.create_once(new_run_id(), graph.pipeline, body, cause, at=at)


def start_queued(
    project: Project, executor: ProjectExecutor, state: RunState, lease: Lease, how: How, base: Lock | None = None
) -> RunState:
    """Lock a run that waits, and drive it to its end.

    What it was asked for may have become wrong while it waited (the pipeline is gone or takes other parameters, a
    table is missing): then it fails with the reason, rather than wait for ever. Code that does not load is no
    fault of the run's, which goes on waiting.

    Args:
        project: the project.
        executor: with the project's code.
        state: the run's.
        lease: this process's right to drive it.
        how: how to carry it out.
        base: what all runs of this code are locked to; made now if not given.

    Returns:
        The run's state at its end.

    Raises:
        TrikkError: if the code does not load; nothing was written.
    """
    executor.graphs()
    try:
        graph = graph_of(executor, state.pipeline)
        parameters_for(graph, state.parameters)
        base = base or current_lock(project)
        executor.check(graph, base.code)
        lock = _lock(project, graph, state, base)
        stored = project.keep_json(graph.to_json())
    except TrikkError as error:
        return _failed(project, state, lease, how, error)
    body: dict[str, JSON] = {"driver": driver_of(lease), "isolation": executor.isolation}
    body |= {"lock": lock.to_json(), "graph": stored}
    event = project.journal.append(state.id, EventKind.RUN_STARTED, body, at=how.clock.now(), lease=lease)
    started = RunState.fold(state.id, project.journal.events(state.id), graph.nodes)
    if how.listener is not None:
        how.listener(event, started)
    return drive(project, executor, graph, started, lease, how, since=state.seq)


def _lock(project: Project, graph: Graph, state: RunState, base: Lock) -> Lock:
    moment, as_of = state.lock.get("moment", state.created), bool(state.lock.get("as_of"))
    lock = replace(pin(project, graph, base), run=state.id, moment=float(moment), as_of=as_of)
    keep_young(project, lock)
    return lock


def _failed(project: Project, state: RunState, lease: Lease, how: How, error: TrikkError) -> RunState:
    body: dict[str, JSON] = {"error": f"it could not be started: {error}"}
    event = project.journal.append(state.id, EventKind.RUN_FAILED, body, at=how.clock.now(), lease=lease)
    state.apply(event)
    return state
