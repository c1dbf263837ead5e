"""What a source remembers from one process to the next: where it was when its trigger was adopted, how far it is.

It is in the ledger, under `source/TRIGGER`, so that any server of the project can go on. Every entry carries the
adoption that it belongs to: when a trigger is declared anew, what was remembered for the earlier declaration no
longer counts, and the source begins with what is there at that moment, since nothing before it is missing.

Several servers may look at one place at the same time. An entry is added on the condition that no other has been
added since the last one that was read (`after=`): who is second reads what the first has written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trikk.core.errors import Conflict
from trikk.core.values import JSON
from trikk.runs.journals.ledger import Entry, Ledger


class Kind(StrEnum):
    """The kinds of a source's entries."""

    BEGUN = "source.begun"
    """Where it was when its trigger was adopted."""
    MOVED = "source.moved"
    """How far it is now."""
    SET_ASIDE = "source.set_aside"
    """Something has arrived that no run can be told of."""


@dataclass(slots=True)
class Memory:
    """The entries of one source since its trigger was adopted.

    Args:
        ledger: where they are.
        trigger: the trigger's name.
        adoption: what tells the trigger's present declaration from those before.
    """

    ledger: Ledger
    trigger: str
    adoption: str
    _last: Entry | None = field(default=None, init=False)

    @property
    def subject(self) -> str:
        """Where the entries are."""
        return f"source/{self.trigger}"

    def latest(self) -> dict[str, Any] | None:
        """The body of the newest entry; None if there is none since the adoption."""
        self._last = self.ledger.last(self.subject)
        return self._body(self._last)

    def begin_or_move(self, kind: Kind, body: dict[str, JSON], at: float) -> Entry | None:
        """Add an entry after the newest that was read; None if another server was faster: read again then."""
        seen = 0 if self._last is None else self._last.seq
        try:
            self._last = self.ledger.add(
                self.subject, kind, {**body, "adoption": self.adoption}, at=at, after=seen
            ).entry
        except Conflict:
            return None
        return self._last

    @property
    def newest(self) -> int:
        """The number of the newest entry that was read; 0 for none."""
        return 0 if self._last is None else self._last.seq

    def since(self, seq: int) -> list[Entry]:
        """The entries of this adoption from a number on."""
        entries = [e for e in self.ledger.entries(self.subject, after=seq - 1) if self._body(e) is not None]
        self._last = entries[-1] if entries else self._last
        return entries

    def set_aside(self, identity: str, why: str, about: dict[str, JSON], at: float) -> None:
        """Write down, once, what has arrived and can't be used, and why."""
        body: dict[str, JSON] = {**about, "why": why}
        self.ledger.add(f"{self.subject}/set-aside", Kind.SET_ASIDE, body, at=at, identity=identity)

    def _body(self, entry: Entry | None) -> dict[str, Any] | None:
        return entry.body if entry is not None and entry.body.get("adoption") == self.adoption else None
