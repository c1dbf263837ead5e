"""The journal in a PostgreSQL database: one for several machines.

Its tables are in a schema of their own, `trikk` unless told otherwise. A lock on a run's row holds the
run's transactions in line, so that its events are numbered in the order in which they were committed; runs
do not wait for each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from trikk.core.errors import JournalError, MissingExtra, UsageError
from trikk.runs.journals import sql_text as sqltext
from trikk.runs.journals.sql_journal import SqlJournal

SCHEMA_VERSION = 5
_CHAINED = 4  # the version from which on there are checksums
_CONNECT_SECONDS = 10
_LOCK_WAIT = "30s"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_SECRETS = ("password", "sslpassword")


class PostgresJournal(SqlJournal):
    """A journal in the database at `url`.

    Args:
        url: `postgresql://user:password@host:port/database`, with libpq's parameters after `?`, and
            `schema=NAME` beside them.
        schema: the schema's name, if the URL does not give it: lower-case letters, digits and `_`.

    Raises:
        JournalError: if the database can't be reached or was written by a newer trikk. The text has no password.
        MissingExtra: if psycopg is not installed.
        UsageError: if the URL or the schema's name is wrong.
    """

    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
    snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    mark = "%({})s"
    with_number = "OVERRIDING SYSTEM VALUE"

    def __init__(self, url: str, *, schema: str = "trikk") -> None:
        try:
            import psycopg
        except ImportError:
            raise MissingExtra("a journal in PostgreSQL", "postgres") from None
        self._psycopg = psycopg
        self.errors = psycopg.Error
        plain, schema = _split_schema(url, schema)
        if not _SCHEMA.match(schema) or schema.startswith("pg_"):
            raise UsageError(
                f"{schema[:60]!r} can't name the journal's schema",
                next="use lower-case letters, digits and _, not beginning with pg_",
            )
        self.schema = schema
        self._parts = _parts(plain)
        self._secrets = [str(self._parts[key]) for key in _SECRETS if self._parts.get(key)]
        super().__init__(sqltext.statements("postgres", schema, self.mark))
        self._connection()

    @property
    def location(self) -> str:
        """Where the journal is, without the password."""
        parts = {key: self._parts.get(key, "") for key in ("user", "host", "port", "dbname")}
        port = f":{parts['port']}" if parts["port"] else ""
        user = f"{parts['user']}@" if parts["user"] else ""
        return f"postgresql://{user}{parts['host']}{port}/{parts['dbname']}?schema={self.schema}"

    def _connect(self) -> Any:
        given = {"connect_timeout": _CONNECT_SECONDS, "fallback_application_name": "trikk", **self._parts}
        try:
            connection = self._psycopg.connect(**given, client_encoding="utf8", autocommit=True)
        except self.errors as error:
            raise self._failed(error) from None
        try:
            self._prepare(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, self.errors):
                raise self._failed(error) from None
            raise
        return connection

    def _prepare(self, connection: Any) -> None:
        _, ready = connection.execute(self._sql["prepare"], {"wait": _LOCK_WAIT}).fetchone()
        if ready and self._version(connection) == SCHEMA_VERSION:
            return
        with connection.transaction():
            connection.execute(self._sql["wait_for_schema"])
            if connection.execute(self._sql["has_schema"]).fetchone() is None:
                connection.execute(self._sql["make_schema"])
            # Another process may have done it while this one waited.
            ready = connection.execute(self._sql["has_version"]).fetchone()[0]
            reached = self._version(connection) if ready else 0
            for version in range(reached + 1, SCHEMA_VERSION + 1):
                connection.execute(sqltext.script(f"postgres_{version}.sql", self.schema))
                if version == _CHAINED:
                    self._chain_all(connection)
                connection.execute(self._sql["set_version"], {"version": version})

    def _version(self, connection: Any) -> int:
        version = int(connection.execute(self._sql["version"]).fetchone()[0])
        if version > SCHEMA_VERSION:
            raise JournalError(
                f"the journal has schema {version}; this trikk knows schemas up to {SCHEMA_VERSION}",
                where=self.location,
                next="update trikk",
            )
        return version

    def _add_event(self, connection: Any, values: dict[str, Any]) -> int:
        return int(connection.execute(self._sql["add_event"], values).fetchone()[0])

    def _alone(self, connection: Any) -> None:
        connection.execute(self._sql["lock_all"])

    def numbered(self, connection: Any) -> None:  # noqa: D102
        for table in ("events", "ledger", "cache"):
            connection.execute(self._sql[f"number_{table}"])

    def _stream(
        self, connection: Any, text: str, values: dict[str, Any] | None = None
    ) -> Iterable[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            yield from cursor.stream(text, values)

    def _is_lost(self, connection: Any) -> bool:
        return bool(connection.closed)

    def _failed(self, error: Exception) -> JournalError:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        text = lines[0]
        for secret in self._secrets:
            text = text.replace(secret, "***")
        if isinstance(error, self._psycopg.errors.LockNotAvailable):
            problem, advice = "another process has kept a run's row locked for too long", "end it and try again"
        elif isinstance(error, self._psycopg.OperationalError):
            problem = f"the journal's database can't be used: {text}"
            advice = "see that the server runs and that its address, user and password are right"
        else:
            problem, advice = f"the journal's database refused: {text}", None
        return JournalError(problem, where=self.location, next=advice)


def _split_schema(url: str, default: str) -> tuple[str, str]:
    """The URL without `schema=`, which libpq does not know, and the schema's name."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _bad_url() from None
    query = parse_qsl(parts.query, keep_blank_values=True)
    schema = next((value for key, value in query if key == "schema"), default)
    rest = urlencode([(key, value) for key, value in query if key != "schema"])
    return urlunsplit(parts._replace(query=rest)), schema


def _parts(url: str) -> dict[str, Any]:
    """What libpq makes of the URL, its ports checked, which libpq does only when it connects."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = dict(conninfo_to_dict(url))
    except (ProgrammingError, ValueError):
        raise _bad_url() from None
    if not all(port == "" or port.isdecimal() for port in str(parts.get("port", "")).split(",")):
        raise _bad_url()
    return parts


def _bad_url() -> UsageError:
    # Nothing of the URL is shown: where it can't be parsed, its password can't be found.
    return UsageError(
        "the journal's address is not a PostgreSQL URL", next="postgresql://user:password@host:5432/database"
    )
