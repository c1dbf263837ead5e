"""Entities and values as JSON text that gives back every value bit for bit, with its type.

Numbers, texts and booleans are what they are (JSON in Python gives back each float as it was, NaN and infinities
too; which of the many NaNs it was is lost). Dates are days since 1970, moments microseconds since 1970, decimals
their digits, bytes base 64; lists hold these.
"""

from __future__ import annotations

import base64
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

Convert = Callable[[Any], Any]

_DECIMAL = re.compile(r"Decimal\(precision=(\d+), scale=(\d+)\)\Z")
_LIST = re.compile(r"List\((.*)\)\Z")
_NAIVE = "Datetime(time_unit='us', time_zone=None)"
_AWARE = "Datetime(time_unit='us', time_zone='UTC')"
_PLAIN = ("Int8", "Int16", "Int32", "Int64", "Float32", "Float64", "String", "Boolean", "Date", "Binary")
_FIRST_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - what a moment without a zone counts from
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)


def check_types(name: str, types: Mapping[str, pl.DataType]) -> None:
    """Refuse features that can't be served.

    Raises:
        UsageError: naming the column and its type.
    """
    for column, dtype in types.items():
        try:
            read_type(str(dtype))
        except UsageError:
            raise UsageError(
                f"feature {column!r} is {dtype}, which can't be served",
                where=f"feature table {name}",
                next="use numbers, texts, booleans, dates, moments, bytes, or lists of these",
            ) from None


def read_type(text: str) -> pl.DataType:
    """The polars type that a text such as "Float64" or "List(Int32)" means; UsageError if it is not ours."""
    import polars as pl

    if text in _PLAIN:
        dtype: pl.DataType = getattr(pl, text)()
        return dtype
    if text in (_NAIVE, _AWARE):
        return pl.Datetime("us", "UTC" if text == _AWARE else None)
    if match := _DECIMAL.match(text):
        return pl.Decimal(int(match[1]), int(match[2]))
    if match := _LIST.match(text):
        return pl.List(read_type(match[1]))
    raise UsageError(f"{text!r} is not a type of a feature")


def wire_type(dtype: pl.DataType) -> pl.DataType:
    """The type as which values go to JSON."""
    import polars as pl

    if isinstance(dtype, pl.List):
        return pl.List(wire_type(_inner(dtype)))
    if isinstance(dtype, pl.Date):
        return pl.Int32()
    if isinstance(dtype, pl.Datetime):
        return pl.Int64()
    return pl.String() if isinstance(dtype, pl.Decimal | pl.Binary) else dtype


def to_wire(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Values as they go to JSON."""
    import polars as pl

    if isinstance(dtype, pl.List):
        return values.list.eval(to_wire(pl.element(), _inner(dtype)))
    if isinstance(dtype, pl.Binary):
        return values.bin.encode("base64")
    return values.cast(wire_type(dtype))


def from_wire(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The values that `to_wire` was given."""
    import polars as pl

    if isinstance(dtype, pl.List):
        return values.list.eval(from_wire(pl.element(), _inner(dtype)))
    if isinstance(dtype, pl.Binary):
        return values.str.decode("base64")
    return values.cast(dtype)


def reader(text: str) -> Convert | None:
    """What makes a Python value, as polars would give it, of one from JSON; None where it is one already."""
    if match := _LIST.match(text):
        inner = reader(match[1])
        return None if inner is None else lambda v: [None if one is None else inner(one) for one in v]
    if text.startswith("Decimal"):
        return Decimal
    return _READERS.get(text)


_READERS: dict[str, Convert] = {
    "Date": lambda v: date.fromordinal(v + _FIRST_DAY),
    _NAIVE: lambda v: _EPOCH + timedelta(microseconds=v),
    _AWARE: lambda v: _EPOCH_UTC + timedelta(microseconds=v),
    "Binary": base64.b64decode,
}


def entity_text(values: Sequence[Any]) -> str:
    """What an entity is stored under; the values are plain numbers, texts and booleans."""
    return json.dumps(values, separators=(",", ":"))


def key_reader(column: str, text: str, where: str) -> Convert:
    """What checks a key's value and makes a plain one of it."""

    def refuse(value: object) -> UsageError:
        return UsageError(
            f"key {column!r} is {value!r}, a {type(value).__name__}; the feature table has {text}",
            where=where,
            next="give the key in that type",
        )

    def whole(value: Any) -> int:
        if isinstance(value, bool):
            raise refuse(value)
        try:
            return operator.index(value)
        except TypeError:
            raise refuse(value) from None

    def exactly(kind: type) -> Convert:
        def check(value: Any) -> Any:
            if type(value) is not kind and not (kind is str and isinstance(value, str)):
                raise refuse(value)
            return value

        return check

    if text == "Date":
        day = exactly(date)
        return lambda value: day(value).toordinal() - _FIRST_DAY
    return {"String": exactly(str), "Boolean": exactly(bool)}.get(text, whole)


def moment_of(at: datetime, aware: bool, where: str) -> int:
    """A moment as microseconds since 1970.

    Raises:
        UsageError: if it has a time zone and the feature table's times have none, or the other way round.
    """
    if (at.tzinfo is not None) != aware:
        raise UsageError(
            f"at={at.isoformat()} has {'a' if at.tzinfo else 'no'} time zone, the feature table's times "
            f"have {'one' if aware else 'none'}",
            where=where,
            next="give at= as the table has its times",
        )
    return (at - (_EPOCH_UTC if aware else _EPOCH)) // timedelta(microseconds=1)


def show_moment(moment: int, aware: bool) -> str:
    """A moment in ISO 8601."""
    return ((_EPOCH_UTC if aware else _EPOCH) + timedelta(microseconds=moment)).isoformat()


def _inner(dtype: pl.List) -> pl.DataType:
    inner: Any = dtype.inner
    typed: pl.DataType = inner() if isinstance(inner, type) else inner
    return typed
