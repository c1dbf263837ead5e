"""moto's interpreter of state machines, with SageMaker's processing jobs as processes of this machine.

moto runs states, retries, catches, choices and branches, and has no `sagemaker:createProcessingJob.sync`. Here a
job is a process with the container's entry point and arguments: a folder of its own stands for /opt/ml, outputs
go to the bucket when it has ended well, and a job that fails is `States.TaskFailed` with the job's description,
as the service has it. What a job is asked for must be a CreateProcessingJob request. The context has a
`RedriveCount` of 0, which moto leaves out; there is no redrive.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.servers.shared import answers, free_ports, launch, stop

_SECONDS = 60
_LONGEST_RUN = 240
_ML = "/opt/ml/"
_REQUESTS, _REFUSALS = "requests", "refusals"


@dataclass(frozen=True, slots=True)
class StateMachines:
    """The server on loopback, and the folder in which it notes what jobs were asked for."""

    endpoint: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """The AWS_* variables that lead to it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def client(self, service: str) -> Any:
        """A boto3 client."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="eu-west-1",
        )

    def refuse(self, step: str, times: int, error: str = "SageMaker.AmazonSageMakerException") -> None:
        """Have the service refuse the next jobs of a step, as one that is too busy does."""
        folder = self.folder / _REFUSALS
        folder.mkdir(exist_ok=True)
        for number in range(times):
            (folder / f"{step}.{number}").write_text(error)

    def requests(self, step: str | None = None) -> list[dict[str, Any]]:
        """What jobs were asked for, in order; of one step, if it is given."""
        files = sorted((self.folder / _REQUESTS).glob("*.json"))
        requests = [json.loads(file.read_text()) for file in files]
        return [request for request in requests if step in (None, _step(request))]

    def run(self, definition: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """The description of an execution that has ended."""
        client = self.client("stepfunctions")
        role = "arn:aws:iam::123456789012:role/machine"
        machine = client.create_state_machine(name=f"m{time.time_ns()}", definition=definition, roleArn=role)
        arn = client.start_execution(
            stateMachineArn=machine["stateMachineArn"], name=name, input=json.dumps(given)
        )["executionArn"]
        deadline = time.monotonic() + _LONGEST_RUN
        while (said := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline, self.history(arn)[-3:]
            time.sleep(0.1)
        return said  # type: ignore[no-any-return]

    def history(self, arn: str) -> list[dict[str, Any]]:
        """An execution's events."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]


def _step(request: dict[str, Any]) -> str:
    return str(request["AppSpecification"]["ContainerArguments"][0])


@contextmanager
def state_machines(folder: Path) -> Iterator[StateMachines]:
    """The server; the test is skipped, with the reason, where it can't be had."""
    pytest.importorskip("moto.server", reason="no moto server", exc_type=ImportError)
    pytest.importorskip("antlr4", reason="moto can't read state machines", exc_type=ImportError)
    [port] = free_ports(1)
    (folder / _REQUESTS).mkdir(parents=True)
    command = [sys.executable, "-P", __file__, str(port), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MOTO_PORT": str(port)}
    machines = StateMachines(f"http://127.0.0.1:{port}", folder)
    environment |= machines.environment()
    process = launch(command, folder / "log", os.getpid(), environment=environment)
    try:
        if not answers(process, port, _SECONDS):
            pytest.skip(f"no interpreter of state machines: {(folder / 'log').read_text()[-300:]}")
        settings = {"stepfunctions": {"execute_state_machine": True}}
        httpx.post(f"{machines.endpoint}/moto-api/config", json=settings).raise_for_status()
        yield machines
    finally:
        stop(process)


def _serve(port: str, folder: Path) -> None:
    """Run moto's server with the stand-in in it."""
    from moto.server import main
    from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory
    from moto.stepfunctions.parser.backend import execution_worker

    jobs = _stand_in(folder)
    usual = state_task_service_factory.state_task_service_for
    sdk = _sdk_with_plain_answers()
    own = {"sagemaker": jobs, "aws-sdk": sdk}
    chosen = lambda service_name: own.get(service_name, lambda: usual(service_name))()  # noqa: E731
    state_task_factory.state_task_service_for = chosen
    data = execution_worker.ExecutionData
    execution_worker.ExecutionData = lambda **given: {**data(**given), "RedriveCount": 0}
    main(["-H", "127.0.0.1", "-p", port])


def _sdk_with_plain_answers() -> Any:
    """moto's `aws-sdk` tasks, whose answers are JSON as the service's are: a body is text, a time is, too."""
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
        StateTaskServiceAwsSdk,
    )

    class PlainAnswers(StateTaskServiceAwsSdk):  # type: ignore[misc]
        def _eval_service_task(self, env: Any, **more: Any) -> None:
            super()._eval_service_task(env=env, **more)
            answer = env.stack.pop()
            plain = {
                key: value.read().decode() if hasattr(value, "read") else value for key, value in answer.items()
            }
            env.stack.append(json.loads(json.dumps(plain, default=str)))

    return PlainAnswers


