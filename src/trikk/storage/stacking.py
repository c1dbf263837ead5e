"""Frames one below another, such as the items of a map: columns by name, types widened where nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trikk.core.errors import CodecError
from trikk.storage.fitting_types import is_valueless

if TYPE_CHECKING:
    import polars as pl


def stacked(frames: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """The rows of all frames, with the columns in the order of the first frame that has any.

    A column without values takes the others' type. Whole numbers take the wider type, and become floats beside
    floats if each of them stays what it is. No frame at all gives no rows and no columns.

    Raises:
        CodecError: if a column is missing from a frame, or its types do not go together; both items are named.
    """
    import polars as pl

    parts = {n: frame for n, frame in enumerate(frames) if frame.collect_schema()}
    if not parts:
        return pl.LazyFrame()
    schemas = {n: frame.collect_schema() for n, frame in parts.items()}
    first = next(iter(parts))
    for n, schema in schemas.items():
        _check_names(n, schema, first, schemas[first])
    types = {name: _type_of(name, parts) for name in schemas[first]}
    return pl.concat([_cast(n, frame, types) for n, frame in parts.items()], how="vertical", rechunk=False)


def _type_of(name: str, parts: Mapping[int, pl.LazyFrame]) -> pl.DataType:
    """The type that a column has in all frames together."""
    import polars as pl

    origin = next(iter(parts))
    together: pl.DataType = pl.Null()
    given = {n: frame.collect_schema()[name] for n, frame in parts.items()}
    if len(set(given.values())) > 1 and not all(dtype.is_float() for dtype in given.values()):
        given = {n: pl.Null() if _is_valueless(frame, name) else given[n] for n, frame in parts.items()}
    for n, dtype in given.items():
        joint = joint_type(together, dtype)
        if joint is None:
            raise CodecError(
                f"column {name!r} is {together} in item {origin} and {dtype} in item {n}",
                next="give the column one type in every item",
            )
        if joint != together:
            origin, together = n, joint
    return together


def _is_valueless(frame: pl.LazyFrame, name: str) -> bool:
    return is_valueless(frame.select(name).collect().to_series())


def joint_type(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    """The type that holds the values of both, None if there is none.

    Whether a whole number stays what it is as a float can only its value say.
    """
    import polars as pl

    if b in (a, pl.Null):
        return a
    if a == pl.Null:
        return b
    if isinstance(a, pl.List) and isinstance(b, pl.List):
        inner = joint_type(a.inner, b.inner)  # type: ignore[arg-type]
        return None if inner is None else pl.List(inner)
    if isinstance(a, pl.Struct) and isinstance(b, pl.Struct):
        right = {field.name: field.dtype for field in b.fields}
        if {field.name for field in a.fields} != set(right):
            return None
        inner_types = {f.name: joint_type(f.dtype, right[f.name]) for f in a.fields}  # type: ignore[arg-type]
        return None if None in inner_types.values() else pl.Struct(inner_types)  # type: ignore[arg-type]
    if isinstance(a, pl.Datetime) and isinstance(b, pl.Datetime) and a.time_zone == b.time_zone:
        return max(a, b, key=lambda dtype: ("ms", "us", "ns").index(dtype.time_unit))
    texts = pl.String | pl.Categorical | pl.Enum
    if isinstance(a, texts) and isinstance(b, texts):
        return pl.String()
    return _number(a, b)


def _number(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    import polars as pl

    numbers = a.is_numeric() and b.is_numeric() and not a.is_decimal() and not b.is_decimal()
    if not numbers:
        return None
    if a.is_float() and b.is_float():
        return max(a, b, key=_width)
    if a.is_float() or b.is_float():
        return pl.Float64()
    if a.is_signed_integer() == b.is_signed_integer():
        return max(a, b, key=_width)
    signed, unsigned = (a, b) if a.is_signed_integer() else (b, a)
    wider = max(_width(signed), min(2 * _width(unsigned), 128))
    wider_type: pl.DataType = getattr(pl, f"Int{wider}")()
    return wider_type


def _width(dtype: pl.DataType) -> int:
    return int("".join(filter(str.isdigit, str(dtype))))


def _check_names(n: int, schema: pl.Schema, first: int, wanted: pl.Schema) -> None:
    missing = [name for name in wanted if name not in schema]
    extra = [name for name in schema if name not in wanted]
    if missing or extra:
        has, lacks, name = (n, first, extra[0]) if extra else (first, n, missing[0])
        raise CodecError(
            f"column {name!r} of item {has} is missing from item {lacks}",
            next="give every item the same columns, in any order",
        )


def _cast(n: int, frame: pl.LazyFrame, types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    import polars as pl

    schema = frame.collect_schema()
    columns = {name: pl.col(name) for name in types}
    for name, dtype in types.items():
        if joint_type(schema[name], dtype) != dtype:
            columns[name] = pl.lit(None, dtype).alias(name)  # without values
        elif schema[name] != dtype:
            columns[name] = pl.col(name).cast(dtype)
    risky = [name for name, dtype in types.items() if schema[name].is_integer() and dtype.is_float()]
    whole = [(columns[name].cast(pl.Int128) != pl.col(name).cast(pl.Int128)).any() for name in risky]
    for name, lost in frame.select(whole).collect().row(0, named=True).items() if risky else ():
        if lost:
            raise CodecError(
                f"column {name!r} has whole numbers in item {n} that are none as {types[name]}, "
                "which it is in another item",
                next="give the column one type in every item",
            )
    return frame.select(columns.values())
