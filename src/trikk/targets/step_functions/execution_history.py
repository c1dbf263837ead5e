"""What an execution's history says of its steps; pure.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from trikk.targets.mirroring.engine_status import EngineJob, ExecutionState

_STATES = {
    "RUNNING": ExecutionState.RUNNING,
    "PENDING_REDRIVE": ExecutionState.RUNNING,
    "SUCCEEDED": ExecutionState.SUCCEEDED,
    "FAILED": ExecutionState.FAILED,
    "TIMED_OUT": ExecutionState.FAILED,
    "ABORTED": ExecutionState.STOPPED,
}
_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
_LONGEST_REASON = 1000


def execution_state(status: str) -> ExecutionState:
    """A status of DescribeExecution; one that is not known yet counts as running."""
    return _STATES.get(status, ExecutionState.RUNNING)


def jobs_of(
    events: Iterable[Mapping[str, Any]], steps: Mapping[str, str], execution: ExecutionState
) -> dict[str, EngineJob]:
    """By step, what its job is at; steps whose state was never entered are absent.

    Args:
        events: of GetExecutionHistory, in order.
        steps: by the name of its state, the step.
        execution: what the execution is at.
    """
    entered: dict[int, str] = {}  # by event, the state that it is of: events lead back to the one that entered it
    jobs: dict[str, EngineJob] = {}
    for event in events:
        kind = str(event["type"])
        name = event.get("stateEnteredEventDetails", {}).get("name") or entered.get(
            event.get("previousEventId", 0), ""
        )
        entered[event["id"]] = name
        if name in steps and (job := _job_after(kind, event, jobs.get(steps[name]))):
            jobs[steps[name]] = job
    if execution == ExecutionState.RUNNING:
        return jobs
    # The service stops what runs beside a step that has failed, and writes no event of each.
    stopped = EngineJob(ExecutionState.STOPPED, "stopped with its execution")
    return {step: stopped if job.state == ExecutionState.RUNNING else job for step, job in jobs.items()}


def _job_after(kind: str, event: Mapping[str, Any], before: EngineJob | None) -> EngineJob | None:
    """What a job is at after an event; None if the event says nothing of it."""
    log = before.log if before is not None else ""
    if kind in ("TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted"):
        output = event.get("taskSubmittedEventDetails", {}).get("output", "")
        return EngineJob(ExecutionState.RUNNING, log=_log_of(output) or log)
    if kind == "TaskSucceeded":
        return EngineJob(ExecutionState.SUCCEEDED, log=log)
    if kind in ("TaskFailed", "TaskTimedOut", "TaskSubmitFailed", "TaskStartFailed"):
        details: Mapping[str, Any] = next(
            (value for key, value in event.items() if key.endswith("EventDetails")), {}
        )
        return EngineJob(ExecutionState.FAILED, reason_of(details.get("error"), details.get("cause")), log)
    return None


def reason_of(error: str | None, cause: str | None) -> str:
    """Why something failed, in a line. The cause of a job's failure is its description, as JSON."""
    said = _read(cause)
    text = said.get("ExitMessage") or said.get("FailureReason") or said.get("StoppedReason") or cause or ""
    return ": ".join(part for part in (error or "", " ".join(str(text).split())) if part)[:_LONGEST_REASON]


def _log_of(output: str) -> str:
    arn = str(_read(output).get("ProcessingJobArn", ""))
    return f"{_LOG_GROUP}, {arn.rpartition('/')[2]}" if arn else ""


def _read(text: str | None) -> dict[str, Any]:
    try:
        read = json.loads(text or "")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
