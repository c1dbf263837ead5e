"""How far a source of messages has been brought into a table, kept in the table's own log.

A write that brings messages moves its sources on in the same commit as the rows, as a Delta transaction each: the
source is the application's id, the position its version. So rows and positions are there together or not at all,
whichever process dies when, and a checkpoint keeps the newest of each. A write says from where it moves, too:
whoever has read from a place that the table has left meanwhile is refused, and no message is in it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trikk.core.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Advance:
    """What a write brings of one source.

    Attributes:
        source: its name, the same whoever reads it: "kafka/CLUSTER/TOPIC/PARTITION".
        before: the position from which it was read; None if the table had none.
        after: the position from which to read on.
    """

    source: str
    before: int | None
    after: int


class Overtaken(PermanentError):
    """The table has taken in some of these messages meanwhile, by another write; nothing was written."""


def check_positions(name: str, position_of: Callable[[str], int | None], advances: Sequence[Advance]) -> None:
    """Check that a table is where the messages of a write were read from.

    Args:
        name: the table.
        position_of: how far the table has taken in a source; None if it never has.
        advances: what the write brings.

    Raises:
        Overtaken: if it is not.
    """
    for advance in advances:
        position = position_of(advance.source)
        if position != advance.before:
            raise Overtaken(
                f"the rows were read from {advance.source} at {_shown(advance.before)}, and the table is at "
                f"{_shown(position)}: another run has brought messages of it, or the table was made anew",
                where=f"table {name}",
                next="nothing was written, and nothing is missing; start a new run, which reads on from there",
            )


def _shown(position: int | None) -> str:
    return "its beginning" if position is None else f"{position:,}"
