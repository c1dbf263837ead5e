"""The policies of an environment's roles, bucket and topic, with no more rights than are used. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from trikk.targets.aws_resources.aws_names import AwsNames

Policy = dict[str, Any]
_VERSION = "2012-10-17"
_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9][a-z0-9._/-]*)")
_JOBS = (
    *("CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob"),
    *("CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob", "AddTags"),
)
_PACKAGES = ("CreateModelPackage", "DescribeModelPackage", "DescribeModelPackageGroup", "AddTags")


def trusted_by(service: str, names: AwsNames | None) -> Policy:
    """Who takes on a role: a service of AWS, for this account only where it says for whom it does."""
    statement: Policy = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{service}.amazonaws.com"},
    }
    if names is not None:
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": names.account}}
    return _policy(statement)


def jobs_policy(names: AwsNames, secrets: str, definitions: Iterable[Any]) -> Policy:
    """What pipelines and their jobs may do.

    Args:
        names: the environment's.
        secrets: what the names of the secrets that they may read begin with.
        definitions: the compiled documents, whose images they may pull.
    """
    objects = ("GetObject", "GetObjectVersion", "PutObject", "DeleteObject")
    uploads = ("AbortMultipartUpload", "ListMultipartUploadParts")
    logs = ("CreateLogGroup", "CreateLogStream", "PutLogEvents", "DescribeLogStreams")
    log_groups = [
        names.arn("logs", f"log-group:{group}") for group in ("/aws/sagemaker/*", f"{names.log_group}:*")
    ]
    jobs = [names.arn("sagemaker", f"{kind}/pipelines-*") for kind in ("processing-job", "training-job")]
    packages = [
        names.arn("sagemaker", f"{kind}/{names.prefix}-*") for kind in ("model-package", "model-package-group")
    ]
    statements = [
        _allow("Objects", "s3", (*objects, *uploads), [names.bucket_arn("*")]),
        _allow("Bucket", "s3", ("ListBucket", "GetBucketLocation"), [names.bucket_arn()]),
        _allow("Logs", "logs", logs, log_groups),
        _allow("Metrics", "cloudwatch", ("PutMetricData",), ["*"])
        | {"Condition": {"StringLike": {"cloudwatch:namespace": [names.prefix, "/aws/sagemaker/*"]}}},
        _allow(
            "Secrets", "secretsmanager", ("GetSecretValue",), [names.arn("secretsmanager", f"secret:{secrets}*")]
        ),
        _allow("JobsOfPipelines", "sagemaker", _JOBS, jobs),
        _allow("RegisteredModels", "sagemaker", _PACKAGES, packages),
        _allow("ItselfForJobs", "iam", ("PassRole",), [names.role_arn(names.jobs_role)])
        | {"Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}},
    ]
    if images := repositories(names, definitions):
        pull = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        statements.append(_allow("Images", "ecr", pull, images))
        statements.append(_allow("RegistryOfImages", "ecr", ("GetAuthorizationToken",), ["*"]))
    return _policy(*statements)


def repositories(names: AwsNames, definitions: Iterable[Any]) -> list[str]:
    """The ARNs of the repositories of ECR whose images documents name."""
    named = {image for document in definitions for image in _IMAGE.findall(json.dumps(document))}
    return sorted(
        f"arn:{names.partition}:ecr:{region}:{account}:repository/{name}" for account, region, name in named
    )


def start_policy(names: AwsNames, pipelines: Iterable[str]) -> Policy:
    """What the start function may do: start these pipelines, write its log, tell of a start that has failed."""
    arns = [names.arn("sagemaker", f"pipeline/{name.lower()}") for name in sorted(pipelines)]
    starts = [_allow("Start", "sagemaker", ("StartPipelineExecution",), arns)] if arns else []
    log = names.arn("logs", f"log-group:{names.log_group}:*")
    return _policy(
        *starts,
        _allow("Logs", "logs", ("CreateLogStream", "PutLogEvents"), [log]),
        _allow("TellOfFailures", "sns", ("Publish",), [names.arn("sns", names.topic)]),
    )


def scheduler_policy(names: AwsNames) -> Policy:
    """What Scheduler may do."""
    return _policy(
        _allow("Call", "lambda", ("InvokeFunction",), [names.arn("lambda", f"function:{names.function}")])
    )


def topic_policy(names: AwsNames) -> Policy:
    """Who may send to the topic: rules and alarms of this account."""
    return _policy(
        {
            "Sid": "AlarmsAndRules",
            "Effect": "Allow",
            "Action": "sns:Publish",
            "Resource": names.arn("sns", names.topic),
            "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
            "Condition": {"StringEquals": {"aws:SourceAccount": names.account}},
        }
    )


def bucket_policy(names: AwsNames) -> Policy:
    """That nobody reads or writes the bucket but over TLS."""
    return _policy(
        {
            "Sid": "EncryptedOnTheWay",
            "Effect": "Deny",
            "Action": "s3:*",
            "Resource": [names.bucket_arn(), names.bucket_arn("*")],
            "Principal": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def _allow(sid: str, service: str, actions: Sequence[str], resources: list[str]) -> Policy:
    allowed = [f"{service}:{action}" for action in actions]
    return {"Sid": sid, "Effect": "Allow", "Action": allowed, "Resource": resources}


def _policy(*statements: Policy) -> Policy:
    return {"Version": _VERSION, "Statement": list(statements)}
