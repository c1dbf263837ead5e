"""PostgreSQL's types as polars types, by the numbers of its catalogue (src/include/catalog/pg_type.dat).

What Python's driver would make something else of (ranges, addresses, numbers in JSON) stays the text that the
server sends; what no frame can hold (infinite dates, months without a length) is refused by its column's name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.steps.databases.query import sql_name

if TYPE_CHECKING:
    import polars as pl

_MAX_PRECISION = 38
_NUMERIC = 1700
_INTERVAL = 1186
_ARRAYS = {
    1000: 16,
    1001: 17,
    1005: 21,
    1007: 23,
    1016: 20,
    1009: 25,
    1014: 1042,
    1015: 1043,
    1021: 700,
    1022: 701,
}
_ARRAYS |= {1182: 1082, 1115: 1114, 1183: 1083, 1185: 1184, 1187: _INTERVAL, 1231: _NUMERIC}
# Up to here every whole number is a Float64.
_EXACT = 2**53
_ENDLESS = 2**63 - 1


def prepare_session(link: Any) -> None:
    """Put a session to UTC, and to the forms of values that are read here, whatever machine and server say."""
    from psycopg.postgres import types
    from psycopg.types.string import TextLoader

    link.execute("SET TimeZone TO 'UTC'")
    link.execute("SET extra_float_digits TO 2")  # else 15 digits from Redshift and wherever it is 0; 2 is its most
    for name, form in (("DateStyle", "ISO"), ("IntervalStyle", "postgres")):
        if (link.info.parameter_status(name) or form).partition(",")[0] != form:
            link.execute(f"SET {name} TO '{form}'")
    objects = {_NUMERIC, *_scalars()}
    for info in types:
        # As text, before the driver makes objects of them that a frame does not take.
        if info.oid not in objects:
            link.adapters.register_loader(info.oid, TextLoader)
        if info.array_oid and info.array_oid not in _ARRAYS:
            link.adapters.register_loader(info.array_oid, TextLoader)
    link.adapters.register_loader(_INTERVAL, _interval_loader())


@functools.cache
def _interval_loader() -> Any:
    """A loader that refuses months and years, which the driver takes for 30 and 365 days."""
    from psycopg import DataError
    from psycopg.types.datetime import IntervalLoader

    class Loader(IntervalLoader):
        def load(self, data: Any) -> Any:
            text = bytes(data).decode()
            if "mon" in text or "year" in text or "infinity" in text:
                raise DataError(f"an interval of {text}, which has no length in seconds")
            return super().load(data)

    return Loader


def fetched(cursor: Any) -> list[Any]:
    """All rows.

    Raises:
        UsageError: if a value can't be held, naming its column.
    """
    from psycopg import DataError, errors

    try:
        return list(cursor.fetchall())
    except (DataError, UnicodeError, NotImplementedError, OverflowError) as error:
        if isinstance(error, errors.Error) and error.sqlstate is not None:
            raise  # the server's word on the query, not the driver's on a value
        raise _unreadable(*_first_bad(cursor) or ("?", str(error))) from None


def _first_bad(cursor: Any) -> tuple[str, str] | None:
    """The column of the first value that the driver can't read, and what it says."""
    from psycopg.adapt import Transformer

    loaders = Transformer.from_context(cursor)
    for place, column in enumerate(cursor.description):
        load = loaders.get_loader(column.type_code, cursor.pgresult.fformat(place)).load
        for row in range(cursor.pgresult.ntuples):
            value = cursor.pgresult.get_value(row, place)
            try:
                if value is not None:
                    load(value)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is why the rows can't be read
                return column.name, str(error)
    return None


def _unreadable(name: str, problem: str) -> UsageError:
    return UsageError(
        f"column {name!r} holds what a frame can't: {problem}",
        next=f"leave such rows out, or take its text: {sql_name(name)}::text AS {sql_name(name)}",
    )


def postgres_schema(description: Sequence[Any]) -> tuple[list[pl.DataType], list[Callable[[Any], object]]]:
    """The polars type of each result column, and what makes a value of the driver one of it.

    numeric(p, s) with p <= 38 becomes Decimal, other numeric Float64; timestamp with time zone becomes UTC; what
    polars has no type for (json, uuid, inet, ranges, money, ...) is the server's text.
    """
    pairs = [_column(column) for column in description]
    return [dtype for dtype, _ in pairs], [reader for _, reader in pairs]


