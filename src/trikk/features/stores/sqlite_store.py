"""An online store in one SQLite file: no server, some microseconds for a cell, many readers while one writes.

In WAL mode (https://sqlite.org/wal.html) readers see the state of their transaction's beginning, and a sync is one
transaction: it appears whole, and a killed one never.
"""

# ruff: noqa: D102 - the methods are those of the port, described there

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trikk.core import readonly
from trikk.core.errors import Conflict, StorageError

_APPLICATION = 0x74726B66  # "trkf"
_BUSY_SECONDS = 60.0
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS cells (entity TEXT PRIMARY KEY, cell TEXT NOT NULL) WITHOUT ROWID",
)
_STATE = "SELECT body FROM state"
_ONE = "SELECT cell FROM cells WHERE entity = ?"
_MANY = "SELECT entity, cell FROM cells WHERE entity IN (SELECT value FROM json_each(?))"
_PUT = "INSERT INTO cells VALUES (?, ?) ON CONFLICT (entity) DO UPDATE SET cell = excluded.cell"
_FEW = 8  # beyond this many, one statement for all is faster
_INHERITED: list[sqlite3.Connection] = []  # of the process that this one was forked from: not ours to close


class SqliteOnline:
    """The cells of one feature table in the SQLite file `path`, made by the first sync."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._own = threading.local()  # a connection belongs to one thread of one process

    def state(self) -> str | None:
        return self.read([])[0]

    def read(self, entities: Sequence[str]) -> tuple[str | None, list[str | None]]:
        with self._explained():
            connection = self._connection(make=False)
            if connection is None:
                return None, [None] * len(entities)
            # state and cells of one moment: a sync may commit between two statements
            connection.execute("BEGIN")
            try:
                row = connection.execute(_STATE).fetchone()
                return None if row is None else row[0], _cells(connection, entities)
            finally:
                connection.execute("COMMIT")

    def count(self) -> int:
        with self._explained():
            connection = self._connection(make=False)
            return 0 if connection is None else int(connection.execute("SELECT count(*) FROM cells").fetchone()[0])

    def replace(self, before: str | None, after: str, cells: Iterable[tuple[str, str]]) -> int:
        with self._changed(before, after) as connection:
            connection.execute("DELETE FROM cells")
            return connection.executemany("INSERT INTO cells VALUES (?, ?)", cells).rowcount

    def update(
        self,
        before: str,
        after: str,
        cells: Iterable[tuple[str, str]],
        combine: Callable[[str, str | None, str], str],
    ) -> int:
        with self._changed(before, after) as connection:

            def combined() -> Iterator[tuple[str, str]]:
                for entity, cell in cells:
                    yield entity, combine(entity, _cells(connection, [entity])[0], cell)

            return connection.executemany(_PUT, combined()).rowcount

    @contextmanager
    def _changed(self, before: str | None, after: str) -> Iterator[sqlite3.Connection]:
        """A transaction that takes the state from `before` to `after`."""
        with self._explained():
            connection = self._connection(make=True)
            assert connection is not None
            # the lock for writing first: two syncs that both began to read could not both go on
            connection.execute("BEGIN IMMEDIATE")
            try:
                row = connection.execute(_STATE).fetchone()
                _expect(before, row)
                yield connection
                connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (after,))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connection(self, *, make: bool) -> sqlite3.Connection | None:
        """This thread's connection; None if nothing was synced and nothing is to be made."""
        kept: _Kept | None = getattr(self._own, "kept", None)
        file = _inode(self.path)
        if kept is not None and (kept.process, kept.file) == (os.getpid(), file):
            return kept.connection
        if make:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif file is None:
            return None
        options: dict[str, Any] = {"timeout": _BUSY_SECONDS, "isolation_level": None}
        options["check_same_thread"] = False  # used by one; closed by whoever finds it unused
        if not make and readonly.is_read_only(self.path):
            connection = readonly.connect(self.path, **options)
        else:
            mode = "rwc" if make else "rw"
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, **options)
        try:
            ready = self._prepare(connection, make=make)
        except BaseException:
            connection.close()
            raise
        if not ready:
            connection.close()
            return None
        self._own.kept = _Kept(connection, _inode(self.path))
        return connection

    def _prepare(self, connection: sqlite3.Connection, *, make: bool) -> bool:
        """Whether the file has its tables, which are made if that is asked for."""
        empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        application = connection.execute("PRAGMA application_id").fetchone()[0]  # set together with the tables
        if application != _APPLICATION and not empty:
            raise StorageError(
                "the file is not an online store of trikk",
                where=str(self.path),
                next="name another file: nothing was changed in this one",
            )
        if empty and make:
            # readers go on while a sync writes; this can be set outside of a transaction only
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute("COMMIT")
        # a power cut may take the last sync off, never break the file; the next sync makes that good
        connection.execute("PRAGMA synchronous = NORMAL")
        return make or not empty

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"the online store can't be read or written: {error}",
                where=str(self.path),
                next="if it is damaged, remove the file and sync again: all of it comes from the table",
            ) from error


class _Kept:
    """An open connection with the process and the file that it belongs to; closed when nobody has it any more."""

    def __init__(self, connection: sqlite3.Connection, file: int | None) -> None:
        self.connection = connection
        self.file = file
        self.process = os.getpid()
        weakref.finalize(self, _close, connection, self.process)


def _close(connection: sqlite3.Connection, process: int) -> None:
    if process == os.getpid():
        connection.close()
    else:
        _INHERITED.append(connection)


def _cells(connection: sqlite3.Connection, entities: Sequence[str]) -> list[str | None]:
    if len(entities) <= _FEW:
        stored = [connection.execute(_ONE, (entity,)).fetchone() for entity in entities]
        return [None if row is None else row[0] for row in stored]
    rows: dict[str, str] = dict(connection.execute(_MANY, (json.dumps(entities),)).fetchall())
    return [rows.get(entity) for entity in entities]


def _expect(before: str | None, row: tuple[str] | None) -> None:
    if (None if row is None else row[0]) != before:
        raise Conflict("the online store was changed by another sync meanwhile", next="sync again")


def _inode(path: Path) -> int | None:
    """Which file this is now: a file that was put in its place is another one."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - for each read
    except FileNotFoundError:
        return None
