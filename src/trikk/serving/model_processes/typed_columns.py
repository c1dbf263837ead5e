"""Plain values as typed columns: what JSON and CSV can't say about a value is taken from its field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trikk.core.errors import SignatureError
from trikk.models.calling.dtypes import as_dtype, dtype_of
from trikk.models.signature import Field
from trikk.serving.http.bodies import Columns

if TYPE_CHECKING:
    import polars as pl

_NONE = type(None)
_EXACT = 2.0**53
_ISO = re.compile(r"\d{4}-?\d\d-?\d\d(?:[T ]|\Z)")
_DEEPEST = 16  # lists and objects in each other, for a model that has no signature


def frame_of(columns: Columns, fields: Mapping[str, Field]) -> pl.DataFrame:
    """Lists of JSON values as a frame.

    Raises:
        SignatureError: if a list mixes kinds of values, naming the field.
    """
    import polars as pl

    return pl.DataFrame([_series(name, values, fields.get(name)) for name, values in columns.items()])


def is_exact(frame: pl.DataFrame, fields: Sequence[Field]) -> bool:
    """Whether columns are what their fields want already: of their types, in order, and without missing values.

    Says in microseconds what `Signature.check` finds out in a millisecond, which is longer than many models take.
    """
    import numpy as np

    if frame.columns != [field.name for field in fields]:
        return False
    for column, field in zip(frame.get_columns(), fields, strict=True):
        if column.null_count() or str(column.dtype) != field.dtype:
            return False
        if column.dtype.is_float() and not np.isfinite(column.to_numpy()).all():
            return False
    return True


def _series(name: str, values: list[Any], field: Field | None) -> pl.Series:
    import polars as pl

    kinds = set(map(type, values)) - {_NONE}
    if kinds & {list, dict}:
        return _nested(name, values, field)
    numbers = kinds <= {int, float}
    floats = numbers and (len(kinds) == 2 or (field is not None and field.dtype.startswith("Float")))
    dtype = pl.Float64 if floats else pl.String if kinds == {str} else None
    try:
        column = pl.Series(name, values, dtype=dtype, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        shown = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise _no_column(name, f"has values that can't be a column ({shown})", field) from error
    if column.dtype.is_float():
        _check_floats(name, values, column, field)
    if column.dtype in (pl.Int128, pl.UInt128):
        raise _no_column(name, "has a number that is out of range", field)
    return column


def _check_floats(name: str, values: list[Any], column: pl.Series, field: Field | None) -> None:
    """Refuse 1e999, which is JSON, and whole numbers that no float holds."""
    import numpy as np

    largest = float(np.fmax.reduce(np.abs(column.to_numpy()), initial=0.0))  # a query of polars wakes a thread
    if largest == float("inf"):
        raise _no_column(name, "has a number that is out of range", field)
    if largest >= _EXACT and any(type(v) is int and float(v) != v for v in values):
        raise _no_column(name, "has a whole number that is too large for a float", field)


def _nested(name: str, values: list[Any], field: Field | None) -> pl.Series:
    """Lists and objects as a column, for a model without a signature; refused before polars sees them elsewhere.

    Polars takes minutes for some hundred levels, and drops what does not fit the first value's form.
    """
    import polars as pl

    if field is not None:
        raise _no_column(name, "has a list or an object where a single value belongs", field)
    if _deeper(values, _DEEPEST):
        raise _no_column(name, f"nests more than {_DEEPEST} levels", field)
    try:
        column = pl.Series(name, values, strict=True)
        if column.to_list() == values:
            return column
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        pass
    raise _no_column(name, "has lists or objects of several forms", field)


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects nest more than some levels."""
    if not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels < 0 or any(_deeper(one, levels - 1) for one in inner)


def _no_column(name: str, problem: str, field: Field | None) -> SignatureError:
    mend = f"give each as {field.dtype}" if field else "give values of one kind"
    return SignatureError(f"{name!r} {problem}", field=name, next=mend)


def with_times(frame: pl.DataFrame, fields: Sequence[Field]) -> pl.DataFrame:
    """The frame with texts in fields of dates and times read as ISO 8601.

    Raises:
        SignatureError: if one is not a date or time.
    """
    import polars as pl

    columns = []
    for field in fields:
        timely = field.dtype == "Date" or field.dtype.startswith("Datetime")
        if timely and field.name in frame.columns and frame[field.name].dtype == pl.String:
            columns.append(_times(frame[field.name], field))
    return frame.with_columns(columns) if columns else frame


def _times(texts: pl.Series, field: Field) -> pl.Series:
    import polars as pl

    dtype = dtype_of(field.dtype)
    try:
        if not all(map(_ISO.match, texts.drop_nulls())):  # polars would take 3/4/2020 for the third of April
            raise pl.exceptions.ComputeError
        if isinstance(dtype, pl.Datetime):
            zoned = texts.str.to_datetime(time_unit=dtype.time_unit, time_zone="UTC", strict=True)
            if dtype.time_zone is None:
                return zoned.dt.replace_time_zone(None)
            return zoned.dt.convert_time_zone(dtype.time_zone)
        return texts.str.to_date(strict=True)
    except pl.exceptions.PolarsError as error:
        raise SignatureError(
            f"{field.name!r} should be {field.dtype}, and a text in it is not a time",
            field=field.name,
            next="write times as 2020-03-26T04:00:00Z, dates as 2020-03-26",
        ) from error


def logged_columns(frame: pl.DataFrame, fields: Sequence[Field]) -> list[pl.Series]:
    """The columns that name what a prediction is about, as the table holds them.

    Raises:
        SignatureError: if one does not fit, or is empty.
    """
    columns = []
    for field in fields:
        column = as_dtype(_as_text(frame[field.name], field), field.name, field.dtype)
        if column.null_count():
            raise SignatureError(
                f"{field.name!r}, which names what the prediction is about, is empty",
                field=field.name,
                next="give it in every row",
            )
        columns.append(column)
    return columns


def _as_text(column: pl.Series, field: Field) -> pl.Series:
    """Whole numbers as texts where the table holds texts."""
    import polars as pl

    return column.cast(pl.String) if field.dtype == "String" and column.dtype.is_integer() else column


def value_as(values: pl.Series, wanted: pl.DataType) -> pl.Series:
    """Values in the type that a table has for them where none is lost, else as they are."""
    import polars as pl

    if wanted == pl.String or (values.dtype == pl.Boolean and wanted.is_float()):
        return values.cast(wanted)
    try:
        return as_dtype(values, values.name, str(wanted))
    except SignatureError:
        return values
