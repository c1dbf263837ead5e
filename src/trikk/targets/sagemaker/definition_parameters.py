"""A pipeline's parameters as the definition's: typed where the service has the type, else as text.

What a job is given is text in any case, in the form of a command line, and read by the parameter's own kind.
"""

from __future__ import annotations

from typing import Any

from trikk.core.values import JSON
from trikk.pipeline.graph import ParameterSpec
from trikk.pipeline.parameters.parameter_kinds import Kind

TRIGGER, TICK = "Trigger", "Tick"
"""What a scheduled start says of itself: the trigger's name, and its tick's identity."""
_TYPES = {"bool": "Boolean", "int": "Integer", "float": "Float"}


def definition_parameter(spec: ParameterSpec, name: str) -> dict[str, JSON]:
    """An author's parameter under the name that it has there."""
    declared: dict[str, JSON] = {"Name": name, "Type": _TYPES.get(spec.kind.name, "String")}
    if not spec.required:
        is_text = declared["Type"] == "String"
        declared["DefaultValue"] = spec.kind.to_text(spec.default) if is_text else spec.default
    if choices := _choices(spec.kind):
        declared["EnumValues"] = [*choices]
    return declared


def text_parameter(name: str, default: str | None = None) -> dict[str, JSON]:
    """A parameter of the definition's own; whoever starts has to give it if it has no default."""
    declared: dict[str, JSON] = {"Name": name, "Type": "String"}
    return declared if default is None else {**declared, "DefaultValue": default}


def may_be_empty(spec: ParameterSpec) -> bool:
    """Whether "" stands for a parameter that is not given."""
    return spec.kind.name in ("event", "optional")


def longest_text(spec: ParameterSpec) -> int | None:
    """How many characters a value has at most; None if there is no limit to it."""
    kind: Any = spec.kind.of if spec.kind.name == "optional" else spec.kind
    if choices := _choices(kind):
        return max(map(len, choices))
    return {"bool": 5, "int": 20, "float": 26, "date": 10, "datetime": 32}.get(kind.name)


def _choices(kind: Kind) -> tuple[str, ...]:
    """The texts that a parameter may have; none if it may have any."""
    return tuple(map(kind.to_text, kind.choices)) if kind.name in ("enum", "literal") else ()
