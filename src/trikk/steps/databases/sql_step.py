"""Rows from a database as a frame: parameters bound, secrets by reference, in a read-only transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trikk.steps.databases.database_url import SCHEMES, check_url, resolve

if TYPE_CHECKING:
    import polars as pl

__all__ = ["check_url", "read_sql"]


def read_sql(url: str, query: str, parameters: Mapping[str, object] | None = None) -> pl.DataFrame:
    """Read the rows that a query gives.

    Args:
        url: sqlite:///file, duckdb:///file, duckdb:// (in memory), postgresql://user:${PASSWORD}@host:port/db, or
            redshift:// with the same parts. `${NAME}` is taken from the environment now; a password that stands in
            the address is refused.
        query: one SELECT, with `:name` for each parameter, in all databases.
        parameters: the parameters' values; they are bound by the driver, never put into the text.

    Returns:
        One column for each column of the result, in its order; a result without rows keeps them, with the types
        that the database tells (SQLite tells none: String).

    Raises:
        UsageError: if the address, the query, its parameters, or a file or table that it names is wrong.
        StorageError: if the server can't be reached or the connection is lost: worth another attempt.
        MissingExtra: if the driver is not installed.
    """
    from trikk.steps.databases import drivers as sql_drivers

    address = resolve(url)
    kind = SCHEMES[address.scheme]
    read = {
        "sqlite": sql_drivers.read_sqlite,
        "duckdb": sql_drivers.read_duckdb,
        "postgresql": sql_drivers.read_postgres,
    }[kind]
    return read(address, query, dict(parameters or {}))
