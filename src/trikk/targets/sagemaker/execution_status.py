"""What SageMaker says of an execution: its state, and that of each job with its reason and its log.

It is read from DescribePipelineExecution and ListPipelineExecutionSteps, or told by an event of EventBridge.
Sources: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListPipelineExecutionSteps.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from trikk.core.errors import MissingExtra, ServerError
from trikk.targets.mirroring.engine_status import EngineJob, EngineStatus, ExecutionState
from trikk.targets.sagemaker.definition_limits import all_steps
from trikk.targets.sagemaker.definition_names import step_names
from trikk.targets.sagemaker.job_steps import ANY_END
from trikk.targets.sagemaker.sagemaker_settings import NAME

T = TypeVar("T")
COMPLETED_WITH_FAILURES = "CompletedWithFailures"
_STATES = {
    "Starting": ExecutionState.RUNNING,
    "Executing": ExecutionState.RUNNING,
    "Stopping": ExecutionState.RUNNING,
    "Stopped": ExecutionState.STOPPED,
    "Failed": ExecutionState.FAILED,
    "Succeeded": ExecutionState.SUCCEEDED,
    COMPLETED_WITH_FAILURES: ExecutionState.FAILED,
}
_JOBS = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
}
_RIGHTS = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")


def execution_status(
    execution: Mapping[str, Any],
    steps: Iterable[Mapping[str, Any]],
    names: Mapping[str, str],
    definition: str = "",
) -> EngineStatus:
    """An execution as the API describes it.

    Args:
        execution: the answer of DescribePipelineExecution.
        steps: the `PipelineExecutionSteps` of all pages of ListPipelineExecutionSteps.
        names: by what a step is called there, the author's name; other steps are the definition's own.
        definition: what it ran; asked for only where it completed with failures, to see which of them may be.
    """
    jobs: dict[str, EngineJob] = {}
    own_failure = ""
    for step in sorted(steps, key=_started):
        name, state = step["StepName"], _state(step.get("StepStatus", "Starting"))
        if name in names:
            jobs[names[name]] = EngineJob(state, step.get("FailureReason", ""), _log(step.get("Metadata", {})))
        elif state == ExecutionState.FAILED:
            own_failure = own_failure or f"{name}: {step.get('FailureReason', 'it failed')}"
    state = _state(execution["PipelineExecutionStatus"])
    failed = {name for name, job in jobs.items() if job.state != ExecutionState.SUCCEEDED}
    if execution["PipelineExecutionStatus"] == COMPLETED_WITH_FAILURES and not own_failure:
        is_allowed = bool(failed) and failed <= _may_fail(definition, names)
        state = ExecutionState.SUCCEEDED if is_allowed else ExecutionState.FAILED
    changed = execution.get("LastModifiedTime")
    return EngineStatus(
        state=state,
        reason=own_failure or execution.get("FailureReason", ""),
        jobs=jobs,
        ended=changed.timestamp() if state != ExecutionState.RUNNING and isinstance(changed, datetime) else None,
    )


def status_of_event(event: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, EngineStatus] | None:
    """The execution that an event of EventBridge is about, and what it says; None if it is about something else.

    An event of a step says nothing of the others; SageMaker may send the same one several times, and in any order.

    Args:
        event: as EventBridge delivers it.
        names: as of `execution_status`.
    """
    kind, detail = event.get("detail-type", ""), event.get("detail", {})
    if event.get("source") != "aws.sagemaker" or not kind.startswith(
        "SageMaker Model Building Pipeline Execution"
    ):
        return None
    execution = execution_id(detail["pipelineExecutionArn"])
    if "stepName" not in detail:
        state = _state(detail["currentPipelineExecutionStatus"])
        end_time = detail.get("executionEndTime")
        at = datetime.fromisoformat(end_time).timestamp() if end_time and state != ExecutionState.RUNNING else None
        return execution, EngineStatus(state, ended=at)
    if detail["stepName"] not in names:
        return execution, EngineStatus(ExecutionState.RUNNING)
    metadata = {key[:1].upper() + key[1:]: value for key, value in detail.get("metadata", {}).items()}
    arns = {key: {"Arn": value.get("arn", "")} for key, value in metadata.items() if isinstance(value, dict)}
    job = EngineJob(_state(detail["currentStepStatus"]), detail.get("failureReason", ""), _log(arns))
    return execution, EngineStatus(ExecutionState.RUNNING, jobs={names[detail["stepName"]]: job})


def execution_id(arn: str) -> str:
    """The last part of an execution's ARN, by which its jobs know it."""
    return arn.rpartition("/")[2]


