"""Credentials that are missing, unknown, expired or too weak: one clear answer, before anything is changed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.shared import answers, free_ports, launch, stop

from trikk.core.clock import SystemClock
from trikk.core.errors import AwsRefused, UsageError
from trikk.targets.aws_resources.aws_access import access, refusal, refusals
from trikk.targets.aws_resources.aws_environment import AwsEnvironment
from trikk.targets.aws_resources.aws_settings import AwsSettings

pytest.importorskip("boto3")
SETTINGS = AwsSettings("city-main", {"trikk:project": "city", "trikk:environment": "main"}, "eu-west-1")


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def test_without_credentials() -> None:
    from trikk.core.errors import TrikkError

    with pytest.raises(TrikkError) as refused:
        access(SETTINGS)
    assert "no AWS credentials" in refused.value.what


def client_error(code: str, message: str, operation: str = "CreateRole") -> Any:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("code", "message", "kind", "said"),
    [
        ("ExpiredTokenException", "The security token included in the request is expired", UsageError, "expired"),
        ("ExpiredToken", "The provided token has expired.", UsageError, "expired"),
        ("InvalidClientTokenId", "The security token included in the request is invalid", UsageError, "know"),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", UsageError, "know"),
        (
            "AccessDenied",
            "User: a is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::1:role/r because ...",
            AwsRefused,
            "may not do iam:CreateRole on arn:aws:iam::1:role/r",
        ),
        ("AccessDenied", "Access Denied", AwsRefused, "may not do CreateRole"),
        ("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", AwsRefused, "RolesPerAccount"),
    ],
)
def test_what_a_service_refuses_in_words(code: str, message: str, kind: type, said: str) -> None:
    error = refusal("role city-main-jobs", client_error(code, message))
    assert type(error) is kind
    assert said in error.what
    assert error.next


def test_a_service_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from botocore.config import Config

    [port] = free_ports(1)
    config = Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    client = boto3.client(
        "sts", region_name="eu-west-1", endpoint_url=f"http://127.0.0.1:{port}", config=config, **keys
    )
    with pytest.raises(AwsRefused) as refused, refusals("who the credentials are for"):
        client.get_caller_identity()
    assert "can't be asked" in refused.value.what


@pytest.fixture
def strict_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The client of IAM of a server of moto's that checks rights after its first three calls."""
    import boto3

    pytest.importorskip("moto.server", reason="no moto server", exc_type=ImportError)
    [port] = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"}
    process = launch(command, tmp_path / "log", os.getpid(), environment=environment)
    try:
        assert answers(process, port, 60)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        iam = boto3.client("iam", region_name="us-east-1", aws_access_key_id="root", aws_secret_access_key="root")
        yield iam
    finally:
        stop(process)


def test_rights_that_are_too_weak_are_named(strict_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = {"Effect": "Allow", "Action": ["logs:*", "tag:*", "tagging:*", "s3:*", "sts:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    strict_server.create_user(UserName="weak")
    strict_server.put_user_policy(UserName="weak", PolicyName="some", PolicyDocument=policy)
    key = strict_server.create_access_key(UserName="weak")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    with pytest.raises(AwsRefused) as refused:
        AwsEnvironment(access(SETTINGS), SETTINGS, {}, SystemClock()).plan([])
    assert "may not do iam:GetRole" in refused.value.what
    assert key["SecretAccessKey"] not in str(refused.value)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(UsageError) as unknown:
        access(SETTINGS)
    assert "does not know the credentials" in unknown.value.what
