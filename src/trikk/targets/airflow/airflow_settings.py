"""What `[targets.airflow]` of trikk.toml takes.

[targets.airflow]
python = "/opt/city/bin/python"    # has trikk and the project's packages; the worker's if not given
exchange = "s3://city-main/exchange"  # where jobs leave what they have done; beside the artifacts if not given
retries = 2                        # of a task whose job was killed
retry_delay = "30s"
tags = ["city"]
url = "http://user:${AIRFLOW_PASSWORD}@airflow:8080"  # of the API, for `trikk executions`
"""

from __future__ import annotations

from typing import Any

from trikk.core.durations import seconds
from trikk.core.errors import ProjectError, UsageError
from trikk.core.settings import FILE, Settings
from trikk.targets.target_settings import Kinds, TargetSettings, target_settings

NAME = "airflow"
RETRIES = 2
RETRY_DELAY = "30s"
_MOST_RETRIES = 100
_KINDS: Kinds = {
    **dict.fromkeys(("python", "exchange", "retry_delay", "url"), str),
    "retries": int,
    "tags": list,
}


def airflow_settings(settings: Settings) -> TargetSettings:
    """The section, checked.

    Raises:
        ProjectError: if it has an unknown key, or a value that can't be.
    """
    section = target_settings(settings, NAME, _KINDS)
    where = f"{settings.root / FILE}, [targets.{NAME}]"
    retries: Any = section.values.get("retries", RETRIES)
    if not 0 <= retries <= _MOST_RETRIES:
        raise ProjectError(f"retries = {retries}", where=where, next=f"use a number from 0 to {_MOST_RETRIES}")
    try:
        seconds(section.values.get("retry_delay", RETRY_DELAY), what="retry_delay")
    except UsageError as error:
        raise ProjectError(error.what, where=where, next=error.next) from error
    return section
