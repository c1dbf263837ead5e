from __future__ import annotations

from typing import Any

import pytest

from trikk.core.errors import DefinitionError, RunError
from trikk.targets.sagemaker.local.definition.condition_verdict import all_hold
from trikk.targets.sagemaker.local.definition.definition_expressions import Reference, evaluate, parse_path
from trikk.targets.sagemaker.local.definition.pipeline_definition import DefinedStep, Dependency, StepKind, Trigger
from trikk.targets.sagemaker.local.definition.service_retries import FailureType, check_policies, wait_before_retry
from trikk.targets.sagemaker.local.definition.step_order import (
    ExecutionPhase,
    StepPhase,
    never_run,
    outcome_of,
    ready,
)

W, S, F, X, N = (
    StepPhase.WAITING,
    StepPhase.SUCCEEDED,
    StepPhase.FAILED,
    StepPhase.EXECUTING,
    StepPhase.NOT_RUN,
)


class Fixed:
    def value_of(self, reference: Reference) -> Any:
        return {"Parameters.Day": "2026-03-01", "Parameters.Rate": 0.5, "Parameters.Dry": True}[reference.text]

    def json_at(self, uri: str) -> Any:
        assert uri == "s3://b/2026-03-01/report.json"
        return {"mae": {"value": 3.5}, "slices": [{"n": 7}]}


def test_expressions_become_what_they_mean() -> None:
    day = {"Get": "Parameters.Day"}
    join = {"Std:Join": {"On": "/", "Values": ["s3://b", day, "report.json"]}}
    assert evaluate({"a": [join, day]}, Fixed()) == {"a": ["s3://b/2026-03-01/report.json", "2026-03-01"]}
    assert evaluate({"Std:JsonGet": {"S3Uri": join, "Path": "mae.value"}}, Fixed()) == 3.5
    assert evaluate({"Std:JsonGet": {"S3Uri": join, "Path": "slices[0].n"}}, Fixed()) == 7
    rate = {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Rate"}, " ", {"Get": "Parameters.Dry"}]}}
    assert evaluate(rate, Fixed()) == "0.5 true"
    assert evaluate({"Get": "Parameters.Rate"}, Fixed()) == 0.5
    with pytest.raises(RunError, match=r"mae\.median"):
        evaluate({"Std:JsonGet": {"S3Uri": join, "Path": "mae.median"}}, Fixed())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("Steps.Prep.Outputs['a b'].S3Uri", ("Steps", "Prep", "Outputs", "a b", "S3Uri")),
        ('x["y"][12].z', ("x", "y", 12, "z")),
    ],
)
def test_paths_are_taken_apart(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["a b", "a[", "a['b]", "a..b", "$.a"])
def test_other_texts_are_no_paths(text: str) -> None:
    with pytest.raises(DefinitionError):
        parse_path(text)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"Type": "LessThanOrEqualTo", "LeftValue": 3.5, "RightValue": 4}, True),
        ({"Type": "GreaterThan", "LeftValue": 3, "RightValue": 4}, False),
        ({"Type": "Equals", "LeftValue": 1, "RightValue": True}, False),
        ({"Type": "Equals", "LeftValue": "1", "RightValue": 1}, False),
        ({"Type": "In", "QueryValue": "day", "Values": ["day", "week"]}, True),
        ({"Type": "Not", "Condition": {"Type": "Equals", "LeftValue": 1, "RightValue": 1}}, False),
        (
            {
                "Type": "Or",
                "Conditions": [
                    {"Type": "Equals", "LeftValue": 1, "RightValue": 2},
                    {"Type": "LessThan", "LeftValue": "a", "RightValue": "b"},
                ],
            },
            True,
        ),
    ],
)
def test_conditions_hold_or_do_not(condition: dict[str, Any], holds: bool) -> None:
    assert all_hold([condition]) is holds


def test_a_text_and_a_number_have_no_order() -> None:
    with pytest.raises(RunError, match="can't compare"):
        all_hold([{"Type": "LessThan", "LeftValue": "3", "RightValue": 4}])


def step(name: str, *needs: Dependency, branch: tuple[str, bool] | None = None) -> DefinedStep:
    return DefinedStep(name, StepKind.PROCESSING, {}, needs, branch)


def by_name(*steps: DefinedStep) -> dict[str, DefinedStep]:
    return {each.name: each for each in steps}


