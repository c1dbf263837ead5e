"""What a column's type means for drift, and its values in the one form that is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "moment", "instant", "clock", "span", "category", "flag", "empty", "nested"]
NUMERIC: tuple[Kind, ...] = ("number", "moment", "instant", "clock", "span")
CALENDAR: tuple[Kind, ...] = ("moment", "instant")
"""Times move on, so these columns always drift; they are compared only when they are named."""
WORDS: dict[Kind, str] = {
    "number": "a number",
    "moment": "a time without a zone",
    "instant": "a time with a zone",
    "clock": "a time of day",
    "span": "a span of time",
    "category": "a text",
    "flag": "true or false",
    "empty": "empty",
    "nested": "nested",
}


def kind_of(dtype: pl.DataType) -> Kind:
    """What a polars type is to drift; "nested" is everything that has no distribution to compare."""
    import polars as pl

    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.Datetime):
        return "moment" if dtype.time_zone is None else "instant"
    plain: dict[type[pl.DataType], Kind] = {
        pl.Date: "moment",
        pl.Time: "clock",
        pl.Duration: "span",
        pl.Boolean: "flag",
        pl.String: "category",
        pl.Categorical: "category",
        pl.Enum: "category",
        pl.Binary: "category",
        pl.Null: "empty",
    }
    return plain.get(dtype.base_type(), "nested")


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
    if kind == "clock":
        return column.to_physical().cast(pl.Float64) / 1e9
    if kind == "span":
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    return column.cast(pl.Float64) + 0.0


def texts(column: pl.Series) -> pl.Series:
    """A column of categories or flags as String, nulls kept; bytes as hexadecimal digits."""
    import polars as pl

    return column.bin.encode("hex") if isinstance(column.dtype, pl.Binary) else column.cast(pl.String)
