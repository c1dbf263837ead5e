"""Conditions as rules of a `Choice` state, where that is sure to decide as the step's job would.

A rule holds only if the condition is certainly false: the step is skipped then, without a machine being started
for it. Whatever a rule can't be sure of (a value of another type, one that is missing, a comparison that Python
makes and Step Functions does not) leads to the job, which decides by itself. So a rule may know less than the
job, but never something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from trikk.pipeline.arguments import Argument, Constant, OutputRef, ParameterRef
from trikk.pipeline.condition import Condition
from trikk.pipeline.graph import Graph

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_NUMERIC = {
    "<": "NumericLessThan",
    "<=": "NumericLessThanEquals",
    ">": "NumericGreaterThan",
    ">=": "NumericGreaterThanEquals",
    "==": "NumericEquals",
}
_VALUE = ".value"  # the only output of a step in its outcome
_EXACT = 2**53  # whole numbers up to which a double holds all
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")

Rule = dict[str, Any]
"""A rule without its `Next`."""


def false_rule(condition: Condition, path_of: Callable[[Argument], str | None]) -> Rule | None:
    """The rule that holds only if a condition is false; None if no rule can tell.

    Args:
        condition: a step's.
        path_of: where an operand's value is in the state's input; None if it is not there.
    """
    return _certainly(condition, False, path_of)


def steps_asked(condition: Condition) -> tuple[str, ...]:
    """The steps whose outputs a condition compares, each once."""
    return tuple(dict.fromkeys(part.step for part in condition.arguments() if isinstance(part, OutputRef)))


def path_in_outcome(graph: Graph, reference: OutputRef, outcome: str) -> str | None:
    """Where an output is in what a job wrote as its outcome; None if it can't be there.

    Args:
        graph: the pipeline's.
        reference: the output.
        outcome: where the outcome is, such as `$.seen.fit`.
    """
    node = graph.nodes[reference.step]
    if node.mapped or (node.outputs is None) != (reference.index is None):
        return None
    path = f"{outcome}{_VALUE}" if reference.index is None else f"{outcome}.outputs[{reference.index}]"
    for key in reference.path:
        if (isinstance(key, str) and not _KEY.match(key)) or (isinstance(key, int) and key < 0):
            return None
        path += f"[{key}]" if isinstance(key, int) else f"['{key}']"
    return path


def _certainly(condition: Condition, truth: bool, path_of: Callable[[Argument], str | None]) -> Rule | None:
    if condition.op == "not":
        return _certainly(condition.parts[0], not truth, path_of)
    if condition.parts:
        rules = [_certainly(part, truth, path_of) for part in condition.parts]
        # One part is enough to make an `and` false, and an `or` true.
        if (condition.op == "and") is not truth:
            return _either([rule for rule in rules if rule is not None])
        known = [rule for rule in rules if rule is not None]
        return {"And": known} if len(known) == len(rules) else None
    if condition.op == "true":
        path = path_of(condition.operands[0])
        return None if path is None else _truthy(path, truth)
    return _compared(condition.op if truth else _OPPOSITE[condition.op], condition.operands, path_of)


def _truthy(path: str, truth: bool) -> Rule | None:
    """The rule that holds only if a value is true, or false, to Python; lists and dicts are left to the job."""
    if path.endswith(_VALUE):  # of which the outcome says whether it is true
        path = f"{path.removesuffix(_VALUE)}.is_true"
        return _sure(path, "IsBoolean", {"Variable": path, "BooleanEquals": truth})
    if truth:
        return _sure(path, "IsBoolean", {"Variable": path, "BooleanEquals": True})
    empty = [
        _sure(path, "IsBoolean", {"Variable": path, "BooleanEquals": False}),
        _sure(path, "IsNumeric", {"Variable": path, "NumericEquals": 0}),
        _sure(path, "IsString", {"Variable": path, "StringEquals": ""}),
    ]
    return _either(empty)


def _compared(op: str, operands: tuple[Argument, ...], path_of: Callable[[Argument], str | None]) -> Rule | None:
    left, right = operands
    if isinstance(left, Constant) and not isinstance(right, Constant):
        mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
        return _compared(mirrored.get(op, op), (right, left), path_of)
    path = path_of(left)
    if path is None:
        return None
    if isinstance(right, Constant):
        return _against_constant(op, path, right.value)
    right_path = path_of(right)
    if right_path is None or op not in _NUMERIC:
        return None
    are_numbers = [_present(each, "IsNumeric") for each in (path, right_path)]
    rules = [rule for pair in are_numbers for rule in pair]
    return {"And": [*rules, {"Variable": path, f"{_NUMERIC[op]}Path": right_path}]}


def _against_constant(op: str, path: str, value: Any) -> Rule | None:
    if isinstance(value, bool):
        if op not in ("==", "!="):
            return None
        return _sure(path, "IsBoolean", {"Variable": path, "BooleanEquals": value is (op == "==")})
    if isinstance(value, int | float) and abs(value) <= _EXACT:
        if op == "!=":
            return _sure(path, "IsNumeric", {"Not": {"Variable": path, "NumericEquals": value}})
        return _sure(path, "IsNumeric", {"Variable": path, _NUMERIC[op]: value})
    if isinstance(value, str) and op in ("==", "!="):
        equal = {"Variable": path, "StringEquals": value}
        return _sure(path, "IsString", equal if op == "==" else {"Not": equal})
    return None


def _sure(path: str, kind: str, rule: Rule) -> Rule:
    return {"And": [*_present(path, kind), rule]}


def _present(path: str, kind: str) -> list[Rule]:
    return [{"Variable": path, "IsPresent": True}, {"Variable": path, kind: True}]


def _either(rules: Iterable[Rule]) -> Rule | None:
    known = list(rules)
    if len(known) < 2:
        return known[0] if known else None
    return {"Or": known}


def is_decidable(argument: Argument) -> bool:
    """Whether an operand can be in a state's input at all."""
    return isinstance(argument, Constant | OutputRef | ParameterRef)
