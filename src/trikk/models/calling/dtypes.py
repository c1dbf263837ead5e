"""Types of columns as text and back, and conversions that lose nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trikk.core.errors import SignatureError
from trikk.storage.fitting_types import in_type

if TYPE_CHECKING:
    import polars as pl

_PLAIN = (
    "Float32",
    "Float64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Boolean",
    "String",
    "Categorical",
    "Date",
)
_DATETIME = re.compile(r"Datetime\(time_unit='(ms|us|ns)', time_zone=(?:None|'([^']+)')\)\Z")


def dtype_text(column: pl.Series) -> str:
    """The type of a column as text.

    Raises:
        SignatureError: if a model's input or output can't be of that type.
    """
    text = str(column.dtype)
    if text in _PLAIN or _DATETIME.match(text):
        return text
    raise SignatureError(
        f"{column.name!r} is of type {text}, which no model's signature can hold",
        field=column.name,
        next="cast it to a number, Boolean, String, Date or Datetime before fitting",
    )


def dtype_of(text: str) -> pl.DataType:
    """The polars dtype that `dtype_text` wrote.

    Raises:
        SignatureError: if it is not one of those.
    """
    import polars as pl

    if text in _PLAIN:
        dtype: pl.DataType = getattr(pl, text)()
        return dtype
    if match := _DATETIME.match(text):
        return pl.Datetime(match[1], match[2])  # type: ignore[arg-type]
    raise SignatureError(f"{text!r} is not a type of a signature", next="update trikk")


def is_number(dtype: pl.DataType) -> bool:
    """Whether columns of that type hold integers, floats or truth values, which fit into a matrix of floats."""
    import polars as pl

    return dtype.is_numeric() or dtype == pl.Boolean


def as_dtype(column: pl.Series, name: str, text: str) -> pl.Series:
    """A column as the type that `text` names, if no value is lost.

    Args:
        column: the values.
        name: the field's name, for the error and for the result.
        text: as `dtype_text` writes.

    Raises:
        SignatureError: if the types do not go together, or a value does not fit.
    """
    values, lost = converted(column, name, text)
    if lost is not None and lost.any():
        row = lost.arg_max() or 0
        raise SignatureError(
            f"{name!r} should be {text}, and {int(lost.sum()):,} of {len(column):,} values do not fit, "
            f"first {column[row]!r} in row {row}",
            field=name,
            next=f"give values that {text} holds exactly",
        )
    return values


def converted(column: pl.Series, name: str, text: str) -> tuple[pl.Series, pl.Series | None]:
    """A column as the type that `text` names, and which of its values do not fit; None if all do.

    Raises:
        SignatureError: if the types do not go together.
    """
    import polars as pl

    wanted = dtype_of(text)
    column = column.alias(name)
    if (fitting := in_type(column, wanted)) is not None:
        return fitting, None
    if not _goes(column.dtype, wanted):
        raise SignatureError(
            f"{name!r} should be {text}, not {column.dtype}", field=name, next=f"give it as {text}"
        )
    values = column.cast(wanted, strict=False)
    lost = values.is_null() & column.is_not_null()
    if wanted.is_float() and column.dtype.is_float():
        lost = lost | (values.is_infinite() & column.is_finite()).fill_null(value=False)
    elif column.dtype != pl.Null and not column.dtype.is_decimal():
        lost = lost | values.cast(column.dtype, strict=False).ne_missing(column)
    return values, lost


def _goes(have: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether values of one type can be values of another at all."""
    import polars as pl

    if have == pl.Null:
        return True
    if have.is_numeric():
        return wanted.is_numeric()
    texts = (pl.String, pl.Categorical, pl.Enum)
    if isinstance(have, texts):
        return isinstance(wanted, texts)
    if isinstance(have, pl.Datetime) and isinstance(wanted, pl.Datetime):
        return have.time_zone == wanted.time_zone
    return have == pl.Date and isinstance(wanted, pl.Datetime) and wanted.time_zone is None
