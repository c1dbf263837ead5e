"""The ledger in this process's memory. The same contract, nothing kept."""

# ruff: noqa: D102 - the methods are those of the port, described there

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

from trikk.core.values import JSON
from trikk.runs.journals import journal as port
from trikk.runs.journals.ledger import Added, Entry, Ledger


class MemoryLedger(Ledger):
    """A ledger in a list behind a lock. Bodies are copied, so that no caller shares a dict with it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entry_seq = itertools.count(1)
        self._entries: list[Entry] = []

    def _check_open(self) -> None:
        """Raise JournalError if it is closed."""

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
        port.check_entry(subject, kind, identity)
        own = port.load(port.dump(body))
        with self._lock:
            self._check_open()
            of_subject = [entry for entry in self._entries if entry.subject == subject]
            for entry in of_subject:
                if identity is not None and entry.identity == identity:
                    return Added(_copy(entry), True)
            if after is not None and of_subject and of_subject[-1].seq > after:
                raise port.changed_meanwhile(subject)
            made = Entry(next(self._entry_seq), subject, kind, float(at), own, identity)
            self._entries.append(made)
        return Added(_copy(made), False)

    def entries(self, subject: str, *, after: int = 0) -> list[Entry]:
        with self._lock:
            self._check_open()
            return [_copy(entry) for entry in self._entries if entry.subject == subject and entry.seq > after]

    def last(self, subject: str) -> Entry | None:
        found = self.entries(subject)
        return found[-1] if found else None

    def history(self, prefix: str) -> list[Entry]:
        with self._lock:
            self._check_open()
            return [_copy(entry) for entry in self._entries if entry.subject.startswith(prefix)]

    def subjects(self, prefix: str = "") -> list[str]:
        with self._lock:
            self._check_open()
            return sorted({entry.subject for entry in self._entries if entry.subject.startswith(prefix)})

    def children(self, prefix: str) -> list[str]:
        found = {subject.removeprefix(prefix).partition("/")[0] for subject in self.subjects(prefix)}
        return sorted(found - {""}) if prefix else []


def _copy(entry: Entry) -> Entry:
    return replace(entry, body=port.load(port.dump(entry.body)))
