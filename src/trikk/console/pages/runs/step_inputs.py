"""What a step is given, argument by argument, as its graph and its run's lock have it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trikk.pipeline.arguments import Constant, Group, ModelRef, OutputRef, ParameterRef, TableRef, walk
from trikk.runs.run_state import output_name

if TYPE_CHECKING:
    from trikk.pipeline.arguments import Argument
    from trikk.pipeline.graph import Node
    from trikk.runs.run_state import RunState


def inputs_of(node: Node, state: RunState, name: str) -> list[dict[str, Any]]:
    """A step's arguments, or those of an item of it ("fit[3]").

    Returns:
        For each `name`, `kind` (value, parameter, output, table, model or group), `value` or None, `of` (the
        step, the parameter, the table or the model), `version` of a table or model; of an output `artifact` as
        JSON, None while there is none, and its name in the run, `output`; of a group `parts`.
    """
    item = name.partition("[")[2].rstrip("]")
    inputs = []
    for argument_name, argument in node.arguments.items():
        described = _described(argument, state)
        if item and argument_name == node.mapped:
            described["item"] = int(item)
        inputs.append({"name": argument_name, **described})
    return inputs


def _described(argument: Argument, state: RunState) -> dict[str, Any]:
    blank: dict[str, Any] = {"value": None, "of": "", "version": None, "artifact": None, "output": "", "parts": []}
    if isinstance(argument, Constant):
        return blank | {"kind": "value", "value": argument.value}
    if isinstance(argument, ParameterRef):
        value = state.parameters.get(argument.name)
        return blank | {"kind": "parameter", "of": argument.name, "value": value}
    if isinstance(argument, OutputRef):
        return blank | {"kind": "output", "of": argument.step} | _output(argument, state)
    if isinstance(argument, TableRef):
        version = state.lock.get("tables", {}).get(argument.table)
        return blank | {"kind": "table", "of": argument.table, "version": version}
    if isinstance(argument, ModelRef):
        locked = state.lock.get("models", {}).get(argument.model) or {}
        return blank | {"kind": "model", "of": argument.model, "version": locked.get("version")}
    assert isinstance(argument, Group)
    parts = [_described(part, state) for part in walk(argument) if not isinstance(part, Group)]
    return blank | {"kind": "group", "parts": parts}


def _output(ref: OutputRef, state: RunState) -> dict[str, Any]:
    step = state.steps.get(ref.step)
    outputs = (step.outputs if step is not None else None) or []
    place = ref.index or 0
    if place >= len(outputs):
        return {}
    return {
        "artifact": outputs[place],
        "output": output_name(ref.step, place, len(outputs)),
        "value": ".".join(map(str, ref.path)) or None,
    }
