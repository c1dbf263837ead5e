"""The journal in this process's memory: for tests and for trying things out. The same contract, nothing kept."""

# ruff: noqa: D102 - the methods are those of the port, described there

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from trikk.runs.journals.journal import RunRow
from trikk.runs.journals.sqlite_journal import SqliteJournal


class MemoryJournal(SqliteJournal):
    """A journal in an SQLite database without a file.

    Such a database belongs to one connection, so that all threads share it and take turns. (SQLite's shared cache
    would give each thread a connection, but answers SQLITE_LOCKED at once where a file's lock is waited for:
    https://sqlite.org/sharedcache.html.) After a fork each process goes on with a copy of its own.
    """

    _per_thread = SimpleNamespace  # not threading.local: one connection for all

    def __init__(self) -> None:
        self._turn = threading.RLock()
        super().__init__(":memory:")

    def _open_file(self, options: dict[str, Any]) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(":memory:", **options)
        return connection

    def _leave_parent(self) -> None:
        self._turn = threading.RLock()  # a thread that is not in this process may have had the parent's
        self._pid = os.getpid()

    @contextmanager
    def _transaction(self, begin: str | None = None) -> Iterator[Any]:
        with self._turn, super()._transaction(begin) as connection:
            yield connection

    def _select(self, text: str, values: dict[str, Any]) -> list[Any]:
        with self._turn:
            return super()._select(text, values)

    def each_run(self, *, pipeline: str | None = None, state: str | None = None) -> Iterator[RunRow]:
        # All at once: whoever takes them one by one must not keep other threads waiting in the meantime.
        yield from self.runs(pipeline=pipeline, state=state, limit=None)
