"""What `[targets.stepfunctions]` of trikk.toml takes.

[targets.stepfunctions]
run = "processing"                 # SageMaker processing jobs, or "ecs": tasks on Fargate
role = "arn:aws:iam::111122223333:role/city-main-jobs"  # of the jobs; else the input's Role
image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/city@sha256:..."  # else the input's Image
bucket = "city-main"               # with artifacts, tables and exchange; else the input's Bucket
exchange = "s3://city-main/exchange"
python = "python"                  # the image's interpreter
instance = "ml.m5.xlarge"          # of all jobs; the smallest that fits each step's Resources if not given
volume = 30                        # GB
max_runtime = "1d"                 # of a job; a step's time-out and retries say it if they are given
subnets = ["subnet-1"]
security_groups = ["sg-1"]
environment = {STAGE = "main"}     # of jobs; nothing secret
topic = "arn:aws:sns:eu-west-1:111122223333:city-main-alerts"  # where a step's failure is told
machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:city-main-{pipeline}"  # for `trikk executions`
cluster = "city-main"              # with run = "ecs", as are the next two
task_definition = "city-main-jobs"
container = "job"                  # of the task definition

[targets.stepfunctions.steps.STEP]
run = "processing"
instance = "ml.m5.4xlarge"
volume = 100
max_runtime = "2d"
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from trikk.core.durations import seconds
from trikk.core.errors import ProjectError, UsageError
from trikk.core.settings import FILE, Settings
from trikk.targets.target_settings import Kinds, TargetSettings, target_settings

NAME = "stepfunctions"
VOLUME = 30
CONTAINER = "job"
_KINDS: Kinds = {
    **dict.fromkeys(("run", "role", "image", "bucket", "exchange", "python", "instance", "max_runtime"), str),
    **dict.fromkeys(("topic", "machine", "cluster", "task_definition", "container"), str),
    "volume": int,
    "subnets": list,
    "security_groups": list,
    "environment": dict,
}
_STEP_KINDS: Kinds = {"run": str, "instance": str, "volume": int, "max_runtime": str}
_FOR_ECS = ("cluster", "task_definition", "subnets")


class JobKind(StrEnum):
    """What a step becomes."""

    PROCESSING = "processing"
    ECS = "ecs"


def step_functions_settings(settings: Settings) -> TargetSettings:
    """The section, checked.

    Raises:
        ProjectError: if it has an unknown key, or a value that can't be.
    """
    section = target_settings(settings, NAME, _KINDS, _STEP_KINDS)
    where = f"{settings.root / FILE}, [targets.{NAME}]"
    for step, values in {"": section.values, **section.steps}.items():
        _check(values, f"{where[:-1]}.steps.{step}]" if step else where)
    kinds = [values.get("run") for values in (section.values, *section.steps.values())]
    missing = [key for key in _FOR_ECS if key not in section.values] if JobKind.ECS in kinds else []
    if missing:
        raise ProjectError(f'run = "ecs" needs {missing[0]}', where=where, next=f"set {', '.join(missing)}")
    return section


def runtime_of(text: Any, where: str) -> float | None:
    """A `max_runtime` in seconds; None if it is not given; ProjectError if it is no duration."""
    try:
        return None if text is None else seconds(text, what="max_runtime")
    except UsageError as error:
        raise ProjectError(error.what, where=where, next=error.next) from error


def _check(values: Any, where: str) -> None:
    if values.get("run", JobKind.PROCESSING) not in [*JobKind]:
        raise ProjectError(f"run = {values['run']!r}", where=where, next='use run = "processing" or "ecs"')
    if values.get("volume", VOLUME) < 1:
        raise ProjectError(f"volume = {values['volume']}", where=where, next="give gigabytes, at least 1")
    runtime_of(values.get("max_runtime"), where)
