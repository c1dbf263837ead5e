"""From a pipeline's name and parameters to a run: lock it, write it down, drive it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from trikk.core.clock import Clock
from trikk.core.errors import Conflict, StorageError, TableError, UnknownName
from trikk.core.names import new_run_id
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.run_options import How, ProjectExecutor
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import parameters_for
from trikk.runs.bundle import capture, commit_of, touch
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Cause, Journal
from trikk.runs.journals.lease import LEASE_TTL, Holder, Lease
from trikk.runs.journals.ledger import Ledger
from trikk.runs.lock import Lock, installed_packages, new_seed, platform_name, python_version
from trikk.runs.run_state import RunState
from trikk.telemetry.tracing_switch import tracing

if TYPE_CHECKING:
    from trikk.execution.driving.driver import Driver
    from trikk.execution.driving.limits import Capacity
    from trikk.execution.driving.machine_share import MachineShare

BY_SIGNAL = ("Ctrl-C", "a signal to end")
"""What a run is cancelled by that a signal has ended, SIGINT or SIGTERM."""


def start(
    project: Project,
    executor: ProjectExecutor,
    base: Lock,
    pipeline: str,
    parameters: Mapping[str, object],
    how: How,
    *,
    text: bool = False,
    origin: Mapping[str, JSON] | None = None,
    pinned: bool = False,
    cause: Cause | None = None,
) -> RunState:
    """Lock a run, write it down and drive it to its end; arguments, result and errors as of `Session.run`.

    With `pinned`, `base` has the run's tables, models and seed already.
    """
    clock = how.clock
    graph = graph_of(executor, pipeline)
    checked = parameters_for(graph, parameters, text=text)
    executor.check(graph, base.code)
    lock = base if pinned else pin(project, graph, base)
    keep_young(project, lock)  # before the run is there: clean-up spares what is young, then what runs name
    why = dict(origin or {"kind": "manual"})
    stored = project.keep_json(graph.to_json())
    state = create(project, graph, how, checked, lock.to_json(), stored, why, cause)
    with leased(project.journal, state.id, clock) as lease:
        started: dict[str, JSON] = {"driver": driver_of(lease), "isolation": executor.isolation}
        state.apply(project.journal.append(state.id, EventKind.RUN_STARTED, started, at=clock.now(), lease=lease))
        return drive(project, executor, graph, state, lease, how)


def keep_young(project: Project, lock: Lock) -> None:
    """Touch what the run is about to name: a session may have captured it hours ago.

    Raises:
        StorageError: if it is not in the store any more.
    """
    if not (touch(project.store, lock.code) and project.store.touch(lock.packages)):
        raise StorageError(
            "the code that this session is locked to was removed from the store", next="start the command again"
        )


def create(
    project: Project,
    graph: Graph,
    how: How,
    parameters: dict[str, JSON],
    lock: dict[str, JSON],
    stored: str,
    origin: dict[str, JSON],
    cause: Cause | None = None,
) -> RunState:
    """Write a new run down; it is queued then.

    Args:
        project: the project.
        graph: what it will do.
        how: who is told, and the time.
        parameters: as their kinds' JSON.
        lock: a `Lock` as JSON; one of an earlier run makes this run a repetition of that.
        stored: digest of the graph's JSON in the store.
        origin: why the run exists.
        cause: what calls for it, once; none if not given.

    Raises:
        Conflict: if the cause has a run already, or its subject a later entry than it says.
    """
    run, now = new_run_id(), how.clock.now()
    if not lock.get("run"):
        lock = {**lock, "run": run, "moment": lock["moment"] if lock.get("as_of") else now}
    body: dict[str, JSON] = {"parameters": parameters, "origin": origin, "lock": lock, "graph": stored}
    body["environment"] = project.settings.environment
    if cause is None:
        created = project.journal.create(run, graph.pipeline, body, at=now)
    else:
        if project.journal.create_once(run, graph.pipeline, body, cause, at=now).repeated:
            raise Conflict(f"{cause.identity} of {cause.subject} has its run already", next="look at it again")
        (created,) = project.journal.events(run)
    state = RunState.fold(created.run, [created], graph.nodes)
    if how.listener is not None:
        how.listener(created, state)
    return state


def drive(
    project: Project,
    executor: ProjectExecutor,
    graph: Graph,
    state: RunState,
    lease: Lease,
    how: How,
    *,
    since: int | None = None,
) -> RunState:
    """Drive a run that has been started or resumed; Ctrl-C and SIGTERM cancel it, unless `how.hands_over`.

    What others have written after the event `since`, such as that it is to be cancelled, is news to the driver: it
    was decided to drive the run by what was read up to there, and the code has been imported meanwhile.
    """
    from trikk.execution.driving.driver import Driver, Options  # a server queues runs, and drives none

    whole = executor.capacity(how.max_parallel)
    dry = state.origin.get("kind") == "replay"
    cached = not dry and any(node.cache is not None for node in graph.nodes.values())
    options = Options(
        keep_going=how.keep_going,
        dry=dry,
        log_limit=project.settings.log_limit,
        logs=None if how.inline else project.logs_of(state.id),
        state_dir=project.settings.state,
        codes=executor.codes(graph.pipeline) if cached else None,
        share=_share_of(project, whole, how) if how.hands_over else None,
        is_watched=how.hands_over,
    )
    logs, history = partial(project.logs_of, state.id), partial(project.journal.events, state.id)
    with tracing(project.settings, state.id, logs, history, how.listener) as listener:
        driver = Driver(
            graph,
            state,
            journal=project.journal,
            lease=lease,
            executor=executor,
            artifacts=project.artifacts,
            clock=how.clock,
            capacity=whole,
            options=options,
            listener=listener,
            since=since,
        )
        with _signals(driver, inline=how.inline, hands_over=how.hands_over):
            return driver.drive()


def _share_of(project: Project, whole: Capacity, how: How) -> MachineShare | None:
    """What this machine's drivers of the project share; None where that can't be had."""
    from trikk.execution.driving.machine_share import MachineShare

    file = project.state_dir / "server" / f"share-{Holder.current().host.replace('/', '-')}"
    try:
        return MachineShare(file, whole, how.clock)
    except OSError:
        return None  # no room, or a folder that can't be written: rather side by side than not at all


def current_lock(project: Project) -> Lock:
    """The lock of a run that is started now, but for its tables and its seed."""
    packages: dict[str, JSON] = dict(installed_packages())
    return Lock(
        code=capture(project.root, project.settings.code, project.store),
        packages=project.keep_json(packages),
        python=python_version(),
        platform=platform_name(),
        git=commit_of(project.root),
    )


def graph_of(executor: ProjectExecutor, pipeline: str) -> Graph:
    """The graph of a pipeline; UnknownName if there is none of that name."""
    graphs = executor.graphs()
    if pipeline not in graphs:
        raise UnknownName("pipeline", pipeline, graphs)
    return graphs[pipeline]


def pin(project: Project, graph: Graph, base: Lock) -> Lock:
    """A lock with the tables and models as they are now, and a new seed; raises as `pin_tables`, `pin_models`."""
    models = pin_models(project.journal, graph, project.settings.environment)
    return replace(base, tables=pin_tables(project, graph), models=models, seed=new_seed())


def pin_tables(project: Project, graph: Graph) -> dict[str, int | None]:
    """The version now of each table that the pipeline reads.

    Raises:
        TableError: if one does not exist and the run does not write it before it reads it.
    """
    pinned = {name: project.tables.version(name) for name in graph.tables_read()}
    for node in graph.nodes.values():
        for ref in node.tables():
            if pinned[ref.table] is None and not ref.writes and not ref.optional:
                raise TableError(
                    f"step {node.name} reads table {ref.table}, which does not exist yet",
                    where=node.where,
                    next=f"load it: trikk ingest {ref.table} FILE, or run the pipeline that writes it",
                )
    return pinned


def pin_models(ledger: Ledger, graph: Graph, environment: str) -> dict[str, dict[str, JSON] | None]:
    """The version now of each registered model that the pipeline reads, as JSON.

    Raises:
        UnknownName: if one that is not optional does not exist, or its alias is held by no version.
    """
    pinned: dict[str, dict[str, JSON] | None] = {}
    for node in graph.nodes.values():
        for ref in node.models():
            from trikk.models.registry import Registry

            try:
                pinned[ref.model] = Registry(ledger).resolve(ref.model, environment).to_json()
            except UnknownName as error:
                if not ref.optional:
                    error.where = node.where or None
                    raise
                pinned.setdefault(ref.model, None)
    return pinned


@contextlib.contextmanager
def leased(journal: Journal, run: str, clock: Clock) -> Iterator[Lease]:
    """Hold a run's lease; given back at the end, so that it can be resumed at once.

    Raises:
        LeaseHeld: if another driver has the run.
    """
    lease = journal.acquire(run, Holder.current(), ttl=LEASE_TTL, now=clock.now())
    try:
        yield lease
    finally:
        journal.release(lease)  # does nothing if it was lost, so that the run is not taken from who has it now


def driver_of(lease: Lease) -> dict[str, JSON]:
    """Who drives, for people and for `doctor`."""
    return {"host": lease.holder.host, "pid": lease.holder.pid, "epoch": lease.epoch}


@contextlib.contextmanager
def _signals(driver: Driver, *, inline: bool, hands_over: bool) -> Iterator[None]:
    if inline:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        driver.interrupt(BY_SIGNAL[number == signal.SIGTERM], hand_over=hands_over)

    try:
        before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever started it there stops it
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
