"""The AWSCC provider's resource as properties of CloudFormation, and rules for what the linter of these misses."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.envs import python_of
from tests.targets.terraform.aws_names import pipeline_problems, schedule_problems
from tests.targets.terraform.terraform_folder import MODULES

BODY = {
    "Version": "2020-12-01",
    "Metadata": {},
    "Parameters": [{"Name": "max-mae", "Type": "Float", "DefaultValue": 4.0}],
    "Steps": [{"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "unused"}}],
}
SAMPLES: dict[str, Any] = {
    "pipeline_name": "city-test-nightly",
    "pipeline_display_name": "city-test-nightly",
    "pipeline_description": "Forecasts",
    "role_arn": "arn:aws:iam::111122223333:role/city-test-jobs",
    "pipeline_definition_body": json.dumps(BODY),
    "max_parallel_execution_steps": 4,
    "bucket": "city-test-111122223333",
    "key": "definitions/nightly.json",
    "version": "3HL4kqtJvjVBH40Nrjfkd",
}
_SCHEDULE: dict[str, Any] = {
    "Name": "night",
    "ScheduleExpression": "cron(0 4 * * ? *)",
    "ScheduleExpressionTimezone": "Europe/Oslo",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60}},
}


def attributes() -> dict[str, Any]:
    """What the module sets of awscc_sagemaker_pipeline, with the nested names, as its text has them."""
    text = (MODULES / "pipeline_awscc" / "main.tf").read_text()
    block = re.search(r'resource "awscc_sagemaker_pipeline" "this" \{\n(.*?)\n\}\n', text, re.DOTALL)
    assert block is not None
    return _nested(block[1].splitlines(), 2)


def _nested(lines: list[str], indent: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for number, line in enumerate(lines):
        named = re.match(rf"^ {{{indent}}}(\w+) +=", line)
        if named is not None:
            inner = _nested(lines[number + 1 :], indent + 2) if line.endswith("{") else {}
            tree[named[1]] = inner or SAMPLES.get(named[1], ...)
        elif re.match(rf"^ {{0,{indent - 2}}}\S", line):
            break
    return tree


def properties(tree: dict[str, Any]) -> dict[str, Any]:
    """Attributes by their names in CloudFormation."""
    named = {"".join(part.title() for part in name.split("_")): value for name, value in tree.items()}
    return {name: properties(value) if isinstance(value, dict) else value for name, value in named.items()}


def linted(pipeline: dict[str, Any], folder: Path) -> str:
    template = folder / "template.json"
    resources = {"Pipeline": {"Type": "AWS::SageMaker::Pipeline", "Properties": pipeline}}
    template.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    command = [
        python_of("iac").with_name("cfn-lint"),
        "--format",
        "parseable",
        "--regions",
        "eu-west-1",
        "--",
        template,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def test_what_the_awscc_provider_is_told_are_properties_of_cloudformation(tmp_path: Path) -> None:
    pipeline = properties(attributes())
    definition = pipeline["PipelineDefinition"]
    assert definition.keys() == {"PipelineDefinitionBody", "PipelineDefinitionS3Location"}
    assert definition["PipelineDefinitionS3Location"].keys() == {"Bucket", "Key", "Version"}
    pipeline["Tags"] = [{"Key": "trikk:project", "Value": "city"}]
    for name in definition:
        assert linted(pipeline | {"PipelineDefinition": {name: definition[name]}}, tmp_path) == ""
    assert "RoleARN" in linted({"RoleARN" if k == "RoleArn" else k: v for k, v in pipeline.items()}, tmp_path)
    assert list(pipeline_problems(pipeline["PipelineName"], definition["PipelineDefinitionBody"])) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Name": "night run"}, "name"),
        ({"ScheduleExpression": "every day"}, "expression"),
        ({"ScheduleExpression": "cron(0 4 * * *)"}, "expression"),
        ({"ScheduleExpression": "cron(0 4 * * * *)"}, "exactly one"),
        ({"ScheduleExpression": "cron(0 4 ? * 0 *)"}, "weekday"),
        ({"ScheduleExpression": "rate(1 hours)"}, "expression"),
        ({"ScheduleExpressionTimezone": "Europe/Bergen"}, "time zone"),
        ({"FlexibleTimeWindow": {}}, "mode"),
        ({"Target": {"RetryPolicy": {"MaximumEventAgeInSeconds": 30}}}, "age"),
    ],
    ids=str,
)
def test_a_schedule_that_aws_refuses_is_found(change: dict[str, Any], problem: str) -> None:
    assert list(schedule_problems(_SCHEDULE)) == []
    [said] = schedule_problems(_SCHEDULE | change)
    assert problem in said


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Version": "2021-01-01"}, "version"),
        ({"Parameters": [{"Name": "max_mae", "Type": "Float"}]}, "parameter 'max_mae'"),
        ({"Steps": [{"Name": "a b", "Type": "Fail"}]}, "step 'a b'"),
        ({"Steps": [{"Name": "a", "Type": "Fail"}, {"Name": "a", "Type": "Fail"}]}, "two steps 'a'"),
        ({"Steps": [{"Name": "a", "Type": "Fail", "DependsOn": ["b"]}]}, "a waits for 'b'"),
        ({"Metadata": {"Get": "Parameters.depth"}}, "reference 'Parameters.depth'"),
        ({"Metadata": {"note": "x" * 1_050_000}}, "characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pipeline_that_aws_refuses_is_found(change: dict[str, Any], problem: str) -> None:
    said = list(pipeline_problems("city-test-nightly", json.dumps(BODY | change)))
    assert len(said) == 1
    assert problem in said[0]


@pytest.mark.parametrize("name", ["nightly_run", "-nightly", "nightly-", "n" * 83, ""])
def test_a_name_that_aws_refuses_is_found(name: str) -> None:
    assert list(pipeline_problems(name, json.dumps(BODY))) == [f"name {name!r}"]
