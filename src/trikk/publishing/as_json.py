"""Rows as JSON objects: whole columns at once; times, decimals and the like as texts that say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trikk.core.errors import PermanentError
from trikk.core.values import JSON

if TYPE_CHECKING:
    import polars as pl

    Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DIGITS = {"ms": 3, "us": 6, "ns": 9}


def values_of(rows: pl.DataFrame, schema: dict[str, JSON]) -> pl.Series:  # noqa: ARG001 - as_avro needs it
    """Each row as one JSON object, a String column; the frame must have been checked for NaN."""
    import polars as pl

    lazy = as_texts(rows.lazy()).select(pl.struct(pl.all()).struct.json_encode())
    # in pieces: what is between is small and made in memory that is there already, and all cores take part
    return lazy.collect(engine="streaming").to_series()


def as_texts(rows: Frame) -> Frame:
    """The frame with everything that JSON has no type for as text: ISO 8601 for times, digits for decimals."""
    import polars as pl

    return rows.select(_plain(pl.col(name), kind).alias(name) for name, kind in rows.collect_schema().items())


def schema_of(rows: pl.DataFrame, key: list[str]) -> dict[str, JSON]:
    """The JSON Schema (draft 2020-12) of the rows: every column is required; those of the key are never null.

    Raises:
        PermanentError: if a column has a type that JSON has no form for; it is named.
    """
    properties: dict[str, JSON] = {}
    for name, kind in rows.schema.items():
        described = _described(kind, name)
        properties[name] = described if name in key else _nullable(described)
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(described: dict[str, JSON]) -> dict[str, JSON]:
    return {**described, "type": [described["type"], "null"]}


def _described(kind: Any, column: str) -> dict[str, JSON]:
    import polars as pl

    if kind == pl.Boolean:
        return {"type": "boolean"}
    if kind.is_integer():
        return {"type": "integer"}
    if kind.is_float():
        return {"type": "number"}
    if kind in (pl.String, pl.Categorical, pl.Enum) or kind == pl.Null:
        return {"type": "string"}
    if isinstance(kind, pl.Datetime):
        return {"type": "string", "format": "date-time"} if kind.time_zone else {"type": "string"}
    if kind == pl.Date:
        return {"type": "string", "format": "date"}
    if isinstance(kind, pl.Duration):
        return {"type": "string", "format": "duration"}
    if kind == pl.Time or kind.is_decimal():
        return {"type": "string"}
    if isinstance(kind, pl.List | pl.Array):
        return {"type": "array", "items": _nullable(_described(kind.inner, column))}
    if isinstance(kind, pl.Struct):
        fields: dict[str, JSON] = {f.name: _nullable(_described(f.dtype, column)) for f in kind.fields}
        return {"type": "object", "properties": fields, "required": list(fields)}
    raise PermanentError(
        f"column {column!r} can't be published: JSON has no form for {kind}",
        next="leave it out, or make it text (base64 for bytes); nothing was sent",
    )


def _plain(column: pl.Expr, kind: Any) -> pl.Expr:
    import polars as pl

    if isinstance(kind, pl.Datetime):
        moment = column.dt.convert_time_zone("UTC") if kind.time_zone else column
        return moment.dt.to_string(f"%Y-%m-%dT%H:%M:%S%.{_DIGITS[kind.time_unit]}f{'Z' if kind.time_zone else ''}")
    if kind == pl.Date:
        return column.dt.to_string("%Y-%m-%d")
    if kind == pl.Time:
        return column.dt.to_string("%H:%M:%S%.6f")
    if isinstance(kind, pl.Duration):
        return column.dt.to_string("iso")
    if kind.is_decimal() or kind in (pl.Categorical, pl.Enum) or kind == pl.Null:
        return column.cast(pl.String)
    if isinstance(kind, pl.Array):
        return _plain(column.arr.to_list(), pl.List(kind.inner))
    if isinstance(kind, pl.List):
        return column.list.eval(_plain(pl.element(), kind.inner)) if _changes(kind.inner) else column
    if isinstance(kind, pl.Struct) and _changes(kind):
        inner = pl.struct(_plain(column.struct.field(f.name), f.dtype).alias(f.name) for f in kind.fields)
        return pl.when(column.is_not_null()).then(inner)
    return column


def _changes(kind: Any) -> bool:
    import polars as pl

    if isinstance(kind, pl.Struct):
        return any(_changes(f.dtype) for f in kind.fields)
    if isinstance(kind, pl.List):
        return _changes(kind.inner)
    plain = kind == pl.Boolean or kind.is_integer() or kind.is_float() or kind == pl.String
    return not plain
