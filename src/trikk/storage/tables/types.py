"""Which frames a Delta table can hold, and whether a frame fits a table: decided before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from trikk.core.errors import TableError
from trikk.storage.fitting_types import in_type, is_valueless, unchanged

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType

    Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

Mode = Literal["append", "overwrite", "merge"]
SchemaMode = Literal["strict", "merge"]
_WIDENS = {
    "append": "a column that the rows lack is null in them, a new one is null in the rows that are there",
    "overwrite": "the table then has the rows' columns and types and no others",
    "merge": "a column that the rows lack stays as it is in rows that are there, a new one is null in the others",
}
_NEXT_SIGNED = {"UInt8": "Int16", "UInt16": "Int32", "UInt32": "Int64", "UInt64": "Int64"}
_NARROWED = {"Int128": "Int64", "UInt128": "Int64", "Float16": "Float32"}
_SHOWN = 60  # characters of a value in an error
_MEND = {
    "Duration": "store a number, such as pl.col(name).dt.total_seconds()",
    "Time": "store a string or the seconds of the day",
    "Object": "store a plain type",
    "Unknown": "cast the column to a type",
}


def storable(frame: Frame, *, schema: pl.Schema | None = None, where: str | None = None) -> Frame:
    """Return `frame` with each column in the nearest type that Delta Lake holds and gives back.

    Categorical and Enum become String, unsigned integers the next wider signed ones, UInt64 and 128-bit integers
    Int64, Float16 Float32, fixed Array List, and every Datetime microseconds, in UTC where it has a time zone.
    Null becomes the type that `schema` gives the column, else String until there are values (`with_first_values`).

    Raises:
        TableError: if a column has a type with no such counterpart (Duration, Time, Object), a value that the
            nearest type can't hold (whole numbers beyond 64 bits, nanoseconds), or if there is no column, or if
            two columns, or fields of one struct, differ only in the case of their names, or one has a NUL in it.
    """
    import polars as pl

    columns = frame.collect_schema()
    _check_names(list(columns), where)
    casts = []
    for name, dtype in columns.items():
        known = schema.get(name) if schema is not None else None
        wanted = known if known is not None and dtype == pl.Null else stored_type(name, dtype, where=where)
        if wanted != dtype:
            if _may_lose(dtype):
                _check_kept(_column(frame.lazy(), name), wanted, where)
            casts.append(pl.col(name).cast(wanted))
    return frame.with_columns(casts) if casts else frame


def _may_lose(dtype: PolarsDataType) -> bool:
    """Whether there are values of a type that its nearest in Delta Lake can't hold."""
    import polars as pl

    if isinstance(dtype, pl.List | pl.Array):
        return _may_lose(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_may_lose(field.dtype) for field in dtype.fields)
    return dtype in (pl.UInt64, pl.Int128, pl.UInt128) or (
        isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns"
    )


def _check_kept(column: pl.Series, wanted: pl.DataType, where: str | None) -> None:
    """Refuse the first value that is another one in its stored type."""
    kept = column.cast(wanted, strict=False).cast(column.dtype, strict=False).eq_missing(column)
    if not kept.all():
        row = (~kept).arg_true()[0]
        raise TableError(
            f"column {column.name!r} has {_shown(column, row)} in row {row}, which a table can't hold: it is "
            f"{column.dtype}, and is stored as {wanted}",
            where=where,
            next="round moments to microseconds (.dt.round('1us')), make texts of longer whole numbers",
        )


