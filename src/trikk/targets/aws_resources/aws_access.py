"""Access to an account: checked before anything is read, and the words for what AWS refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from trikk.core.errors import AwsRefused, MissingExtra, UsageError
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.aws_settings import AwsSettings

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_INVALID = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    *("AuthFailure", "InvalidSignatureException", "IncompleteSignature", "MissingAuthenticationToken"),
}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "403",
    "Forbidden",
}
_ACTION = re.compile(r"not authorized to perform:? ([A-Za-z0-9-]+:[A-Za-z0-9*]+)(?: on resource: (\S+))?")
_NOT_THERE = re.compile("does not exist|could not find", re.IGNORECASE)
_CREDENTIALS = "sign in again, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and its like"


@dataclass(frozen=True)
class AwsAccess:
    """An account and a region, and clients for its services.

    Attributes:
        session: boto3's.
        names: of the environment there.
    """

    session: Any
    names: AwsNames

    def client(self, service: str) -> Any:
        """The client of a service, one for all who ask."""
        return self._clients(service)

    @cached_property
    def _clients(self) -> Any:
        from botocore.config import Config

        config = Config(connect_timeout=10, read_timeout=60, retries={"total_max_attempts": 5, "mode": "standard"})
        return cache(lambda service: self.session.client(service, region_name=self.names.region, config=config))


def access(settings: AwsSettings) -> AwsAccess:
    """Access to the account of the credentials, if it is the one that is meant.

    Raises:
        MissingExtra: if boto3 is not installed.
        UsageError: if credentials are missing, have expired or are for another account.
        AwsRefused: if AWS can't be reached.
    """
    with refusals("who the credentials are for"):
        import boto3

        connected = boto3.Session(region_name=settings.region)
        account = str(connected.client("sts").get_caller_identity()["Account"])
    if settings.account and account != settings.account:
        raise UsageError(
            f"the credentials are for account {account}, and [targets.aws] names {settings.account}",
            next="use the credentials of that account: AWS_PROFILE=...",
        )
    partition = connected.get_partition_for_region(settings.region)
    names = AwsNames(settings.prefix, partition, settings.region, account, settings.bucket)
    return AwsAccess(connected, names)


@contextmanager
def refusals(subject: str) -> Iterator[None]:
    """Turn what boto3 raises into the project's errors.

    Args:
        subject: what was to be read or done, as the error names it.

    Raises:
        UsageError: if credentials are missing, invalid or have expired.
        AwsRefused: in all other cases, such as an action that they may not do; that is named.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
        from botocore.parsers import ResponseParserError
    except ImportError:
        raise MissingExtra("AWS", "aws") from None
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError):
        raise UsageError(f"{subject}: there are no AWS credentials", next=_CREDENTIALS) from None
    except ClientError as error:
        raise refusal(subject, error) from None
    except (BotoCoreError, ResponseParserError) as error:
        problem = f"{subject}: AWS can't be asked: {error}"
        raise AwsRefused(problem, next="check the region, the network and AWS_ENDPOINT_URL") from None


def refusal(subject: str, error: Any) -> UsageError | AwsRefused:
    """The error for a request that a service has refused (a ClientError)."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    if code in _EXPIRED:
        return UsageError(f"{subject}: the AWS credentials have expired", next=_CREDENTIALS)
    if code in _INVALID:
        return UsageError(f"{subject}: AWS does not know the credentials ({code})", next=_CREDENTIALS)
    denied = _ACTION.search(text)
    if denied or code in _DENIED:
        action = denied[1] if denied else f"{error.operation_name} ({code})"
        on = f" on {denied[2]}" if denied and denied[2] else ""
        return AwsRefused(
            f"{subject}: the credentials may not do {action}{on}",
            next="let their role do it: docs/aws.md lists what is needed",
        )
    return AwsRefused(f"{subject}: {code}: {text[:500]}", next="mend what AWS says")


def or_none(ask: Callable[..., Any], **arguments: Any) -> Any:
    """What a service answers; None if what was asked for is not there. Raises botocore's other errors."""
    from botocore.exceptions import ClientError

    try:
        return ask(**arguments)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def is_missing(error: Any) -> bool:
    """Whether a service's refusal (a ClientError) says that what was asked for is not there."""
    about = error.response.get("Error", {})
    code = str(about.get("Code", ""))
    return (
        code in ("404", "NotFound", "ResourceNotFound")
        or code.startswith("NoSuch")
        or code.endswith(("NotFoundException", "NotFoundError"))
        or (code == "ValidationException" and _NOT_THERE.search(str(about.get("Message", ""))) is not None)
    )
