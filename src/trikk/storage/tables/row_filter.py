"""Rows of a table by a condition that a person wrote: one expression of SQL, or columns compared with values.

SQL is for whoever is at the machine: a subquery in it may read any file there (`exists (select 1 from
read_csv(...))`). What comes over the network is compared column by column, and is never taken for SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Any

from trikk.core.errors import ParameterError
from trikk.core.record import Record

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


class Comparison(StrEnum):
    """How a column is compared with a value."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    CONTAINS = "contains"


class Condition(Record, frozen=True, array_like=True):
    """One comparison, as JSON `["sensor", "=", "north"]`.

    Attributes:
        column: of the table.
        comparison: how.
        value: a text is read as what the column has: a number, a date or a time (ISO), true or false; null with
            "=" and "!=" for rows without a value, and with one.
    """

    column: str
    comparison: Comparison
    value: str | int | float | bool | None


_COMPARE: dict[Comparison, Callable[[Any, Any], Any]] = {
    Comparison.EQUAL: eq,
    Comparison.UNEQUAL: ne,
    Comparison.LESS: lt,
    Comparison.AT_MOST: le,
    Comparison.MORE: gt,
    Comparison.AT_LEAST: ge,
}


def rows_that(rows: pl.LazyFrame, conditions: Sequence[Condition]) -> pl.LazyFrame:
    """The rows that meet all conditions, in their order.

    Raises:
        ParameterError: if a column is not there, or can't be compared so.
    """
    schema = rows.collect_schema()
    for condition in conditions:
        rows = rows.filter(_expression(condition, column_type(schema, condition.column)))
    return rows


def some_rows(
    rows: pl.LazyFrame,
    conditions: Sequence[Condition],
    sort: str | None,
    offset: int,
    limit: int,
    columns: Sequence[pl.Expr] | None = None,
) -> tuple[int | None, list[dict[str, Any]]]:
    """A part of the rows that meet all conditions, and how many there are of these; None without conditions.

    The table is read once, in batches.

    Args:
        rows: a table's rows.
        conditions: all of them have to be met.
        sort: a column by which they are ordered, the smallest first, or with "-" before it the largest; rows
            without a value are last. None for their own order.
        offset: how many to leave out.
        limit: how many to give at most.
        columns: what of them is given, and alone is read beside what is compared and sorted; all if None.

    Raises:
        ParameterError: if a column is not there, or can't be compared or sorted.
    """
    import polars as pl

    selected = wanted = rows_that(rows, conditions)
    if sort is not None:
        descending, column = sort.startswith("-"), sort.removeprefix("-")
        column_type(rows.collect_schema(), column)
        wanted = selected.sort(column, descending=descending, nulls_last=True, maintain_order=True)
    shown = wanted.slice(offset, limit) if columns is None else wanted.slice(offset, limit).select(columns)
    queries = [shown, *([selected.select(pl.len())] if conditions else [])]
    try:
        page, *counts = pl.collect_all(queries, engine="streaming")
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise ParameterError(f"these rows can't be had: {reason}", next="sort by another column") from error
    return (int(counts[0].item()) if counts else None), page.to_dicts()


def column_type(schema: pl.Schema, column: str) -> pl.DataType:
    """The type of a column; ParameterError if it is not there."""
    if column not in schema:
        raise ParameterError(f"there is no column {column!r}", next=f"there are: {', '.join(schema)}")
    return schema[column]


def _expression(condition: Condition, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    column, comparison, value = pl.col(condition.column), condition.comparison, condition.value
    if value is None and comparison in (Comparison.EQUAL, Comparison.UNEQUAL):
        return column.is_null() if comparison is Comparison.EQUAL else column.is_not_null()
    is_text = dtype in (pl.String, pl.Categorical, pl.Enum)
    try:
        if is_text and isinstance(value, str):
            text = column.cast(pl.String)
            if comparison is Comparison.CONTAINS:
                return text.str.contains(value, literal=True)
            return _COMPARE[comparison](text, value)  # type: ignore[no-any-return]
        if comparison is not Comparison.CONTAINS:
            return _COMPARE[comparison](column, _literal(value, dtype))  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        pass
    raise ParameterError(
        f"column {condition.column!r} ({dtype}) can't be compared by {comparison} with {str(value)[:60]!r}",
        next="compare numbers with numbers, texts with texts, and times with texts such as 2020-03-26T04:00",
    )


def _literal(value: Any, dtype: pl.DataType) -> Any:
    """A value as a column of that type has it; ValueError or TypeError if it can't be one."""
    import polars as pl

    if dtype == pl.Boolean:
        return {"true": True, "false": False}[str(value).lower()]
    if dtype.is_numeric():
        return value if isinstance(value, int | float) and not isinstance(value, bool) else _number(value)
    if dtype == pl.Date:
        return date.fromisoformat(value)
    if isinstance(dtype, pl.Datetime):
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return pl.lit(moment if dtype.time_zone else moment.replace(tzinfo=None)).cast(dtype)
    raise TypeError(f"values of type {dtype} are not compared")


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


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
