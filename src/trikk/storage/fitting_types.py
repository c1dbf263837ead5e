"""Columns that fit another type as they are.

A column without values has no type of its own, whatever its library calls it, and fits any. Pandas has no dates,
and decimals have as many digits there as their values: midnights are dates, and decimals fit where none changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def is_valueless(column: pl.Series) -> bool:
    """Whether every value is null, or NaN in a column of floats; so is a column of no rows."""
    count = column.null_count()
    if column.dtype.is_float():
        count += int(column.is_nan().sum())
    return count == column.len()


def in_type(column: pl.Series, wanted: pl.DataType) -> pl.Series | None:
    """A column in another type, if its parts are of that type, or without values, or fit as they are; else None.

    The parts are the column itself, a list's items, and a struct's fields, at any depth. Midnights without a zone
    fit dates, and decimals those of other digits.

    Args:
        column: the values.
        wanted: the type.
    """
    import polars as pl

    if column.dtype == wanted:
        return column
    if is_valueless(column) and not (column.dtype.is_float() and wanted.is_float()):
        return pl.Series(column.name, [None], wanted).new_from_index(0, column.len())
    if not _fits(column, wanted):
        return None
    try:
        return column.cast(wanted, strict=False)
    except pl.exceptions.PolarsError:
        return None


def unchanged(column: pl.Series, wanted: Any) -> pl.Series | None:
    """Of each value, whether it is one of `wanted` as it is; None where types are not of one kind."""
    import polars as pl

    dtype = column.dtype
    dates = isinstance(dtype, pl.Datetime) and dtype.time_zone is None and wanted == pl.Date
    if not dates and not (isinstance(dtype, pl.Decimal) and isinstance(wanted, pl.Decimal)):
        return None
    return column.cast(wanted, strict=False).cast(dtype, strict=False).eq_missing(column)


def _fits(column: pl.Series, wanted: Any) -> bool:
    import polars as pl

    dtype = column.dtype
    if dtype == wanted or is_valueless(column):
        return True
    if (kept := unchanged(column, wanted)) is not None:
        return bool(kept.all())
    if isinstance(dtype, pl.List | pl.Array) and isinstance(wanted, pl.List):
        return _fits(column.drop_nulls().explode(), wanted.inner)
    if isinstance(dtype, pl.Struct) and isinstance(wanted, pl.Struct):
        types = {field.name: field.dtype for field in wanted.fields}
        parts = column.drop_nulls().struct.unnest()
        return parts.columns == list(types) and all(_fits(parts[name], types[name]) for name in types)
    return False
