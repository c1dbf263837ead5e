"""From a location in the settings to a journal."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trikk.core.errors import JournalError, UsageError
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.ledger import Ledger

_OF_LEDGER = frozenset(name for name, _ in inspect.getmembers(Ledger, inspect.isfunction) if name[0] != "_")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_journal(location: str, events: str = "") -> Journal:
    """Open the journal at `location`.

    Args:
        location: `memory:`, `sqlite:///absolute/path`, a plain path, or `postgresql://...` (`postgres://...`).
        events: likewise where the events of runs are instead, if not there (see `JobJournal`); "" if they are.

    Raises:
        JournalError: if it can't be opened.
        MissingExtra: if the location needs psycopg and it is not installed.
        UsageError: if the location is none of these.
    """
    if events:
        journal: Any = JobJournal(open_journal(events), lambda: open_journal(location))
        return journal  # type: ignore[no-any-return]
    if location == "memory:":
        from trikk.runs.journals.memory_journal import MemoryJournal

        return MemoryJournal()
    if location.startswith(("postgresql://", "postgres://")):
        from trikk.runs.journals.postgres_journal import PostgresJournal

        return PostgresJournal(location)
    from trikk.runs.journals.sqlite_journal import SqliteJournal

    path = location.removeprefix("sqlite://") if location.startswith("sqlite:///") else location
    if not path or "\0" in path or _SCHEME.match(path):
        raise UsageError(
            f"{location.partition('://')[0][:40]!r} is not a place for a journal",
            next="use a path, sqlite:///absolute/path, postgresql://... or memory:",
        )
    return SqliteJournal(Path(path))


class JobJournal:
    """The journal of a job that runs one step elsewhere: events in a file of its own, the ledger the project's.

    What a job does to its run reaches the project's journal by whoever mirrors it (`trikk.targets.mirroring`),
    so that a job without a way to the database can do most steps. Steps that register a model or publish rows need
    the ledger, which is opened when it is first asked for.

    Args:
        events: the journal for everything about runs.
        open_ledger: opens the one whose entries outlive runs.
    """

    def __init__(self, events: Any, open_ledger: Callable[[], Any]) -> None:
        self._events = events
        self._open_ledger = open_ledger
        self._ledger: Any = None

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_LEDGER:
            return getattr(self._events, name)
        if self._ledger is None:
            try:
                self._ledger = self._open_ledger()
            except JournalError as error:
                error.next = f"this step needs the project's journal: {error.next or 'give the job a way to it'}"
                raise
        return getattr(self._ledger, name)

    def close(self) -> None:
        """Give the connections of both back."""
        self._events.close()
        if self._ledger is not None:
            self._ledger.close()
