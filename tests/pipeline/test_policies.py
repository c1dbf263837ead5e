from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk import Cache, Resources, Retry
from trikk.core.errors import UsageError
from trikk.pipeline.arguments import Constant, OutputRef, ParameterRef
from trikk.pipeline.condition import Condition, evaluate

policies = st.builds(
    Retry,
    st.integers(1, 100),
    delay=st.floats(0, 1e6),
    factor=st.floats(1, 1e6),
    max_delay=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)
chance = st.floats(0, 1, exclude_max=True)


@given(policies, st.integers(1, 120), chance)
def test_a_delay_is_within_its_cap_and_its_jitter(policy: Retry, attempt: int, random: float) -> None:
    delay = policy.delay_after(attempt, random)
    if attempt >= policy.attempts:
        assert delay is None
        return
    assert delay is not None
    whole = policy.delay_after(attempt, 0.0)
    assert whole is not None
    assert 0 <= delay <= whole <= policy.max_delay
    assert delay >= whole * (1 - policy.jitter) * (1 - 1e-12)


@given(policies, st.integers(1, 98))
def test_delays_without_luck_only_grow(policy: Retry, attempt: int) -> None:
    one, two = policy.delay_after(attempt, 0.0), policy.delay_after(attempt + 1, 0.0)
    if two is not None:
        assert one is not None
        assert one <= two


def test_delays_follow_the_formula() -> None:
    policy = Retry(6, delay="1s", factor=2, max_delay="5s", jitter=0.5)
    assert [policy.delay_after(n, 0.0) for n in range(1, 7)] == [1, 2, 4, 5, 5, None]
    assert policy.delay_after(3, 0.5) == 4 * (1 - 0.5 * 0.5)
    assert Retry(1).delay_after(1, 0.0) is None


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": 101},
        {"attempts": True},
        {"attempts": 2.0},
        {"delay": "soon"},
        {"delay": -1},
        {"factor": 0.5},
        {"factor": float("nan")},
        {"factor": float("inf")},
        {"max_delay": "1 year"},
        {"jitter": 1.1},
        {"jitter": float("nan")},
        {"on": ()},
        {"on": "ValueError"},
        {"on": [ValueError("x")]},
        {"on": int},
    ],
    ids=str,
)
def test_a_policy_out_of_range_is_refused_with_the_authors_line(options: dict[str, Any]) -> None:
    make: Callable[[], Retry] = lambda: Retry(**options)  # noqa: E731
    with pytest.raises(UsageError) as error:
        make()
    assert error.value.where == f"{__file__}:{make.__code__.co_firstlineno}"
    assert error.value.next


@pytest.mark.parametrize(
    "make", [lambda: Resources(cpus=-1), lambda: Resources(memory="lots"), lambda: Cache(variables=[3])]
)  # type: ignore[list-item]
def test_other_options_out_of_range_are_refused_with_the_authors_line(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError) as error:
        make()
    assert error.value.where == f"{__file__}:{make.__code__.co_firstlineno}"


def test_options_as_json() -> None:
    assert Resources(0.5, "2GB").to_json() == {"cpus": 0.5, "memory": 2_000_000_000, "gpus": 0}
    assert Cache("REGION", ["polars"]).to_json() == {"variables": ["REGION"], "packages": ["polars"]}
    assert Retry(2, on=[KeyError, OSError]).to_json()["on"] == ["builtins.KeyError", "builtins.OSError"]


# ---- conditions

OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
VALUES = {"a": 1, "b": 2.5, "c": -3, "d": 0}
operands = st.one_of(
    st.sampled_from(list(VALUES)).map(ParameterRef),
    st.sampled_from(list(VALUES)).map(lambda n: OutputRef(n, path=("x", 0))),
    st.integers(-3, 3).map(Constant),
)
leaves = st.one_of(
    st.builds(lambda op, a, b: Condition(op, (a, b)), st.sampled_from(list(OPERATORS)), operands, operands),
    operands.map(lambda a: Condition("true", (a,))),
)
conditions = st.recursive(
    leaves,
    lambda inner: (
        inner.map(lambda c: ~c)
        | st.builds(lambda a, b: a & b, inner, inner)
        | st.builds(lambda a, b: a | b, inner, inner)
    ),
    max_leaves=8,
)


def value_of(argument: Any) -> Any:
    if isinstance(argument, Constant):
        return argument.value
    return VALUES[argument.name if isinstance(argument, ParameterRef) else argument.step]


def by_python(condition: Condition) -> bool:
    if condition.op in ("and", "or"):
        one, two = (by_python(p) for p in condition.parts)
        return (one and two) if condition.op == "and" else (one or two)
    if condition.op == "not":
        return not by_python(condition.parts[0])
    values = [value_of(o) for o in condition.operands]
    return bool(values[0]) if condition.op == "true" else OPERATORS[condition.op](*values)


@given(conditions)
def test_a_condition_means_what_python_means_here_and_after_json(condition: Condition) -> None:
    wanted = by_python(condition)
    assert evaluate(condition, value_of) is wanted
    again = Condition.read(condition.to_json())
    assert again == condition
    assert evaluate(again, value_of) is wanted
    assert str(condition)


def test_a_condition_is_shown_as_it_was_written() -> None:
    score = OutputRef("judge", path=("mae",))
    shown = str(Condition("<=", (score, Constant(3))) & ~Condition("true", (ParameterRef("dry"),)))
    assert shown == "(judge['mae'] <= 3) and (not (dry))"
