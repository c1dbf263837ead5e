"""Rows of a table by a condition that a person wrote: one expression of SQL, and nothing but an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trikk.core.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl


def rows_where(rows: pl.LazyFrame, condition: str) -> pl.LazyFrame:
    """The rows that a condition holds for, in their order.

    Args:
        rows: a table's rows.
        condition: an expression of SQL over its columns, such as `sensor = 'north' and slot >= '2020-03-26'`; a
            text that is compared with a date or a time is read as one, in UTC where the column has a zone.

    Raises:
        ParameterError: if it is no such expression, names a column that is not there, or compares what can't be.
    """
    import polars as pl

    try:
        pl.sql_expr(condition)  # refuses statements: what follows is one expression, whatever it was made of
        query = f"select * from self where ({condition})"  # noqa: S608
        selected = rows.sql(query)
        one = rows.collect_schema().to_frame().clear(1)  # of nulls: `head(0)` compares nothing
        one.lazy().sql(query).collect()
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().partition("\n")[0].partition(";")[0]
        raise ParameterError(
            f"--where {condition!r} can't select rows: {reason}",
            next=f"compare columns with values, \"sensor = 'north'\"; there are: {', '.join(_names(rows))}",
        ) from error
    return selected


def equals(values: dict[str, Any]) -> str:
    """The condition that columns have these values, as `rows_where` takes it."""
    return " and ".join(f"{_quoted(name)} {_is(value)}" for name, value in values.items())


def _quoted(name: str) -> str:
    import polars as pl

    try:
        is_plain = (
            name.isidentifier() and name.islower() and bool(pl.sql_expr(f"{name} = 1").meta.root_names() == [name])
        )
    except pl.exceptions.PolarsError:  # a word of SQL
        is_plain = False
    return name if is_plain else '"' + name.replace('"', '""') + '"'


def _is(value: Any) -> str:
    if value is None:
        return "is null"
    if isinstance(value, bool | int | float):
        return f"= {str(value).lower()}"
    return "= '" + str(value).replace("'", "''") + "'"


def _names(rows: pl.LazyFrame) -> list[str]:
    return rows.collect_schema().names()
