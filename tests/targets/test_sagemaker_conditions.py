"""Conditions that the service decides: only where it can't decide otherwise than Python does."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk import pipeline, step, when
from trikk.pipeline.arguments import Constant, OutputRef, ParameterRef
from trikk.pipeline.condition import Condition, evaluate
from trikk.pipeline.graph import Graph, Node, ParameterSpec
from trikk.pipeline.parameters.parameter_kinds import Kind
from trikk.targets.sagemaker.condition_branches import branches_of, steps_that_may_be_missing
from trikk.targets.sagemaker.condition_terms import InexpressibleError, condition_terms

SPECS = {"count": "int", "share": "float", "mode": "str", "full": "bool", "day": "date"}
GRAPH = Graph.build(
    "p",
    tuple(ParameterSpec(name, Kind(kind), required=True) for name, kind in SPECS.items()),
    [Node("seen", "m:f", where="p.py:1")],
)
NAMES = {**{name: name for name in SPECS}, "step/seen": "seen"}
SEEN = OutputRef("seen", path=("mae",))


def decided(term: Any, values: dict[str, Any], outcome: dict[str, Any]) -> bool:
    """A term as the service documents it: numbers with numbers, texts with texts."""

    def value(side: Any) -> Any:
        if not isinstance(side, dict):
            return side
        if "Get" in side:
            return values[side["Get"].removeprefix("Parameters.")]
        found: Any = outcome
        for part in side["Std:JsonGet"]["Path"].split("."):
            found = found[part]
        return found

    if term["Type"] == "Not":
        return not decided(term["Condition"], values, outcome)
    if term["Type"] == "Or":
        return any(decided(part, values, outcome) for part in term["Conditions"])
    left, right = value(term["LeftValue"]), value(term["RightValue"])
    assert isinstance(left, str) == isinstance(right, str)
    assert isinstance(left, bool) == isinstance(right, bool)
    if term["Type"] == "Equals":
        # Whether 3 and 3.0 are equal there is not documented, so it must not be asked.
        assert not (isinstance(left, int | float) and not isinstance(left, bool)), (
            "numbers are never asked for equality"
        )
        return bool(left == right)
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "LessThan": lambda a, b: a < b,
        "LessThanOrEqualTo": lambda a, b: a <= b,
        "GreaterThan": lambda a, b: a > b,
        "GreaterThanOrEqualTo": lambda a, b: a >= b,
    }
    return compare[term["Type"]](left, right)


NUMBERS = st.sampled_from([Constant(3), Constant(2.5), ParameterRef("count"), ParameterRef("share"), SEEN])
KNOWN = st.sampled_from([Constant(3), Constant(3.0), ParameterRef("count"), ParameterRef("share")])
COMPARED = st.builds(
    lambda op, left, right, swap: Condition(op, (right, left) if swap else (left, right)),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    NUMBERS,
    KNOWN,
    st.booleans(),
)
TEXTS = st.builds(
    lambda op, text: Condition(op, (ParameterRef("mode"), Constant(text))),
    st.sampled_from(["==", "!="]),
    st.sampled_from(["daily", "weekly"]),
)
TRUTHS = st.just(Condition("true", (ParameterRef("full"),)))
CONDITIONS = st.recursive(
    COMPARED | TEXTS | TRUTHS,
    lambda inner: (
        st.builds(lambda part: Condition("not", parts=(part,)), inner)
        | st.builds(lambda op, a, b: Condition(op, parts=(a, b)), st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(
    CONDITIONS,
    st.fixed_dictionaries(
        {
            "count": st.integers(2, 4),
            "share": st.sampled_from([2.5, 3.0, 3.5]),
            "mode": st.sampled_from(["daily", "weekly"]),
            "full": st.booleans(),
        }
    ),
    st.sampled_from([2.5, 3, 3.0, 4]),
)
def test_the_service_decides_as_python_does(condition: Condition, values: dict[str, Any], mae: float) -> None:
    def value_of(operand: Any) -> Any:
        if isinstance(operand, Constant):
            return operand.value
        return values[operand.name] if isinstance(operand, ParameterRef) else mae

    terms = condition_terms(condition, GRAPH, NAMES)
    assert all(decided(term, values, {"value": {"mae": mae}}) for term in terms) == evaluate(condition, value_of)


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    "condition",
    [
        Condition("<", (SEEN, OutputRef("seen"))),  # of two outputs nobody knows what they are
        Condition("<", (SEEN, Constant("b"))),  # texts have no order there that is documented
        Condition("==", (SEEN, Constant(True))),  # 1 == True
        Condition("==", (ParameterRef("mode"), Constant(3))),
        Condition("==", (ParameterRef("day"), Constant("2026-01-01"))),
        Condition("==", (SEEN, Constant(None))),
        Condition("==", (SEEN, Constant({"$": "float", "v": "nan"}))),
        Condition("true", (SEEN,)),  # the job writes down the truth of the whole output only
        Condition("true", (ParameterRef("count"),)),
        Condition("<", (OutputRef("seen", path=("mean absolute",)), Constant(1))),
        Condition("<", (OutputRef("seen", path=(-1,)), Constant(1))),
    ],
    ids=str,
)
def test_what_it_might_decide_otherwise_is_not_asked(condition: Condition) -> None:
    with pytest.raises(InexpressibleError):
        condition_terms(condition, GRAPH, NAMES)


def test_a_whole_output_is_true_as_python_sees_it() -> None:
    (term,) = condition_terms(Condition("true", (OutputRef("seen"),)), GRAPH, NAMES)
    assert term == {
        "Type": "Equals",
        "LeftValue": {
            "Std:JsonGet": {"PropertyFile": {"Get": "Steps.seen.PropertyFiles.Outcome"}, "Path": "is_true"}
        },
        "RightValue": True,
    }


@step
def measured(n: int) -> int:
    return n


@step
def one(n: object = 0) -> int:
    return 1


@step
def two(n: object = 0) -> int:
    return 2


@step
def three(n: object = 0, m: object = 0) -> int:
    return 3


def branches(traced: Any, *training: str) -> tuple[list[tuple[str, ...]], dict[str, str]]:
    graph: Graph = traced.graph
    names = {spec.name: spec.name for spec in graph.parameters} | {f"step/{name}": name for name in graph.nodes}
    found = branches_of(graph, names, training)
    return [branch.steps for branch in found.branches], dict(found.by_job)


def test_what_needs_a_step_of_a_branch_stands_in_it_too() -> None:
    @pipeline
    def p(n: int) -> None:
        with when(measured(n) > 3):
            first = one()
        two(first)

    assert branches(p) == ([("one", "two")], {})


def test_a_step_that_comes_after_one_of_a_branch_runs_without_it_so_that_both_stand_outside() -> None:
    @pipeline
    def p(n: int) -> None:
        with when(measured(n) > 3):
            first = one()
            two(first)
        three(after=first)

    steps, by_job = branches(p)
    assert steps == [("two",)]
    assert set(by_job) == {"one"}


def test_a_step_that_needs_two_branches_keeps_what_it_needs_out_of_both() -> None:
    @pipeline
    def p(n: int) -> None:
        seen = measured(n)
        with when(seen > 3):
            first = one()
        with when(seen < 9):
            second = two()
        three(first, second)

    steps, by_job = branches(p)
    assert steps == []
    assert set(by_job) == {"one", "two"}


def test_a_condition_on_a_step_of_a_branch_is_left_to_the_job() -> None:
    @pipeline
    def p(n: int) -> None:
        with when(measured(n) > 3):
            first = one()
            with when(first > 0):
                two()

    # One branch, for the outer condition: they do not nest. The inner one is decided by the job of `two`.
    assert branches(p) == ([("one", "two")], {})


def test_a_condition_on_what_may_be_missing_is_left_to_the_job() -> None:
    @pipeline
    def p(n: int, mode: Literal["a", "b"] = "a") -> None:
        with when(measured.options(allow_failure=True)(n) > 3):
            one()

    steps, by_job = branches(p)
    assert steps == []
    assert "may have no output" in by_job["one"]
    assert steps_that_may_be_missing(p.graph) == {"measured", "one"}


def test_outputs_of_training_jobs_are_not_looked_at() -> None:
    @pipeline
    def p(n: int) -> None:
        with when(measured(n) > 3):
            one()

    steps, by_job = branches(p, "measured")
    assert steps == []
    assert "training job" in by_job["one"]
