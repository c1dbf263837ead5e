from __future__ import annotations

import json
from typing import Any

import pytest

from trikk.core.errors import DefinitionError, ParameterError, UnknownName
from trikk.targets.sagemaker.local.containers.job_requests import check_requests
from trikk.targets.sagemaker.local.definition.pipeline_definition import Dependency, Trigger, read_definition


def definition(*steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> str:
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters or [], "Steps": steps})


def processing(name: str, **more: Any) -> dict[str, Any]:
    arguments = {
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}},
    }
    return {"Name": name, "Type": "Processing", "Arguments": {**arguments, **more.pop("arguments", {})}, **more}


def problems(text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        check_requests(read_definition(text))
    return str(caught.value)


def test_a_step_waits_for_what_it_names_and_for_what_its_expressions_name() -> None:
    uri = {"Std:Join": {"On": "/", "Values": ["s3://b", {"Get": "Steps.first.ProcessingJobName"}]}}
    read = read_definition(
        definition(
            processing("first"),
            processing("second", DependsOn=["first"]),
            processing("third", arguments={"Environment": {"FROM": uri}}),
            processing("alert", DependsOn=[{"Step": "second", "Trigger": "Failed"}]),
        )
    )
    assert read.steps["second"].dependencies == read.steps["third"].dependencies == (Dependency("first"),)
    assert read.steps["alert"].dependencies == (Dependency("second", Trigger.FAILED),)


def test_steps_of_branches_belong_to_their_condition() -> None:
    conditions = [{"Type": "Equals", "LeftValue": {"Get": "Parameters.Mode"}, "RightValue": "day"}]
    branches = {"IfSteps": [processing("yes")], "ElseSteps": [processing("no")]}
    gate = {"Name": "gate", "Type": "Condition", "Arguments": {"Conditions": conditions, **branches}}
    read = read_definition(definition(gate, parameters=[{"Name": "Mode", "Type": "String"}]))
    assert (read.steps["yes"].branch, read.steps["no"].branch) == (("gate", True), ("gate", False))
    assert read.steps["gate"].dependencies == ()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([processing("a", Type="Tuning")], "type 'Tuning'"),
        ([processing("a"), processing("a")], "two steps are named a"),
        ([processing("a b")], "the name 'a b'"),
        ([processing("a", DependsOn=["b"])], "step b, which there is not"),
        ([processing("a", DependsOn=["b"]), processing("b", DependsOn=["a"])], "wait for each other"),
        ([processing("a", DependsOn=[{"Step": "a", "Trigger": "Sometimes"}])], "DependsOn holds"),
        ([processing("a", arguments={"Environment": {"X": {"Get": "Parameters.None"}}})], "no such parameter"),
        ([processing("a", arguments={"Environment": {"X": {"Get": "Execution.Mood"}}})], "an execution has"),
        ([processing("a", arguments={"Environment": {"X": {"Std:Split": {}}}})], "no expression 'Std:Split'"),
        ([processing("a", arguments={"Environment": {"X": {"Std:Join": {"On": "/"}}}})], "Std:Join takes"),
        ([processing("a", arguments={"Environment": {"X": {"Get": "a..b["}}})], "not a path"),
        ([processing("a", arguments={"Environment": {"X": 1}})], "Environment.X is a int"),
        ([processing("a", arguments={"Environment": {"X": {"Get": "Parameters.Count"}}})], "is a Integer"),
        ([processing("a", arguments={"AppSpecification": {"ImageUri": "i"}})], "no ContainerEntrypoint"),
        (
            [processing("a", arguments={"ProcessingResources": {"ClusterConfig": {"InstanceCount": 2}}})],
            "one machine",
        ),
        ([processing("a", arguments={"ProcessingResources": {}})], "'ClusterConfig'"),
        ([processing("a", RetryPolicies=[{"ExceptionType": ["Step.MOOD"]}])], "ExceptionType ['Step.MOOD']"),
        ([], "there are no steps"),
        (
            [
                {"Name": "end", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}},
                processing("a", DependsOn=["end"]),
            ],
            "which ends the execution",
        ),
        (
            [{"Name": "c", "Type": "Condition", "Arguments": {"Conditions": [{"Type": "Like"}]}}],
            "no condition 'Like'",
        ),
    ],
)
def test_what_can_not_run_is_refused_before_anything_does(steps: list[dict[str, Any]], said: str) -> None:
    assert said in problems(definition(*steps, parameters=[{"Name": "Count", "Type": "Integer"}]))


def test_all_problems_are_told_at_once() -> None:
    said = problems(definition(processing("a", DependsOn=["x"]), processing("b", Type="EMR")))
    assert "2 problems" in said
    assert "step x" in said
    assert "EMR" in said


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Version": "2030-01-01", "Steps": []}', "[" * 100_000])
def test_what_is_no_definition_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError):
        read_definition(text)


def test_parameters_have_the_values_that_were_given_or_their_defaults() -> None:
    declared = [
        {"Name": "Count", "Type": "Integer", "DefaultValue": 3},
        {"Name": "Share", "Type": "Float"},
        {"Name": "Dry", "Type": "Boolean", "DefaultValue": False},
        {"Name": "Mode", "Type": "String", "EnumValues": ["day", "week"], "DefaultValue": "day"},
    ]
    read = read_definition(definition(processing("a"), parameters=declared))
    assert read.values({"Share": "0.5", "Dry": "True"}) == {"Count": 3, "Share": 0.5, "Dry": True, "Mode": "day"}
    with pytest.raises(ParameterError, match="Share has no default"):
        read.values({})
    with pytest.raises(ParameterError, match="no Integer"):
        read.values({"Share": 1, "Count": "many"})
    with pytest.raises(ParameterError, match="not allowed"):
        read.values({"Share": 1, "Mode": "year"})
    with pytest.raises(UnknownName, match="Sahre"):
        read.values({"Sahre": 1})
