"""Who one is at Amazon's services, by name only: the environment, a profile or a role, never a key."""

from __future__ import annotations

import re
from typing import Any

from trikk.core.errors import MissingExtra, StorageError, UsageError
from trikk.core.network.addresses import BY_REFERENCE, holds_secret

# Key ids begin like this; the secret half has no form, and is looked for by `holds_secret`.
_KEY = re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}")
_PROFILE = re.compile(r"[A-Za-z0-9_.+@-][A-Za-z0-9_.+@ -]{0,38}")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d+")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._/-]*)?")
_ADVICE = "put keys into the environment (AWS_*) or a profile, and name that: profile=... or role=..."


def refuse_keys(*texts: object) -> None:
    """Refuse texts in which a password, an access key or a signed address stands; the text is not repeated.

    Raises:
        UsageError: if there is one.
    """
    for text in texts:
        if isinstance(text, str) and holds_secret(text):
            problem = "an argument holds what looks like a password, an AWS key or a signed address"
            raise UsageError(problem, next=f"{_ADVICE}; else {BY_REFERENCE}")


def check_access(profile: object, role: object, endpoint: object, region: object) -> None:
    """Check the names of a profile, a role's ARN, a server's URL and a region, as far as they are given as text.

    Raises:
        UsageError: if one has not the form of such a name, as a secret would not; it is not repeated.
    """
    refuse_keys(profile, role, endpoint, region)
    for name, value, form, example in (
        ("profile", profile, _PROFILE, "the name of a section of ~/.aws/config"),
        ("role", role, _ROLE, "arn:aws:iam::123456789012:role/name"),
        ("endpoint", endpoint, _ENDPOINT, "https://host:port, without user and password"),
        ("region", region, _REGION, "eu-west-1"),
    ):
        if isinstance(value, str) and not form.fullmatch(value):
            raise UsageError(f"{name}= is not the name of a {name}", next=f"use {example}; {_ADVICE}")


def session(profile: str | None, role: str | None, region: str | None) -> Any:
    """A boto3 session with the credentials of the environment, a profile, or a role that either takes on.

    Raises:
        MissingExtra: if boto3 is not installed.
        UsageError: if there is no such profile.
        StorageError: if there are no credentials at all.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ProfileNotFound
    except ImportError:
        raise MissingExtra("a profile, a role or DynamoDB", "aws") from None
    try:
        connected = boto3.Session(profile_name=profile, region_name=region)
        if connected.get_credentials() is None:
            raise StorageError("there are no AWS credentials", next=_ADVICE)
    except ProfileNotFound:
        raise UsageError(f"there is no AWS profile {profile!r}", next="check ~/.aws/config") from None
    except BotoCoreError as error:
        raise failed("AWS credentials", error, None) from None
    return connected if role is None else _assumed(connected, role)


def _assumed(base: Any, role: str) -> Any:
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import get_session

    # boto3 assumes a role by itself only for one in a configuration file; only botocore's parts renew it.
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=base._session.create_client,
        source_credentials=base.get_credentials(),
        role_arn=role,
        extra_args={"RoleSessionName": "trikk"},
    )
    inner = get_session()
    inner._credentials = DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.Session(botocore_session=inner, region_name=base.region_name)


def failed(subject: str, error: Exception, where: str | None, verb: str = "read") -> StorageError:
    """The error for a refused request: the service's own code and sentence, without keys."""
    response = getattr(error, "response", None) or {}
    about = response.get("Error", {})
    text = f"{about.get('Code', '')}: {about.get('Message', '')}" if about else f"{type(error).__name__}: {error}"
    # A service may repeat the key that it refuses.
    clean = _KEY.sub("***", " ".join(text.split()))
    return StorageError(
        f"{subject} can't be {verb}: {clean[:500]}",
        where=where,
        next="check the region, the endpoint, and what the credentials allow",
    )
