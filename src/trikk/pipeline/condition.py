"""Conditions: comparisons of outputs and parameters, kept as values and decided when the run gets there."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from trikk.core.errors import DefinitionError
from trikk.core.record import Record
from trikk.pipeline.arguments import Argument, Constant, OutputRef, ParameterRef, read_argument
from trikk.pipeline.location import caller

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Condition(Record, frozen=True, omit_defaults=True):
    """Something that will be true or false in a run; combine with `&`, `|` and `~`."""

    op: str  # one of < <= > >= == !=, or `true` (one operand is truthy), `and`, `or`, `not`
    operands: tuple[Argument, ...] = ()  # what is compared; empty for and, or, not
    parts: tuple[Condition, ...] = ()  # the conditions that and, or, not combine

    def __and__(self, other: object) -> Condition:
        return Condition("and", parts=(self, condition_of(other)))

    def __or__(self, other: object) -> Condition:
        return Condition("or", parts=(self, condition_of(other)))

    # `True & condition`: refused by `condition_of` with a sentence, where Python's own error would puzzle.
    def __rand__(self, other: object) -> Condition:
        return Condition("and", parts=(condition_of(other), self))

    def __ror__(self, other: object) -> Condition:
        return Condition("or", parts=(condition_of(other), self))

    def __invert__(self) -> Condition:
        return Condition("not", parts=(self,))

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            "a condition on a step's output or a parameter is not known while the pipeline is traced",
            where=caller(),
            next="write `with when(condition):` instead of if; combine with &, | and ~ instead of and, or, not",
        )

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Condition:
        """The condition that `to_json` wrote; its operands are read as `read_argument` tells them apart."""
        return cls(
            data["op"],
            tuple(read_argument(o) for o in data.get("operands", ())),
            tuple(cls.read(p) for p in data.get("parts", ())),
        )

    def arguments(self) -> Iterator[Argument]:
        """All operands, those of the parts included."""
        yield from self.operands
        for part in self.parts:
            yield from part.arguments()

    def __str__(self) -> str:
        if self.op == "not":
            return f"not ({self.parts[0]})"
        if self.parts:
            return f" {self.op} ".join(f"({p})" for p in self.parts)
        shown = [_show(o) for o in self.operands]
        return shown[0] if self.op == "true" else f"{shown[0]} {self.op} {shown[1]}"


def condition_of(value: object) -> Condition:
    """A condition as it is; a stand-in as the condition that its value is true.

    Raises:
        DefinitionError: if it is something else, which is known already.
    """
    if isinstance(value, Condition):
        return value
    argument = getattr(value, "symbol_argument", None)
    if isinstance(argument, ParameterRef | OutputRef):
        return Condition("true", (argument,))
    raise DefinitionError(
        f"{value!r} is known while the pipeline is traced",
        where=caller(),
        next="use if for what is known; compare a step's output or a parameter for what is not",
    )


def evaluate(condition: Condition, value_of: Callable[[Argument], Any]) -> bool:
    """Decide a condition, given what each operand's value is.

    Raises:
        TypeError: if two values can't be compared.
    """
    if condition.op == "and":
        return all(evaluate(p, value_of) for p in condition.parts)
    if condition.op == "or":
        return any(evaluate(p, value_of) for p in condition.parts)
    if condition.op == "not":
        return not evaluate(condition.parts[0], value_of)
    values = [value_of(o) for o in condition.operands]
    return bool(values[0]) if condition.op == "true" else bool(COMPARE[condition.op](*values))


def _show(argument: Argument) -> str:
    if isinstance(argument, Constant):
        value = argument.value
        if isinstance(value, dict) and value.get("$") == "enum" and isinstance(value["v"], list):
            return ".".join(str(part) for part in value["v"][1:])  # its class is not loaded everywhere
        return str(value["v"]) if isinstance(value, dict) and "$" in value else repr(value)
    if isinstance(argument, ParameterRef):
        return argument.name
    if isinstance(argument, OutputRef):
        index = "" if argument.index is None else f"[{argument.index}]"
        return argument.step + index + "".join(f"[{p!r}]" for p in argument.path)
    return str(argument.to_json())