def _stand_in(folder: Path) -> Any:
    import boto3
    import botocore.session
    from botocore.validate import validate_parameters
    from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
    from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
        StateTaskServiceCallback,
    )
    from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateProcessingJob")

    class Refused(Exception):
        def __init__(self, error: str, cause: str) -> None:
            super().__init__(error)
            self.error, self.cause = error, cause

    class ProcessingJobs(StateTaskServiceCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__({ResourceCondition.Sync, ResourceCondition.WaitForTaskToken})

        def _get_supported_parameters(self) -> set[str]:
            return {*shape.input_shape.members}

        def _eval_service_task(
            self, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
        ) -> None:
            validate_parameters(normalised_parameters, shape.input_shape)
            with (folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                _note(folder, normalised_parameters, Refused)
            name = normalised_parameters["ProcessingJobName"]
            env.stack.append(
                {"ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{name}"}
            )

        def _build_sync_resolver(
            self, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
        ) -> Any:
            env.stack.pop()
            return lambda: _run(folder, normalised_parameters, boto3, Refused)

        def _from_error(self, env: Any, ex: Exception) -> Any:
            if not isinstance(ex, Refused):
                return super()._from_error(env=env, ex=ex)
            details = TaskFailedEventDetails(
                resourceType="sagemaker", resource="createProcessingJob.sync", error=ex.error, cause=ex.cause
            )
            return FailureEvent(
                env=env,
                error_name=ErrorName(error_name=ex.error),
                event_type=HistoryEventType.TaskFailed,
                event_details=EventDetails(taskFailedEventDetails=details),
            )

    return ProcessingJobs


def _note(folder: Path, request: dict[str, Any], refused: Any) -> None:
    """Write down what was asked for; refuse a name that was used, and what a test wants refused."""
    requests = sorted((folder / _REQUESTS).glob("*.json"))
    (folder / _REQUESTS / f"{len(requests):04}.json").write_text(json.dumps(request))
    refusal = next(iter(sorted((folder / _REFUSALS).glob(f"{_step(request)}.*"))), None)
    if refusal is not None:
        error = refusal.read_text()
        refusal.unlink()
        raise refused(error, "Rate exceeded")
    names = [json.loads(file.read_text())["ProcessingJobName"] for file in requests]
    if request["ProcessingJobName"] in names:
        raise refused("SageMaker.ResourceInUseException", "Processing job already exists")


def _run(folder: Path, request: dict[str, Any], boto3: Any, refused: Any) -> dict[str, Any]:
    """Run a job's command; its description, or what the service says of one that has failed."""
    specification = request["AppSpecification"]
    place = folder / "ml" / request["ProcessingJobName"]
    place.mkdir(parents=True)
    command = [*specification["ContainerEntrypoint"], *specification["ContainerArguments"]]
    command = [part.replace(_ML, f"{place}/") for part in command]
    done = subprocess.run(
        command,
        cwd="/",
        env={**os.environ, **request.get("Environment", {})},
        stdout=(place / "stdout").open("wb"),
        stderr=subprocess.STDOUT,
        check=False,
    )
    message = place / "output" / "message"
    description = {
        "ProcessingJobName": request["ProcessingJobName"],
        "ProcessingJobStatus": "Failed" if done.returncode else "Completed",
        "ExitMessage": message.read_text() if message.exists() else "",
    }
    if done.returncode:
        description["FailureReason"] = (
            f"AlgorithmError: See job logs for more information, exit code: {done.returncode}"
        )
        raise refused("States.TaskFailed", json.dumps(description))
    for output in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        bucket, _, prefix = output["S3Output"]["S3Uri"].removeprefix("s3://").partition("/")
        local = Path(output["S3Output"]["LocalPath"].replace(_ML, f"{place}/"))
        for file in local.rglob("*"):
            key = f"{prefix}/{file.relative_to(local)}"
            boto3.client("s3").upload_file(str(file), bucket, key)
    return description


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
