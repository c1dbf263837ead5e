"""Text into typed columns, the same way whether the types are inferred or given by a table.

ISO 8601 only: 2020-03-26, 2020-03-26T04:00[:00[.123456]] (or a blank for the T), and the same with Z or an offset,
which becomes UTC. A column whose numbers have leading zeros (station 007) stays text when types are inferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = 1000
_INTEGER = r"^[+-]?\d+$"
_LEADING_ZERO = r"^[+-]?0\d"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(nan|NaN|NAN|inf|Inf|INF|Infinity)$"
_NAIVE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M")
_ZONED = ("%+", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z")
_DATE = r"^\d{4}-\d{2}-\d{2}$"


def typed(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return `text` (String) as `dtype`; null where it was null and where the text is no such value."""
    import polars as pl

    if dtype.is_integer():
        return _where(text, _INTEGER).cast(dtype, strict=False)
    if dtype.is_float():
        return _where(text, _NUMBER).cast(dtype, strict=False)
    if isinstance(dtype, pl.Decimal):
        exact = rf"^[+-]?\d*(\.\d{{0,{dtype.scale}}}0*)?$"
        return _where(text, exact).cast(dtype, strict=False)
    if dtype == pl.Boolean:
        lower = text.str.to_lowercase()
        return lower.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    if dtype == pl.Date:
        return _where(text, _DATE).str.to_date("%Y-%m-%d", strict=False)
    if isinstance(dtype, pl.Datetime):
        return _moments(text, zoned=dtype.time_zone is not None)
    if dtype == pl.String:
        return text
    return pl.Series(text.name, [None] * len(text), dtype=dtype)


def inferred(text: pl.Series) -> pl.Series:
    """Return `text` (String) as the narrowest type that holds all of it; all null or unclear: String.

    Tried in order: Boolean, Int64, Float64, Date, Datetime, Datetime in UTC.
    """
    import polars as pl

    if text.null_count() == len(text):
        return text
    zeros = bool(text.str.contains(_LEADING_ZERO).any())
    moments = [pl.Date(), pl.Datetime("us"), pl.Datetime("us", "UTC")]
    numbers = [] if zeros else [pl.Int64(), pl.Float64()]
    for dtype in [pl.Boolean(), *numbers, *moments]:
        if _lossless(text.head(_SAMPLE), dtype) is None:
            continue
        if (whole := _lossless(text, dtype)) is not None:
            return whole
    return text


def inferred_moments(text: pl.Series) -> pl.Series:
    """As `inferred`, but only dates and times: for formats that have numbers of their own."""
    import polars as pl

    if text.null_count() == len(text):
        return text
    for dtype in (pl.Date(), pl.Datetime("us"), pl.Datetime("us", "UTC")):
        if (whole := _lossless(text, dtype)) is not None:
            return whole
    return text


def misfits(text: pl.Series, values: pl.Series) -> pl.Series:
    """Indices of the rows where `text` has a value that `values` lost."""
    return (text.is_not_null() & values.is_null()).arg_true()


def _lossless(text: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    values = typed(text, dtype)
    return values if values.null_count() == text.null_count() else None


def _where(text: pl.Series, pattern: str) -> pl.Series:
    import polars as pl

    return (
        text.to_frame()
        .select(pl.when(pl.col(text.name).str.contains(pattern)).then(pl.col(text.name)))
        .to_series()
    )


def _moments(text: pl.Series, *, zoned: bool) -> pl.Series:
    import polars as pl

    column = pl.col(text.name).str
    if zoned:
        tries = [column.to_datetime(f, strict=False, time_unit="us", time_zone="UTC") for f in _ZONED]
    else:
        tries = [column.to_datetime(f, strict=False, time_unit="us") for f in _NAIVE]
    return text.to_frame().select(pl.coalesce(tries).alias(text.name)).to_series()
