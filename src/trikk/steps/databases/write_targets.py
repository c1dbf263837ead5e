"""The databases that rows are written into: what each says in its own way, and how it takes rows."""

# ruff: noqa: D102 - the methods are those of `Target`, described there
# ruff: noqa: S608 - statements are made of names, each quoted by `Target.name`; values go beside them
from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import polars as pl

from trikk.core.errors import MissingExtra, PermanentError, StorageError, UsageError
from trikk.steps.databases.drivers import CONNECT_SECONDS, postgres_link
from trikk.steps.databases.query import sql_name
from trikk.steps.databases.sql_columns import Column, Kind, column_of, sqlite_column
from trikk.storage.row_batches import batches

if TYPE_CHECKING:
    from trikk.core.network.addresses import Filled

_BATCH = 50_000  # rows between two looks at the source
_PARAMETERS = 30_000  # of one statement; Redshift takes 32,767
_OPTIONAL = "is_nullable = 'YES' or column_default is not null"
_STANDARD = {
    Kind.WHOLE: "BIGINT",
    Kind.FLOAT: "DOUBLE PRECISION",
    Kind.NUMERIC: "NUMERIC",
    Kind.TEXT: "TEXT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.BYTES: "BYTEA",
    Kind.DATE: "DATE",
    Kind.MOMENT: "TIMESTAMP WITH TIME ZONE",
    Kind.LOCAL: "TIMESTAMP",
}


