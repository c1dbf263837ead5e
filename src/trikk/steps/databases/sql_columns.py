"""Which column of a database holds which column of a frame, and what would not be the same there. Pure.

A table that is made anew has the nearest types that keep every value. Into one that is there, values go only if
they stay what they are: no fraction is rounded, no text cut, no moment moved to another zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from trikk.core.errors import PermanentError

_EXACT = {24: 2**24, 53: 2**53}
_BITS = {"Int8": 8, "Int16": 16, "Int32": 32, "Int64": 64}


class Kind(StrEnum):
    """What a column of a database holds."""

    WHOLE = "whole numbers"
    FLOAT = "floating numbers"
    NUMERIC = "decimals"
    TEXT = "text"
    BOOLEAN = "booleans"
    BYTES = "bytes"
    DATE = "dates"
    MOMENT = "moments with a time zone"
    LOCAL = "moments without a time zone"
    ANY = "anything"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a database's table.

    Attributes:
        type: in the database's own words.
        kind: what that holds.
        bits: of whole numbers; of the digits of floating ones.
        length: the longest text, None for no limit.
        precision: digits of a decimal in all, None for no limit.
        scale: of these behind the point.
        optional: whether a row may come without it.
    """

    type: str
    kind: Kind
    bits: int = 64
    length: int | None = None
    precision: int | None = None
    scale: int = 0
    optional: bool = True


_KINDS: tuple[tuple[str, Kind, int], ...] = (
    (r"tinyint|int1", Kind.WHOLE, 8),
    (r"smallint|int2|short", Kind.WHOLE, 16),
    (r"integer|int4|int", Kind.WHOLE, 32),
    (r"bigint|int8|long|hugeint", Kind.WHOLE, 64),
    (r"real|float4|float", Kind.FLOAT, 24),
    (r"double precision|double|float8", Kind.FLOAT, 53),
    (r"numeric|decimal", Kind.NUMERIC, 0),
    (r"text|varchar|character varying|character|char|bpchar|string", Kind.TEXT, 0),
    (r"boolean|bool", Kind.BOOLEAN, 0),
    (r"bytea|blob|binary varying|varbyte", Kind.BYTES, 0),
    (r"date", Kind.DATE, 0),
    (r"timestamp with time zone|timestamptz", Kind.MOMENT, 0),
    (r"timestamp without time zone|timestamp|datetime", Kind.LOCAL, 0),
)


def column_of(
    declared: str,
    *,
    length: int | None = None,
    precision: int | None = None,
    scale: int | None = None,
    optional: bool = True,
) -> Column:
    """A column by its type as `information_schema` of PostgreSQL, Redshift or DuckDB names it."""
    base, _, digits = declared.lower().partition("(")
    kind, bits = next(((k, b) for form, k, b in _KINDS if re.fullmatch(form, base.strip())), (Kind.OTHER, 0))
    if kind is Kind.NUMERIC and digits:  # DuckDB says DECIMAL(5,2), PostgreSQL names the digits beside
        precision, scale = (int(part) for part in digits.rstrip(")").split(","))
    return Column(declared, kind, bits, length, precision, scale or 0, optional)


def sqlite_column(declared: str, *, optional: bool) -> Column:
    """A column of SQLite, by the affinity that its declared type gives it.

    Source: https://www.sqlite.org/datatype3.html#determination_of_column_affinity
    """
    text = declared.upper()
    if "INT" in text:
        return Column(declared, Kind.WHOLE, optional=optional)
    if any(part in text for part in ("CHAR", "CLOB", "TEXT")) or text in ("DATE", "DATETIME", "TIMESTAMP"):
        return Column(declared, Kind.TEXT, optional=optional)
    if not text or text == "ANY" or "BLOB" in text:
        return Column(declared, Kind.BYTES if "BLOB" in text else Kind.ANY, optional=optional)
    if any(part in text for part in ("REAL", "FLOA", "DOUB")):
        return Column(declared, Kind.FLOAT, 53, optional=optional)
    return Column(declared, Kind.OTHER, optional=optional)  # NUMERIC makes 7 of "007" and 2 of 2.0


def kind_of(dtype: Any) -> Kind | None:
    """What a column of a frame holds; None for what no database takes as it is."""
    if dtype.is_integer():
        return Kind.WHOLE
    if dtype.is_float():
        return Kind.FLOAT
    if isinstance(dtype, pl.Datetime):
        return Kind.MOMENT if dtype.time_zone else Kind.LOCAL
    kinds: dict[Any, Kind] = {
        pl.Decimal: Kind.NUMERIC,
        pl.String: Kind.TEXT,
        pl.Boolean: Kind.BOOLEAN,
        pl.Binary: Kind.BYTES,
        pl.Date: Kind.DATE,
    }
    return kinds.get(dtype.base_type())


