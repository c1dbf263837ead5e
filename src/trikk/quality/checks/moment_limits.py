"""Limits that are moments: as polars compares them with a column, and as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def limit_of(value: object, dtype: pl.DataType) -> pl.Expr:
    """A limit as a literal; where a time with a zone meets one without, the latter is taken as UTC."""
    import polars as pl

    if isinstance(dtype, pl.Datetime) and isinstance(value, date):
        moment = pl.lit(in_utc(value))
        zone = dtype.time_zone
        return moment.dt.convert_time_zone(zone) if zone else moment.dt.replace_time_zone(None)
    return pl.lit(value)


def in_utc(value: date) -> datetime:
    """A date or time in UTC."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def moment_text(value: datetime | None) -> str | None:
    """A moment in UTC as text, to the second; None for none."""
    return None if value is None else value.strftime("%Y-%m-%d %H:%M:%S UTC")
