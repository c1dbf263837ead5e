"""An execution on an engine, written into the project's journal as a run: once, however often it is looked at.

Each event that is taken over says which event of which job it is, and all is written under the run's lease.
Whoever mirrors may die at any moment; the next look writes what is missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from trikk.core.clock import Clock
from trikk.core.errors import LeaseHeld, RunExists, StorageError, UnknownName
from trikk.core.values import JSON
from trikk.execution.launch import driver_of, leased
from trikk.execution.project import Project
from trikk.pipeline.graph import Graph
from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Lease
from trikk.runs.run_state import RunState
from trikk.runs.states import OVER
from trikk.targets.jobs.exchange import Exchange
from trikk.targets.jobs.execution_plan import ExecutionPlan, executions, read_plan
from trikk.targets.jobs.job_report import JobReport, report_names, reports
from trikk.targets.mirroring.engine_status import Engine, EngineStatus, ExecutionState
from trikk.targets.mirroring.mirrored_events import NewEvent, last_events, new_events


def mirror(
    project: Project, exchange: Exchange, execution: str, engine: Engine | None, clock: Clock
) -> RunState | None:
    """Take in what is new of an execution.

    Args:
        project: the project.
        exchange: where its jobs report.
        execution: what the engine calls it.
        engine: who is asked how it stands, and told if the run is cancelled; None to go by the reports alone.
        clock: the time.

    Returns:
        The run's state; None if no job of the execution has begun.

    Raises:
        StorageError: if the exchange can't be reached.
        ServerError: if the engine can't be asked.
        JournalError: if the journal can't be written.
    """
    plan = read_plan(exchange, execution)
    if plan is None:
        return None
    if not _is_known(project, plan):
        with contextlib.suppress(RunExists):  # somebody else mirrors it at the same time
            project.journal.create(plan.run, plan.pipeline, plan.created_body(), at=plan.created)
    # Another may be at it: a mirror, or a driver that has resumed it here.
    with contextlib.suppress(LeaseHeld), leased(project.journal, plan.run, clock) as lease:
        _take_in(project, exchange, plan, engine, lease, clock)
    return project.run(plan.run)


def open_executions(project: Project, exchange: Exchange) -> Iterator[str]:
    """The executions in an exchange of which not all is in the journal; StorageError if it can't be reached."""
    for execution in executions(exchange):
        plan = read_plan(exchange, execution)
        if plan is not None and not (_is_known(project, plan) and project.journal.row(plan.run).state in OVER):
            yield execution


def _take_in(
    project: Project, exchange: Exchange, plan: ExecutionPlan, engine: Engine | None, lease: Lease, clock: Clock
) -> None:
    events = project.journal.events(plan.run)
    state = RunState.fold(plan.run, events)
    if state.forgotten or not state.engine:
        return
    graph = Graph.read(project.read_json(plan.graph))
    if state.started is None:
        body: dict[str, JSON] = {"driver": driver_of(lease), "isolation": plan.engine}
        _append(project, lease, state, NewEvent(EventKind.RUN_STARTED, plan.created, body))
    status = engine.status(plan.execution, {name: name for name in graph.nodes}) if engine is not None else None
    # After the engine was asked: a job that has ended by then has put its last report before.
    done = reports(exchange, plan.execution, report_names(exchange, plan.execution))
    news = new_events(done, events)
    if state.state in OVER and (news or (status is not None and status.state == ExecutionState.RUNNING)):
        resumed: dict[str, JSON] = {"driver": driver_of(lease), "isolation": plan.engine, "code": "locked"}
        _append(
            project, lease, state, NewEvent(EventKind.RUN_RESUMED, clock.now(), {**resumed, "engine": plan.engine})
        )
    for event in news:
        _append(project, lease, state, event)
    _bring_logs(project, exchange, plan)
    status = status or _by_reports(graph, done)
    if state.cancel_requested and status.state == ExecutionState.RUNNING and engine is not None:
        engine.stop(plan.execution)
    if status.state != ExecutionState.RUNNING and state.state not in OVER:
        for event in last_events(state, status, graph.nodes, now=clock.now()):
            _append(project, lease, state, event)


def _append(project: Project, lease: Lease, state: RunState, event: NewEvent) -> None:
    state.apply(project.journal.append(state.id, event.kind, event.body, at=event.at, lease=lease))


def _by_reports(graph: Graph, done: list[JobReport]) -> EngineStatus:
    """How an execution stands by its jobs alone: it is over when each step is; a failed job may be run again."""
    last = {report.step: report for report in done}
    is_over = all(name in last and last[name].has_settled for name in graph.nodes)
    return EngineStatus(ExecutionState.SUCCEEDED if is_over else ExecutionState.RUNNING)


def _is_known(project: Project, plan: ExecutionPlan) -> bool:
    try:
        project.journal.row(plan.run)
    except UnknownName:
        return False
    return True


def _bring_logs(project: Project, exchange: Exchange, plan: ExecutionPlan) -> None:
    """Copy the logs of attempts that are over; that one is missing is no reason for the rest to wait."""
    folder = project.logs_of(plan.run)
    for name in exchange.names(f"{plan.execution}/logs/"):
        log = folder / name.rpartition("/")[2]
        if not log.exists():
            try:
                log.write_bytes(exchange.get(name) or b"")
            except (OSError, StorageError):
                continue
