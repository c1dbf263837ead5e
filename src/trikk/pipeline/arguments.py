"""Where a step's argument comes from: the edges of the graph, as values that go to JSON and back.

`Constant` is known when the pipeline is traced, `ParameterRef` when a run is created, `OutputRef` when an
earlier step has finished, `TableRef` names rows and `ModelRef` a model at the version that the run is locked to,
and `Group` is a list or dict with any of these inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trikk.core.values import JSON


@dataclass(frozen=True, slots=True)
class Constant:
    """A plain value, encoded by `trikk.core.values.encode`."""

    value: JSON

    def to_json(self) -> dict[str, JSON]:
        """This argument as JSON."""
        return {"constant": self.value}


@dataclass(frozen=True, slots=True)
class ParameterRef:
    """The value of a parameter of the pipeline."""

    name: str

    def to_json(self) -> dict[str, JSON]:
        """This argument as JSON."""
        return {"parameter": self.name}


@dataclass(frozen=True, slots=True)
class OutputRef:
    """An output of an earlier step: all of it, one of several (`index`), or what lies at `path` inside."""

    step: str
    index: int | None = None
    path: tuple[str | int, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        """This argument as JSON."""
        found: dict[str, JSON] = {"step": self.step}
        if self.index is not None:
            found["index"] = self.index
        if self.path:
            found["path"] = list(self.path)
        return found


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table at the run's version of it, with what the run's own `writes` (names of steps) did to it since.

    None in the run if it is `optional` and was not there.
    """

    table: str
    writes: tuple[str, ...] = ()
    optional: bool = False

    def to_json(self) -> dict[str, JSON]:
        """This argument as JSON."""
        optional: dict[str, JSON] = {"optional": True} if self.optional else {}
        return {"table": self.table, "writes": list(self.writes), **optional}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A registered model at the run's version of it; None in the run if it is `optional` and was not there."""

    model: str
    optional: bool = False

    def to_json(self) -> dict[str, JSON]:
        """This argument as JSON."""
        found: dict[str, JSON] = {"model": self.model}
        return {**found, "optional": True} if self.optional else found


@dataclass(frozen=True, slots=True)
class Group:
    """A list of arguments, a dict (`keys` are its own) or a tuple."""

    items: tuple[Argument, ...]
    keys: tuple[str, ...] | None = None
    is_tuple: bool = False

    def to_json(self) -> dict[str, JSON]:
        """This argument as JSON."""
        found: dict[str, JSON] = {"items": [item.to_json() for item in self.items]}
        if self.keys is not None:
            found["keys"] = list(self.keys)
        if self.is_tuple:
            found["tuple"] = True
        return found


Argument = Constant | ParameterRef | OutputRef | TableRef | ModelRef | Group


def read_argument(data: Mapping[str, Any]) -> Argument:
    """The argument that `to_json` wrote."""
    if "constant" in data:
        return Constant(data["constant"])
    if "parameter" in data:
        return ParameterRef(data["parameter"])
    if "step" in data:
        return OutputRef(data["step"], data.get("index"), tuple(data.get("path", ())))
    if "table" in data:
        return TableRef(data["table"], tuple(data["writes"]), bool(data.get("optional")))
    if "model" in data:
        return ModelRef(data["model"], bool(data.get("optional")))
    keys = data.get("keys")
    items = tuple(read_argument(i) for i in data["items"])
    return Group(items, None if keys is None else tuple(keys), bool(data.get("tuple")))


def walk(argument: Argument) -> Iterator[Argument]:
    """The argument and all arguments inside it."""
    yield argument
    if isinstance(argument, Group):
        for item in argument.items:
            yield from walk(item)
