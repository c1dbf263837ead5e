"""Rows as JSON text that loses nothing: whole columns at once, each type in a form that can be read back exactly.

Not as a topic's messages are (`publishing/as_json.py`), which have a schema and no NaN: these rows are bad, and
keep whatever is in them.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

_DAYS = 93_000_000  # before and after 1970: as many as polars makes dates of; beyond them it panics
_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def as_json(column: pl.Expr, dtype: Any) -> pl.Expr:
    """Each value of a column as JSON, a String column; "null" for null.

    Moments are ISO 8601 to their last digit, bytes base64, decimals, NaN and infinities text; a moment that no
    calendar has is its number from 1970, in the column's unit.
    """
    if isinstance(dtype, pl.Struct):
        fields = ((field.name, as_json(column.struct.field(field.name), field.dtype)) for field in dtype.fields)
        parts = [part for name, text in fields for part in (pl.lit(", "), pl.lit(json.dumps(name) + ": "), text)]
        text = pl.concat_str([pl.lit("{"), *parts[1:], pl.lit("}")])
        return pl.when(column.is_not_null()).then(text).otherwise(pl.lit("null"))
    if isinstance(dtype, pl.BaseExtension):  # periods and intervals of pandas: what they are made of
        return as_json(column.ext.storage(), dtype.ext_storage())
    if isinstance(dtype, pl.Array):
        return as_json(column.arr.to_list(), pl.List(dtype.inner))
    if isinstance(dtype, pl.List):
        items = column.list.eval(as_json(pl.element(), dtype.inner)).list.join(", ")
        return pl.concat_str([pl.lit("["), items, pl.lit("]")]).fill_null("null")
    if dtype.is_float():
        number = column.cast(pl.Float64)
        return pl.when(number.is_finite()).then(number.cast(pl.String)).otherwise(_quoted(number.cast(pl.String)))
    if dtype.is_integer() or dtype == pl.Boolean:
        return column.cast(pl.String).fill_null("null")
    return _quoted(_text(column, dtype))


def _quoted(text: pl.Expr) -> pl.Expr:
    """Texts as JSON has them; polars escapes those of a struct only."""
    return pl.struct(text.alias("")).struct.json_encode().str.strip_prefix('{"":').str.strip_suffix("}")


def _text(column: pl.Expr, dtype: Any) -> pl.Expr:
    if dtype == pl.Binary:
        return column.bin.encode("base64")
    if dtype == pl.Date:
        return _dated(column, "%Y-%m-%d", _DAYS)
    if isinstance(dtype, pl.Datetime):
        zone = "%::z" if dtype.time_zone else ""
        text = _dated(column, f"%Y-%m-%dT%H:%M:%S%.f{zone}", _DAYS * _A_DAY[dtype.time_unit])
        return text.str.replace(r"([+-]\d\d:\d\d):00$", "${1}") if zone else text
    if dtype == pl.Time:
        return column.dt.to_string("%H:%M:%S%.f")
    return column.dt.to_string("iso") if isinstance(dtype, pl.Duration) else column.cast(pl.String)


def _dated(column: pl.Expr, form: str, most: int) -> pl.Expr:
    number = column.to_physical()
    if most < 2**63:
        column = pl.when(number.is_between(-most, most)).then(column)
    return column.dt.to_string(form).fill_null(number.cast(pl.String))
