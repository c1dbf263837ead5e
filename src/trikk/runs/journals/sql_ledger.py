"""The ledger in an SQL database, beside the journal and over its connections."""

# ruff: noqa: D102 - the methods are those of the port, described there

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from trikk.core.values import JSON
from trikk.runs.journals import journal as port
from trikk.runs.journals.ledger import Added, Entry, Ledger
from trikk.runs.journals.sql_rows import link

_ALL = 2**62  # both databases take such a limit; only one takes none as NULL; no `seq` is greater


class NewEntry:
    """An entry that is to be added, checked before any transaction begins; arguments as of `Ledger.add`."""

    def __init__(
        self,
        subject: str,
        kind: str,
        body: dict[str, JSON],
        at: float,
        identity: str | None = None,
        after: int | None = None,
    ) -> None:
        port.check_entry(subject, kind, identity)
        self.subject, self.kind, self.at, self.identity, self.after = subject, kind, float(at), identity, after
        self.text = port.dump(body)


class SqlLedger(Ledger, ABC):
    """A ledger over whoever provides transactions and statements."""

    _sql: dict[str, str]

    @abstractmethod
    def _transaction(self, begin: str | None = None) -> AbstractContextManager[Any]:
        """A transaction on this thread's connection; one that writes unless told otherwise."""

    @abstractmethod
    def _read(self, name: str, **values: Any) -> list[Any]:
        """The rows of a statement outside of a transaction."""

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
        new = NewEntry(subject, kind, body, at, identity, after)
        with self._transaction() as connection:
            return self._add(connection, new)

    def _add(self, connection: Any, new: NewEntry) -> Added:
        """Add an entry within a transaction; arguments, result and errors as of `add`."""
        subject, identity = new.subject, new.identity
        connection.execute(self._sql["lock_subject"], {"subject": subject})
        if identity is not None:
            known = {"subject": subject, "identity": identity}
            rows = connection.execute(self._sql["entry_of_identity"], known).fetchall()
            if rows:
                return Added(_entry(subject, rows[0]), True)
        if new.after is not None:
            last = connection.execute(self._sql["last_entry"], {"subject": subject}).fetchone()[0] or 0
            if last > new.after:
                raise port.changed_meanwhile(subject)
        head = connection.execute(self._sql["head"], {"subject": subject}).fetchone()
        chain = link(head and head[0], subject, new.kind, new.at, new.text, identity)
        values = {"subject": subject, "kind": new.kind, "at": new.at, "body": new.text, "identity": identity}
        seq = int(connection.execute(self._sql["add_entry"], {**values, "chain": chain}).fetchone()[0])
        connection.execute(self._sql["put_head"], {"subject": subject, "chain": chain})
        return Added(Entry(seq, subject, new.kind, new.at, port.load(new.text), identity), False)

    def entries(self, subject: str, *, after: int = 0) -> list[Entry]:
        if not port.is_plain(subject):
            return []
        return [_entry(subject, row) for row in self._read("entries", subject=subject, after=after)]

    def last(self, subject: str) -> Entry | None:
        if not port.is_plain(subject):
            return None
        rows = self._read("newest_entries", subject=subject, before=_ALL, limit=1)
        return _entry(subject, rows[0]) if rows else None

    def newest(self, subject: str, limit: int, *, before: int | None = None) -> list[Entry]:
        if not port.is_plain(subject):
            return []
        end = _ALL if before is None else max(0, min(before, _ALL))
        rows = self._read("newest_entries", subject=subject, before=end, limit=limit)
        return [_entry(subject, row) for row in rows]

    def of_identity(self, subject: str, identity: str) -> Entry | None:
        if not (port.is_plain(subject) and port.is_plain(identity)):
            return None
        rows = self._read("entry_of_identity", subject=subject, identity=identity)
        return _entry(subject, rows[0]) if rows else None

    def history(self, prefix: str, *, after: int = 0, limit: int | None = None) -> list[Entry]:
        if prefix and not port.is_plain(prefix):
            return []
        values = {"low": prefix, "high": _end(prefix), "after": after, "most": _ALL if limit is None else limit}
        return [_entry(row[0], row[1:]) for row in self._read("history", **values)]

    def texts(self, prefix: str, first: str = "", last: str = "") -> list[tuple[str, int, str]]:
        if not all(port.is_plain(text) for text in (prefix, first, last) if text):
            return []
        high = prefix + last if last else _end(prefix)
        values = {"low": prefix + first, "high": high, "after": 0, "most": _ALL}
        return [(row[0], row[1], row[4]) for row in self._read("history", **values)]

    def subjects(self, prefix: str = "") -> list[str]:
        if prefix and not port.is_plain(prefix):
            return []
        return sorted(subject for (subject,) in self._read("subjects", low=prefix, high=_end(prefix)))

    def children(self, prefix: str) -> list[str]:
        if not port.is_plain(prefix):
            return []
        names: set[str] = set()
        low, high = prefix, _end(prefix)
        while (subject := self._read("next_subject", low=low, high=high)[0][0]) is not None:
            child, slash, _ = subject.removeprefix(prefix).partition("/")
            names.add(child)
            # No subject has a control character, so nothing lies between it and what it is the beginning of.
            low = _end(f"{prefix}{child}/") if slash else f"{subject}\x01"
        return sorted(names - {""})


def _end(prefix: str) -> str:
    """What comes right after all texts that begin with this one, if texts are compared by their characters."""
    last = ord(prefix[-1]) + 1 if prefix else 0x10FFFF
    return prefix[:-1] + chr(0xE000 if last == 0xD800 else last)


def _entry(subject: str, row: tuple[Any, ...]) -> Entry:
    seq, kind, at, body, identity = row
    return Entry(seq, subject, kind, float(at), port.load(body), identity)
