"""The modules, made and destroyed by Terraform and AWS's own provider on a server that stands for AWS.

What takes minutes (a network, a host with its database, an endpoint, life cycles) is in whole_environment.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.servers.moto import MotoServer
from tests.servers.moto_front import moto_front
from tests.targets.terraform.applied_environment import (
    DEFINITION,
    IMAGE,
    Cloud,
    applied,
    canonical,
    cloud,
    compiled,
    small_environment,
    wide_statements,
    write_document,
)
from tests.targets.terraform.terraform_folder import ACCOUNT, REGION, Root

__all__ = ["cloud", "moto_front"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_environment_is_as_it_should_be_and_nothing_of_it_is_left(tmp_path: Path, cloud: Cloud) -> None:
    root = Root(tmp_path / "infra", cloud.endpoint, small_environment())
    root.must("init", "-no-color")
    write_document(root, compiled())
    try:
        applied(root)
        look_at(root, cloud)
        definition = {**DEFINITION, "Metadata": {"note": "another"}}
        write_document(root, compiled(definition=canonical(definition)))
        planned = root.must("plan", "-no-color")
        assert "Plan: 0 to add, 1 to change, 0 to destroy." in planned, "the pipeline alone"
    finally:
        root.must("destroy", "-auto-approve", "-no-color")
    assert root.state() == []


def look_at(root: Root, cloud: Cloud) -> None:
    bucket = f"city-test-{ACCOUNT}"
    s3 = cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"

    sagemaker = cloud.client("sagemaker")
    pipeline = sagemaker.describe_pipeline(PipelineName="city-test-nightly")
    defaults = {p["Name"]: p["DefaultValue"] for p in json.loads(pipeline["PipelineDefinition"])["Parameters"]}
    role = f"arn:aws:iam::{ACCOUNT}:role/city-test-jobs"
    assert defaults == {"Role": role, "Image": IMAGE, "Bucket": bucket, "max-mae": 4}
    assert json.loads(pipeline["PipelineDefinition"])["Steps"] == DEFINITION["Steps"]
    assert pipeline["RoleArn"] == role

    schedule = cloud.client("scheduler").get_schedule(GroupName="city-test", Name="night")
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == (
        "cron(0 4 * * ? *)",
        "Europe/Oslo",
    )
    assert schedule["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1}
    assert json.loads(schedule["Target"]["Input"]) == {
        "trigger": "night",
        "scheduled": "<aws.scheduler.scheduled-time>",
        "pipeline": "city-test-nightly",
    }
    assert "<aws.scheduler.scheduled-time>" in schedule["Target"]["Input"], (
        "as it is written, or nothing is put in"
    )
    function = cloud.client("lambda").get_function(FunctionName="city-test-start")["Configuration"]
    assert schedule["Target"]["Arn"] == function["FunctionArn"]

    alarms = {a["AlarmName"]: a for a in cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    missed = alarms["city-test-nightly-missed"]
    assert missed["Namespace"] == "AWS/Sagemaker/ModelBuildingPipeline"
    assert (missed["MetricName"], missed["Statistic"], missed["TreatMissingData"]) == (
        "ExecutionStarted",
        "Sum",
        "breaching",
    )
    assert missed["Period"] * missed["EvaluationPeriods"] == 26 * 3600
    assert missed["AlarmActions"] == [f"arn:aws:sns:{REGION}:{ACCOUNT}:city-test-alerts"]
    topics = {s["Endpoint"] for s in cloud.client("sns").list_subscriptions()["Subscriptions"]}
    assert topics == {"ml-team@example.org", "https://example.org/alerts"}
    [target] = cloud.client("events").list_targets_by_rule(Rule="city-test-failures")["Targets"]
    assert target["Arn"] == missed["AlarmActions"][0]
    output = json.loads(root.must("output", "-json"))["trikk"]["value"]
    assert output["targets"]["sagemaker"] == {
        "role": role,
        "bucket": bucket,
        "image": IMAGE,
    }
    tags = sagemaker.list_tags(ResourceArn=pipeline["PipelineArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags}.items() >= {
        "trikk:project": "city",
        "trikk:environment": "test",
    }.items()
    assert list(wide_statements(root)) == []


def said_of(root: Root, **change: Any) -> str:
    root.write(small_environment() | change)
    return root.refused("plan")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_bad_input_is_a_clear_error_before_anything_is_made(tmp_path: Path, moto_front: MotoServer) -> None:
    root = Root(tmp_path / "infra", moto_front.endpoint, small_environment())
    root.must("init", "-no-color")
    write_document(root, compiled())
    said = said_of(
        root,
        image="city:latest",
        bucket="City_Data",
        alerts={"webhooks": ["http://example.org"]},
        keep={"logs": 31},
        repositories=["arn:aws:ecr:eu-west-1:111122223333:repository/*"],
        network={"zones": [], "cidr": "10.0.0.0"},
    )
    for message in (
        "The image must be named by its digest",
        "A bucket's name has 3 to 63 small letters, digits and dashes, and no dots: City_Data",
        "Alerts go to https addresses only",
        "keep.logs is one of the lengths that CloudWatch knows",
        "Each repository is an ARN such as arn:aws:ecr",
        "network.cidr must be such as 10.20.0.0/16",
    ):
        assert said.count(message) == 1
    assert said.count("Error: ") == 6
    said = said_of(root, region="eu-north-1", host={"image": IMAGE}, start_function=None)
    for message in (
        "city-test belongs to eu-north-1, and the provider works in eu-west-1",
        "The host needs a network of its own: set `network`",
        "Schedules call a function, and start_function is not given",
    ):
        assert said.count(message) == 1
    said = said_of(root, image=None)
    assert "Pipeline nightly needs Image, and the environment has none: set `image`" in said
    assert said.count("Error: ") == 1
    write_document(root, compiled(definition='{"StartAt": "Train"}'))
    assert "The definition is not a SageMaker pipeline" in said_of(root)
    assert root.state() == []
