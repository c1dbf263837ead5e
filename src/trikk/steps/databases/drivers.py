"""One function for each kind of database: connect, read in a read-only transaction, give a typed frame."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from trikk.core.errors import MissingExtra, StorageError, UsageError
from trikk.steps.databases.duckdb_types import check_types, guarded, mended
from trikk.steps.databases.postgres_types import column_of, exact_float, fetched, postgres_schema, prepare_session
from trikk.steps.databases.query import bind, sql_name

if TYPE_CHECKING:
    import polars as pl

    from trikk.core.network.addresses import Filled

CONNECT_SECONDS = 10  # for a server, and for a lock that another process has on an SQLite file
REDSHIFT_PORT = 5439
_ONE_ZONE = threading.Lock()
_UNDECODED = re.compile(r"Could not decode to UTF-8 column '(.*?)' with text")


def read_sqlite(address: Filled, query: str, parameters: Mapping[str, object]) -> pl.DataFrame:
    """Read from a SQLite file, opened read-only.

    SQLite has no types for results: a column gets that of its values, String if there are none. Dates are text.
    It knows no time zone but the process's, which is UTC meanwhile.
    """
    sql, values = bind(query, {name: _sqlite_value(name, v) for name, v in parameters.items()}, "sqlite")
    path = _existing(address)
    try:
        # By URI, since only that can say read-only: a misspelt path would make an empty file.
        link = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=CONNECT_SECONDS)
        with closing(link), _process_in_utc():
            cursor = link.execute(sql, values)
            names = _names([column[0] for column in cursor.description or ()])
            rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError) as error:
        if undecoded := _UNDECODED.match(str(error)):
            name = undecoded[1]
            raise UsageError(
                f"column {name!r} holds text that is not UTF-8",
                next=f"take its bytes: CAST({sql_name(name)} AS BLOB) AS {sql_name(name)}",
            ) from None
        raise _failed(address, error) from None
    return _frame_of_values(names, rows)


@contextmanager
def _process_in_utc() -> Iterator[None]:
    """The process in UTC, for one at a time: not every 'localtime' shows in a query's text, as in a view of it."""
    with _ONE_ZONE:
        before = os.environ.get("TZ")
        os.environ["TZ"] = "UTC"
        time.tzset()
        try:
            yield
        finally:
            if before is None:
                del os.environ["TZ"]
            else:
                os.environ["TZ"] = before
            time.tzset()


def read_duckdb(address: Filled, query: str, parameters: Mapping[str, object]) -> pl.DataFrame:
    """Read from a DuckDB file, opened read-only, or from none (`duckdb://`), as for queries over Parquet files."""
    import polars as pl

    try:
        import duckdb
    except ImportError:
        raise MissingExtra("reading from DuckDB", "duckdb") from None
    sql, values = bind(query, parameters, "duckdb")
    # Only a file can be opened read-only; a database in memory has nothing to lose.
    in_memory = address.text in ("duckdb://", "duckdb:///:memory:")
    path = ":memory:" if in_memory else str(_existing(address))
    try:
        with closing(duckdb.connect(path, read_only=not in_memory)) as link:
            link.execute("SET TimeZone = 'UTC'")  # else days and hours of moments are the machine's
            relation = link.sql(sql, params=values) if values else link.sql(sql)
            if relation is None:
                raise _no_result()
            names, types = _names(relation.columns), list(relation.types)
            check_types(names, types)
            frame = pl.DataFrame(guarded(relation, names, types))
    except duckdb.Error as error:
        raise _failed(address, error, lost=isinstance(error, duckdb.IOException)) from None
    return mended(frame, types)


