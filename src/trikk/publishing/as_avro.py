"""Rows as Avro records without a header: a reader needs the schema, which is written down beside the run.

Format: https://avro.apache.org/docs/1.12.0/specification/ ("Binary Encoding").
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from trikk.core.errors import MissingExtra, PermanentError
from trikk.core.values import JSON

if TYPE_CHECKING:
    import polars as pl

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LONGEST = 2**63 - 1
_ROWS = 20_000


def values_of(rows: pl.DataFrame, schema: dict[str, JSON]) -> pl.Series:
    """Each row as one Avro record, a Binary column.

    Raises:
        PermanentError: if a row can't be encoded: it is named.
        MissingExtra: if fastavro is not installed.
    """
    import polars as pl

    try:
        from fastavro import parse_schema, schemaless_writer
    except ImportError:
        raise MissingExtra("Avro", "kafka") from None
    parsed = parse_schema(schema)
    ready = rows.select(_plain(pl.col(name), kind).alias(name) for name, kind in rows.schema.items())
    records: list[bytes] = []
    for start in range(0, ready.height, _ROWS):
        for row in ready.slice(start, _ROWS).iter_rows(named=True):
            buffer = io.BytesIO()
            try:
                schemaless_writer(buffer, parsed, row)
            except (ValueError, TypeError, OverflowError) as error:
                raise PermanentError(
                    f"row {len(records)} can't be published as Avro: {error}",
                    next="mend the row; nothing was sent",
                ) from error
            records.append(buffer.getvalue())
    return pl.Series("value", records, dtype=pl.Binary)


def schema_of(rows: pl.DataFrame, key: list[str]) -> dict[str, JSON]:
    """The Avro schema of the rows: a record; every column but those of the key may be null.

    Raises:
        PermanentError: if a column has a name or type that Avro has no form for, or numbers beyond its long.
    """
    fields: list[JSON] = []
    for name, kind in rows.schema.items():
        _check_name(name)
        _check_range(rows.get_column(name), name)
        _check_moments(rows.get_column(name), name)
        written = _type(kind, name, name)
        fields.append({"name": name, "type": written if name in key else ["null", written]})
    return {"type": "record", "name": "row", "namespace": "trikk", "fields": fields}


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise PermanentError(
            f"column {name!r} can't be published as Avro: its name is not an Avro name",
            next="rename it to letters, digits and _; nothing was sent",
        )


def _check_range(series: pl.Series, name: str) -> None:
    import polars as pl

    if series.dtype in (pl.UInt64, pl.Int128, pl.UInt128):
        beyond = (series > _LONGEST).fill_null(value=False)
        if series.dtype == pl.Int128:
            beyond |= (series < -_LONGEST - 1).fill_null(value=False)
        if beyond.any():
            raise PermanentError(
                f"row {beyond.arg_max()}, column {name!r} can't be published: Avro's long ends at {_LONGEST}",
                next="make the column text; nothing was sent",
            )


def _check_moments(series: pl.Series, name: str) -> None:
    """Refuse nanoseconds, which would be cut off."""
    import polars as pl

    if series.dtype == pl.Time or getattr(series.dtype, "time_unit", "") == "ns":
        finer = (series.to_physical() % 1_000 != 0).fill_null(value=False)
        if finer.any() and not isinstance(series.dtype, pl.Duration):
            raise PermanentError(
                f"row {finer.arg_max()}, column {name!r} can't be published as Avro: it has nanoseconds",
                next=f"round it: pl.col({name!r}).dt.round('1us'); nothing was sent",
            )


def _type(kind: Any, column: str, path: str) -> JSON:  # noqa: C901 - one line for each type
    import polars as pl

    if kind == pl.Boolean:
        return "boolean"
    if kind in (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16):
        return "int"
    if kind.is_integer():
        return "long"
    if kind.is_float():
        return "float" if kind == pl.Float32 else "double"
    if kind in (pl.String, pl.Categorical, pl.Enum, pl.Null) or kind.is_decimal() or isinstance(kind, pl.Duration):
        return "string"
    if kind == pl.Binary:
        return "bytes"
    if isinstance(kind, pl.Datetime):
        logical = "timestamp-micros" if kind.time_zone else "local-timestamp-micros"
        return {"type": "long", "logicalType": logical}
    if kind == pl.Date:
        return {"type": "int", "logicalType": "date"}
    if kind == pl.Time:
        return {"type": "long", "logicalType": "time-micros"}
    if isinstance(kind, pl.List | pl.Array):
        return {"type": "array", "items": ["null", _type(kind.inner, column, path)]}
    if isinstance(kind, pl.Struct):
        for field in kind.fields:
            _check_name(field.name)
        fields: list[JSON] = [
            {"name": f.name, "type": ["null", _type(f.dtype, column, f"{path}_{f.name}")]} for f in kind.fields
        ]
        return {"type": "record", "name": f"{path}_record", "fields": fields}
    raise PermanentError(
        f"column {column!r} can't be published: Avro has no form for {kind}",
        next="leave it out, or make it text; nothing was sent",
    )


def _plain(column: pl.Expr, kind: Any) -> pl.Expr:
    """What Avro holds as a number is made one here, which is faster than Python's dates."""
    import polars as pl

    if isinstance(kind, pl.Datetime):
        return column.dt.epoch("us")
    if kind == pl.Date:
        return column.cast(pl.Int32)
    if kind == pl.Time:
        return column.cast(pl.Int64) // 1_000
    if isinstance(kind, pl.Duration):
        return column.dt.to_string("iso")
    if kind.is_decimal() or kind in (pl.Categorical, pl.Enum) or kind == pl.Null:
        return column.cast(pl.String)
    if isinstance(kind, pl.Array):
        return _plain(column.arr.to_list(), pl.List(kind.inner))
    if isinstance(kind, pl.List):
        return column.list.eval(_plain(pl.element(), kind.inner))
    if isinstance(kind, pl.Struct):
        inner = pl.struct(_plain(column.struct.field(f.name), f.dtype).alias(f.name) for f in kind.fields)
        return pl.when(column.is_not_null()).then(inner)
    return column
