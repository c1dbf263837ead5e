"""Terraform and `trikk aws` make the same resources, but for what only the modules have: a key of their own."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.servers.moto import MotoServer
from tests.servers.moto_front import moto_front
from tests.targets.terraform.applied_environment import IMAGE, canonical, cloud, write_document
from tests.targets.terraform.terraform_folder import ACCOUNT, REGION, Root

from trikk import pipeline, step
from trikk.core.settings import Settings
from trikk.targets.aws_resources.aws_access import AwsAccess
from trikk.targets.aws_resources.aws_environment import AwsEnvironment
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.aws_settings import AwsSettings
from trikk.targets.aws_resources.change_plan import Key, differences
from trikk.targets.aws_resources.environment_resources import EnginePipeline, environment_resources, missed_after
from trikk.targets.aws_resources.function_archive import function_archive
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind, Resource
from trikk.targets.target_port import Source
from trikk.testing import ManualClock
from trikk.triggers import Cron
from trikk.triggers.declared import Declared

__all__ = ["cloud", "moto_front"]
ALERTS = ("mail:ops@example.org", "https://hooks.example.org/alerts")
NAMES = AwsNames("city-test", "aws", REGION, ACCOUNT)
OF_TERRAFORM = {
    "bucket.encryption": "by a key of its own",
    "bucket.expiry": "left out here, since the provider takes a minute for it",
    "role.policies.jobs.Statement.Key": "may use that key",
    "role.policies.start.Statement.Key": "may use that key",
}
"""What differs, and why."""


@step
def fit(day: date) -> str:
    return str(day)


@pipeline
def nightly(day: date) -> None:
    fit(day)


def on_aws() -> EnginePipeline:
    cron = Cron("0 4 * * *", timezone="Europe/Oslo", day_offset=-1).for_pipeline(nightly.graph, "pipelines.py:1")
    declared = Declared("nightly", cron, "pipelines.py:1")
    definition = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": name, "Type": "String", "DefaultValue": ""} for name in ("Tick", "Trigger", "day")
        ],
        "Steps": [
            {"Name": "fit", "Type": "Processing", "Arguments": {"AppSpecification": {"ImageUri": IMAGE}}},
        ],
    }
    source = Source(nightly.graph, Settings(root=Path(), name="city"), "code", (declared,))
    return EnginePipeline(source, "city-test-nightly", definition, {declared.name: declared.name})


def document(pipeline: EnginePipeline, wanted: list[Resource]) -> dict[str, Any]:
    """The pipeline as the modules take it."""
    schedules = {
        resource.name: {
            "expression": resource.attributes["expression"],
            "timezone": resource.attributes["zone"],
            "input": canonical(resource.attributes["input"]),
        }
        for resource in wanted
        if resource.kind is Kind.SCHEDULE
    }
    about = {
        "definition": canonical(pipeline.definition),
        "description": "Forecasts",
        "name": "nightly",
        "missed_after": missed_after(pipeline.triggers),
        "schedules": schedules,
        "tags": {},
    }
    return {"pipelines": {"nightly": about}, "start_function": base64.b64encode(function_archive()).decode()}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("cloud")
def test_both_ways_make_the_same_resources(
    tmp_path: Path, moto_front: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = {"trikk:project": "city", "trikk:environment": "test"}
    settings = AwsSettings("city-test", owner, REGION, alerts=ALERTS, secrets="city-test/")
    pipeline = on_aws()
    wanted = environment_resources(settings, NAMES, [pipeline])
    arguments = {
        "force_destroy": True,
        "image": IMAGE,
        "repositories": ["arn:aws:ecr:eu-west-1:111122223333:repository/city"],
        "keep": {"exchange": 0},
        "alerts": {"emails": ["ops@example.org"], "webhooks": ["https://hooks.example.org/alerts"]},
    }
    root = Root(tmp_path / "infra", moto_front.endpoint, arguments)
    root.must("init", "-no-color")
    write_document(root, document(pipeline, wanted))
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_front.endpoint)
    try:
        root.must("apply", "-auto-approve", "-no-color")
        access = AwsAccess(deployer(), NAMES)
        there = AwsEnvironment(access, settings, {a: a for a in ALERTS}, ManualClock()).existing(wanted)
    finally:
        root.must("destroy", "-auto-approve", "-no-color")
    assert {(resource.kind, resource.name) for resource in wanted} == there.keys()
    assert set(different(wanted, there)) == OF_TERRAFORM.keys()


def deployer() -> boto3.Session:
    """The role with which Terraform makes resources, which leads to their account."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
    role = f"arn:aws:iam::{ACCOUNT}:role/city-test-deploy"
    taken = boto3.client("sts", **keys).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.Session(taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"], REGION)


def different(wanted: list[Resource], there: Mapping[Key, Attributes]) -> Iterator[str]:
    """The places of values that are not the same: of a policy its statement, otherwise the attribute."""
    for resource in wanted:
        existing, declared = (plain(a) for a in (there[resource.kind, resource.name], resource.attributes))
        for change in differences(existing, declared):
            place, is_policy, statement = change.attribute.partition(".Statement.")
            shown = f"{place}{is_policy}{statement.partition('.')[0]}" if is_policy else place.partition(".")[0]
            yield f"{resource.kind}.{shown}"


def plain(value: Any) -> Any:
    """A value in which policies that say the same are the same: statements by their ids, lists in one order."""
    if isinstance(value, dict) and "Statement" in value:
        statements = value["Statement"] if isinstance(value["Statement"], list) else [value["Statement"]]
        return {**value, "Statement": {each.get("Sid", "only"): unordered(each) for each in statements}}
    return {key: plain(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: unordered(inner) for key, inner in value.items() if (key, inner) != ("Sid", "")}
    return sorted(value) if isinstance(value, list) else [value]
