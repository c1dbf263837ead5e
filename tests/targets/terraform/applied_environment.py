"""An environment that tests make: its settings, what is compiled for it, and the account that it is in."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Collection, Iterator
from typing import Any

import boto3
import pytest
from tests.servers.moto import MotoServer
from tests.targets.terraform.rights import too_wide
from tests.targets.terraform.terraform_folder import ACCOUNT, REGION, Root

IMAGE = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/city@sha256:{'0' * 64}"
DEFINITION: dict[str, Any] = {
    "Version": "2020-12-01",
    "Metadata": {},
    "Parameters": [
        {"Name": "Role", "Type": "String"},
        {"Name": "Image", "Type": "String"},
        {"Name": "Bucket", "Type": "String"},
        {"Name": "max-mae", "Type": "Float", "DefaultValue": 4.0},
    ],
    "Steps": [
        {
            "Name": "Prep",
            "Type": "Processing",
            "Arguments": {
                "RoleArn": {"Get": "Parameters.Role"},
                "AppSpecification": {"ImageUri": {"Get": "Parameters.Image"}},
                "ProcessingResources": {
                    "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
                },
            },
        }
    ],
}


def canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def archive() -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(zipfile.ZipInfo("start_function.py"), "def handler(event, context):\n    return event\n")
    return base64.b64encode(packed.getvalue()).decode()


def compiled(**more: Any) -> dict[str, Any]:
    """What `trikk compile terraform nightly` prints, small."""
    schedule = {
        "expression": "cron(0 4 * * ? *)",
        "timezone": "Europe/Oslo",
        "input": canonical({"trigger": "night", "scheduled": "<aws.scheduler.scheduled-time>"}),
    }
    pipeline = {
        "definition": canonical(DEFINITION),
        "description": "Forecasts",
        "name": "nightly",
        "missed_after": 26,
        "tags": {"trikk:pipeline": "nightly"},
        "schedules": {"night": schedule},
        **more,
    }
    return {"pipelines": {"nightly": pipeline}, "start_function": archive()}


def small_environment() -> dict[str, Any]:
    """Settings of which all is made at once: no life cycle of objects, which takes the provider a minute."""
    return {
        "force_destroy": True,
        "image": IMAGE,
        "repositories": [f"arn:aws:ecr:{REGION}:111122223333:repository/city"],
        "keep": {"logs": 30, "exchange": 0},
        "alerts": {"emails": ["ml-team@example.org"], "webhooks": ["https://example.org/alerts"]},
        "registry": {"people": "How many people will pass"},
        "kafka": {
            "cluster": f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/city/1a2b-3",
            "reads": ["counts"],
            "writes": ["forecasts"],
        },
    }


class Cloud:
    """The account in which an environment is made, as one sees it by taking its role."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        known = {"endpoint_url": endpoint, "region_name": REGION}
        sts = boto3.client("sts", aws_access_key_id="testing", aws_secret_access_key="testing", **known)
        role = f"arn:aws:iam::{ACCOUNT}:role/city-test-deploy"
        keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        self._session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION)

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self.endpoint)

    def leftovers(self) -> dict[str, list[str]]:
        """What there is, by kind; nothing after a destroy."""
        iam, sagemaker, ec2 = self.client("iam"), self.client("sagemaker"), self.client("ec2")
        alarms = self.client("cloudwatch").describe_alarms()["MetricAlarms"]
        known = {
            "buckets": [b["Name"] for b in self.client("s3").list_buckets()["Buckets"]],
            "roles": [r["RoleName"] for r in iam.list_roles()["Roles"]],
            "policies": [p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]],
            "profiles": [p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]],
            "functions": [f["FunctionName"] for f in self.client("lambda").list_functions()["Functions"]],
            "schedules": [s["Name"] for s in self.client("scheduler").list_schedules()["Schedules"]],
            "topics": [t["TopicArn"] for t in self.client("sns").list_topics()["Topics"]],
            "subscriptions": [s["Endpoint"] for s in self.client("sns").list_subscriptions()["Subscriptions"]],
            "logs": [g["logGroupName"] for g in self.client("logs").describe_log_groups()["logGroups"]],
            "rules": [r["Name"] for r in self.client("events").list_rules()["Rules"]],
            "alarms": [a["AlarmName"] for a in alarms],
            "dashboards": [
                d["DashboardName"] for d in self.client("cloudwatch").list_dashboards()["DashboardEntries"]
            ],
            "pipelines": [p["PipelineName"] for p in sagemaker.list_pipelines()["PipelineSummaries"]],
            "groups": [
                g["ModelPackageGroupName"]
                for g in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
            ],
            "endpoints": [e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]],
            "models": [m["ModelName"] for m in sagemaker.list_models()["Models"]],
            "machines": [
                i["InstanceId"]
                for r in ec2.describe_instances()["Reservations"]
                for i in r["Instances"]
                if i["State"]["Name"] != "terminated"
            ],
            "networks": [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]],
            "databases": [
                d["DBInstanceIdentifier"] for d in self.client("rds").describe_db_instances()["DBInstances"]
            ],
            "keys": [
                k["KeyId"]
                for k in self.client("kms").list_keys()["Keys"]
                if self.client("kms").describe_key(KeyId=k["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
            ],
        }
        return {kind: names for kind, names in known.items() if names}


def write_document(root: Root, document: dict[str, Any], name: str = "nightly") -> None:
    folder = root.folder / "pipelines"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(canonical(document))


def applied(root: Root, forgotten: Collection[str] = ()) -> None:
    """Make what the root module says, and see that a second plan has nothing to do.

    Args:
        root: initialised.
        forgotten: types of resources of which the server drops what it was told.
    """
    root.must("validate", "-no-color")
    root.must("apply", "-auto-approve", "-no-color")
    root.must("plan", "-out=again", "-no-color")
    plan = json.loads(root.must("show", "-json", "again"))
    changes = [change for change in plan.get("resource_changes", ()) if change["mode"] == "managed"]
    assert [
        (change["address"], change["change"]["actions"])
        for change in changes
        if change["change"]["actions"] != ["no-op"] and change["type"] not in forgotten
    ] == []
    assert changes


def wide_statements(root: Root) -> Iterator[str]:
    """Statements of all policies that there are which allow more than they name."""
    count = 0
    for resource in root.state():
        for key in ("policy", "assume_role_policy"):
            text = resource["values"].get(key)
            if isinstance(text, str) and text and resource["mode"] == "managed":
                count += 1
                yield from (f"{resource['address']}: {wide}" for wide in too_wide(json.loads(text)))
    assert count >= 8


@pytest.fixture
def cloud(moto_front: MotoServer) -> Iterator[Cloud]:
    """The account, in which a test leaves nothing."""
    cloud = Cloud(moto_front.endpoint)
    assert cloud.leftovers() == {}, "an earlier test has left something"
    yield cloud
    assert cloud.leftovers() == {}, "all that was made is to be destroyed"