def read_postgres(address: Filled, query: str, parameters: Mapping[str, object]) -> pl.DataFrame:
    """Read over PostgreSQL's protocol in a read-only transaction; Redshift's default port is 5439."""
    import polars as pl

    sql, values = bind(query, parameters, "postgresql")
    link = postgres_link(address)
    import psycopg

    try:
        with closing(link):
            link.read_only = True
            prepare_session(link)
            cursor = link.execute(sql, values)
            if cursor.description is None:
                raise _no_result()
            names = _names([column.name for column in cursor.description])
            schema, readers = postgres_schema(cursor.description)
            rows = fetched(cursor)
    except psycopg.Error as error:
        raise _failed(address, error, lost=isinstance(error, psycopg.OperationalError)) from None
    columns = zip(*rows, strict=True) if rows else [() for _ in names]
    return pl.DataFrame(
        [
            column_of(name, dtype, reader, column)
            for name, dtype, reader, column in zip(names, schema, readers, columns, strict=True)
        ]
    )


def postgres_link(address: Filled) -> Any:
    """A connection of psycopg.

    Raises:
        StorageError: if the server can't be reached, or does not let us in.
        MissingExtra: if psycopg is not installed.
    """
    try:
        import psycopg
    except ImportError:
        raise MissingExtra("PostgreSQL and Redshift", "postgres") from None
    options: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8"}
    if address.scheme == "redshift" and address.port is None:
        options["port"] = REDSHIFT_PORT
    # libpq knows no scheme redshift.
    url = "postgresql" + address.text[len(address.scheme) :]
    try:
        return psycopg.connect(url, **options)
    except (psycopg.Error, UnicodeError) as error:
        raise _failed(address, error, lost=True) from None


def _existing(address: Filled) -> Path:
    """The database's file: sqlite:///relative or sqlite:////absolute."""
    text = unquote(address.text.partition("://")[2].removeprefix("/"))
    path = Path(text).absolute()
    if not text or not path.is_file():
        raise UsageError(
            f"there is no {address.scheme} file at the address",
            where=address.written,
            next=f"check the path; {address.scheme}:////home/... with four slashes is absolute",
        )
    return path


def _sqlite_value(name: str, value: object) -> object:
    """SQLite stores dates as ISO text and knows few types; Python's own adapters for them are being withdrawn."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise UsageError(f"SQLite can't take parameter {name!r}, a {type(value).__name__}", next="give a plain value")


def _frame_of_values(names: list[str], rows: Sequence[Sequence[object]]) -> pl.DataFrame:
    import polars as pl

    plain: dict[type, type[pl.DataType]] = {int: pl.Int64, float: pl.Float64, bytes: pl.Binary, str: pl.String}
    columns = []
    for place, name in enumerate(names):
        values = [row[place] for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int, float}:
            column = sql_name(name)
            mend = f"cast it in the query: CAST({column} AS REAL) AS {column} rounds, AS TEXT keeps all digits"
            floats = [None if v is None else exact_float(v, name, mend) for v in values]
            columns.append(pl.Series(name, floats, dtype=pl.Float64))
        elif len(kinds) > 1:
            raise UsageError(
                f"column {name!r} mixes {' and '.join(sorted(kind.__name__ for kind in kinds))}",
                next=f"cast it to one type in the query: CAST({sql_name(name)} AS TEXT) AS {sql_name(name)}",
            )
        else:
            kind = kinds.pop() if kinds else str
            columns.append(pl.Series(name, values, dtype=plain[kind]()))
    return pl.DataFrame(columns)


def _names(names: Sequence[str]) -> list[str]:
    if not names:
        raise _no_result()
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the query gives two columns {name!r}", next="rename one: SELECT ... AS other")
    return list(names)


def _no_result() -> UsageError:
    return UsageError("the query gives no rows or columns", next="write a SELECT")


def _failed(address: Filled, error: Exception, *, lost: bool = False) -> StorageError | UsageError:
    """What the driver says, with every secret hidden; `lost` tells what may go better later from what can't."""
    # Drivers may repeat the address with its password in their errors.
    text = " ".join(address.hide(str(error)).split()) or type(error).__name__
    if lost:
        return StorageError(
            f"the {address.scheme} database can't be reached: {text}",
            where=address.written,
            next=address.advice("check that it runs, and its address and password"),
        )
    return UsageError(f"{address.scheme} refuses the query: {text}", where=address.written, next="mend the query")