def stored_type(column: str, dtype: pl.DataType, *, where: str | None = None) -> pl.DataType:
    """Return the type under which a column of `dtype` is stored; raises TableError if there is none."""
    import polars as pl

    name = type(dtype).__name__ if isinstance(dtype, pl.DataType) else str(dtype)
    if name in _MEND:
        raise TableError(
            f"column {column!r} has type {dtype}, which a table can't hold", where=where, next=_MEND[name]
        )
    if isinstance(dtype, pl.Categorical | pl.Enum | pl.Null):
        return pl.String()
    if name in _NEXT_SIGNED or name in _NARROWED:
        wider: pl.DataType = getattr(pl, _NEXT_SIGNED.get(name) or _NARROWED[name])()
        return wider
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", "UTC" if dtype.time_zone else None)
    if isinstance(dtype, pl.List | pl.Array):
        return pl.List(stored_type(column, _instance(dtype.inner), where=where))
    if isinstance(dtype, pl.Struct):
        if not dtype.fields:
            raise TableError(
                f"column {column!r} is a struct without fields, which a table can't hold",
                where=where,
                next="drop the column",
            )
        _check_names([f.name for f in dtype.fields], where)
        return pl.Struct(
            {f.name: stored_type(f"{column}.{f.name}", _instance(f.dtype), where=where) for f in dtype.fields}
        )
    return dtype


def fitted(
    frame: pl.LazyFrame,
    table: pl.Schema | None,
    *,
    mode: Mode,
    schema_mode: SchemaMode,
    where: str | None = None,
) -> pl.LazyFrame:
    """Return `frame` in the shape in which it goes into a table: storable, and with the table's columns first.

    A column without values takes the table's type, and so do midnights and decimals that are values of it. No
    columns at all, as a map over nothing gives, are no rows.

    Args:
        frame: the rows.
        table: the table's columns, or None where the table does not exist yet.
        mode: how the rows go in; an "overwrite" with schema mode "merge" takes the frame's own columns and types,
            whatever the table's were.
        schema_mode: "strict": the same columns and types, in any order; "merge": columns that the table lacks are
            new ones at its end (rows that it has get null), and those that the frame lacks are null in an append,
            and stay away in a merge, whose matched rows keep what they have there (`table_keys.completed`).
        where: what an error names as its place.

    Raises:
        TableError: naming every column that is missing, extra or differently typed.
    """
    import polars as pl

    if table is not None and not frame.collect_schema():
        return pl.LazyFrame(schema=table)
    frame = storable(frame, where=where)
    if table is None or (mode == "overwrite" and schema_mode == "merge"):
        return frame
    frame = _values_fitted(frame, table, where)
    given = frame.collect_schema()
    check_fit(given, table, mode, schema_mode, where)
    columns = [
        pl.col(name) if name in given else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in table.items()
        if name in given or mode != "merge"
    ]
    return frame.select(*columns, *[pl.col(name) for name in given if name not in table])


def with_first_values(table: pl.LazyFrame, rows: pl.LazyFrame, *, where: str | None = None) -> list[pl.Expr]:
    """The columns of a table that have never had a value, in the types of the rows that bring the first.

    A column that nobody has filled has no type of its own: it has what the first rows' library called nothing.

    Args:
        table: its rows.
        rows: what is to be written.
        where: what an error names as its place.
    """
    schema = table.collect_schema()
    given = storable(rows, where=where).collect_schema() if rows.collect_schema() else {}
    differing = {name: dtype for name, dtype in given.items() if name in schema and schema[name] != dtype}
    columns = (
        _untyped(table, name, dtype)
        for name, dtype in differing.items()
        if not is_valueless(column := _column(rows, name)) and in_type(column, schema[name]) is None
    )
    return [column for column in columns if column is not None]


def without_text_for_nulls(table: pl.LazyFrame) -> pl.Schema:
    """The types of a table's columns, Null for text, or lists of text, of which there has never been one."""
    import polars as pl

    schema = table.collect_schema()
    types = dict(schema)
    for name, dtype in schema.items():
        inner, rows = dtype, table.select(name)
        while isinstance(inner, pl.List):
            inner, rows = _instance(inner.inner), rows.explode(name)
        if inner == pl.String and _has_no_value(rows, name):
            types[name] = pl.Null()
    return pl.Schema(types)


