"""Run a pipeline in a test: here, now, in memory."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.clock import Clock
from trikk.core.errors import UnknownName
from trikk.core.names import new_run_id
from trikk.core.values import JSON
from trikk.execution.driver import LEASE_TTL, Driver, Options
from trikk.execution.inline import InlineExecutor
from trikk.execution.launch import pin_models
from trikk.execution.limits import Capacity
from trikk.execution.loading import Loaded
from trikk.execution.worker import Workplace
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import Pipeline, parameters_for
from trikk.runs import events as e
from trikk.runs.journal import Event, Journal
from trikk.runs.lease import Holder
from trikk.runs.lock import Lock
from trikk.runs.memory import MemoryJournal
from trikk.runs.state import RunState
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.memory import MemoryStore
from trikk.storage.store import Store
from trikk.testing.clock import ManualClock
from trikk.testing.tables import MemoryTables

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
        """How it ended: succeeded or failed."""
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
        values = [self.artifacts.load(Artifact.from_json(o), want) for o in outputs]
        return values[0] if len(values) == 1 else tuple(values)

    def table(self, name: str) -> pl.DataFrame:
        """The rows of a table after the run."""
        found: pl.DataFrame = self.tables.scan(name).collect()
        return found


def run_inline(
    pipeline: Pipeline,
    *,
    tables: Mapping[str, pl.DataFrame] | Any = None,
    journal: Journal | None = None,
    store: Store | None = None,
    clock: Clock | None = None,
    seed: int = 0,
    keep_going: bool = False,
    environment: str = "main",
    state_dir: Path | None = None,
    parameters: Mapping[str, object] | None = None,
    **more: object,
) -> InlineRun:
    """Run a pipeline in this process, one step after the other, with nothing on disk; breakpoints work.

    Retries wait by the clock, which by default is one that needs no time. Time-outs are not enforced.

    Args:
        pipeline: what `@pipeline` made.
        tables: frames by table name, or a `MemoryTables` (or `Tables`) to use.
        journal: where events go; in memory if not given.
        store: where artifacts go; in memory if not given.
        clock: time; a `ManualClock` if not given.
        seed: of the run.
        keep_going: after a failure, finish what does not depend on it.
        environment: whose aliases of models it sees.
        state_dir: where steps keep files that outlive a run, such as streams; a temporary folder if not given.
        parameters: the pipeline's parameters, where a name is also one of the words above.
        **more: the pipeline's other parameters.

    Raises:
        ParameterError: if a parameter is unknown, missing or does not fit.
        UnknownName: if a table that is read does not exist.
    """
    graph = pipeline.graph
    given = parameters_for(graph, {**(parameters or {}), **more})
    clock = clock or ManualClock()
    journal = journal or MemoryJournal()
    kept: Any = tables if hasattr(tables, "view") else MemoryTables(tables)
    artifacts = Artifacts(store or MemoryStore())
    pinned = _pinned(graph, kept)
    models = pin_models(journal, graph, environment)
    run = new_run_id()
    lock = Lock(tables=pinned, models=models, run=run, moment=clock.now(), seed=seed)
    body: dict[str, JSON] = {"parameters": given, "lock": lock.to_json(), "environment": environment}
    journal.create(run, graph.pipeline, body, at=clock.now())
    lease = journal.acquire(run, Holder.current(), ttl=LEASE_TTL, now=clock.now())
    journal.append(run, e.RUN_STARTED, {"isolation": "inline"}, at=clock.now(), lease=lease)
    folder = state_dir or Path(tempfile.mkdtemp(prefix="trikk-"))
    place = Workplace(Loaded({pipeline.name: pipeline}), artifacts, kept, journal, Path.cwd(), folder, environment)
    driver = Driver(
        graph,
        RunState.fold(run, journal.events(run), graph.nodes),
        journal=journal,
        lease=lease,
        executor=InlineExecutor(place, clock),
        artifacts=artifacts,
        clock=clock,
        capacity=Capacity.of_machine(),
        options=Options(keep_going=keep_going, codes=InlineExecutor(place, clock).codes(pipeline.name)),
    )
    state = driver.drive()
    journal.release(lease)
    made = InlineRun(state, journal.events(run), artifacts, kept, journal, folder)
    if state_dir is None:
        weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
    return made


def _pinned(graph: Graph, tables: Any) -> dict[str, int | None]:
    pinned = {name: tables.version(name) for name in graph.tables_read()}
    for node in graph.nodes.values():
        for ref in node.tables():
            if pinned[ref.table] is None and not ref.writes:
                error = UnknownName("table", ref.table, tables.names())
                error.where = node.where
                raise error
    return pinned
