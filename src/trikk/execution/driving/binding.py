"""From the graph's edges to a call's arguments, once the values that they stand for are known."""

from __future__ import annotations

import functools
from typing import Any

from trikk.core.errors import RunError
from trikk.core.values import JSON, decode, encode
from trikk.pipeline.arguments import Argument, Constant, Group, ModelRef, OutputRef, ParameterRef, TableRef
from trikk.pipeline.graph import Graph, Node
from trikk.runs.run_state import RunState
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.plain import item as item_of

_PLAIN = ("json", "list", "tuple", "dict")


class Binder:
    """Finds the values of arguments in a run's state.

    Args:
        graph: the run's graph.
        state: the run's state, which grows while it is used.
        artifacts: where outputs are; read only for conditions and items that the journal does not hold.
    """

    def __init__(self, graph: Graph, state: RunState, artifacts: Artifacts) -> None:
        self.graph = graph
        self.state = state
        self.artifacts = artifacts
        self._kinds = {s.name: s.kind for s in graph.parameters}
        self._parts: dict[str, list[dict[str, JSON]]] = {}  # of a list, by its digest, the items
        self._plain_lists: dict[tuple[str, tuple[str | int, ...]], JSON] = {}  # by digest and path inside

    def arguments(self, node: Node, item: int | None) -> dict[str, Any]:
        """A call's arguments for a step, or for one item of it. Outputs are handed on as the state has them."""
        arguments = {name: self._bind(argument) for name, argument in node.arguments.items()}
        if item is not None:
            assert node.mapped is not None
            arguments[node.mapped] = self._item(node.arguments[node.mapped], item)
        return arguments

    def value(self, argument: Argument) -> Any:
        """The real value of a condition's operand.

        Raises:
            StorageError: if it is in the store and can't be read.
            RunError: if it is no plain value.
            LookupError: if a key or index is not there.
        """
        if isinstance(argument, Constant):
            return _comparable(argument.value)
        if isinstance(argument, ParameterRef):
            kind, parameter = self._kinds[argument.name], self.state.parameters[argument.name]
            return parameter if kind.enum_class else kind.from_json(parameter)
        if isinstance(argument, OutputRef):
            artifact = Artifact.read(self._output(argument))
            summary = artifact.summary
            value = _comparable(summary["value"]) if "value" in summary else self._plain(artifact)
            for key in argument.path:
                value = value[key]
            return value
        raise RunError("a condition can't compare tables or groups")

    def _plain(self, artifact: Artifact) -> Any:
        """A plain value from the store: the driver reads JSON, never what the author's code would have to load."""
        inside = self.artifacts.children(artifact)
        if any(part.codec not in _PLAIN for part in (artifact, *inside)):
            raise RunError(
                f"a condition or map can't look into {artifact.summary.get('type', artifact.codec)}",
                next="have the step return what is asked for as a plain value",
            )
        return self.artifacts.load(artifact)

    def length(self, argument: Argument) -> int:
        """How many items a mapped argument has.

        Raises:
            RunError: if it is no list.
        """
        if isinstance(argument, Group):
            return len(argument.items)
        if isinstance(argument, OutputRef) and not argument.path:
            summary = self._output(argument)["summary"]
            if summary["type"] in ("list", "tuple") and isinstance(summary.get("length"), int):
                return int(summary["length"])
        value = self.value(argument)
        if not isinstance(value, list | tuple):
            raise RunError(f"map needs a list, not {type(value).__name__}", next="return a list from that step")
        return len(value)

    def _output(self, ref: OutputRef) -> dict[str, Any]:
        """One output of a finished step, an artifact as JSON."""
        outputs = self.state.steps[ref.step].outputs
        assert outputs is not None
        return outputs[ref.index or 0]

    def _bind(self, argument: Argument) -> dict[str, Any]:
        if isinstance(argument, Constant):
            return {"value": argument.value}
        if isinstance(argument, ParameterRef):
            return {"parameter": argument.name, "value": self.state.parameters[argument.name]}
        if isinstance(argument, TableRef):
            return self._table(argument)
        if isinstance(argument, ModelRef):
            return {"model": self.state.lock.get("models", {}).get(argument.model)}
        if isinstance(argument, Group):
            keys = None if argument.keys is None else list(argument.keys)
            return {"items": [self._bind(i) for i in argument.items], "keys": keys, "tuple": argument.is_tuple}
        if argument.index is None and self.graph.nodes[argument.step].outputs is not None:
            return {"artifacts": self.state.steps[argument.step].outputs}
        return {"artifact": self._output(argument), "path": list(argument.path)}

    def _table(self, ref: TableRef) -> dict[str, Any]:
        writes = []
        for name in ref.writes:
            step, node = self.state.steps[name], self.graph.nodes[name]
            if step.outputs is not None and node.write is not None:
                writes.append({**node.write.to_json(), "artifact": step.outputs[0]})
        version = self.state.lock["tables"].get(ref.table)
        if ref.optional and version is None and not writes:
            return {"value": None}
        return {"table": ref.table, "version": version, "writes": writes}

    def _item(self, argument: Argument, item: int) -> dict[str, Any]:
        if isinstance(argument, Group):
            return self._bind(argument.items[item])
        if isinstance(argument, OutputRef):
            output = self._output(argument)
            digest = output["digest"]
            if output["codec"] == "json":
                # The item itself: a worker that looked for it in the list would read all of that.
                key = (digest, argument.path)
                if key not in self._plain_lists:
                    whole = self.artifacts.read_json(Artifact.read(output))
                    self._plain_lists[key] = functools.reduce(item_of, argument.path, whole)
                return {"value": item_of(self._plain_lists[key], item)}
            if argument.path:
                return {"artifact": output, "path": [*argument.path, item]}
            if digest not in self._parts:  # read once, not once for each of the items
                self._parts[digest] = [part.to_json() for part in self.artifacts.parts(Artifact.read(output))]
            return {"artifact": self._parts[digest][item], "path": []}
        bound = self._bind(argument)
        value: Any = bound["value"]
        if isinstance(argument, ParameterRef):
            return {"value": encode(self._kinds[argument.name].from_json(value)[item])}
        return {"value": value["v"][item] if isinstance(value, dict) else value[item]}


def _comparable(encoded: JSON) -> Any:
    """A plain value; an enum's member by its name, since a driver does not import the author's classes."""
    if isinstance(encoded, dict) and encoded.get("$") == "enum" and isinstance(encoded["v"], list):
        return encoded["v"][2]
    return decode(encoded)
