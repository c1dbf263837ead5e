"""The function that EventBridge Scheduler calls: it starts an execution, once for a trigger's scheduled time.

It runs on AWS Lambda as it is, with nothing but what Python's runtime there has. What it is called with comes from
`schedule_payload.py`, and Scheduler puts the scheduled time in:

    {"trigger": "nightly-cron", "scheduled": "2026-11-30T04:00:00Z", "pipeline": "city-main-nightly",
     "zone": "Europe/Oslo", "day_offset": -1, "parameters": {"city": "oslo"}, "fill": {"day": "date"},
     "origin": true}

The tick and the token are derived from the trigger and the scheduled time alone. So a call that is repeated, by
Scheduler, by Lambda or by a person (`trikk aws start`), starts nothing a second time: both services return the
execution that a token (SageMaker) or a name (Step Functions) has started already.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LONGEST_NAME = 82  # of an execution that people see


def handler(event: Mapping[str, Any], context: object) -> dict[str, str]:  # noqa: ARG001 - Lambda's signature
    """Start what a call asks for; Lambda's entry point."""
    import boto3

    started = start(event, boto3.client)
    print(json.dumps({"trigger": event["trigger"], **started}))  # noqa: T201 - Lambda's log
    return started


def start(event: Mapping[str, Any], client: Any) -> dict[str, str]:
    """Start the execution of a tick, unless it has one.

    Args:
        event: as above; `pipeline` is the name of one of SageMaker, or `machine` the ARN of one of Step Functions.
        client: `boto3.client`, or its like: from a service's name to its client.

    Returns:
        `tick`, `token` and `execution`, the ARN.
    """
    tick = tick_of(event["scheduled"])
    target = event.get("pipeline") or event["machine"]
    token = token_of(target, event["trigger"], tick)
    parameters = parameters_of(event, tick)
    if "pipeline" in event:
        answer = client("sagemaker").start_pipeline_execution(
            PipelineName=target,
            ClientRequestToken=token,
            PipelineExecutionDisplayName=display_name(event["trigger"], tick),
            PipelineParameters=[{"Name": name, "Value": value} for name, value in parameters.items()],
        )
        execution = answer["PipelineExecutionArn"]
    else:
        execution = _start_machine(client("stepfunctions"), target, token, parameters)
    return {"tick": tick, "token": token, "execution": execution}


def _start_machine(client: Any, machine: str, token: str, parameters: Mapping[str, str]) -> str:
    try:
        answer = client.start_execution(stateMachineArn=machine, name=token, input=json.dumps(parameters))
        return str(answer["executionArn"])
    except client.exceptions.ExecutionAlreadyExists:  # it has ended by now
        return f"{machine.replace(':stateMachine:', ':execution:')}:{token}"


def tick_of(scheduled: str) -> str:
    """A scheduled time as a tick: ISO in UTC, as `trikk.triggers.trigger_state.tick_text` writes it."""
    moment = datetime.fromisoformat(scheduled)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def token_of(target: str, trigger: str, tick: str) -> str:
    """What makes the start of a tick the same start: 70 characters of `[a-z0-9-]`.

    Args:
        target: the pipeline, which differs from environment to environment.
        trigger: its name.
        tick: as of `tick_of`.
    """
    return "trikk-" + hashlib.sha256(json.dumps([target, trigger, tick]).encode()).hexdigest()


def display_name(trigger: str, tick: str) -> str:
    """What people see of an execution: the trigger, and the time in UTC."""
    at = datetime.fromisoformat(tick).strftime("%Y%m%dT%H%M%SZ")
    name = re.sub(r"[^A-Za-z0-9]+", "-", trigger).strip("-")[: _LONGEST_NAME - len(at) - 1].rstrip("-")
    return f"{name}-{at}"


def parameters_of(event: Mapping[str, Any], tick: str) -> dict[str, str]:
    """The parameters of a tick's execution, as texts: those given, those filled in, and where it came from."""
    parameters = {name: str(value) for name, value in event.get("parameters", {}).items()}
    for name, kind in event.get("fill", {}).items():
        parameters[name] = _filled(kind, event, tick)
    if event.get("origin"):
        parameters |= {"Trigger": event["trigger"], "Tick": tick}
    return parameters


def _filled(kind: str, event: Mapping[str, Any], tick: str) -> str:
    moment = datetime.fromisoformat(tick)
    if kind == "date":
        day = moment.astimezone(_zone(event.get("zone", "UTC"))).date()
        return (day + timedelta(days=event.get("day_offset", 0))).isoformat()
    if kind == "datetime":
        return tick
    return json.dumps({"id": tick, "kind": "cron", "at": tick.replace("+00:00", "Z")})


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        # A runtime without the system's time zones has those that boto3 brings along.
        from dateutil.zoneinfo import get_zonefile_instance  # type: ignore[import-untyped]

        zone: tzinfo | None = get_zonefile_instance().get(name)
        if zone is None:
            raise
        return zone
