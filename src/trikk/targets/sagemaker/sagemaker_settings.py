"""What `[targets.sagemaker]` of trikk.toml takes.

[targets.sagemaker]
role = "arn:aws:iam::111122223333:role/city-main-jobs"  # of the jobs; else the parameter Role
image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/city@sha256:..."  # else the parameter Image
bucket = "city-main"               # with artifacts, tables and exchange; else the parameter Bucket
exchange = "s3://city-main/exchange"
python = "python"                  # the image's interpreter
instance = "ml.m5.xlarge"          # of all jobs; the smallest that fits each step's Resources if not given
volume = 30                        # GB
max_runtime = "1d"                 # of a job; a step's time-out and retries say it if they are given
subnets = ["subnet-1"]             # where jobs run; outside of any network of yours if not given
security_groups = ["sg-1"]
environment = {STAGE = "main"}     # of jobs; nothing secret
model_group = "city"               # a model package for each model that is registered
serving_image = "..."              # of these packages; `image` if not given
endpoint = "http://127.0.0.1:9000"  # of another S3 server, for --target sagemaker-local
definition = "s3"                  # it may be larger than a request takes; "request" if not given

[targets.sagemaker.steps.STEP]
kind = "training"                  # or "processing"
instance = "ml.g5.xlarge"
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

NAME = "sagemaker"
VOLUME = 30
_KINDS: Kinds = {
    **dict.fromkeys(("role", "image", "bucket", "exchange", "python", "instance", "max_runtime"), str),
    **dict.fromkeys(("model_group", "serving_image", "definition", "endpoint"), str),
    "volume": int,
    "subnets": list,
    "security_groups": list,
    "environment": dict,
}
_STEP_KINDS: Kinds = {"kind": str, "instance": str, "volume": int, "max_runtime": str}


class JobKind(StrEnum):
    """What a step becomes."""

    PROCESSING = "processing"
    TRAINING = "training"


def sagemaker_settings(settings: Settings) -> TargetSettings:
    """The section, checked.

    Raises:
        ProjectError: if it has an unknown key, or a value that can't be.
    """
    section = target_settings(settings, NAME, _KINDS, _STEP_KINDS)
    where = f"{settings.root / FILE}, [targets.{NAME}]"
    for step, given in section.steps.items():
        if given.get("kind", JobKind.PROCESSING) not in [*JobKind]:
            mend = 'use kind = "processing" or "training"'
            raise ProjectError(f"kind = {given['kind']!r}", where=f"{where[:-1]}.steps.{step}]", next=mend)
    if bool(section.values.get("subnets")) != bool(section.values.get("security_groups")):
        raise ProjectError("subnets and security_groups go together", where=where, next="give both, or none")
    for values in (section.values, *section.steps.values()):
        runtime_of(values.get("max_runtime"), where)
        if values.get("volume", VOLUME) < 1:
            raise ProjectError(f"volume = {values['volume']}", where=where, next="give gigabytes, at least 1")
    return section


def runtime_of(text: Any, where: str) -> float | None:
    """A `max_runtime` in seconds; None if it is not given; ProjectError if it is no duration."""
    try:
        return None if text is None else seconds(text, what="max_runtime")
    except UsageError as error:
        raise ProjectError(error.what, where=where, next=error.next) from error
