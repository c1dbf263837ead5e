"""Run a pipeline in a test: here, now, in memory."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.clock import Clock
from trikk.core.errors import UnknownName, UsageError
from trikk.core.names import new_run_id
from trikk.core.values import JSON
from trikk.execution.code.loading import Loaded
from trikk.execution.driving.driver import Driver, Listener, Options
from trikk.execution.driving.limits import Capacity
from trikk.execution.launch import pin_models
from trikk.execution.workers.attempt import Workplace
from trikk.execution.workers.inline_executor import InlineExecutor
from trikk.models.register import infer
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.pipeline.graph import Graph
from trikk.pipeline.model_reference import split_reference
from trikk.pipeline.pipeline import Pipeline, parameters_for
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event, Journal
from trikk.runs.journals.lease import LEASE_TTL, Holder, Lease
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.lock import Lock
from trikk.runs.run_state import RunState
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore
from trikk.storage.stores.store_port import Store
from trikk.testing.manual_clock import ManualClock
from trikk.testing.memory_tables import MemoryTables

if TYPE_CHECKING:
    import polars as pl


@dataclass(slots=True, weakref_slot=True)
class InlineRun:
    """A run that is over, with everything it made.

    Attributes:
        run: its state, the fold of `events`.
        events: what happened, in order.
        artifacts: where its results are.
        tables: what its tables are now.
        journal: the journal, which holds the registry as well.
        state_dir: where steps kept files that outlive the run.
    """

    run: RunState
    events: list[Event]
    artifacts: Artifacts
    tables: Any
    journal: Journal
    state_dir: Path

    @property
    def state(self) -> str:
        """How it ended, succeeded or failed."""
        return self.run.state

    @property
    def error(self) -> str | None:
        """Why it failed, in one line."""
        return self.run.error

    def output(self, step: str, want: object = None) -> Any:
        """What a step returned (a tuple if it declares several outputs; a list if it is mapped).

        Args:
            step: the step's name.
            want: a type of frame to have it as.

        Raises:
            KeyError: if there is no such step, or it has no result.
        """
        outputs = self.run.steps[step].outputs
        if outputs is None:
            raise KeyError(f"step {step} has no result: it is {self.run.steps[step].state}")
        values = [self.artifacts.load(Artifact.read(o), want) for o in outputs]
        return values[0] if len(values) == 1 else tuple(values)

    def table(self, name: str) -> pl.DataFrame:
        """The rows of a table after the run."""
        rows: pl.DataFrame = self.tables.scan(name).collect()
        return rows


def run_inline(
    pipeline: Pipeline,
    *,
    tables: Mapping[str, pl.DataFrame] | Any = None,
    models: Mapping[str, Any] | None = None,
    journal: Journal | None = None,
    store: Store | None = None,
    clock: Clock | None = None,
    seed: int = 0,
    keep_going: bool = False,
    environment: str = "main",
    state_dir: Path | None = None,
    decisions: Mapping[str, bool] | None = None,
    parameters: Mapping[str, object] | None = None,
    **more: object,
) -> InlineRun:
    """Run a pipeline in this process, one step after the other, with nothing on disk; breakpoints work.

    Retries wait by the clock, which by default is one that needs no time. Time-outs are not enforced.

    Args:
        pipeline: what `@pipeline` made.
        tables: frames by table name, or a `MemoryTables` (or `Tables`) to use.
        models: fitted models by reference, such as {"people@champion": model}, registered before the run. A model
            that does not know its columns by name comes with rows of them, (model, inputs), as `register_model`
            takes them, and a classifier with what it takes beside: (model, inputs, {"positive": "leak"}). "people"
            is the newest version; before "people:3" versions 1 and 2 are the same model.
        journal: where events go; in memory if not given.
        store: where artifacts go; in memory if not given.
        clock: time, also when a version is registered; a `ManualClock` if not given.
        seed: of the run.
        keep_going: after a failure, finish what does not depend on it.
        environment: whose aliases of models it sees.
        state_dir: where steps keep files that outlive a run, such as streams; a temporary folder if not given.
        decisions: for approvals by name, whether they are approved; a run that asks something else ends "waiting".
        parameters: the pipeline's parameters, where a name is also one of the words above.
        **more: the pipeline's other parameters.

    Raises:
        ParameterError: if a parameter is unknown, missing or does not fit.
        UnknownName: if a table or model that is read does not exist.
        UsageError: if what is given as a model's reference is none, or that version is there already.
    """
    graph, journal, is_clock_given = pipeline.graph, journal or MemoryJournal(), clock is not None
    given, clock = parameters_for(graph, {**(parameters or {}), **more}), clock or ManualClock()
    decide = _decider(graph, journal, decisions or {}, clock)
    kept: Any = tables if hasattr(tables, "view") else MemoryTables(tables)
    artifacts = Artifacts(store or MemoryStore())
    # a table that is missing is told before models are registered: a run that never was leaves nothing behind
    pinned = _pinned(graph, kept)
    _register(models or {}, Registry(journal), artifacts, environment, clock.now())
    run, locked = new_run_id(), pin_models(journal, graph, environment)
    lock = Lock(tables=pinned, models=locked, run=run, moment=clock.now(), as_of=is_clock_given, seed=seed)
    lease = _started(journal, graph, given, lock, environment)
    folder = state_dir or Path(tempfile.mkdtemp(prefix="trikk-"))
    place = Workplace(Loaded({pipeline.name: pipeline}), artifacts, kept, journal, Path.cwd(), folder, environment)
    state = _driver(graph, place, lease, clock, decide, keep_going=keep_going).drive()
    journal.release(lease)
    finished = InlineRun(state, journal.events(run), artifacts, kept, journal, folder)
    return finished if state_dir else _with_temporary_folder(finished, folder)


def _with_temporary_folder(finished: InlineRun, folder: Path) -> InlineRun:
    """The run, whose folder goes when nobody has the run any more."""
    weakref.finalize(finished, shutil.rmtree, folder, ignore_errors=True)
    return finished


def _started(journal: Journal, graph: Graph, given: dict[str, JSON], lock: Lock, environment: str) -> Lease:
    """Write down that a run is there and goes on; its lease."""
    now = lock.moment
    body: dict[str, JSON] = {"parameters": given, "lock": lock.to_json(), "environment": environment}
    journal.create(lock.run, graph.pipeline, body, at=now)
    lease = journal.acquire(lock.run, Holder.current(), ttl=LEASE_TTL, now=now)
    journal.append(lock.run, EventKind.RUN_STARTED, {"isolation": "inline"}, at=now, lease=lease)
    return lease


def _driver(
    graph: Graph, place: Workplace, lease: Lease, clock: Clock, listener: Listener, *, keep_going: bool
) -> Driver:
    journal, executor = place.journal, InlineExecutor(place, clock)
    # fingerprints of code cost time, and only a cache asks for them
    is_cached = any(node.cache is not None for node in graph.nodes.values())
    return Driver(
        graph,
        RunState.fold(lease.run, journal.events(lease.run), graph.nodes),
        journal=journal,
        lease=lease,
        executor=executor,
        artifacts=place.artifacts,
        clock=clock,
        capacity=Capacity.of_machine(),
        options=Options(keep_going=keep_going, codes=executor.codes(graph.pipeline) if is_cached else None),
        listener=listener,
    )


def _decider(graph: Graph, journal: Journal, decisions: Mapping[str, bool], clock: Clock) -> Listener:
    """What decides as soon as something is asked; UnknownName if a step that is named asks nothing."""
    asking = [name for name, node in graph.nodes.items() if node.question is not None]
    for name in decisions:
        if name not in asking:
            raise UnknownName("approval", name, asking)

    def decide(event: Event, _: RunState) -> None:
        step = str(event.body.get("step"))
        if event.kind == EventKind.APPROVAL_ASKED and step in decisions:
            body: dict[str, JSON] = {"step": step, "approved": decisions[step], "by": "run_inline", "why": ""}
            journal.append(event.run, EventKind.APPROVAL_DECIDED, body, at=clock.now())

    return decide


def _register(
    models: Mapping[str, Any], registry: Registry, artifacts: Artifacts, environment: str, now: float
) -> None:
    """Register models under their references; those given before, with the same journal, are not added again."""
    references = {reference: split_reference(reference) for reference in models}

    def numbered_first(reference: str) -> tuple[float, bool]:
        _, alias, number = references[reference]
        return number or math.inf, alias is None

    # a model without a number becomes the newest version, so that numbered ones must be there before
    for reference in sorted(models, key=numbered_first):
        name, alias, number = references[reference]
        given = models[reference]
        parts = given if isinstance(given, tuple) and len(given) in (2, 3) else (given, None)
        model, inputs, more = (*parts, {})[:3]
        if model is None:
            raise UsageError(f"models has None for {reference}", next="leave it out where there is to be no model")
        artifact, signature = artifacts.save(model), None if inputs is None else infer(model, inputs, **more)
        about = ModelVersion(name, 0, artifact, signature, environment=environment, created=now)
        newest = len(registry.versions(name)) if name in registry.names() else 0
        for _ in range(newest + 1, number or 0):  # versions have no gaps: those before are the same model
            registry.register(about)
        registered = registry.register(about, identity=f"inline/{reference}/{artifact.digest}")
        if number is not None and registered.version != number:
            raise UsageError(f"{reference} is there already", next="give the next version, or another journal")
        if alias is not None:
            registry.move(
                name, alias, registered.version, environment, by="run_inline", why="given as models=", at=now
            )


def _pinned(graph: Graph, tables: Any) -> dict[str, int | None]:
    pinned = {name: tables.version(name) for name in graph.tables_read()}
    for node in graph.nodes.values():
        for ref in node.tables():
            if pinned[ref.table] is None and not ref.writes and not ref.optional:
                error = UnknownName("table", ref.table, tables.names())
                error.where = node.where
                raise error
    return pinned