def type_for(name: str, dtype: Any, types: Mapping[Kind, str]) -> str:
    """The type with which a column is declared.

    Args:
        name: the column's.
        dtype: its type in the frame, one that a table of ours holds.
        types: the database's words; those for numbers have a size.

    Raises:
        PermanentError: if there is none.
    """
    kind = kind_of(dtype)
    if kind is None or kind not in types:
        raise PermanentError(
            f"column {name!r} is of type {dtype}, which this database has no column for",
            next="leave it out, or write its parts or its JSON text as columns of their own; nothing was written",
        )
    if kind is Kind.WHOLE:
        return {8: "SMALLINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}[_BITS[str(dtype)]]
    if kind is Kind.FLOAT and dtype == pl.Float32:
        return "REAL"
    return f"NUMERIC({dtype.precision}, {dtype.scale})" if kind is Kind.NUMERIC else types[kind]


def check_fit(rows: pl.LazyFrame, columns: Mapping[str, Column], where: str, *, in_bytes: bool = False) -> None:
    """Check that a table takes the rows as they are.

    Args:
        rows: with columns of types that a table of ours holds.
        columns: the table's.
        where: what an error names as its place.
        in_bytes: whether lengths of texts are counted in bytes.

    Raises:
        PermanentError: naming the first column that does not fit, and why.
    """
    schema = rows.collect_schema()
    for name, column in columns.items():
        if name not in schema and not column.optional:
            raise _misfit(f"it needs a column {name!r}, which the rows lack", where)
    for name in schema:
        if name not in columns:
            raise _misfit(f"it has no column {name!r}; it has {', '.join(columns)}"[:400], where)
    unlike = [name for name, dtype in schema.items() if not _holds(columns[name], dtype)]
    looks = [_look(pl.col(name), schema[name], columns[name], in_bytes=in_bytes).alias(name) for name in schema]
    fits = _first_row(rows.select(looks))
    has_values = _first_row(rows.select(pl.col(unlike).is_not_null().any())) if unlike else {}
    for name, dtype in schema.items():
        if has_values.get(name) or not fits[name]:
            raise _misfit(f"its column {name!r} is {columns[name].type}, and the rows have {dtype} there", where)


def _first_row(looks: pl.LazyFrame) -> dict[str, Any]:
    return looks.collect(engine="streaming").row(0, named=True)


def _holds(column: Column, dtype: Any) -> bool:
    kind = kind_of(dtype)
    if column.kind is Kind.ANY:
        return True
    if kind is Kind.WHOLE:
        return column.kind in (Kind.WHOLE, Kind.NUMERIC, Kind.FLOAT)
    if kind is Kind.FLOAT:
        return column.kind is Kind.FLOAT and (dtype == pl.Float32 or column.bits == 53)
    return column.kind is kind


def _look(value: pl.Expr, dtype: Any, column: Column, *, in_bytes: bool) -> pl.Expr:
    """Whether all values of a column are the same in the table's."""
    kind = kind_of(dtype)
    largest: int | None = None
    if kind is Kind.WHOLE and column.kind is Kind.WHOLE:
        largest = 2 ** (column.bits - 1) - 1
    elif kind is Kind.WHOLE and column.kind is Kind.FLOAT:
        largest = _EXACT[column.bits]
    elif kind is Kind.WHOLE and column.kind is Kind.NUMERIC and column.precision is not None:
        largest = 10 ** (column.precision - column.scale) - 1
    if largest is not None and largest < 2**63 - 1:
        return value.is_between(-largest - (column.kind is Kind.WHOLE), largest).all(ignore_nulls=True)
    if kind is Kind.TEXT and column.length is not None:
        length = value.str.len_bytes() if in_bytes else value.str.len_chars()
        return (length <= column.length).all(ignore_nulls=True)
    if kind is Kind.NUMERIC and column.kind is Kind.NUMERIC and column.precision is not None:
        cast = value.cast(pl.Decimal(min(column.precision, 38), column.scale), strict=False)
        return cast.cast(dtype, strict=False).eq_missing(value).all()
    return pl.lit(value=True)


def _misfit(problem: str, where: str) -> PermanentError:
    return PermanentError(
        f"the table does not take the rows: {problem}",
        where=where,
        next="mend the rows or the table; nothing was written",
    )
