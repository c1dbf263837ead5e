"""Rows that a pipeline brings into a table from a source with positions: which write moves the table on.

The positions of what was read go into the commit of the first write to the table that is made of these rows. A
pipeline without such a write would read the same messages each time, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trikk.core.errors import DefinitionError
from trikk.pipeline.arguments import Argument, Group, OutputRef, walk
from trikk.pipeline.graph import Node


@dataclass(slots=True)
class Arrival:
    """A step that reads what its table has not taken in yet.

    Attributes:
        table: the table's name.
        step: the name of the step that reads.
        positions: its output that says from where to where.
        after: steps that must be over before the table is moved on: what keeps the messages that do not fit.
        is_written: whether a write takes the positions.
    """

    table: str
    step: str
    positions: Argument
    after: tuple[str, ...]
    is_written: bool = False


def moved_by(arrivals: Iterable[Arrival], table: str, rows: Argument, nodes: Sequence[Node]) -> list[Arrival]:
    """The arrivals that a write to a table, of these rows, is the first to be made of; they count as written."""
    origins = _origins(rows, nodes)
    first = [a for a in arrivals if a.table == table and a.step in origins and not a.is_written]
    for arrival in first:
        arrival.is_written = True
    return first


def positions_of(arrivals: Sequence[Arrival]) -> Group:
    """What a write is given, to move its table on."""
    return Group(tuple(arrival.positions for arrival in arrivals))


def check_written(pipeline: str, arrivals: Iterable[Arrival], nodes: Sequence[Node]) -> None:
    """Raise DefinitionError if nothing that was read is written into the table that it was read for."""
    for arrival in arrivals:
        if not arrival.is_written:
            raise DefinitionError(
                f"pipeline {pipeline} reads messages for table {arrival.table} and writes none of them into it: it"
                " would read the same ones again each time",
                where=next(node.where for node in nodes if node.name == arrival.step),
                next=f'write what is made of them: Table("{arrival.table}").append(rows)',
            )


def _origins(rows: Argument, nodes: Sequence[Node]) -> set[str]:
    """The steps that rows are made of, however many lie between."""
    upstream = {node.name: tuple(node.data_from()) for node in nodes}
    waiting = [part.step for part in walk(rows) if isinstance(part, OutputRef)]
    origins: set[str] = set()
    while waiting:
        if (name := waiting.pop()) not in origins:
            origins.add(name)
            waiting += upstream.get(name, ())
    return origins
