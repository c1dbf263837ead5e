"""A condition of the graph as the service decides it, where both are sure to come to the same.

The service compares numbers with numbers and texts with texts; what it does with anything else is not
documented. A condition that it could take otherwise than Python is not written down: the job of the step
decides it then, as always.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from trikk.core.values import JSON
from trikk.pipeline.arguments import Argument, Constant, OutputRef, ParameterRef
from trikk.pipeline.condition import Condition
from trikk.pipeline.graph import Graph
from trikk.pipeline.parameters.parameter_kinds import Kind
from trikk.targets.sagemaker.definition_values import parameter

OUTCOME = "Outcome"
"""The property file that a job writes, which has its step's output."""
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ORDER = {"<": "LessThan", "<=": "LessThanOrEqualTo", ">": "GreaterThan", ">=": "GreaterThanOrEqualTo"}
_NUMBER, _TEXT, _TRUTH, _UNKNOWN = "number", "text", "truth", "unknown"
_KINDS = {"int": _NUMBER, "float": _NUMBER, "str": _TEXT, "enum": _TEXT, "bool": _TRUTH}


class InexpressibleError(Exception):
    """The service can't decide it; the text says why, as the end of a sentence."""


def condition_terms(condition: Condition, graph: Graph, names: Mapping[str, str]) -> list[JSON]:
    """The conditions of which all must hold.

    Args:
        condition: of the graph.
        graph: the pipeline, for its parameters' kinds.
        names: by the author's name what a step or parameter is called in the definition; steps as `step/NAME`.

    Raises:
        InexpressibleError: if the service might decide otherwise than trikk does.
    """
    kinds = {spec.name: spec.kind for spec in graph.parameters}
    return _all_of(condition, lambda operand: _operand(operand, kinds, names))


Seen = Callable[[Argument], tuple[JSON, str]]


def _all_of(condition: Condition, seen: Seen) -> list[JSON]:
    if condition.op == "and":
        return [term for part in condition.parts for term in _all_of(part, seen)]
    if condition.op == "==":
        left, right, kind = _pair(condition, seen)
        if kind == _NUMBER:
            # Whether 3 equals 3.0 there is not said; that neither is below the other is the same question.
            return [_compared(_ORDER[op], left, right) for op in ("<=", ">=")]
    return [_single(condition, seen)]


def _single(condition: Condition, seen: Seen) -> JSON:
    if condition.op == "not":
        return _negated(_all_of(condition.parts[0], seen))
    if condition.op == "or":
        alternatives = [_all_of(part, seen) for part in condition.parts]
        return {"Type": "Or", "Conditions": [_together(terms) for terms in alternatives]}
    if condition.op == "true":
        return _is_true(condition.operands[0], seen)
    left, right, kind = _pair(condition, seen)
    if condition.op in _ORDER:
        if kind != _NUMBER:
            raise InexpressibleError(f"`{condition}` may compare something else than numbers")
        return _compared(_ORDER[condition.op], left, right)
    if condition.op == "!=" and kind == _NUMBER:
        return {"Type": "Or", "Conditions": [_compared(_ORDER[op], left, right) for op in ("<", ">")]}
    equal = _compared("Equals", left, right)
    return _negated([equal]) if condition.op == "!=" else equal


def _pair(condition: Condition, seen: Seen) -> tuple[JSON, JSON, str]:
    """Both sides, and what they are compared as."""
    (left, left_kind), (right, right_kind) = (seen(operand) for operand in condition.operands)
    kinds = {left_kind, right_kind} - {_UNKNOWN}
    if len(kinds) != 1:
        raise InexpressibleError(f"`{condition}` may compare something else than two numbers or two texts")
    kind = kinds.pop()
    if kind == _TRUTH and _UNKNOWN in (left_kind, right_kind):
        raise InexpressibleError(f"`{condition}` may compare a number with true or false")
    return left, right, kind


def _is_true(operand: Argument, seen: Seen) -> JSON:
    """Whether something is true: of an output as Python sees it, which its job has written down."""
    value, kind = seen(operand)
    if kind == _TRUTH:
        return _compared("Equals", value, True)
    if isinstance(operand, OutputRef) and not operand.path and operand.index is None:
        assert isinstance(value, dict)
        getter: Any = value["Std:JsonGet"]
        return _compared("Equals", {"Std:JsonGet": {**getter, "Path": "is_true"}}, True)
    raise InexpressibleError("the service knows no truth of something else than true and false")


def _operand(operand: Argument, kinds: Mapping[str, Kind], names: Mapping[str, str]) -> tuple[JSON, str]:
    """What an operand is there, and what is known of its type."""
    if isinstance(operand, Constant):
        return _constant(operand.value)
    if isinstance(operand, ParameterRef):
        kind = _KINDS.get(kinds[operand.name].name)
        if kind is None:
            raise InexpressibleError(f"parameter {operand.name} is neither a number, a text nor true or false")
        return parameter(names[operand.name]), kind
    if isinstance(operand, OutputRef):
        reference: JSON = {"Get": f"Steps.{names[f'step/{operand.step}']}.PropertyFiles.{OUTCOME}"}
        return {"Std:JsonGet": {"PropertyFile": reference, "Path": _path(operand)}}, _UNKNOWN
    raise InexpressibleError("it compares something else than outputs, parameters and plain values")


def _constant(value: Any) -> tuple[JSON, str]:
    if isinstance(value, bool):
        return value, _TRUTH
    if isinstance(value, int | float) and math.isfinite(value):
        return value, _NUMBER
    if isinstance(value, str):
        return value, _TEXT
    if isinstance(value, dict) and value.get("$") == "enum":
        return str(value["v"][2]), _TEXT
    raise InexpressibleError("it compares with something else than a number, a text, true or false")


def _path(ref: OutputRef) -> str:
    """Where in the outcome an output is, as a JSONPath without its root."""
    path = "value" if ref.index is None else f"outputs[{ref.index}]"
    for key in ref.path:
        if isinstance(key, int) and key >= 0:
            path += f"[{key}]"
        elif isinstance(key, str) and _WORD.match(key):
            path += f".{key}"
        else:
            raise InexpressibleError(f"it looks at {key!r} in an output, which is no plain name")
    return path


def _compared(kind: str, left: JSON, right: JSON) -> JSON:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def _negated(terms: list[JSON]) -> JSON:
    """Not all of them: with one, that it does not hold."""
    if len(terms) == 1:
        return {"Type": "Not", "Condition": terms[0]}
    return {"Type": "Or", "Conditions": [_negated([term]) for term in terms]}


def _together(terms: list[JSON]) -> JSON:
    """All of them, as one: the service knows Not and Or."""
    return terms[0] if len(terms) == 1 else {"Type": "Not", "Condition": _negated(terms)}
