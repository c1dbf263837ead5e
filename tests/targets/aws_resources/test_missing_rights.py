"""Rights that are missing are named before anything is changed, where IAM says so. moto's IAM does not."""

from __future__ import annotations

from typing import Any

import pytest

from trikk.targets.aws_resources.aws_access import AwsAccess
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.change_plan import Action, Change, Plan
from trikk.targets.aws_resources.kinds.resource_port import Kind
from trikk.targets.aws_resources.missing_rights import _MADE_AND_DELETED, missing_rights, needed

pytest.importorskip("boto3")
NAMES = AwsNames("city-main", "aws", "eu-west-1", "111122223333")
PLAN = Plan(
    (
        Change(Action.CREATE, Kind.TOPIC, "city-main-alerts", ""),
        Change(Action.CREATE, Kind.SUBSCRIPTION, "mail:a@example.com", ""),
        Change(Action.DELETE, Kind.ROLE, "city-main-jobs", ""),
    ),
    0,
)


class Iam:
    """As sts and iam: a caller, and a simulation in which some actions are denied."""

    def __init__(self, caller: str, denied: set[str], refuses: str = "") -> None:
        self.caller, self.denied, self.refuses = caller, denied, refuses
        self.principals: set[str] = set()

    def client(self, service: str, **_: Any) -> Iam:
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": self.caller}

    def simulate_principal_policy(
        self,
        PolicySourceArn: str,  # noqa: N803 - the service's names
        ActionNames: list[str],  # noqa: N803
        ResourceArns: list[str],  # noqa: N803
    ) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        if self.refuses:
            raise ClientError({"Error": {"Code": self.refuses, "Message": ""}}, "SimulatePrincipalPolicy")
        self.principals.add(PolicySourceArn)
        decisions = {True: "implicitDeny", False: "allowed"}
        results = [
            {"EvalActionName": a, "EvalResourceName": ResourceArns[0], "EvalDecision": decisions[a in self.denied]}
            for a in ActionNames
        ]
        return {"EvaluationResults": results}


def test_an_action_that_is_denied_is_named_with_its_resource() -> None:
    iam = Iam("arn:aws:sts::111122223333:assumed-role/deployer/me", {"iam:DeleteRole", "sns:DeleteTopic"})
    denied = missing_rights(AwsAccess(iam, NAMES), PLAN)
    assert denied == ["iam:DeleteRole on arn:aws:iam::111122223333:role/city-main-jobs"]
    assert iam.principals == {"arn:aws:iam::111122223333:role/deployer"}


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntity"])
def test_where_iam_does_not_say_nothing_is_missing(code: str) -> None:
    iam = Iam("arn:aws:iam::111122223333:user/me", {"iam:DeleteRole"}, refuses=code)
    assert missing_rights(AwsAccess(iam, NAMES), PLAN) == []


def test_the_actions_are_the_services_own() -> None:
    """Each is the name of an operation, or one of those whose rights have other names."""
    import boto3

    session = boto3.Session(region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    renamed = {"PutEncryptionConfiguration", "PutLifecycleConfiguration", "PutBucketPublicAccessBlock"}
    renamed |= {"ListBucketVersions", "PassRole"}
    for service, made, deleted in _MADE_AND_DELETED.values():
        operations = set(session.client(service).meta.service_model.operation_names)
        assert {*made, *deleted} - operations <= renamed, service


def test_every_kind_but_subscriptions_is_asked_about() -> None:
    plan = Plan(tuple(Change(Action.CREATE, kind, "x", "") for kind in Kind), 0)
    assert len(list(needed(AwsAccess(None, NAMES), plan))) == len(Kind) - 1
