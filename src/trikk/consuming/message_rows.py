"""Messages as rows of one table: those that fit its columns as they are, and the others with the reason why not.

A topic is written by many, for years, and its schema changes in the middle. A message that does not fit must
neither stop those behind it nor be bent until it fits. So each one is read strictly, by a type that msgspec makes
of the table's columns: 1.5 is no whole number, "1" is no number, and a name that the table lacks is no column.
Whole numbers that are written as 2.0 are whole, as in files; a name that a message lacks is null.
"""

from __future__ import annotations

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import polars as pl

from trikk.core.errors import UsageError
from trikk.storage.ingest.json_lines import DEEPEST, Misfit, Shape
from trikk.storage.tables.rejected_rows import SCHEMA as REJECTED

_AT_ONCE = 1_000  # messages, of which one that does not fit has all be read one by one
_NO_NAME = re.compile(r'["\\\x00-\x1f]')  # what msgspec refuses in the name of a field
_EXACT = 2**53  # where whole numbers stop being exact as Float64
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_BITS = {pl.Int8: 8, pl.Int16: 16, pl.Int32: 32, pl.Int64: 64}
_INEXACT = (pl.Float32, pl.Float64, pl.Decimal)
"""Types that do not hold every value that the type of Python holds as which they are read."""
_TIMES = (
    (Annotated[datetime, msgspec.Meta(tz=True)], pl.Datetime("us", "UTC")),
    (Annotated[datetime, msgspec.Meta(tz=False)], pl.Datetime("us")),
    (date, pl.Date()),
)
_AVRO = {bytes: pl.Binary(), date: pl.Date(), time: pl.String()}  # what JSON has no values of
# What reading a message raises, whatever is in it; a value that is None has been deleted.
_UNREADABLE = (msgspec.MsgspecError, RecursionError)
KEY = ("source", "position")
"""The columns by which a message that was set aside is known."""


@dataclass(frozen=True, slots=True)
class Read:
    """What some messages come to.

    Attributes:
        rows: those that fit, in their order, with the table's columns and types.
        misfits: of each of the others, its place among the messages, and the reason.
    """

    rows: pl.DataFrame
    misfits: list[tuple[int, str]]