class Target:
    """A connection on which one transaction at a time is open.

    Args:
        address: of the database.

    Attributes:
        mark: what stands for a value in a statement.
        types: the words with which a new table's columns are declared.
        in_bytes: whether a text's length is counted in bytes.
        tells_keys: whether a new table says by what key its rows differ.
        passing: the schema whose tables end with the connection, where it can be written into by that name.
    """

    mark: ClassVar[str] = "?"
    types: ClassVar[Mapping[Kind, str]] = _STANDARD
    in_bytes: ClassVar[bool] = False
    tells_keys: ClassVar[bool] = True
    passing: ClassVar[str] = ""

    def __init__(self, address: Filled) -> None:
        self.address = address
        self.link: Any = self._connect()

    def close(self) -> None:
        """Give up what is not committed."""
        self.link.close()

    def name(self, *parts: str) -> str:
        """A name as it stands in a statement: `name("s", "t")` is `"s"."t"`."""
        return ".".join(sql_name(part) for part in parts)

    def column(self, name: str) -> str:
        """A column's name as the database keeps it."""
        return name

    def adapted(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows with values that the database's driver takes."""
        return rows

    def begin(self) -> None:
        """Begin a transaction."""
        self.execute("BEGIN")

    def commit(self) -> None:
        """Make everything since `begin` there at once."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Give up everything since `begin`."""
        with suppress(Exception):  # some have given it up by themselves, and say that there is nothing
            self.execute("ROLLBACK")

    def execute(self, statement: str, values: Sequence[object] = ()) -> int:
        """Execute one statement; returns how many rows it has changed."""
        return int(self.link.execute(statement, tuple(values)).rowcount)

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        return list(self.link.execute(statement, tuple(values)).fetchall())

    def columns(self, table: Sequence[str]) -> dict[str, Column]:
        """The columns of a table, in their order; none if there is no such table."""
        schema = f"table_schema = {self.mark}" if len(table) == 2 else self._own_schema()
        listed = self.rows(
            "select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale, "
            f"case when {_OPTIONAL} then 1 else 0 end from information_schema.columns "
            f"where {schema} and table_name = {self.mark} order by ordinal_position",
            tuple(table),
        )
        return {
            name: column_of(kind, length=length, precision=digits, scale=scale, optional=bool(optional))
            for name, kind, length, digits, scale, optional in listed
        }

    def claim(self, table: str, values: Mapping[str, object]) -> bool:
        """Enter a write under its identity; False if it is there, when another's transaction is over."""
        names, marks = ", ".join(map(sql_name, values)), ", ".join([self.mark] * len(values))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        return self.execute(statement, tuple(values.values())) == 1

    def lock(self, table: str) -> None:
        """Let nobody else write into a table until the transaction is over."""

    def load(self, table: str, rows: pl.LazyFrame) -> int:
        """Add rows to a table, some at a time; returns how many."""
        names = rows.collect_schema().names()
        columns = ", ".join(self.name(self.column(name)) for name in names)
        return sum(self._load(table, columns, batch) for batch in batches(rows, _BATCH))

    def failure(self, error: Exception) -> Exception | None:
        """What to raise for an error of the driver; None if it is none."""
        raise NotImplementedError

    def _connect(self) -> Any:
        raise NotImplementedError

    def _load(self, table: str, columns: str, rows: pl.DataFrame) -> int:
        raise NotImplementedError

    def _own_schema(self) -> str:
        return "table_schema = current_schema()"

    def _lost(self, error: Exception) -> StorageError:
        return StorageError(
            f"the {self.address.scheme} database can't be written to now: {self._text(error)}",
            where=self.address.written,
            next=self.address.advice("nothing was written; check that it runs, and try again"),
        )

    def _refused(self, error: Exception) -> PermanentError:
        return PermanentError(
            f"{self.address.scheme} refuses the rows: {self._text(error)}",
            where=self.address.written,
            next="nothing was written; mend the rows, the table or the user's rights",
        )

    def _text(self, error: Exception) -> str:
        return " ".join(self.address.hide(str(error)).split()) or type(error).__name__


class Postgres(Target):
    """PostgreSQL: rows by COPY, and a lock on the table that lets readers read."""

    mark: ClassVar[str] = "%s"
    passing: ClassVar[str] = "pg_temp"
    # A machine that is gone may hold its locks until its connection is given up, in hours.
    session: ClassVar[str] = "SET lock_timeout = '60s'"

    def name(self, *parts: str) -> str:
        return super().name(*parts).replace("%", "%%")  # psycopg takes each % for one of its own

    def lock(self, table: str) -> None:
        self.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")

    def failure(self, error: Exception) -> Exception | None:
        import psycopg

        if isinstance(error, psycopg.OperationalError):
            return self._lost(error)
        return self._refused(error) if isinstance(error, psycopg.Error | UnicodeError) else None

    def _connect(self) -> Any:
        link = postgres_link(self.address)
        link.autocommit = True  # else psycopg begins transactions of its own
        link.execute("SET TimeZone TO 'UTC'")
        link.execute(self.session)
        return link

    def _load(self, table: str, columns: str, rows: pl.DataFrame) -> int:
        statement = f"COPY {table} ({columns}) FROM STDIN".replace("%%", "%")  # it has no values beside it
        with self.link.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows.iter_rows():
                copy.write_row(row)
        return rows.height


class Redshift(Postgres):
    """Redshift: no COPY from a client, no ON CONFLICT, keys that nothing enforces, names in lower case.

    Source: https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html
    """

    types: ClassVar[Mapping[Kind, str]] = {
        kind: text for kind, text in {**_STANDARD, Kind.TEXT: "VARCHAR(65535)"}.items() if kind != Kind.BYTES
    }
    in_bytes: ClassVar[bool] = True
    session: ClassVar[str] = "SELECT 1"  # it has no such limit

    def column(self, name: str) -> str:
        return name.lower()

    def lock(self, table: str) -> None:
        self.execute(f"LOCK TABLE {table}")

    def claim(self, table: str, values: Mapping[str, object]) -> bool:
        # Its keys are for the planner alone: only the lock keeps two attempts apart.
        self.lock(table)
        if self.rows(f'SELECT 1 FROM {table} WHERE "identity" = {self.mark}', [values["identity"]]):
            return False
        names, marks = ", ".join(map(sql_name, values)), ", ".join([self.mark] * len(values))
        self.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
        return True

    def _load(self, table: str, columns: str, rows: pl.DataFrame) -> int:
        row = f"({', '.join(['%t'] * rows.width)})"  # as text: which binary forms it takes is not documented
        for piece in rows.iter_slices(max(1, _PARAMETERS // rows.width)):
            values = [value for values in piece.iter_rows() for value in values]
            self.execute(f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * piece.height)}", values)
        return rows.height


class Sqlite(Target):
    """SQLite: dates, moments and decimals as text, as its own functions and our queries' parameters have them."""

    types: ClassVar[Mapping[Kind, str]] = {
        Kind.WHOLE: "INTEGER",
        Kind.FLOAT: "REAL",
        Kind.TEXT: "TEXT",
        Kind.BYTES: "BLOB",
    }
    passing: ClassVar[str] = "temp"

    def adapted(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        schema = rows.collect_schema()
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        nans = rows.select(pl.col(floats).is_nan().any()).collect(engine="streaming")
        for name in floats:
            if nans[name].item():
                raise PermanentError(
                    f"column {name!r} holds NaN, which SQLite would store as NULL",
                    next=f"make it null yourself: pl.col({name!r}).fill_nan(None); nothing was written",
                )
        return rows.with_columns(_sqlite_values(name, dtype) for name, dtype in schema.items())

    def begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")  # a transaction that begins by reading could not write beside another

    def columns(self, table: Sequence[str]) -> dict[str, Column]:
        listed = self.rows('select name, type, "notnull", dflt_value, pk from pragma_table_info(?)', (table[-1],))
        # An INTEGER PRIMARY KEY that is left out is counted on.
        return {
            name: sqlite_column(kind, optional=not notnull or default is not None)
            for name, kind, notnull, default, pk in listed
        }

    def failure(self, error: Exception) -> Exception | None:
        if isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "busy" in str(error)):
            return self._lost(error)
        return self._refused(error) if isinstance(error, sqlite3.Error | OverflowError | UnicodeError) else None

    def _connect(self) -> Any:
        return sqlite3.connect(_file(self.address), timeout=CONNECT_SECONDS, isolation_level=None)

    def _load(self, table: str, columns: str, rows: pl.DataFrame) -> int:
        marks = ", ".join(["?"] * rows.width)
        self.link.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows.iter_rows())
        return rows.height


class Duckdb(Target):
    """DuckDB: rows through Arrow; keys are not declared, since it checks them before the transaction is over."""

    types: ClassVar[Mapping[Kind, str]] = {**_STANDARD, Kind.BYTES: "BLOB"}
    tells_keys: ClassVar[bool] = False

    def execute(self, statement: str, values: Sequence[object] = ()) -> int:
        changed = self.link.execute(statement, list(values)).fetchone()
        return int(changed[0]) if changed and isinstance(changed[0], int) else 0

    def claim(self, table: str, values: Mapping[str, object]) -> bool:
        import duckdb

        try:
            return super().claim(table, values)
        except duckdb.ConstraintException as error:
            # In spite of DO NOTHING: a transaction that we can't see, or not yet, has entered the identity.
            raise duckdb.TransactionException(str(error)) from None

    def failure(self, error: Exception) -> Exception | None:
        import duckdb

        if isinstance(error, duckdb.IOException | duckdb.TransactionException):
            return self._lost(error)
        return self._refused(error) if isinstance(error, duckdb.Error) else None

    def _connect(self) -> Any:
        try:
            import duckdb
        except ImportError:
            raise MissingExtra("writing to DuckDB", "duckdb") from None
        path = _file(self.address)
        try:
            link = duckdb.connect(path)
            link.execute("SET TimeZone = 'UTC'")
        except duckdb.Error as error:  # another process has it open
            raise self._lost(error) from None
        return link

    def _load(self, table: str, columns: str, rows: pl.DataFrame) -> int:
        self.link.register("trikk_batch", _Stream(rows))
        self.link.execute(f"INSERT INTO {table} ({columns}) SELECT * FROM trikk_batch")
        self.link.unregister("trikk_batch")
        return rows.height


class _Stream:
    """A frame as an Arrow stream and nothing else: for a frame of polars DuckDB wants pyarrow."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._rows.__arrow_c_stream__(requested_schema)


TARGETS: Mapping[str, type[Target]] = {
    "sqlite": Sqlite,
    "duckdb": Duckdb,
    "postgresql": Postgres,
    "postgres": Postgres,
    "redshift": Redshift,
}


def _file(address: Filled) -> str:
    """The database's file, which is made if its folder is there."""
    text = unquote(address.text.partition("://")[2].removeprefix("/"))
    path = Path(text).absolute()
    if not text or text == ":memory:" or not path.parent.is_dir():
        raise UsageError(
            f"there is no folder for the {address.scheme} file at the address",
            where=address.written,
            next=f"check the path; {address.scheme}:////home/... with four slashes is absolute",
        )
    return str(path)


def _sqlite_values(name: str, dtype: Any) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Boolean:
        return column.cast(pl.Int8)
    if dtype == pl.Date or dtype.is_decimal():
        return column.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        zone = "+00:00" if dtype.time_zone else ""
        whole, exact = (column.dt.to_string(f"%Y-%m-%d %H:%M:%S{part}{zone}") for part in ("", "%.6f"))
        return pl.when(column.dt.microsecond() == 0).then(whole).otherwise(exact).alias(name)
    return column
