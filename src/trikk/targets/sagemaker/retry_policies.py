"""A step's `Retry` as policies of the service, for the failures that are its own: no machine, a limit, a fault.

The service never tries user code again: a container that ends with an error fails its step. What the author's
`Retry` says of their code is therefore done inside of the job, by the same driver as at home; the policies here
repeat the job itself. Source: https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trikk.core.durations import show_seconds
from trikk.core.values import JSON

_SERVICE = ["Step.SERVICE_FAULT", "Step.THROTTLING"]
_JOB = ["SageMaker.CAPACITY_ERROR", "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.RESOURCE_LIMIT"]
MOST_ATTEMPTS = 20
LONGEST_INTERVAL = 43_200  # seconds


def retry_policies(retry: Mapping[str, Any] | None) -> list[JSON]:
    """The policies for a step.

    Args:
        retry: a `Retry` as JSON; None, or one of a single attempt, gives none.
    """
    if retry is None or retry["attempts"] < 2:
        return []
    timing: dict[str, JSON] = {
        "IntervalSeconds": min(LONGEST_INTERVAL, max(1, math.ceil(retry["delay"]))),
        "BackoffRate": float(retry["factor"]),
        "MaxAttempts": min(MOST_ATTEMPTS, retry["attempts"] - 1),
    }
    return [{"ExceptionType": [*kinds], **timing} for kinds in (_SERVICE, _JOB)]


def unlike_at_home(retry: Mapping[str, Any] | None) -> str | None:
    """What of a `Retry` the policies can't say, as the end of a sentence; None if they say all of it.

    Jitter is left out: it only spreads what failed together, and a single execution has little of that.
    """
    if retry is None or retry["attempts"] < 2:
        return None
    differences = []
    repeats = min(MOST_ATTEMPTS, retry["attempts"] - 1)
    if retry["attempts"] - 1 > MOST_ATTEMPTS:
        differences.append(f"{MOST_ATTEMPTS} times at most")
    if retry["delay"] > LONGEST_INTERVAL:
        differences.append(f"after {show_seconds(LONGEST_INTERVAL)} at first")
    grown = max(1, math.ceil(retry["delay"])) * retry["factor"] ** (repeats - 1) if repeats < 100 else math.inf
    if grown > max(1.0, retry["max_delay"]):
        differences.append(f"without the cap of {show_seconds(retry['max_delay'])} on a pause")
    return ", ".join(differences) or None
