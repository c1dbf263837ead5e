"""The ledger's port: what happened to things that outlive a run, such as models and their aliases.

A ledger holds a list of entries for each subject (`model/people`). Entries are only ever added, and a subject's
state is their fold. An entry may have an identity, which makes adding it twice the same as adding it once; and it
may be added on the condition that nobody has added another meanwhile. Every journal is a ledger as well, so that
both are in one database.
"""

from __future__ import annotations

from typing import Protocol

from trikk.core.record import Record
from trikk.core.values import JSON

_LOOKED_THROUGH_AGAIN = 500  # numbers of entries


class Entry(Record, frozen=True):
    """One thing that happened to one subject.

    Attributes:
        seq: increases through a ledger; a subject's entries are in this order.
        subject: such as "model/people".
        kind: such as "version.registered".
        at: wall time in seconds since 1970.
        body: whatever belongs to that kind.
        identity: what makes the entry unique in its subject, or None.
    """

    seq: int
    subject: str
    kind: str
    at: float
    body: dict[str, JSON]
    identity: str | None = None


class Added(Record, frozen=True):
    """An entry that is in the ledger now; `repeated` if it was there before, under its identity."""

    entry: Entry
    repeated: bool


class Ledger(Protocol):
    """Where entries are kept. Every method raises JournalError if it can't be read or written."""

    def add(
        self,
        subject: str,
        kind: str,
        body: dict[str, JSON],
        *,
        at: float,
        identity: str | None = None,
        after: int | None = None,
    ) -> Added:
        """Add an entry in a transaction of its own, which is over when this returns.

        Args:
            subject: what it happened to; printable, not empty.
            kind: what happened.
            body: JSON.
            at: wall time in seconds since 1970.
            identity: if the subject has an entry with this identity, that one is returned and nothing is added,
                whatever its kind and body.
            after: the `seq` of the subject's last entry that the caller has seen (0 for none).

        Raises:
            Conflict: if `after` is given and the subject has a later entry (and none with this identity).
            UsageError: if the subject, kind, identity or body can't be stored.
        """

    def entries(self, subject: str, *, after: int = 0) -> list[Entry]:
        """The subject's entries with `seq` greater than `after`, in order; empty for an unknown subject."""

    def last(self, subject: str) -> Entry | None:
        """The subject's newest entry; None for an unknown subject. It costs the same however many there are."""

    def history(self, prefix: str, *, after: int = 0, limit: int | None = None) -> list[Entry]:
        """The entries of all subjects that begin with a text, in the order in which they were added.

        Args:
            prefix: the text.
            after: only those with a greater `seq`.
            limit: at most so many; all if None.
        """

    def texts(self, prefix: str, first: str = "", last: str = "") -> list[tuple[str, int, str]]:
        """The bodies as JSON of all subjects that begin with a text, in the order in which they were added.

        Whoever needs little of many thousand bodies reads that from the texts: making all of each takes ten times
        as long.

        Args:
            prefix: the text.
            first: only subjects that go on with this or what comes after it, by their characters.
            last: only those that go on with what comes before this; "" for all.

        Returns:
            Of each entry the subject, `seq` and body.
        """

    def newest(self, subject: str, limit: int, *, before: int | None = None) -> list[Entry]:
        """The subject's last entries, the newest first; those with a smaller `seq` than `before`, if it is given.

        It costs as much as it gives, however many entries the subject has.
        """

    def of_identity(self, subject: str, identity: str) -> Entry | None:
        """The subject's entry with that identity; None if it has none."""

    def subjects(self, prefix: str = "") -> list[str]:
        """All subjects that begin with a text, sorted. It costs as much as they are many, as `children` does."""

    def children(self, prefix: str) -> list[str]:
        """What follows a text such as "monitor/", up to the next slash, in subjects that begin with it; sorted.

        It costs as much as there are such names, however many subjects and entries are below each.
        """


class Follower:
    """What is added to the subjects that begin with a text: everything at first, then what is new.

    For who keeps a fold of many subjects in memory and is asked for it often: it costs as much as has happened
    since. Where several machines write, an entry may be committed after one with a greater `seq`, so that the last
    few hundred are looked through again. A subject's own entries come in their order all the same.

    Args:
        ledger: where they are.
        prefix: the text, such as "incident/".
    """

    def __init__(self, ledger: Ledger, prefix: str) -> None:
        self._ledger, self._prefix = ledger, prefix
        self._last = 0
        self._seen: set[int] = set()  # of those that are looked through again

    def new(self) -> list[Entry]:
        """The entries that were not given before, in the order in which they were added."""
        entries = self._ledger.history(self._prefix, after=max(0, self._last - _LOOKED_THROUGH_AGAIN))
        new = [entry for entry in entries if entry.seq not in self._seen]
        if new:
            self._last = max(self._last, new[-1].seq)
            last = self._last - _LOOKED_THROUGH_AGAIN
            self._seen = {entry.seq for entry in entries if entry.seq > last}
        return new