class SageMakerEngine:
    """SageMaker Pipelines, asked about executions of a project's pipelines.

    Args:
        prefix: what the names of these pipelines begin with there.
        client: boto3's; one of the process's own session and region if not given.
    """

    name = NAME

    def __init__(self, prefix: str, client: Any = None) -> None:
        self._prefix = prefix
        self._client = client or _client()
        self._arns: dict[str, str] = {}  # by execution

    def status(self, execution: str, steps: Mapping[str, str]) -> EngineStatus | None:
        """What it says of an execution; arguments and errors as of `Engine.status`."""
        names = {called: name for name, called in step_names(steps.values()).items()}

        def ask() -> EngineStatus | None:
            described = self._described(execution)
            if described is None:
                return None
            arn = described["PipelineExecutionArn"]
            pages = self._client.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn)
            listed = [step for page in pages for step in page["PipelineExecutionSteps"]]
            definition = ""
            if described["PipelineExecutionStatus"] == COMPLETED_WITH_FAILURES:
                ran = self._client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
                definition = ran["PipelineDefinition"]
            return execution_status(described, listed, names, definition)

        return self._answer(ask)

    def stop(self, execution: str) -> None:
        """Have it stop an execution, which takes minutes; errors as of `Engine.stop`."""

        def ask() -> None:
            described = self._described(execution)
            if described is not None:
                self._client.stop_pipeline_execution(PipelineExecutionArn=described["PipelineExecutionArn"])

        self._answer(ask)

    def _described(self, execution: str) -> dict[str, Any] | None:
        """An execution, by the last part of its ARN, which is all that jobs know; None if there is none."""
        for arn in self._candidates(execution):
            try:
                described: dict[str, Any] = self._client.describe_pipeline_execution(PipelineExecutionArn=arn)
            except self._client.exceptions.ResourceNotFound:
                continue
            self._arns[execution] = arn
            return described
        return None

    def _candidates(self, execution: str) -> Iterator[str]:
        if execution in self._arns:
            yield self._arns[execution]
            return
        for page in self._client.get_paginator("list_pipelines").paginate(PipelineNamePrefix=self._prefix):
            yield from (f"{each['PipelineArn']}/execution/{execution}" for each in page["PipelineSummaries"])

    def _answer(self, ask: Callable[[], T]) -> T:
        """What it answers.

        Raises:
            ServerError: if it refuses, or can't be reached.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return ask()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise self._away(code or "refused", _mend(code)) from None
        except BotoCoreError as error:
            raise self._away(type(error).__name__, "check AWS_REGION, the credentials and the network") from None

    def _away(self, why: str, mend: str) -> ServerError:
        return ServerError(f"SageMaker does not say how executions of {self._prefix} stand: {why}", next=mend)


def _client() -> Any:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise MissingExtra("asking SageMaker", "aws") from None
    try:
        return boto3.Session().client("sagemaker")
    except BotoCoreError as error:
        raise ServerError(f"SageMaker can't be asked: {error}", next="set AWS_REGION, and credentials") from error


def _mend(code: str) -> str:
    if code in _EXPIRED:
        return "sign in again: the credentials have expired"
    if code in _RIGHTS:
        return "give the role sagemaker:Describe*, ListPipelineExecutionSteps and StopPipelineExecution"
    return "try again; https://health.aws.amazon.com tells of outages"


def _may_fail(definition: str, names: Mapping[str, str]) -> set[str]:
    """The steps whose end, whatever it is, is all that others wait for."""
    steps = all_steps(json.loads(definition)["Steps"]) if definition else ()
    waits = [wait for step in steps for wait in step.get("DependsOn", ()) if isinstance(wait, dict)]
    return {names[wait["Step"]] for wait in waits if wait["Trigger"] == ANY_END and wait["Step"] in names}


def _state(said: str) -> ExecutionState:
    """A state; one that AWS has added since counts as going on, so that nothing is ended too early."""
    return _STATES.get(said, ExecutionState.RUNNING)


def _started(step: Mapping[str, Any]) -> float:
    """When a step began; one that was run again is listed again."""
    started = step.get("StartTime")
    return started.timestamp() if isinstance(started, datetime) else 0.0


def _log(metadata: Mapping[str, Any]) -> str:
    """The group and stream of CloudWatch Logs that have what a job printed."""
    for kind, group in _JOBS.items():
        if arn := metadata.get(kind, {}).get("Arn"):
            return f"{group}/{arn.rpartition('/')[2]}"
    return ""
