"""What SageMaker says of an execution, by the API and by events, as the mirror takes it.

moto has no ListPipelineExecutionSteps (it answers 500), so botocore's Stubber gives the documented answers: it
checks the requests and the answers by the model of the API.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from trikk.core.errors import ServerError
from trikk.targets.mirroring.engine_status import EngineJob, EngineStatus, ExecutionState
from trikk.targets.sagemaker.execution_status import SageMakerEngine, execution_status, status_of_event

PIPELINE = "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/city-main-nightly"
EXECUTION = f"{PIPELINE}/execution/abcdefgh1234"
PIPELINES: dict[str, Any] = {"PipelineSummaries": [{"PipelineArn": PIPELINE, "PipelineName": "city-main-nightly"}]}
AT = datetime(2026, 11, 30, 4, 30, tzinfo=UTC)
JOB = "arn:aws:sagemaker:eu-west-1:111122223333:processing-job/pipelines-abcdefgh1234-counts-x1"
NAMES = {"counts": "counts", "register-model": "register_model"}


def listed(name: str, status: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "StepName": name,
        "StepStatus": status,
        "StartTime": AT.replace(minute=minute),
        "AttemptCount": 1,
        **more,
    }


STEPS = [
    listed("register-model", "Failed", 5, FailureReason="ClientError: AlgorithmError: it failed, exit code: 1"),
    listed("when-register-model", "Succeeded", 4, Metadata={"Condition": {"Outcome": "True"}}),
    listed("counts", "Succeeded", 0, EndTime=AT, Metadata={"ProcessingJob": {"Arn": JOB}}),
]


def described(status: str, **more: Any) -> dict[str, Any]:
    return {"PipelineExecutionArn": EXECUTION, "PipelineExecutionStatus": status, "LastModifiedTime": AT, **more}


@pytest.fixture
def stub() -> Any:
    client = boto3.client("sagemaker", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_an_execution_is_read_with_all_pages_of_its_steps(stub: Stubber) -> None:
    asked = {"PipelineExecutionArn": EXECUTION}
    stub.add_response("list_pipelines", PIPELINES, {"PipelineNamePrefix": "city-main"})
    stub.add_response("describe_pipeline_execution", described("Failed", FailureReason="Step failure"), asked)
    page: dict[str, Any] = {"PipelineExecutionSteps": STEPS[:1], "NextToken": "more"}
    stub.add_response("list_pipeline_execution_steps", page, asked)
    page = {"PipelineExecutionSteps": STEPS[1:]}
    stub.add_response("list_pipeline_execution_steps", page, {**asked, "NextToken": "more"})
    steps = {name: name for name in NAMES.values()}
    status = SageMakerEngine("city-main", stub.client).status("abcdefgh1234", steps)
    assert status == EngineStatus(
        ExecutionState.FAILED,
        "Step failure",
        {
            "counts": EngineJob(
                ExecutionState.SUCCEEDED,
                log="/aws/sagemaker/ProcessingJobs/pipelines-abcdefgh1234-counts-x1",
            ),
            "register_model": EngineJob(
                ExecutionState.FAILED, "ClientError: AlgorithmError: it failed, exit code: 1"
            ),
        },
        AT.timestamp(),
    )


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("Executing", ExecutionState.RUNNING),
        ("Stopping", ExecutionState.RUNNING),
        ("Stopped", ExecutionState.STOPPED),
        ("Failed", ExecutionState.FAILED),
        ("Succeeded", ExecutionState.SUCCEEDED),
        ("CompletedWithFailures", ExecutionState.FAILED),
        ("AWordOfNextYear", ExecutionState.RUNNING),
    ],
)
def test_states(said: str, state: ExecutionState) -> None:
    status = execution_status(described(said), [], NAMES)
    assert status.state == state
    assert (status.ended is None) == (state == ExecutionState.RUNNING)


def test_of_a_step_that_was_run_again_the_last_counts() -> None:
    again = [listed("counts", "Succeeded", 9), listed("counts", "Failed", 1, FailureReason="no capacity")]
    assert execution_status(described("Executing"), again, NAMES).jobs == {
        "counts": EngineJob(ExecutionState.SUCCEEDED)
    }


def test_a_step_of_the_definition_s_own_that_fails_is_the_reason() -> None:
    failing = [listed("register-model-package", "Failed", FailureReason="no such group")]
    status = execution_status(described("Failed", FailureReason="Step failure"), failing, NAMES)
    assert status.reason == "register-model-package: no such group"
    assert status.jobs == {}


def test_an_execution_that_is_gone_is_none(stub: Stubber) -> None:
    stub.add_response("list_pipelines", PIPELINES, {"PipelineNamePrefix": "city-main"})
    stub.add_client_error("describe_pipeline_execution", "ResourceNotFound")
    assert SageMakerEngine("city-main", stub.client).status("abcdefgh1234", {}) is None


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("ExpiredTokenException", "sign in again"),
        ("AccessDeniedException", "ListPipelineExecutionSteps"),
        ("ThrottlingException", "try again"),
    ],
)
def test_what_keeps_it_from_answering_is_said(stub: Stubber, code: str, mend: str) -> None:
    stub.add_client_error("list_pipelines", code)
    with pytest.raises(ServerError) as error:
        SageMakerEngine("city-main", stub.client).status("abcdefgh1234", {})
    assert code in error.value.what
    assert mend in str(error.value.next)


def test_it_is_told_to_stop(stub: Stubber) -> None:
    stub.add_response("list_pipelines", PIPELINES, {"PipelineNamePrefix": "city-main"})
    asked = {"PipelineExecutionArn": EXECUTION}
    stub.add_response("describe_pipeline_execution", described("Executing"), asked)
    stub.add_response("stop_pipeline_execution", {"PipelineExecutionArn": EXECUTION}, asked)
    SageMakerEngine("city-main", stub.client).stop("abcdefgh1234")


EXECUTION_EVENT = {
    "version": "0",
    "source": "aws.sagemaker",
    "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
    "detail": {
        "pipelineExecutionDisplayName": "nightly",
        "currentPipelineExecutionStatus": "Failed",
        "previousPipelineExecutionStatus": "Executing",
        "executionStartTime": "2026-11-30T04:00:00Z",
        "executionEndTime": "2026-11-30T04:30:00Z",
        "pipelineArn": PIPELINE,
        "pipelineExecutionArn": EXECUTION,
    },
}
STEP_EVENT = {
    **EXECUTION_EVENT,
    "detail-type": "SageMaker Model Building Pipeline Execution Step Status Change",
    "detail": {
        "pipelineExecutionArn": EXECUTION,
        "pipelineArn": PIPELINE,
        "stepName": "counts",
        "stepType": "Processing",
        "currentStepStatus": "Failed",
        "previousStepStatus": "Executing",
        "failureReason": "no room",
        "metadata": {"processingJob": {"arn": JOB}},
        "stepStartTime": "2026-11-30T04:00:00Z",
        "stepEndTime": "2026-11-30T04:30:00Z",
    },
}


def test_events_say_the_same() -> None:
    assert status_of_event(EXECUTION_EVENT, NAMES) == (
        "abcdefgh1234",
        EngineStatus(ExecutionState.FAILED, ended=AT.timestamp()),
    )
    job = EngineJob(
        ExecutionState.FAILED, "no room", "/aws/sagemaker/ProcessingJobs/pipelines-abcdefgh1234-counts-x1"
    )
    assert status_of_event(STEP_EVENT, NAMES) == (
        "abcdefgh1234",
        EngineStatus(ExecutionState.RUNNING, jobs={"counts": job}),
    )
    assert status_of_event({**STEP_EVENT, "source": "aws.s3"}, NAMES) is None


def test_completed_with_failures_is_a_success_if_these_may_be() -> None:
    waits: list[Any] = [{"Step": "counts", "Trigger": "Any"}, "other"]
    steps = [
        {"Name": "counts", "Type": "Processing"},
        {"Name": "register-model", "Type": "Processing", "DependsOn": waits},
    ]
    definition = json.dumps({"Steps": steps})
    failed = [listed("counts", "Failed"), listed("register-model", "Succeeded", 1)]
    said = described("CompletedWithFailures")
    assert execution_status(said, failed, NAMES, definition).state == ExecutionState.SUCCEEDED
    failed[1]["StepStatus"] = "Failed"
    assert execution_status(said, failed, NAMES, definition).state == ExecutionState.FAILED


def test_its_definition_is_asked_for_then(stub: Stubber) -> None:
    asked = {"PipelineExecutionArn": EXECUTION}
    stub.add_response("list_pipelines", PIPELINES, {"PipelineNamePrefix": "city-main"})
    stub.add_response("describe_pipeline_execution", described("CompletedWithFailures"), asked)
    stub.add_response(
        "list_pipeline_execution_steps", {"PipelineExecutionSteps": [listed("counts", "Failed")]}, asked
    )
    stub.add_response("describe_pipeline_definition_for_execution", {"PipelineDefinition": '{"Steps": []}'}, asked)
    status = SageMakerEngine("city-main", stub.client).status("abcdefgh1234", {"counts": "counts"})
    assert status is not None
    assert status.state == ExecutionState.FAILED
