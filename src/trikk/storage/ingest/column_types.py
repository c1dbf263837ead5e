"""Types of columns: as authors name them, as two files have them together, and from one to another unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.storage.ingest.text_types import float32_holds, typed

if TYPE_CHECKING:
    import polars as pl

_INTEGERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
TYPES = ("Boolean", *_INTEGERS, "Float32", "Float64", "String", "Date", "Datetime", "Datetime[UTC]")


def check_types(types: Mapping[str, object]) -> None:
    """Check that columns' types are named by texts that are known.

    Raises:
        UsageError: if one is not.
    """
    for column, name in types.items():
        if isinstance(name, str) and name not in TYPES:
            raise UsageError(f"types[{column!r}] = {name!r} is not known", next=f"use one of {', '.join(TYPES)}")


def dtype_of(name: str) -> pl.DataType:
    """The polars type of that name; times have microseconds."""
    import polars as pl

    check_types({"": name})
    if name.startswith("Datetime"):
        return pl.Datetime("us", "UTC" if name.endswith("[UTC]") else None)
    dtype: pl.DataType = getattr(pl, name)()
    return dtype


def name_of(dtype: Any) -> str:
    """The name of a type: as `dtype_of` takes it where that has one, else in polars' words."""
    return next((name for name in TYPES if dtype_of(name) == dtype), str(dtype))


def joint(a: Any, b: Any) -> Any:
    """The type in which values of both are equal to what they were, if each fits; None if there is none.

    Null goes with anything; whole numbers become signed ones, or Float64 beside one; structs get all fields.
    """
    import polars as pl

    if b in (a, pl.Null):
        return a
    if a == pl.Null:
        return b
    if a.is_integer() and b.is_integer():
        return max((a, b), key=_width) if a.is_signed_integer() == b.is_signed_integer() else pl.Int64()
    if isinstance(a, pl.Decimal) or isinstance(b, pl.Decimal):
        scales = [d.scale for d in (a, b) if isinstance(d, pl.Decimal)]
        return pl.Decimal(38, max(scales)) if _is_exact(a) and _is_exact(b) else None
    if a.is_numeric() and b.is_numeric():
        return pl.Float64()
    if _is_text(a) and _is_text(b):
        return pl.String()
    if isinstance(a, pl.Datetime) and isinstance(b, pl.Datetime) and bool(a.time_zone) == bool(b.time_zone):
        return pl.Datetime("us", a.time_zone if a.time_zone == b.time_zone else "UTC")
    if isinstance(a, pl.List) and isinstance(b, pl.List):
        inner = joint(a.inner, b.inner)
        return None if inner is None else pl.List(inner)
    if isinstance(a, pl.Struct) and isinstance(b, pl.Struct):
        fields = {f.name: f.dtype for f in a.fields}
        for f in b.fields:
            fields[f.name] = joint(fields.get(f.name, pl.Null()), f.dtype)
        return None if None in fields.values() else pl.Struct(fields)
    return None


def with_text_for_nulls(dtype: Any) -> Any:
    """The type with String for each item or field in it that never has a value."""
    import polars as pl

    if isinstance(dtype, pl.List):
        return pl.List(with_text_for_nulls(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({f.name: with_text_for_nulls(f.dtype) for f in dtype.fields})
    return pl.String() if dtype == pl.Null else dtype


def converted(column: pl.Series, wanted: pl.DataType, *, named: bool) -> pl.Series:
    """Return a column as `wanted`, null where a value is none of that type or would not be what it was.

    Args:
        column: of any type; text is taken for dates and times only.
        wanted: the type.
        named: whether somebody has named the type: then text is read as anything, and anything becomes text.
    """
    import polars as pl

    if column.dtype == wanted:
        return column
    if _is_text(column.dtype):
        text = column.cast(pl.String)
        if wanted == pl.String:
            return text
        if named or wanted == pl.Date or isinstance(wanted, pl.Datetime):
            return typed(text, wanted)
    elif wanted == pl.String and named and not column.dtype.is_nested():
        return _texts(column)
    if not _are_alike(column.dtype, wanted):
        return pl.Series(column.name, [None], dtype=wanted).new_from_index(0, len(column))
    values = column.cast(wanted, strict=False)
    if wanted == pl.Float32 and column.dtype.is_numeric():
        same = float32_holds(column.cast(pl.Float64), values) & _survives(column, pl.Float64())
    else:
        same = values.cast(column.dtype, strict=False).eq_missing(column)
    return values if same.all() else values.zip_with(same, values.clear(len(values)))


def _texts(column: pl.Series) -> pl.Series:
    """Values as text, lengths of time as ISO 8601; null where bytes are no UTF-8."""
    import polars as pl

    if column.dtype == pl.Duration:
        return column.dt.to_string("iso")
    if column.dtype == pl.Binary:
        return pl.Series(column.name, [None if value is None else _decoded(value) for value in column], pl.String)
    return column.cast(pl.String)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def lost_path(before: Any, after: Any) -> str:
    """Where in a nested value something is lost, from the column on: `.z`, `[0].z`; empty for all of it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if value is not None and after.get(name) != value:
                return f".{name}{lost_path(value, after.get(name))}"
    if isinstance(before, list) and isinstance(after, list):
        for place, (one, kept) in enumerate(zip(before, after, strict=False)):
            if one is not None and one != kept:
                return f"[{place}]{lost_path(one, kept)}"
    return ""


def _survives(column: pl.Series, wanted: pl.DataType) -> pl.Series:
    return column.cast(wanted, strict=False).cast(column.dtype, strict=False).eq_missing(column)


def _are_alike(a: Any, b: Any) -> bool:
    """Whether a value of type `a` may be one of type `b`, if nothing is lost."""
    import polars as pl

    if a in (b, pl.Null):
        return True
    if isinstance(a, pl.List | pl.Array) and isinstance(b, pl.List):
        return _are_alike(a.inner, b.inner)
    if isinstance(a, pl.Struct) and isinstance(b, pl.Struct):
        wanted = {f.name: f.dtype for f in b.fields}
        return all(f.name not in wanted or _are_alike(f.dtype, wanted[f.name]) for f in a.fields)
    if isinstance(a, pl.Datetime) and isinstance(b, pl.Datetime):
        return bool(a.time_zone) == bool(b.time_zone)
    return (a.is_numeric() and b.is_numeric()) or (_is_text(a) and (b.is_temporal() or _is_text(b)))


def _is_text(dtype: Any) -> bool:
    import polars as pl

    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def _is_exact(dtype: Any) -> bool:
    import polars as pl

    return bool(dtype.is_integer()) or isinstance(dtype, pl.Decimal)


def _width(dtype: Any) -> int:
    return int("".join(filter(str.isdigit, str(dtype))))
