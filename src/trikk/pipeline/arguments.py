"""Where a step's argument comes from: the edges of the graph, as values that go to JSON and back.

`Constant` is known when the pipeline is traced, `ParameterRef` when a run is created, `OutputRef` when an
earlier step has finished, `TableRef` names rows and `ModelRef` a model at the version that the run is locked to,
and `Group` is a list or dict with any of these inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trikk.core.record import Record


class Constant(Record, frozen=True, rename={"value": "constant"}):
    """A plain value, encoded by `trikk.core.values.encode`."""

    value: Any


class ParameterRef(Record, frozen=True, rename={"name": "parameter"}):
    """The value of a parameter of the pipeline."""

    name: str


class OutputRef(Record, frozen=True, omit_defaults=True):
    """An output of an earlier step: all of it, one of several (`index`), or what lies at `path` inside."""

    step: str
    index: int | None = None
    path: tuple[str | int, ...] = ()


class TableRef(Record, frozen=True, omit_defaults=True):
    """A table at the run's version of it, with what the run's own `writes` (names of steps) did to it since.

    None in the run if it is `optional` and was not there.
    """

    table: str
    writes: tuple[str, ...]
    optional: bool = False


class ModelRef(Record, frozen=True, omit_defaults=True):
    """A registered model at the run's version of it; None in the run if it is `optional` and was not there."""

    model: str
    optional: bool = False


class Group(Record, frozen=True, omit_defaults=True, rename={"is_tuple": "tuple"}):
    """A list of arguments, a dict (`keys` are its own) or a tuple."""

    items: tuple[Argument, ...]
    keys: tuple[str, ...] | None = None
    is_tuple: bool = False


Argument = Constant | ParameterRef | OutputRef | TableRef | ModelRef | Group


_BY_KEY: dict[str, type[Record]] = {
    "constant": Constant,
    "parameter": ParameterRef,
    "step": OutputRef,
    "table": TableRef,
    "model": ModelRef,
}


def read_argument(data: Mapping[str, Any]) -> Argument:
    """The argument that `to_json` wrote: which of them it is shows by the first of its keys.

    Graphs of all builds are stored like this and named by their digest, so that they can't have a tag, by which
    msgspec would tell the members of a union apart.
    """
    for key, kind in _BY_KEY.items():
        if key in data:
            return kind.read(data)  # type: ignore[return-value]
    items = tuple(read_argument(item) for item in data["items"])
    keys = data.get("keys")
    return Group(items, None if keys is None else tuple(keys), bool(data.get("tuple")))


def walk(argument: Argument) -> Iterator[Argument]:
    """The argument and all arguments inside it."""
    yield argument
    if isinstance(argument, Group):
        for item in argument.items:
            yield from walk(item)