def test_a_step_begins_when_all_that_it_waits_for_has_succeeded() -> None:
    steps = by_name(step("a"), step("b"), step("c", Dependency("a"), Dependency("b")))
    assert ready(steps, {"a": W, "b": W, "c": W}, {}) == ["a", "b"]
    assert ready(steps, {"a": S, "b": X, "c": W}, {}) == []
    assert ready(steps, {"a": S, "b": S, "c": W}, {}) == ["c"]


def test_only_the_branch_of_the_outcome_runs_and_what_needs_the_other_does_not() -> None:
    steps = by_name(
        step("gate"),
        step("yes", branch=("gate", True)),
        step("no", branch=("gate", False)),
        step("after_no", Dependency("no")),
    )
    states = {"gate": S, "yes": W, "no": W, "after_no": W}
    assert never_run(steps, states, {"gate": True}) == ["no", "after_no"]
    assert ready(steps, states, {"gate": True}) == ["yes"]
    ended = {"gate": S, "yes": S, "no": N, "after_no": N}
    assert outcome_of(steps, ended, stopped=False) == ExecutionPhase.SUCCEEDED


def test_after_a_failure_nothing_begins_but_what_waits_for_it() -> None:
    steps = by_name(
        step("a"), step("b"), step("alert", Dependency("a", Trigger.FAILED)), step("c", Dependency("b"))
    )
    answered = {"a": F, "b": S, "alert": W, "c": W}
    assert ready(steps, answered, {}) == ["alert", "c"]
    assert (
        outcome_of(steps, {**answered, "alert": S, "c": S}, stopped=False)
        == ExecutionPhase.COMPLETED_WITH_FAILURES
    )
    unanswered = {"a": S, "b": F, "alert": W, "c": W}
    assert never_run(steps, unanswered, {}) == ["alert", "c"]
    assert outcome_of(steps, {**unanswered, "alert": N, "c": N}, stopped=False) == ExecutionPhase.FAILED
    two = by_name(step("a"), step("b"), step("c", Dependency("b")))
    assert ready(two, {"a": F, "b": S, "c": W}, {}) == []


@pytest.mark.parametrize(
    ("trigger", "runs_after"),
    [
        (Trigger.COMPLETED, {S}),
        (Trigger.FAILED, {F}),
        (Trigger.STOPPED, {StepPhase.STOPPED}),
        (Trigger.ANY, {S, F, StepPhase.STOPPED}),
    ],
)
def test_a_trigger_names_the_ends_after_which_a_step_runs(trigger: Trigger, runs_after: set[StepPhase]) -> None:
    steps = by_name(step("a"), step("b", Dependency("a", trigger)))
    for end in (S, F, StepPhase.STOPPED, N):
        states = {"a": end, "b": W}
        assert (never_run(steps, states, {}) == []) == (end in runs_after), end


def test_policies_say_when_a_step_is_tried_again() -> None:
    policies = [
        {
            "ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"],
            "IntervalSeconds": 3,
            "BackoffRate": 2,
            "MaxAttempts": 2,
        },
        {"ExceptionType": ["Step.SERVICE_FAULT"], "IntervalSeconds": 50, "ExpireAfterMin": 1},
    ]
    check_policies(policies)
    waits = [wait_before_retry(policies, FailureType.INTERNAL, n, 0.0) for n in range(3)]
    assert waits == [3.0, 6.0, None]
    assert wait_before_retry(policies, FailureType.SERVICE_FAULT, 0, 5.0) == 50.0
    assert wait_before_retry(policies, FailureType.SERVICE_FAULT, 0, 20.0) is None
    assert wait_before_retry([], FailureType.SERVICE_FAULT, 0, 0.0) == 1.0
    assert wait_before_retry([], FailureType.CAPACITY, 0, 0.0) is None
    assert wait_before_retry(policies, FailureType.CLIENT, 0, 0.0) is None


@pytest.mark.parametrize(
    "policy",
    [
        {"ExceptionType": "Step.SERVICE_FAULT"},
        {"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21},
        {"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 1, "ExpireAfterMin": 1},
        {"ExceptionType": ["Step.THROTTLING"], "BackoffRate": -1},
        {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": True},
    ],
)
def test_other_policies_are_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        check_policies([policy])
