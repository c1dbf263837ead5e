"""From a location in the settings to a journal."""

from __future__ import annotations

import re
from pathlib import Path

from trikk.core.errors import UsageError
from trikk.runs.journals.journal import Journal

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_journal(location: str) -> Journal:
    """Open the journal at `location`.

    Args:
        location: `memory:`, `sqlite:///absolute/path`, a plain path, or `postgresql://...` (`postgres://...`).

    Raises:
        JournalError: if it can't be opened.
        MissingExtra: if the location needs psycopg and it is not installed.
        UsageError: if the location is none of these.
    """
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
