"""What an execution on this machine says of itself, in the form in which the service's API says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trikk.targets.sagemaker.local.containers.job_site import MOST_TOLD
from trikk.targets.sagemaker.local.definition.pipeline_definition import StepKind
from trikk.targets.sagemaker.local.definition.step_order import OVER, StepPhase

ARN = "arn:aws:sagemaker:local:000000000000:"
"""How the names of its resources begin: they are in no region and no account."""
JOBS = {
    StepKind.PROCESSING: ("processing-job", "ProcessingJob"),
    StepKind.TRAINING: ("training-job", "TrainingJob"),
}
"""Of the steps that are jobs, what a job is called in an ARN, and in a step's metadata."""


@dataclass(slots=True)
class StepRecord:
    """How a step stands, and what is known of it.

    Attributes:
        state: how it stands.
        attempts: how often it was begun.
        started: seconds since 1970; None before.
        ended: likewise.
        answer: what the Describe call would say of its job; of a condition its `Outcome`.
        reason: why it failed; "" if it has not.
    """

    state: StepPhase = StepPhase.WAITING
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


def described_step(kind: StepKind, name: str, record: StepRecord, job: str, *, stopping: bool) -> dict[str, Any]:
    """A step that has begun, as ListPipelineExecutionSteps lists it.

    Args:
        kind: of the step.
        name: the step's.
        record: how it stands.
        job: the name of its last job.
        stopping: whether the execution is being stopped.
    """
    phase = StepPhase.STOPPING if stopping and record.state not in OVER else record.state
    described: dict[str, Any] = {
        "StepName": name,
        "StepStatus": str(phase),
        "AttemptCount": record.attempts,
        "StartTime": moment(record.started or 0.0),
    }
    if record.ended is not None:
        described["EndTime"] = moment(record.ended)
    if record.reason:
        described["FailureReason"] = record.reason[:MOST_TOLD]
    return {**described, "Metadata": _metadata(kind, record, job)}


def _metadata(kind: StepKind, record: StepRecord, job: str) -> dict[str, Any]:
    answer = record.answer
    if kind in JOBS:
        resource, key = JOBS[kind]
        return {key: {"Arn": f"{ARN}{resource}/{job}"}}
    if kind == StepKind.CONDITION and "Outcome" in answer:
        return {"Condition": {"Outcome": "True" if answer["Outcome"] else "False"}}
    if kind == StepKind.REGISTER_MODEL and "ModelPackageArn" in answer:
        return {"RegisterModel": {"Arn": answer["ModelPackageArn"]}}
    if kind == StepKind.MODEL and "ModelArn" in answer:
        return {"Model": {"Arn": answer["ModelArn"]}}
    return {"Fail": {"ErrorMessage": record.reason}} if kind == StepKind.FAIL and record.reason else {}


def moment(at: float) -> datetime:
    """Seconds since 1970 as the API gives a time."""
    return datetime.fromtimestamp(at, UTC)
