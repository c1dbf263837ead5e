"""Which rights the credentials lack for a plan, as far as IAM says so before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from trikk.targets.aws_resources.aws_access import AwsAccess
from trikk.targets.aws_resources.change_plan import Action, Plan
from trikk.targets.aws_resources.kinds.resource_port import Kind

_MADE_AND_DELETED: Mapping[Kind, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    Kind.LOG_GROUP: ("logs", ("CreateLogGroup", "PutRetentionPolicy", "TagResource"), ("DeleteLogGroup",)),
    Kind.BUCKET: (
        "s3",
        (
            *("CreateBucket", "PutBucketVersioning", "PutEncryptionConfiguration", "PutBucketPublicAccessBlock"),
            *("PutLifecycleConfiguration", "PutBucketPolicy", "PutBucketTagging"),
        ),
        ("DeleteBucket", "ListBucketVersions"),
    ),
    Kind.ROLE: (
        "iam",
        ("CreateRole", "PutRolePolicy", "PassRole", "TagRole", "UpdateAssumeRolePolicy"),
        ("DeleteRole", "DeleteRolePolicy"),
    ),
    Kind.TOPIC: ("sns", ("CreateTopic", "SetTopicAttributes", "TagResource"), ("DeleteTopic",)),
    Kind.FUNCTION: (
        "lambda",
        (
            *("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration"),
            *("PutFunctionEventInvokeConfig", "TagResource"),
        ),
        ("DeleteFunction",),
    ),
    Kind.PIPELINE: ("sagemaker", ("CreatePipeline", "UpdatePipeline", "AddTags"), ("DeletePipeline",)),
    Kind.SCHEDULE_GROUP: ("scheduler", ("CreateScheduleGroup", "TagResource"), ("DeleteScheduleGroup",)),
    Kind.SCHEDULE: ("scheduler", ("CreateSchedule", "UpdateSchedule"), ("DeleteSchedule",)),
    Kind.RULE: ("events", ("PutRule", "PutTargets", "TagResource"), ("RemoveTargets", "DeleteRule")),
    Kind.ALARM: ("cloudwatch", ("PutMetricAlarm", "TagResource"), ("DeleteAlarms",)),
}
"""By kind the service, the actions that make and change it, and those that delete it."""

_ASSUMED = re.compile(r"arn:([a-z-]+):sts::(\d+):assumed-role/([^/]+)/.+")


def missing_rights(access: AwsAccess, plan: Plan) -> list[str]:
    """The actions that a plan needs and the credentials may not do, each with its resource.

    Empty also where IAM does not say: it is asked by `iam:SimulatePrincipalPolicy`, which many may not do, and
    does not know a role with a path, which the ARN of a session leaves out.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        principal = _principal(access.client("sts").get_caller_identity()["Arn"])
        return [
            f"{result['EvalActionName']} on {result['EvalResourceName']}"
            for actions, arn in needed(access, plan)
            for result in _simulated(access, principal, actions, arn)
            if result["EvalDecision"] != "allowed"
        ]
    except (ClientError, BotoCoreError, ResponseParserError):
        return []


def needed(access: AwsAccess, plan: Plan) -> Iterator[tuple[list[str], str]]:
    """The actions of each change, with the ARN of its resource."""
    for change in plan.changes:
        if change.kind in _MADE_AND_DELETED:
            service, making, deleting = _MADE_AND_DELETED[change.kind]
            actions = deleting if change.action is Action.DELETE else making
            yield [f"{service}:{action}" for action in actions], access.names.arn_of(change.kind, change.name)


def _simulated(access: AwsAccess, principal: str, actions: list[str], arn: str) -> list[dict[str, Any]]:
    answer = access.client("iam").simulate_principal_policy(
        PolicySourceArn=principal, ActionNames=actions, ResourceArns=[arn]
    )
    results: list[dict[str, Any]] = answer["EvaluationResults"]
    return results


def _principal(caller: str) -> str:
    """The ARN of a caller's user or role: of a session, that of the role it has taken on."""
    session = _ASSUMED.fullmatch(caller)
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else caller