def _has_no_value(table: pl.LazyFrame, name: str) -> bool:
    import polars as pl

    column = pl.col(name)
    is_float = table.collect_schema()[name].is_float()
    value = column.is_not_null() & column.is_not_nan() if is_float else column.is_not_null()
    return table.select(name).filter(value).head(1).collect(engine="streaming").is_empty()


def _untyped(table: pl.LazyFrame, name: str, wanted: pl.DataType) -> pl.Expr | None:
    """A column without values in another type; None if it has values of its own."""
    import polars as pl

    dtype, column = table.collect_schema()[name], pl.col(name)
    if _has_no_value(table, name):
        return pl.lit(None, wanted).alias(name)
    parts = dtype.is_nested() and in_type(_column(table, name), wanted) is not None
    return column.cast(wanted, strict=False) if parts else None


def _shown(column: pl.Series, row: int) -> str:
    import polars as pl

    value = column.slice(row, 1)
    if not value.dtype.is_nested():
        value = value.cast(pl.String)  # with the nanoseconds, which Python's moments do not have
    return str(value.to_list()[0])[:_SHOWN]


def _column(frame: pl.LazyFrame, name: str) -> pl.Series:
    return frame.select(name).collect().to_series()


def _values_fitted(frame: pl.LazyFrame, table: pl.Schema, where: str | None) -> pl.LazyFrame:
    """The frame with its columns in the types of the table where they have no values, or only such as fit."""
    import polars as pl

    for name, dtype in frame.collect_schema().items():
        if name not in table or dtype == table[name]:
            continue
        column = _column(frame, name)
        if (series := in_type(column, table[name])) is None:
            kept = unchanged(column, table[name])
            if kept is not None:
                row = (~kept).arg_true()[0]
                raise TableError(
                    f"column {name!r} has {_shown(column, row)} in row {row}, which is no {table[name]}, "
                    "as the table has it",
                    where=where,
                    next="round the values to the table's type, or write them into a column of their own",
                )
        else:
            plain = is_valueless(series) and not series.dtype.is_float()
            value = pl.lit(None, table[name]) if plain else pl.col(name).cast(table[name], strict=False)
            frame = frame.with_columns(value.alias(name))
    return frame


def check_fit(
    given: pl.Schema, table: pl.Schema, mode: Mode, schema_mode: SchemaMode, where: str | None = None
) -> None:
    """Check the columns of rows that have values, as `fitted` does; TableError if one does not fit."""
    typed = [
        f"{name!r} is {given[name]}, the table has {dtype}"
        for name, dtype in table.items()
        if name in given and given[name] != dtype
    ]
    if schema_mode == "merge":
        _check_names(list(dict.fromkeys([*table, *given])), where)
        absent: list[str] = []
    else:
        absent = [f"{name!r} ({dtype}) is missing" for name, dtype in table.items() if name not in given]
        absent += [f"{name!r} ({dtype}) is not in the table" for name, dtype in given.items() if name not in table]
    if not typed and not absent:
        return
    mends = ["cast the columns to the table's types"] if typed else []
    if absent:
        mends.append(f"give exactly the table's columns, or write with schema_mode='merge': {_WIDENS[mode]}")
    raise TableError(
        "the rows do not fit the table: " + "; ".join(typed + absent), where=where, next=" and ".join(mends)
    )


def _check_names(names: list[str], where: str | None) -> None:
    if not names:
        raise TableError("a table needs at least one column", where=where)
    seen: dict[str, str] = {}
    for name in names:
        if "\0" in name:  # Arrow's names end there: polars panics when it hands them on, which aborts the process
            raise TableError(f"no column can be called {name!r}", where=where, next="rename it")
        earlier = seen.setdefault(name.lower(), name)
        if earlier != name:
            raise TableError(
                f"columns {earlier!r} and {name!r} differ only in case, which Delta Lake does not allow",
                where=where,
                next="rename one of them",
            )


def _instance(dtype: PolarsDataType) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype
