"""What AWS refuses and cfn-lint and moto let through: schedules, bodies of pipelines, names.

The patterns are those of botocore's service models: https://github.com/boto/botocore/tree/develop/botocore/data
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

PIPELINE_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}")
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
PARAMETER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,63}")  # as a rule of EventBridge takes it, too
SCHEDULE_NAME = re.compile(r"[0-9a-zA-Z\-_.]{1,64}")
RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9]\d+) (minutes|hours|days))\)")
AT = re.compile(r"at\(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\)")
_NUMBER = r"\d+(-\d+)?(/\d+)?"
_NAMES = r"[A-Z]{3}(-[A-Z]{3})?"
_FIELDS = {
    "minute": rf"(\*|{_NUMBER}|\*/\d+)(,({_NUMBER}))*",
    "hour": rf"(\*|{_NUMBER}|\*/\d+)(,({_NUMBER}))*",
    "day": rf"(\*|\?|L|LW|\d+W|{_NUMBER}|\*/\d+)(,({_NUMBER}))*",
    "month": rf"(\*|{_NUMBER}|{_NAMES}|\*/\d+)(,({_NUMBER}|{_NAMES}))*",
    "weekday": rf"(\*|\?|L|[1-7]L|([1-7]|[A-Z]{{3}})#[1-5]|[1-7](-[1-7])?|{_NAMES})(,([1-7](-[1-7])?|{_NAMES}))*",
    "year": r"(\*|\d{4}(-\d{4})?(/\d+)?|\*/\d+)(,\d{4}(-\d{4})?)*",
}
_LARGEST = 1_048_576


def schedule_problems(properties: dict[str, Any]) -> Iterator[str]:
    """What EventBridge Scheduler would refuse of the properties of AWS::Scheduler::Schedule."""
    if not SCHEDULE_NAME.fullmatch(properties.get("Name", "")):
        yield f"name {properties.get('Name')!r}"
    yield from _expression_problems(properties.get("ScheduleExpression", ""))
    if properties.get("ScheduleExpressionTimezone", "UTC") not in available_timezones():
        yield f"time zone {properties['ScheduleExpressionTimezone']!r}"
    if properties.get("FlexibleTimeWindow", {}).get("Mode") not in ("OFF", "FLEXIBLE"):
        yield "no mode of the time window"
    policy = properties.get("Target", {}).get("RetryPolicy", {})
    if not 0 <= policy.get("MaximumRetryAttempts", 185) <= 185:
        yield "more than 185 retries"
    if not 60 <= policy.get("MaximumEventAgeInSeconds", 86400) <= 86400:
        yield "an age that is not from 60 to 86400 s"


def _expression_problems(expression: str) -> Iterator[str]:
    if RATE.fullmatch(expression) or AT.fullmatch(expression):
        return
    cron = re.fullmatch(r"cron\((.*)\)", expression)
    fields = cron[1].split(" ") if cron else []
    if len(fields) != len(_FIELDS):
        yield f"expression {expression!r}"
        return
    yield from (
        f"{name} {f!r}" for (name, p), f in zip(_FIELDS.items(), fields, strict=True) if not re.fullmatch(p, f)
    )
    if (fields[2] == "?") == (fields[4] == "?"):
        yield f"exactly one of day and weekday is ?: {expression!r}"


def pipeline_problems(name: str, body: str) -> Iterator[str]:
    """What SageMaker would refuse of a pipeline's name and definition, as far as it can be told from these."""
    if not PIPELINE_NAME.fullmatch(name):
        yield f"name {name!r}"
    if len(body) > _LARGEST:
        yield f"{len(body)} characters"
    document = json.loads(body)
    if document.get("Version") != "2020-12-01":
        yield f"version {document.get('Version')!r}"
    parameters = [parameter["Name"] for parameter in document.get("Parameters", ())]
    steps = list(_steps(document.get("Steps", ())))
    yield from (f"parameter {name!r}" for name in parameters if not PARAMETER_NAME.fullmatch(name))
    yield from (f"step {step['Name']!r}" for step in steps if not STEP_NAME.fullmatch(step["Name"]))
    names = [step["Name"] for step in steps]
    yield from (f"two steps {name!r}" for name in sorted({name for name in names if names.count(name) > 1}))
    for reference in re.findall(r'"Get": ?"([^"]*)"', body):
        kind, _, rest = reference.partition(".")
        known = {"Parameters": parameters, "Steps": names}.get(kind)
        if known is not None and re.split(r"[.\[]", rest)[0] not in known:
            yield f"reference {reference!r}"
    for step in steps:
        for before in step.get("DependsOn", ()):
            if (before["Step"] if isinstance(before, dict) else before) not in names:
                yield f"{step['Name']} waits for {before!r}"


def _steps(steps: Any) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from _steps(step.get("Arguments", {}).get(branch, ()))
