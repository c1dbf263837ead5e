"""Whether the conditions of a pipeline definition hold. Pure.

Kinds: https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-condition.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trikk.core.errors import DefinitionError, RunError

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_KEYS = {
    **{kind: {"LeftValue", "RightValue"} for kind in ("Equals", *_ORDERS)},
    "In": {"QueryValue", "Values"},
    "Not": {"Condition"},
    "Or": {"Conditions"},
}


def check_conditions(conditions: Any) -> None:
    """Check that every condition is of a known kind and has what that needs.

    Raises:
        DefinitionError: if one has not.
    """
    if not isinstance(conditions, list) or not conditions:
        raise DefinitionError("a condition step has no conditions", next="give it a list of at least one")
    for condition in conditions:
        kind = condition.get("Type") if isinstance(condition, Mapping) else None
        if kind not in _KEYS:
            raise DefinitionError(f"there is no condition {kind!r}", next=f"there are: {', '.join(sorted(_KEYS))}")
        if lacking := sorted(_KEYS[kind] - condition.keys()):
            raise DefinitionError(
                f"a condition {kind} has no {lacking[0]}", next=f"it takes {sorted(_KEYS[kind])}"
            )
        if kind == "Not":
            check_conditions([condition["Condition"]])
        elif kind == "Or":
            check_conditions(condition["Conditions"])
        elif kind == "In" and not isinstance(condition["Values"], list):
            raise DefinitionError("the Values of a condition In are no list", next="give it a list")


def all_hold(conditions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all conditions hold, once their expressions are evaluated.

    Raises:
        RunError: if one compares what has no order, such as a text and a number.
    """
    return all(map(_holds, conditions))


def _holds(condition: Mapping[str, Any]) -> bool:
    kind = condition["Type"]
    if kind == "Not":
        return not _holds(condition["Condition"])
    if kind == "Or":
        return any(map(_holds, condition["Conditions"]))
    if kind == "In":
        return any(_equal(condition["QueryValue"], value) for value in condition["Values"])
    left, right = condition["LeftValue"], condition["RightValue"]
    if kind == "Equals":
        return _equal(left, right)
    if not (_is_number(left) and _is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise RunError(
            f"{kind} can't compare {left!r} with {right!r}",
            next="compare numbers with numbers and texts with texts: nothing is turned into the other",
        )
    return _ORDERS[kind](left, right)


def _equal(left: Any, right: Any) -> bool:
    # True is 1 to Python alone.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
