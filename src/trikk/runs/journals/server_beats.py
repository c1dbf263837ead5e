"""The port of what servers of a project know of each other: one row for each, written anew with each beat.

It is not in the ledger, which only grows: a server that beats every ten seconds would leave three million entries
in a year. A row says who the server is, when it was last heard of, and what it has to say.
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import field

from trikk.core.record import Record
from trikk.runs.journals.lease import Holder

NO_TRIGGERS = "no triggers"
"""What a server says that fires none."""


class Server(Record, frozen=True, kw_only=True):
    """A server as of its last beat.

    Attributes:
        id: its own, of this process alone.
        holder: the process.
        release: the digest of the code that it serves; "" as long as it could load none.
        since: when it began, wall time in seconds since 1970, as are the other times.
        at: when it was last heard of.
        left: when it ended in order; None if it did not.
        says: what is wrong with it or around it, as JSON, and whether it fires no triggers; empty if nothing.
    """

    id: str
    holder: Holder
    release: str = ""
    since: float = 0.0
    at: float = 0.0
    left: float | None = None
    says: dict[str, Any] = field(default_factory=dict)

    @property
    def fires(self) -> bool:
        """Whether it fires triggers, if its release counts."""
        return NO_TRIGGERS not in self.says


class ServerBeats(Protocol):
    """Where servers are written down. Every method raises JournalError if that can't be read or written."""

    def beat(self, server: Server) -> None:
        """Write a server down as it is now, in place of what was known of it.

        Raises:
            UsageError: if its id or its release can't be stored.
        """

    def leave(self, server: str, *, at: float) -> None:
        """Write down that a server has ended in order; nothing happens if it is not known."""

    def servers(self) -> list[Server]:
        """All servers that are known, those that are gone too, in the order in which they began."""

    def drop_servers(self, before: float) -> None:
        """Forget the servers that were last heard of before a time."""
