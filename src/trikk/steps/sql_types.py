"""PostgreSQL's types as polars types, by the numbers of its catalogue (src/include/catalog/pg_type.dat)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_MAX_PRECISION = 38
_NUMERIC = 1700
_ARRAYS = {1000: 16, 1001: 17, 1005: 21, 1007: 23, 1016: 20, 1009: 25, 1015: 1043, 1021: 700, 1022: 701}
_ARRAYS |= {1182: 1082, 1115: 1114, 1185: 1184}


def postgres_schema(description: Sequence[Any]) -> tuple[list[pl.DataType], list[Callable[[Any], object]]]:
    """The polars type of each result column, and what makes a value of the driver one of it.

    numeric(p, s) with p <= 38 becomes Decimal, other numeric Float64; timestamp with time zone becomes UTC; json
    is text; what polars has no type for (uuid, inet, ...) is its text.
    """
    pairs = [_column(column) for column in description]
    return [dtype for dtype, _ in pairs], [reader for _, reader in pairs]


def _column(column: Any) -> tuple[pl.DataType, Callable[[Any], object]]:
    import polars as pl

    oid = int(column.type_code)
    if oid == _NUMERIC:
        precision, scale = column.precision, column.scale
        if precision and precision <= _MAX_PRECISION and 0 <= (scale or 0) <= precision:
            return pl.Decimal(precision, scale or 0), _same
        return pl.Float64(), float
    if oid in _ARRAYS:
        dtype, reader = _scalar(_ARRAYS[oid])
        return pl.List(dtype), lambda values: [None if v is None else reader(v) for v in values]
    return _scalar(oid)


def _scalar(oid: int) -> tuple[pl.DataType, Callable[[Any], object]]:
    import polars as pl

    known: dict[int, tuple[pl.DataType, Callable[[Any], object]]] = {
        16: (pl.Boolean(), _same),
        17: (pl.Binary(), bytes),
        20: (pl.Int64(), _same),
        21: (pl.Int16(), _same),
        23: (pl.Int32(), _same),
        26: (pl.Int64(), _same),
        700: (pl.Float32(), _same),
        701: (pl.Float64(), _same),
        1082: (pl.Date(), _same),
        1083: (pl.Time(), _same),
        1114: (pl.Datetime("us"), _same),
        1184: (pl.Datetime("us", "UTC"), _utc),
        1186: (pl.Duration("us"), _duration),
        114: (pl.String(), _json),
        3802: (pl.String(), _json),
    }
    return known.get(oid, (pl.String(), str))


def _same(value: Any) -> object:
    return value


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _duration(value: timedelta) -> timedelta:
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
