"""DuckDB's types as polars types: what the way through Arrow would change without a word is mended or refused.

DuckDB tells Arrow less than it knows: UHUGEINT arrives as a signed number, HUGEINT as a decimal of 38 digits, a
time loses its zone, an ENUM its order, BIT its digits, and 24:00 becomes null.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.steps.databases.postgres_types import check_moments
from trikk.steps.databases.query import sql_name

if TYPE_CHECKING:
    import polars as pl

_TEXT = "cast it to text in the query: CAST({name} AS VARCHAR) AS {name}"
_REFUSED = {
    "interval": ("an interval", "take its seconds in the query: epoch({name}) AS {name}"),
    "time with time zone": ("a time with a time zone", "cast it in the query: CAST({name} AS TIME) AS {name}"),
    "bit": ("BIT, a string of bits", _TEXT),
    "bignum": ("BIGNUM, a whole number of any length", _TEXT),
    "union": ("a UNION of types", "take one of its members in the query: union_extract({name}, 'member')"),
    "variant": ("VARIANT", _TEXT),
    "geometry": ("GEOMETRY", _TEXT),
}


def check_types(names: Iterable[str], types: Iterable[Any]) -> None:
    """Refuse columns whose type no frame can hold as it is.

    Raises:
        UsageError: naming the column, its type, and what to write in the query instead.
    """
    for name, kind in zip(names, types, strict=True):
        for part, nested in _parts(kind):
            refused, mend = _REFUSED.get(part, ("", ""))
            if part == "uhugeint" and nested:
                refused, mend = "UHUGEINT in a nested type", "cast it to HUGEINT or to text in the query"
            if refused:
                raise UsageError(f"column {name!r} is {refused}", next=mend.format(name=sql_name(name)))


def guarded(relation: Any, names: list[str], types: list[Any]) -> Any:
    """The relation, which raises a DuckDB error that names the column where a time is 24:00."""
    times: dict[str, str] = {}
    for name, kind in zip(names, types, strict=True):
        nested = {inside for part, inside in _parts(kind) if part in ("time", "time_ns")}
        times |= {name: "%24:00:00%" if True in nested else "24:%"} if nested else {}
    if not times:
        return relation
    columns = [sql_name(name) for name in names]
    for name, pattern in times.items():
        column = sql_name(name)
        text = f"column {name!r} holds 24:00, which is not a time of a day: CAST({column} AS VARCHAR) in the query"
        # It stands in SQL, between single quotes.
        said = text.replace("'", "''")
        late = f"CAST({column} AS VARCHAR) LIKE '{pattern}'"
        columns[names.index(name)] = f"CASE WHEN {late} THEN error('{said}') ELSE {column} END AS {column}"
    return relation.project(", ".join(columns))


def mended(frame: pl.DataFrame, types: list[Any]) -> pl.DataFrame:
    """The frame with each column in the type that DuckDB's stands for.

    Raises:
        UsageError: if a UHUGEINT is 2^127 or more, or a date is infinite or outside of the years 1 to 9999.
    """
    columns = []
    for series, kind in zip(frame.get_columns(), types, strict=True):
        if kind.id == "uhugeint" and (series < 0).any():
            raise UsageError(
                f"column {series.name!r} holds a UHUGEINT of 2^127 or more",
                next=_TEXT.format(name=sql_name(series.name)),
            )
        check_moments(series, series.name, _TEXT.format(name=sql_name(series.name)))
        columns.append(series.cast(_dtype(kind, series.dtype)))
    return frame.with_columns(columns)


def _parts(kind: Any, *, nested: bool = False) -> Iterable[tuple[str, bool]]:
    """The names of a type and of all types in it, and whether they are inside of another."""
    yield kind.id, nested
    if kind.id in ("list", "array", "struct", "tuple", "map"):
        for _, inner in kind.children:
            if hasattr(inner, "id"):
                yield from _parts(inner, nested=True)


def _dtype(kind: Any, dtype: Any) -> Any:
    """The polars type of a DuckDB type; `dtype` is what came through Arrow."""
    import polars as pl

    if kind.id in ("hugeint", "uhugeint"):
        return pl.Int128()
    if kind.id == "enum":
        return pl.Enum(dict(kind.children)["values"])
    if kind.id == "list":
        return pl.List(_dtype(kind.children[0][1], dtype.inner))
    if kind.id == "array":
        return pl.Array(_dtype(kind.children[0][1], dtype.inner), dtype.size)
    if kind.id in ("struct", "tuple"):
        pairs = zip(kind.children, dtype.fields, strict=True)
        return pl.Struct({field.name: _dtype(inner, field.dtype) for (_, inner), field in pairs})
    if kind.id == "map":
        inner = dict(kind.children)
        return pl.List(
            pl.Struct({"key": _dtype(inner["key"], dtype.key), "value": _dtype(inner["value"], dtype.value)})
        )
    return dtype
