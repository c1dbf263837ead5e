"""What every place that a stream reads from is: a reader that gives messages, and is told when they are stored.

The order is: read, store the rows together with how far that was (in one commit), settle. What a process leaves
that is killed in between is read again from where the table is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from trikk.consuming.message_rows import Read
from trikk.server.streams.stream_columns import Columns
from trikk.storage.positions import Advance

PositionsOf = Callable[[Sequence[str]], dict[str, int | None]]
"""How far a table is in some sources."""


class SetAside(NamedTuple):
    """Something that can't become a row.

    Attributes:
        identity: what it is known by: setting it aside twice is the same as once.
        why: the reason.
        about: where it came from.
        payload: the message; None for what is none, or is to be had where it came from.
    """

    identity: str
    why: str
    about: dict[str, Any]
    payload: bytes | None = None


class Lag(NamedTuple):
    """How far a stream is behind.

    Attributes:
        messages: messages, or files, that are there and not stored; as far as they are known.
        since: when the oldest of them, or the last that was stored before it, came: seconds since 1970; None if
            nothing waits.
    """

    messages: int = 0
    since: float | None = None


class StreamReader(Protocol):
    """A place that a stream reads from; used by one thread."""

    @property
    def stalled(self) -> bool:
        """Whether nothing more comes before what was read is settled."""

    def begin(self, positions: PositionsOf) -> list[SetAside]:
        """Connect, and go to where the table is.

        Returns:
            What can't be read any more, such as records that the broker has removed.

        Raises:
            TrikkError: if the place is away or refuses.
        """

    def read(self, room: int, wait: float) -> Sequence[Any]:
        """The messages that come within so many seconds, at most `room`; at once if there are as many.

        Raises:
            TrikkError: if the place is away; the next `begin` goes back to where the table is.
        """

    def rows(self, messages: Sequence[Any], columns: Columns) -> Read:
        """Messages as rows, and those that can't be."""

    def size(self, message: Any) -> int:
        """How many bytes a message has."""

    def describe(self, message: Any) -> SetAside:
        """A message as it is set aside, without the reason."""

    def advances(self) -> tuple[Advance, ...]:
        """How far the reader moves on with everything that it has given."""

    def settle(self) -> None:
        """Take in that everything that it has given is stored."""

    def lag(self) -> Lag:
        """How far it is behind; costs nothing."""

    def close(self) -> None:
        """Give back what it holds; what was given and is not settled comes again."""
