"""The journal in one SQLite file: no server, a few microseconds for an event, safe with many processes.

In WAL mode with `synchronous=NORMAL` (https://sqlite.org/pragma.html#pragma_synchronous) what was appended
survives the death of any process, by kill -9 too; a power cut may take the last events, never tear the file.
`durable=True` waits for the disk at each event and survives that as well. The folder must be on a local disk:
WAL needs shared memory, which network filesystems lack.
"""

# ruff: noqa: D102 - the methods are those of the port, described there

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from trikk.core import readonly
from trikk.core.errors import JournalError
from trikk.runs.journals import sql_text as sqltext
from trikk.runs.journals.sql_journal import SqlJournal

SCHEMA_VERSION = 4
_CHAINED = 3  # the version from which on there are checksums
_SERVED = 4  # and from which on servers are known
_APPLICATION = 0x7472696B  # "trik"
_BUSY_SECONDS = 30.0


class SqliteJournal(SqlJournal):
    """A journal in the SQLite file `path`, made with its folder if it is not there.

    Raises:
        JournalError: if the file can't be opened or made, is damaged, is not a journal of trikk, or was
            written by a newer trikk. It is never overwritten.
    """

    errors = (sqlite3.Error, UnicodeDecodeError)  # the latter where a damaged text is no UTF-8
    begin = "BEGIN IMMEDIATE"
    snapshot = "BEGIN"
    mark = ":{}"

    def __init__(self, path: Path | str, *, durable: bool = False) -> None:
        super().__init__(sqltext.statements("sqlite", "main", self.mark))
        self.path = Path(path)
        self._durable = durable
        self._connection()

    def check(self) -> list[str]:
        try:
            problems = [text for (text,) in self._select("PRAGMA integrity_check", {})]
            damage = [] if problems == ["ok"] else [f"{self.path}: {text}" for text in problems]
            return damage + super().check()
        except JournalError as error:
            return [error.what]

    def _connect(self) -> sqlite3.Connection:
        options: dict[str, Any] = {
            "timeout": _BUSY_SECONDS,
            "isolation_level": None,
            "check_same_thread": False,
        }
        try:
            connection = self._open_file(options)
        except (*self.errors, OSError) as error:
            raise self._failed(error) from None
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            self._prepare(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, self.errors):
                raise self._failed(error) from None
            raise
        return connection

    def _open_file(self, options: dict[str, Any]) -> sqlite3.Connection:
        if readonly.is_read_only(self.path):
            return readonly.connect(self.path, **options)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection: sqlite3.Connection = sqlite3.connect(self.path, **options)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(self.snapshot)  # another process may be making the journal just now
        version = self._version(connection)
        connection.execute("COMMIT")
        if version == SCHEMA_VERSION:
            return
        if connection.execute("PRAGMA query_only").fetchone()[0]:
            # It stays as it is.
            self._sql = sqltext.unchained(self._sql) if version < _CHAINED else self._sql
            self._sql = sqltext.serverless(self._sql) if version < _SERVED else self._sql
            return
        _use_wal(connection)
        connection.execute(self.begin)
        for version in range(self._version(connection) + 1, SCHEMA_VERSION + 1):
            for statement in sqltext.script(f"sqlite_{version}.sql", "main").split(";\n"):
                connection.execute(statement)
            if version == _CHAINED:
                self._chain_all(connection)
            connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute("COMMIT")

    def _version(self, connection: sqlite3.Connection) -> int:
        """The schema's version, 0 if the file is empty; JournalError if it is not a journal or too new."""
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != _APPLICATION:
            if version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise JournalError(
                    "the file is a database, but not a journal of trikk",
                    where=str(self.path),
                    next="name another file",
                )
            return 0
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"the journal has schema {version}; this trikk knows schemas up to {SCHEMA_VERSION}",
                where=str(self.path),
                next="update trikk",
            )
        return version

    def _add_event(self, connection: sqlite3.Connection, values: dict[str, Any]) -> int:
        seq = connection.execute(self._sql["add_event"], values).lastrowid
        assert seq is not None
        connection.execute(self._sql["put_chain"], {"run": values["run"], "chain": values["chain"]})
        return seq

    def _failed(self, error: Exception) -> JournalError:
        text = str(error)
        is_no_text = isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in text
        code = sqlite3.SQLITE_CORRUPT if is_no_text else getattr(error, "sqlite_errorcode", 0) & 0xFF
        problem, advice = _WORDS.get(code, (f"the journal can't be used: {text}", None))
        return JournalError(problem, where=str(self.path), next=advice)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL, which at times does not wait by itself while another process does the same."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


_RESTORE = "move the file aside, keep it, and restore a copy; `sqlite3 FILE .recover` saves what can still be read"
_WORDS = {
    sqlite3.SQLITE_NOTADB: ("the journal's file is damaged, or no journal at all", _RESTORE),
    sqlite3.SQLITE_CORRUPT: ("the journal's file is damaged", _RESTORE),
    sqlite3.SQLITE_FULL: ("there is no room left for the journal", "free some space and resume"),
    sqlite3.SQLITE_READONLY: ("the journal may not be written", "make its file and folder writable"),
    sqlite3.SQLITE_CANTOPEN: (
        "the journal can't be opened",
        "check that its folder is there and readable and writable",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk failed while the journal was used",
        "check the disk and its free space, then resume",
    ),
    sqlite3.SQLITE_BUSY: ("another process has kept the journal locked for too long", "end it and try again"),
}
