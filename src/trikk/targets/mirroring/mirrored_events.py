"""Which events a run's journal still lacks, of what its jobs and its engine say; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.step_messages import failure
from trikk.pipeline.graph import Node
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Event
from trikk.runs.run_state import RunState
from trikk.runs.states import DONE, StepStatus
from trikk.targets.jobs.job_report import JobReport
from trikk.targets.mirroring.engine_status import EngineStatus, ExecutionState

_FROM = "job"
"""In the body of a mirrored event: which event of which try of which job it is."""


class NewEvent(Record, frozen=True):
    """An event that is to be appended."""

    kind: str
    at: float
    body: dict[str, Any]


def new_events(reports: Iterable[JobReport], events: Iterable[Event]) -> list[NewEvent]:
    """What jobs have reported and the journal does not have, in the order of time.

    Args:
        reports: of all tries, in their order.
        events: the run's, as the journal has them.
    """
    mirrored = {event.body.get(_FROM) for event in events}
    new = []
    for report in reports:
        for place, event in enumerate(report.events, start=1):
            name = f"{report.step}/{report.number}/{place}"
            if name not in mirrored:
                new.append(NewEvent(event.kind, event.at, {**event.body, _FROM: name}))
    return sorted(new, key=lambda event: event.at)  # a stable order: a job's own events stay as they were


def last_events(state: RunState, status: EngineStatus, nodes: Mapping[str, Node], *, now: float) -> list[NewEvent]:
    """What ends a run whose execution is over, and says of each step that no job reported the end of why.

    Args:
        state: the run's, all reports taken in.
        status: of the execution, which is over.
        nodes: of the graph, in order.
        now: seconds since 1970, where the engine does not say when it ended.
    """
    at = status.ended or now
    events: list[NewEvent] = []
    lost = ""
    for name, node in nodes.items():
        step = state.steps.get(name)
        if step is not None and (step.state in DONE or step.state == StepStatus.FAILED):
            lost = lost or (
                f"step {name}: {_said(step.error)}" if step.state == StepStatus.FAILED and not step.allowed else ""
            )
            continue
        job = status.jobs.get(name)
        if job is not None and job.state in (ExecutionState.FAILED, ExecutionState.STOPPED):
            # It ended before it could say anything: no memory, no image, no room, stopped.
            error = failure("lost", job.reason or "the job ended without a word", retryable=False).error
            attempt = step.attempts if step is not None else 0
            body: dict[str, Any] = {"step": name, "attempt": attempt, "error": error, "retry_in": None}
            body |= {"allowed": True} if node.allow_failure else {}
            events.append(NewEvent(EventKind.STEP_FAILED, at, body))
            if not node.allow_failure:
                lost = lost or f"step {name}: {job.reason or 'the job ended without a word'}"
        elif status.state == ExecutionState.SUCCEEDED and job is None:
            reason = "the engine decided by its condition that it is not to run"
            events.append(NewEvent(EventKind.STEP_SKIPPED, at, {"step": name, "reason": reason}))
    return [*events, _end(status, lost, at)]


def _end(status: EngineStatus, lost: str, at: float) -> NewEvent:
    if status.state == ExecutionState.SUCCEEDED:
        return NewEvent(EventKind.RUN_SUCCEEDED, at, {})
    if status.state == ExecutionState.STOPPED:
        return NewEvent(EventKind.RUN_CANCELLED, at, {"error": status.reason or "stopped where it ran"})
    return NewEvent(EventKind.RUN_FAILED, at, {"error": lost or status.reason or "the execution failed"})


def _said(error: Mapping[str, JSON] | None) -> str:
    from trikk.execution.workers.traces import headline

    return headline(error)
