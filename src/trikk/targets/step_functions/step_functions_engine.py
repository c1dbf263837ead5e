"""Step Functions as an engine that is asked how its executions stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trikk.core.errors import MissingExtra, ProjectError, ServerError
from trikk.core.settings import FILE, Settings
from trikk.targets.mirroring.engine_status import EngineStatus
from trikk.targets.step_functions.execution_history import execution_state, jobs_of, reason_of
from trikk.targets.step_functions.state_machine import state_name
from trikk.targets.step_functions.step_functions_settings import NAME, step_functions_settings

_PIPELINE = "{pipeline}"
_UNKNOWN = "ExecutionDoesNotExist"


class StepFunctionsEngine:
    """Asks about executions, which jobs call `PIPELINE.NAME`.

    Args:
        client: boto3's, for Step Functions.
        machine: the ARN of a pipeline's machine, with `{pipeline}` where its name is.
    """

    name = NAME

    def __init__(self, client: Any, machine: str) -> None:
        self._client = client
        self._machine = machine

    def status(self, execution: str, steps: Mapping[str, str]) -> EngineStatus | None:
        """What Step Functions says of an execution; None if it does not know it, or not any more."""
        from botocore.exceptions import BotoCoreError, ClientError

        arn = self._arn(execution)
        try:
            said = self._client.describe_execution(executionArn=arn)
            events = list(self._events(arn))
        except ClientError as error:
            if error.response["Error"]["Code"] == _UNKNOWN:
                return None
            raise _refused(error) from error
        except BotoCoreError as error:
            raise _refused(error) from error
        state = execution_state(said["status"])
        names = {state_name(called): step for called, step in steps.items()}
        stop = said.get("stopDate")
        return EngineStatus(
            state,
            reason_of(said.get("error"), said.get("cause")),
            jobs_of(events, names, state),
            None if stop is None else stop.timestamp(),
        )

    def stop(self, execution: str) -> None:
        """Have it stop an execution, and with it the jobs that run."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.stop_execution(
                executionArn=self._arn(execution), error="Cancelled", cause="cancelled by trikk"
            )
        except (BotoCoreError, ClientError) as error:
            raise _refused(error) from error

    def _events(self, arn: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("get_execution_history").paginate(executionArn=arn)
        for page in pages:
            yield from page["events"]

    def _arn(self, execution: str) -> str:
        pipeline, _, name = execution.partition(".")
        machine = self._machine.replace(_PIPELINE, pipeline)
        return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def open_engine(settings: Settings) -> StepFunctionsEngine | None:
    """The engine of a project; None if trikk.toml does not say which machines it has.

    Raises:
        ProjectError: if what it says is no ARN.
        MissingExtra: if boto3 is not installed.
    """
    machine = str(step_functions_settings(settings).values.get("machine", ""))
    if not machine:
        return None
    parts = machine.split(":")
    if len(parts) < 7 or parts[2] != "states" or parts[5] != "stateMachine":
        raise ProjectError(
            f"machine = {machine!r} is no ARN of a state machine",
            where=f"{settings.root / FILE}, [targets.{NAME}]",
            next='set machine = "arn:aws:states:REGION:ACCOUNT:stateMachine:city-main-{pipeline}"',
        )
    try:
        import boto3
    except ImportError as error:
        raise MissingExtra("asking Step Functions", "aws") from error
    return StepFunctionsEngine(boto3.client("stepfunctions", region_name=parts[3]), machine)


def _refused(error: Exception) -> ServerError:
    """The error without what the service was sent."""
    response: Any = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code") or type(error).__name__
    return ServerError(
        f"Step Functions can't be asked: {code}",
        next="check the credentials, their rights (states:DescribeExecution, states:GetExecutionHistory), region",
    )
