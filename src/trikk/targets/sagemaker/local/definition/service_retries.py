"""Whether and when the service tries a step again, by its `RetryPolicies`. Pure.

https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html: the wait before retry n is
`IntervalSeconds * BackoffRate ** (n - 1)`. No type of failure means "the container has exited with another code
than 0": a failure of the author's code is never tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from trikk.core.errors import DefinitionError

_ATTEMPTS, _INTERVAL, _RATE = 5, 1, 2.0
_MOST_ATTEMPTS, _LONGEST_INTERVAL, _LONGEST_EXPIRY = 20, 43_200, 14_400


class FailureType(StrEnum):
    """Why a step has failed, as policies name it; `CLIENT` is what none can name."""

    SERVICE_FAULT = "Step.SERVICE_FAULT"
    THROTTLING = "Step.THROTTLING"
    INTERNAL = "SageMaker.JOB_INTERNAL_ERROR"
    CAPACITY = "SageMaker.CAPACITY_ERROR"
    RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"
    CLIENT = "ClientError"


_NAMED = set(FailureType) - {FailureType.CLIENT}
_ALWAYS = {FailureType.SERVICE_FAULT, FailureType.THROTTLING}  # tried again without a policy, too


def check_policies(policies: Any) -> None:
    """Check a step's `RetryPolicies` as the service documents them.

    Raises:
        DefinitionError: if one has an unknown type or a number that is not allowed.
    """
    for policy in policies:
        types = policy.get("ExceptionType") if isinstance(policy, Mapping) else None
        if not isinstance(types, list) or not types or not set(types) <= set(map(str, _NAMED)):
            raise DefinitionError(
                f"a retry policy has ExceptionType {types!r}", next=f"a list of: {', '.join(sorted(_NAMED))}"
            )
        if "MaxAttempts" in policy and "ExpireAfterMin" in policy:
            raise DefinitionError(
                "a retry policy has MaxAttempts and ExpireAfterMin", next="leave one of them out"
            )
        for key, most in (
            ("IntervalSeconds", _LONGEST_INTERVAL),
            ("MaxAttempts", _MOST_ATTEMPTS),
            ("ExpireAfterMin", _LONGEST_EXPIRY),
            ("BackoffRate", float("inf")),
        ):
            number = policy.get(key, 0)
            if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= most:
                raise DefinitionError(f"a retry policy has {key} {number!r}", next=f"a number from 0 to {most:g}")


def wait_before_retry(
    policies: Sequence[Mapping[str, Any]], failure: FailureType, retries: int, since_first: float
) -> float | None:
    """Seconds until a step is tried again; None if it is not.

    Args:
        policies: of the step.
        failure: why the last attempt failed.
        retries: how often it was tried again for this already.
        since_first: seconds since its first attempt failed for this.
    """
    if failure not in _NAMED:
        return None
    policy = next(
        (each for each in policies if failure in each["ExceptionType"]), {} if failure in _ALWAYS else None
    )
    if policy is None:
        return None
    wait = float(policy.get("IntervalSeconds", _INTERVAL)) * policy.get("BackoffRate", _RATE) ** retries
    if "ExpireAfterMin" in policy:
        return wait if since_first + wait <= 60 * policy["ExpireAfterMin"] else None
    return wait if retries < policy.get("MaxAttempts", _ATTEMPTS) else None
