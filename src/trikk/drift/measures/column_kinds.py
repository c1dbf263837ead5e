"""What a column's type means for drift, and its values in the one form that is measured."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


class Kind(StrEnum):
    """What a column's type is to drift."""

    NUMBER = "number"
    MOMENT = "moment"
    """a date, or a time without a zone."""
    INSTANT = "instant"
    """a time with a zone."""
    CLOCK = "clock"
    """a time of day."""
    SPAN = "span"
    CATEGORY = "category"
    FLAG = "flag"
    EMPTY = "empty"
    """nothing but nulls, without a type."""
    NESTED = "nested"
    """has no distribution to compare."""


NUMERIC = (Kind.NUMBER, Kind.MOMENT, Kind.INSTANT, Kind.CLOCK, Kind.SPAN)
CALENDAR = (Kind.MOMENT, Kind.INSTANT)
"""Times move on, so these columns always drift; they are compared only when they are named."""
TEXTS = (Kind.CATEGORY, Kind.FLAG)
"""Counted by value."""
WORDS = {
    Kind.NUMBER: "a number",
    Kind.MOMENT: "a time without a zone",
    Kind.INSTANT: "a time with a zone",
    Kind.CLOCK: "a time of day",
    Kind.SPAN: "a span of time",
    Kind.CATEGORY: "a text",
    Kind.FLAG: "true or false",
    Kind.EMPTY: "empty",
    Kind.NESTED: "nested",
}


def kind_of(dtype: pl.DataType) -> Kind:
    """What a polars type is to drift; "nested" is everything that has no distribution to compare."""
    import polars as pl

    if dtype.is_numeric():
        return Kind.NUMBER
    if isinstance(dtype, pl.Datetime):
        return Kind.MOMENT if dtype.time_zone is None else Kind.INSTANT
    plain: dict[type[pl.DataType], Kind] = {
        pl.Date: Kind.MOMENT,
        pl.Time: Kind.CLOCK,
        pl.Duration: Kind.SPAN,
        pl.Boolean: Kind.FLAG,
        pl.String: Kind.CATEGORY,
        pl.Categorical: Kind.CATEGORY,
        pl.Enum: Kind.CATEGORY,
        pl.Binary: Kind.CATEGORY,
        pl.Null: Kind.EMPTY,
    }
    return plain.get(dtype.base_type(), Kind.NESTED)


def numbers(column: pl.Series) -> pl.Series:
    """A numeric column as Float64, nulls kept: numbers as they are, times in seconds since 1970, spans in seconds.

    Integers beyond 2^53 and decimals are rounded to the next float. -0.0 becomes 0.0.
    """
    import polars as pl

    kind = kind_of(column.dtype)
    if isinstance(column.dtype, pl.Date):
        return column.to_physical().cast(pl.Float64) * 86_400.0
    if kind in CALENDAR:
        return column.dt.timestamp("us").cast(pl.Float64) / 1e6
    if kind is Kind.CLOCK:
        return column.to_physical().cast(pl.Float64) / 1e9
    if kind is Kind.SPAN:
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    return column.cast(pl.Float64) + 0.0


def texts(column: pl.Series) -> pl.Series:
    """A column of categories or flags as String, nulls kept; bytes as hexadecimal digits."""
    import polars as pl

    return column.bin.encode("hex") if isinstance(column.dtype, pl.Binary) else column.cast(pl.String)
