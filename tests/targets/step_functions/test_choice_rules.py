"""Rules of choices: a step is skipped by one only where its own job would skip it."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.pipeline.arguments import Constant, OutputRef
from trikk.pipeline.condition import COMPARE, Condition, evaluate
from trikk.targets.step_functions.choice_rules import false_rule

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.sampled_from(["", "a", "1"]))
LEFT, RIGHT = OutputRef("left"), OutputRef("right")
LEAVES = st.one_of(
    st.builds(lambda op, value: Condition(op, (LEFT, Constant(value))), st.sampled_from([*COMPARE]), PLAIN),
    st.builds(lambda op, value: Condition(op, (Constant(value), LEFT)), st.sampled_from([*COMPARE]), PLAIN),
    st.builds(lambda op: Condition(op, (LEFT, RIGHT)), st.sampled_from([*COMPARE])),
    st.just(Condition("true", (LEFT,))),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: Condition("and", parts=(a, b)), inner, inner),
        st.builds(lambda a, b: Condition("or", parts=(a, b)), inner, inner),
        st.builds(lambda a: Condition("not", parts=(a,)), inner),
    ),
    max_leaves=4,
)
OPERATORS = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}


def holds(rule: dict[str, Any], values: dict[str, Any]) -> bool:
    """What the states language says of a rule; a comparison of another type than it names is false."""
    if "And" in rule:
        return all(holds(each, values) for each in rule["And"])
    if "Or" in rule:
        return any(holds(each, values) for each in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], values)
    value = values.get(rule["Variable"], values)
    (kind, given_value) = next((key, of) for key, of in rule.items() if key != "Variable")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    tests = {"Numeric": is_number, "String": isinstance(value, str), "Boolean": isinstance(value, bool)}
    if kind == "IsPresent":
        return (value is not values) is given_value
    if kind.startswith("Is"):
        return tests[kind[2:]] is given_value
    other = values[given_value] if kind.endswith("Path") else given_value
    name = next(each for each in tests if kind.startswith(each))
    return tests[name] and OPERATORS[kind.removeprefix(name).removesuffix("Path")](value, other)


@given(CONDITIONS, PLAIN, PLAIN)
def test_a_rule_never_skips_what_the_job_would_run(condition: Condition, left: Any, right: Any) -> None:
    rule = false_rule(
        condition, lambda argument: f"$.{argument.step}" if isinstance(argument, OutputRef) else None
    )
    known = {"$.left": left, "$.right": right}
    if rule is None or not holds(rule, known):
        return

    def value_of(argument: Any) -> Any:
        return argument.value if isinstance(argument, Constant) else known[f"$.{argument.step}"]

    # A job may fail instead, where it can't compare a part that the rule does not need.
    with contextlib.suppress(TypeError):
        assert not evaluate(condition, value_of)


@pytest.mark.parametrize(
    ("condition", "skips", "runs"),
    [
        (Condition("<", (LEFT, Constant(2))), 2, 1),
        (Condition("==", (LEFT, Constant("a"))), "b", "a"),
        (Condition("!=", (LEFT, Constant(2))), 2, 3),
        (Condition("true", (LEFT,)), 0, 1),
        (Condition("not", parts=(Condition("true", (LEFT,)),)), True, False),
    ],
)
def test_what_is_plain_is_decided(condition: Condition, skips: Any, runs: Any) -> None:
    rule = false_rule(condition, lambda argument: "$.left")
    assert rule is not None
    assert holds(rule, {"$.left": skips})
    assert not holds(rule, {"$.left": runs})
