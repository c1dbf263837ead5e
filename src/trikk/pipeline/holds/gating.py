"""Steps that hold others back: what stands below a gate and uses what it looks at waits for it.

A pipeline's body is read from above to below. A step that checks rows therefore comes before every later step that
takes these rows, or anything that was made from them, though no data flows from the one to the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from trikk.core.record import Record
from trikk.pipeline.arguments import Argument, OutputRef, TableRef, walk
from trikk.pipeline.graph import Node


class Hold(Record, frozen=True):
    """A step that holds others back."""

    step: str  # its name
    subjects: tuple[Argument, ...]  # what it looks at
    derived: frozenset[str]  # names of the steps above it that were given any of this, or what was made from it
    replaced: bool = False  # whether an output of it takes the place of what it looks at


def hold_of(gate: Node, subject: Argument, above: Iterable[Node], *, replaced: bool = False) -> Hold:
    """The hold of a step that looks at one of its arguments; `above` are the nodes so far, in their order."""
    subjects = tuple(part for part in walk(subject) if isinstance(part, OutputRef | TableRef))
    derived: set[str] = set()
    # In their order, so that what is made of something derived is derived as well.
    for node in above:
        if node.name != gate.name and _uses(node, subjects, derived):
            derived.add(node.name)
    return Hold(gate.name, subjects, frozenset(derived), replaced)


def held_back(node: Node, holds: Iterable[Hold]) -> Node:
    """The node, after all steps that hold it back."""
    waits = [hold.step for hold in holds if _uses(node, hold.subjects, hold.derived)]
    return replace(node, after=tuple(dict.fromkeys([*node.after, *waits]))) if waits else node


def replaced_by(node: Node, holds: Iterable[Hold]) -> str | None:
    """The step whose output this node should be given instead of what it looked at; None if there is none.

    A table counts as the same only until it is written again.
    """
    for hold in holds:
        for part in _parts(node) if hold.replaced else ():
            if any(part == one or (isinstance(part, OutputRef) and _overlap(part, one)) for one in hold.subjects):
                return hold.step
    return None


def _uses(node: Node, subjects: Iterable[Argument], derived: Collection[str]) -> bool:
    return any(
        (isinstance(part, OutputRef) and part.step in derived) or any(_overlap(part, one) for one in subjects)
        for part in _parts(node)
    )


def _parts(node: Node) -> Iterator[Argument]:
    for argument in node.arguments.values():
        yield from walk(argument)
    for condition in node.when:
        yield from condition.arguments()


def _overlap(one: Argument, other: Argument) -> bool:
    """Whether two references can mean the same rows: a table, an output, a part of it."""
    if isinstance(one, TableRef) and isinstance(other, TableRef):
        return one.table == other.table
    if not (isinstance(one, OutputRef) and isinstance(other, OutputRef)) or one.step != other.step:
        return False
    # The whole of an output overlaps with each part of it.
    if None not in (one.index, other.index) and one.index != other.index:
        return False
    return all(a == b for a, b in zip(one.path, other.path, strict=False))
