"""All that the modules can make, made and destroyed: `make crash` runs it, since it takes minutes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.envs import python_of
from tests.servers.moto_front import moto_front
from tests.targets.terraform.applied_environment import (
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
from tests.targets.terraform.terraform_folder import ACCOUNT, INFRA, REGION, Root

__all__ = ["cloud", "moto_front"]


FORGOTTEN = {
    "aws_sagemaker_model": "moto gives back no network isolation",
    "aws_sagemaker_endpoint_configuration": "moto gives back a capture of data that nobody wants",
    "aws_sagemaker_endpoint": "its configuration",
    "aws_db_instance": "moto gives back no performance insights",
    "aws_db_parameter_group": "moto gives back no parameters",
    "aws_instance": "moto gives machines a public address where none is wanted",
    "aws_iam_role_policy": "the host's names the secret of the database",
}
"""The resources of which a second plan would change something, since moto drops what it was told."""


def test_a_definition_of_more_than_a_million_characters_lies_in_the_bucket(tmp_path: Path, cloud: Cloud) -> None:
    root = Root(tmp_path / "infra", cloud.endpoint, small_environment())
    root.must("init", "-no-color")
    try:
        change_a_large_definition(root, cloud)
    finally:
        root.must("destroy", "-auto-approve", "-no-color")


def change_a_large_definition(root: Root, cloud: Cloud) -> None:
    large = json.loads(canonical(compiled()))
    definition = json.loads(large["pipelines"]["nightly"]["definition"])
    definition["Metadata"] = {"note": "x" * 1_050_000}
    large["pipelines"]["nightly"]["definition"] = canonical(definition)
    write_document(root, large)
    applied(root)
    stored = (
        cloud.client("s3").get_object(Bucket=f"city-test-{ACCOUNT}", Key="definitions/nightly.json")["Body"].read()
    )
    assert json.loads(stored)["Metadata"] == definition["Metadata"]
    definition["Metadata"]["note"] += "y"
    large["pipelines"]["nightly"]["definition"] = canonical(definition)
    write_document(root, large)
    applied(root)
    text = cloud.client("sagemaker").describe_pipeline(PipelineName="city-test-nightly")["PipelineDefinition"]
    assert json.loads(text)["Metadata"] == definition["Metadata"]


def test_everything_that_can_be_wanted_is_made_and_destroyed(tmp_path: Path, cloud: Cloud) -> None:
    """With a network, a host with its database, an endpoint, a life cycle: three minutes."""
    whole = {
        **small_environment(),
        "keep": {"logs": 30},
        "network": {"zones": [f"{REGION}a", f"{REGION}b"]},
        "endpoint": {"image": IMAGE, "model_data": f"s3://city-test-{ACCOUNT}/models/model.tar.gz"},
        "host": {"image": IMAGE, "lasting": False, "airflow_image": IMAGE, "ansible_image": IMAGE},
    }
    root = Root(tmp_path / "infra", cloud.endpoint, whole)
    root.must("init", "-no-color")
    write_document(root, compiled())
    try:
        applied(root, FORGOTTEN)
        assert list(wide_statements(root)) == []
        groups = cloud.client("ec2").describe_security_groups()["SecurityGroups"]
        assert [
            (group["GroupName"], rule)
            for group in groups
            for rule in group["IpPermissions"]
            if any(r["CidrIp"] == "0.0.0.0/0" for r in rule["IpRanges"])
        ] == []
        gateways = cloud.client("ec2").describe_internet_gateways()["InternetGateways"]
        assert gateways == []
        journal = json.loads(root.must("output", "-json"))["trikk"]["value"]["storage"]["journal"]
        assert journal.startswith("postgresql://trikk:${POSTGRES_PASSWORD}@")
    finally:
        root.must("destroy", "-auto-approve", "-no-color")
    assert root.state() == []


def test_checkov_finds_nothing(tmp_path: Path) -> None:
    """What it would find and is meant to be so has a line `checkov:skip` with the reason beside it."""
    command = [
        python_of("checkov").with_name("checkov"),
        "-d",
        INFRA,
        "--framework",
        "terraform",
        "kubernetes",
        "secrets",
    ]
    done = subprocess.run(
        [*command, "--quiet", "--compact", "-o", "json", "--skip-download"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=1200,
        check=False,
    )
    reports = json.loads(done.stdout)
    failed = [
        (check["check_id"], check["check_name"], check["file_path"], check["resource"])
        for report in (reports if isinstance(reports, list) else [reports])
        for check in report["results"]["failed_checks"]
    ]
    assert failed == []
    assert (
        sum(report["summary"]["passed"] for report in (reports if isinstance(reports, list) else [reports])) > 200
    )