class RowReader:
    """Reads messages as rows.

    Args:
        schema: the columns and their types, as a table has them.
        key: columns that must have a value.

    Raises:
        UsageError: if a column has a type that no message has a form for, or one of the key is missing.
    """

    def __init__(self, schema: Mapping[str, pl.DataType], key: Sequence[str] = ()) -> None:
        for name in key:
            if name not in schema:
                raise UsageError(f"the key {name!r} is no column", next=f"there are: {', '.join(schema)}"[:400])
        self.schema = dict(schema)
        self._type = _record("row", schema, frozenset(key))
        self._decoder = msgspec.json.Decoder(self._type)
        self._fields = self._type.__struct_fields__
        # A decimal that is read twice, the second time as a float, would lose digits.
        self._mends = not any(_holds_kind(dtype, pl.Decimal) for dtype in schema.values())
        self._checked = [
            (field, name, dtype, float if dtype == pl.Float64 else None)
            for field, (name, dtype) in zip(self._fields, schema.items(), strict=True)
            if any(_holds_kind(dtype, kind) for kind in _INEXACT)
        ]

    def read(self, values: Sequence[bytes | None]) -> Read:
        """Read messages of JSON, an object each."""
        records: list[Any] = []
        misfits: list[tuple[int, str]] = []
        for start in range(0, len(values), _AT_ONCE):
            piece = values[start : start + _AT_ONCE]
            fitting = self._all_fitting(piece)
            if fitting is None:  # at least one does not fit, or is written in a rarer way
                fitting, unlike = self._each(piece, self._decoder.decode, self._mended)
                misfits += [(start + place, why) for place, why in unlike]
            records += fitting
        return Read(self._frame(records), misfits)

    def read_records(self, records: Sequence[Mapping[str, object] | str]) -> Read:
        """Take messages that are decoded already, such as those of Avro; a text says why one could not be."""
        fitting, misfits = self._each(records, self._converted, self._converted)
        return Read(self._frame(fitting), misfits)

    def _all_fitting(self, values: Sequence[bytes | None]) -> list[Any] | None:
        """The messages in one go, at half the cost of one by one; None if not each is a row that fits."""
        # No JSON has `}`, the end of a line and `{` in the middle of a value. So none reaches over the end of its
        # message, and where there are as many values as messages, each message is one.
        if not all(value is not None and value[:1] == b"{" and value[-1:] == b"}" for value in values):
            return None
        try:
            records: list[Any] = self._decoder.decode_lines(b"\n".join(values))  # type: ignore[arg-type]
            for record in records if self._checked else ():
                self._check(record)
        except _UNREADABLE:
            return None
        return records if len(records) == len(values) else None

    def _each(
        self, values: Sequence[Any], decode: Callable[[Any], Any], again: Callable[[Any], Any]
    ) -> tuple[list[Any], list[tuple[int, str]]]:
        records: list[Any] = []
        misfits: list[tuple[int, str]] = []
        for place, value in enumerate(values):
            try:
                try:
                    record = decode(value)
                except msgspec.ValidationError:
                    if not self._mends:
                        raise
                    record = again(value)
                self._check(record)
            except _UNREADABLE as error:
                misfits.append((place, _reason(error)))
            except TypeError:
                if value is not None:
                    raise
                misfits.append((place, "it has no value: it says that its key is deleted"))
            else:
                records.append(record)
        return records, misfits

    def _mended(self, value: bytes) -> Any:
        return msgspec.convert(_whole(msgspec.json.decode(value)), self._type)

    def _converted(self, record: Mapping[str, object] | str) -> Any:
        if isinstance(record, str):
            raise msgspec.ValidationError(record)
        return msgspec.convert(record, self._type)

    def _check(self, record: Any) -> None:
        """Refuse what the types of Python hold and those of the table do not."""
        for field, name, dtype, exact in self._checked:
            value = getattr(record, field)
            if type(value) is not exact and (why := _changed(value, dtype)) is not None:
                raise msgspec.ValidationError(f"{why} - at `$.{name}`")

    def _frame(self, records: list[Any]) -> pl.DataFrame:
        columns = []
        for field, (name, dtype) in zip(self._fields, self.schema.items(), strict=True):
            values = list(map(attrgetter(field), records))
            if dtype == pl.Datetime("us", "UTC"):  # a tenth of the time that polars takes for them
                values = [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
                columns.append(pl.Series(name, values, dtype=pl.Int64).cast(dtype))
                continue
            if dtype.is_nested():
                values = [_plain(value) for value in values]
            columns.append(pl.Series(name, values, dtype=dtype))
        return pl.DataFrame(columns)


def inferred_schema(values: Iterable[bytes | None], known: Iterable[str] = ()) -> dict[str, pl.DataType]:
    """The columns of a table that is not there yet, from the first messages for it.

    A column has the kind that most of its values have, whole numbers among fractions being fractions; it is of
    moments or dates if all of its texts are. One without any value is none yet, and what no table can hold never
    is: a message with that does not fit, and keeps no other one out.

    Args:
        values: the messages.
        known: names of columns that the table has already.
    """
    records = []
    for value in values:
        with suppress(*_UNREADABLE, TypeError):
            records.append(msgspec.json.decode(value))  # type: ignore[arg-type]
    return schema_of_records(records, known)


def schema_of_records(records: Iterable[Any], known: Iterable[str] = ()) -> dict[str, pl.DataType]:
    """The columns of a table that is not there yet, from records that are decoded; others count for nothing."""
    columns: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        for name, item in record.items() if isinstance(record, dict) else ():
            if item is not None and name:
                columns[name].append(item)
    spelled = {name.lower(): name for name in known}
    types = {name: _dtype(items) for name, items in columns.items()}
    # Of names that differ only in case a table holds one: that which came first.
    return {
        name: dtype
        for name, dtype in types.items()
        if dtype != pl.Null and _is_holdable(name, dtype) and spelled.setdefault(name.lower(), name) == name
    }


def _is_holdable(name: str, dtype: Any, depth: int = 0) -> bool:
    """Whether a table can hold a column of that type, and messages can be read by it."""
    if _NO_NAME.search(name) or depth >= DEEPEST:
        return False
    if isinstance(dtype, pl.List):
        return _is_holdable(name, dtype.inner, depth + 1)
    if isinstance(dtype, pl.Struct):
        parts = dtype.fields
        is_told_apart = 0 < len(parts) == len({part.name.lower() for part in parts})
        return is_told_apart and all(_is_holdable(part.name, part.dtype, depth + 1) for part in parts)
    return True


def set_aside(
    misfits: Sequence[tuple[int, str]],
    values: Sequence[bytes | None],
    places: Sequence[tuple[str, int]] | Mapping[int, tuple[str, int]],
    about: Mapping[str, Any],
) -> pl.DataFrame:
    """The messages that do not fit, in the form in which rows are set aside, with the place that each came from.

    Args:
        misfits: as of `Read`.
        values: the messages; one that is no text of UTF-8 is kept as base64.
        places: of each, or each that does not fit, its source and position there (`KEY`).
        about: `at` (UTC), `run`, `pipeline`, `gate`: who has set it aside.
    """
    rows = [
        {**about, "reason": why, "row": _text(values[at]), "source": places[at][0], "position": places[at][1]}
        for at, why in misfits
    ]
    return pl.DataFrame(rows, schema={**REJECTED, "source": pl.String(), "position": pl.Int64()})


def _record(title: str, schema: Mapping[str, Any], key: frozenset[str] = frozenset()) -> Any:
    """A type of msgspec for an object with these fields and no others."""
    fields = []
    for number, (name, dtype) in enumerate(schema.items()):
        if _NO_NAME.search(name):
            raise UsageError(f"no message can have a field {name!r}", next="rename the column")
        # The attribute can't be called like every column, so none is.
        kind, attribute = _python_type(dtype, name), f"c{number}"
        if name in key:
            fields.append((attribute, kind, msgspec.field(name=name)))
        else:
            fields.append((attribute, kind | None, msgspec.field(name=name, default=None)))
    return msgspec.defstruct(title, fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def _python_type(dtype: Any, name: str) -> Any:
    for kind, bits in _BITS.items():
        if dtype == kind:
            return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]
    if dtype.is_float():
        return int | float  # not float alone, which would round a long whole number
    if isinstance(dtype, pl.Datetime):
        return _TIMES[0 if dtype.time_zone else 1][0]
    if isinstance(dtype, pl.List):
        return list[_python_type(dtype.inner, name) | None]  # type: ignore[misc]
    if isinstance(dtype, pl.Struct):
        return _record("part", {field.name: field.dtype for field in dtype.fields})
    plain = {pl.Boolean: bool, pl.String: str, pl.Binary: bytes, pl.Date: date, pl.Time: time, pl.Decimal: Decimal}
    try:
        return plain[dtype.base_type()]
    except KeyError:
        raise UsageError(
            f"column {name!r} is of type {dtype}, for which messages have no form",
            next="read it as another type, and cast it in a step of its own",
        ) from None


def _holds_kind(dtype: Any, kind: Any) -> bool:
    """Whether a type is of a kind, or one inside it is."""
    if isinstance(dtype, pl.List):
        return _holds_kind(dtype.inner, kind)
    if isinstance(dtype, pl.Struct):
        return any(_holds_kind(field.dtype, kind) for field in dtype.fields)
    return bool(dtype.base_type() == kind)


def _changed(value: Any, dtype: Any) -> str | None:
    """Why a value would be another one in a type; None if it would not."""
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        return next((why for item in value if (why := _changed(item, dtype.inner))), None)
    if isinstance(dtype, pl.Struct):
        fields = zip(value.__struct_fields__, dtype.fields, strict=True)
        parts = ((getattr(value, attribute), field.dtype) for attribute, field in fields)
        return next((why for part, kind in parts if (why := _changed(part, kind))), None)
    if isinstance(dtype, pl.Decimal):
        return None if _holds(dtype, value) else f"{value} has more digits than {dtype}"
    if type(value) is int and not -_EXACT <= value <= _EXACT and int(float(value)) != value:
        return f"{value} has more digits than a {dtype} keeps"
    if dtype == pl.Float32 and not -3.4028235e38 <= value <= 3.4028235e38:
        return f"{value} is beyond a Float32"
    return None


def _holds(dtype: pl.Decimal, value: Decimal) -> bool:
    if not value.is_finite():
        return False
    _, digits, exponent = value.normalize().as_tuple()
    assert isinstance(exponent, int)
    return -exponent <= dtype.scale and len(digits) + exponent <= (dtype.precision or 38) - dtype.scale


def _whole(value: Any) -> Any:
    """The value with numbers such as 2.0 as whole ones, at any depth."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """A nested value as polars takes it."""
    if isinstance(value, msgspec.Struct):
        names = value.__struct_encode_fields__
        return dict(zip(names, map(_plain, msgspec.structs.astuple(value)), strict=True))
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _dtype(items: list[Any]) -> pl.DataType:
    """The type of a column, by most of its values."""
    [(kind, _)] = Counter(_kind(item) for item in items).most_common(1)
    usual = [item for item in items if _kind(item) is kind]
    if kind in _AVRO:
        return _AVRO[kind]
    if kind is datetime:
        return pl.Datetime("us", "UTC" if usual[0].tzinfo else None)
    if kind is str:
        return next((dtype for form, dtype in _TIMES if _are_all(usual, form)), pl.String())
    shape = Shape()
    for item in usual:
        with suppress(Misfit):
            shape.add(item)
    return _with_values(shape.dtype())


def _kind(item: object) -> type:
    return float if type(item) is int else type(item)


def _are_all(texts: list[str], form: Any) -> bool:
    try:
        msgspec.convert(texts, list[form])
    except msgspec.ValidationError:
        return False
    return True


def _with_values(dtype: Any) -> pl.DataType:
    """The type with text in the place of what has never had a value, deep inside it."""
    if isinstance(dtype, pl.List):
        return pl.List(_with_values(pl.String() if dtype.inner == pl.Null else dtype.inner))
    if isinstance(dtype, pl.Struct):
        known = {f.name: pl.String() if f.dtype == pl.Null else _with_values(f.dtype) for f in dtype.fields}
        return pl.Struct(known)
    return dtype  # type: ignore[no-any-return]


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    text = str(error).replace(" | null", "").replace("`$.", "`").replace(" - at `", ", at `")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