def column_of(name: str, dtype: pl.DataType, reader: Callable[[Any], object], values: Sequence[Any]) -> pl.Series:
    """The values of one result column as a column of that type.

    Raises:
        UsageError: if one does not fit.
    """
    import polars as pl

    nested = isinstance(dtype, pl.List) and any(isinstance(x, list) for v in values for x in v or ())
    if nested:
        raise UsageError(
            f"column {name!r} holds arrays of several dimensions",
            next=f"unnest them in the query, or take their text: {sql_name(name)}::text AS {sql_name(name)}",
        )
    if isinstance(dtype, pl.Decimal) and any(v is not None and not v.is_finite() for v in values):
        raise UsageError(
            f"column {name!r} holds NaN, which a Decimal can't",
            next=f"leave such rows out, or cast it in the query: {sql_name(name)}::float8 AS {sql_name(name)}",
        )
    return pl.Series(name, [None if v is None else reader(v) for v in values], dtype=dtype)


def exact_float(value: Any, name: str, mend: str) -> float:
    """A number as the nearest Float64, if that keeps all digits before the point.

    Raises:
        UsageError: if it does not; `mend` says what to write in the query.
    """
    number = float(value)
    if abs(number) >= _EXACT and Decimal(number) != value:
        raise UsageError(f"column {name!r} holds {value}, more digits than a Float64 keeps", next=mend)
    return number


def check_moments(series: pl.Series, name: str, mend: str) -> None:
    """Refuse dates and times that are infinite, or outside of the years 1 to 9999, which Python and tables hold.

    Raises:
        UsageError: naming the column.
    """
    import polars as pl

    if isinstance(series.dtype, pl.Struct):
        for field in series.dtype.fields:
            check_moments(series.struct.field(field.name), name, mend)
    elif isinstance(series.dtype, pl.List | pl.Array):
        inside = series.arr.to_list() if isinstance(series.dtype, pl.Array) else series
        check_moments(inside.list.explode(), name, mend)
    elif isinstance(series.dtype, pl.Date | pl.Datetime) and not _is_within_years(series):
        problem = "a time that is infinite or outside of the years 1 to 9999"
        raise UsageError(f"column {name!r} holds {problem}", next=mend)


def _is_within_years(series: pl.Series) -> bool:
    import polars as pl

    plain = series.dt.replace_time_zone(None) if getattr(series.dtype, "time_zone", None) else series
    number = plain.to_physical()
    if getattr(plain.dtype, "time_unit", None) == "ns":  # its 64 bits end within these years; infinity is the last
        return bool(number.is_between(-_ENDLESS, _ENDLESS, closed="none").all())
    ends = pl.Series([date(1, 1, 1), date(9999, 12, 31)]).cast(plain.dtype).to_physical()
    day = 1 if plain.dtype == pl.Date else 86_400_000_000 if plain.dtype == pl.Datetime("us") else 86_400_000
    return bool(((number >= ends[0]) & (number < ends[1] + day)).all())


def _column(column: Any) -> tuple[pl.DataType, Callable[[Any], object]]:
    import polars as pl

    oid, name = int(column.type_code), str(column.name)
    if oid == _NUMERIC:
        precision, scale = column.precision, column.scale
        if precision and precision <= _MAX_PRECISION and 0 <= (scale or 0) <= precision:
            return pl.Decimal(precision, scale or 0), _same
    if oid in _ARRAYS:
        dtype, reader = _scalar(_ARRAYS[oid], name)
        return pl.List(dtype), lambda values: [None if v is None else reader(v) for v in values]
    return _scalar(oid, name)


def _scalar(oid: int, name: str) -> tuple[pl.DataType, Callable[[Any], object]]:
    import polars as pl

    if oid == _NUMERIC:
        mend = f"cast it in the query: {sql_name(name)}::numeric(38, 0) AS {sql_name(name)}, ::bigint or ::text"
        return pl.Float64(), lambda value: exact_float(value, name, mend)
    return _scalars().get(oid, (pl.String(), str))


def _scalars() -> dict[int, tuple[pl.DataType, Callable[[Any], object]]]:
    """By the type's number; all others are text."""
    import polars as pl

    return {
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
        _INTERVAL: (pl.Duration("us"), _same),
    }


def _same(value: Any) -> object:
    return value


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)
