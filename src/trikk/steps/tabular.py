"""Files with rows: CSV, JSON lines and Parquet as frames, typed by all of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import StorageError, UsageError
from trikk.storage.ingest_text import inferred, inferred_moments, misfits, typed

if TYPE_CHECKING:
    import polars as pl

_INTEGERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
TYPES = ("Boolean", *_INTEGERS, "Float32", "Float64", "String", "Date", "Datetime", "Datetime[UTC]")


def check_types(types: Mapping[str, object]) -> None:
    """Check that columns' types are named by texts that are known.

    Raises:
        UsageError: if one is not.
    """
    for column, name in types.items():
        if isinstance(name, str) and name not in TYPES:
            raise UsageError(f"types[{column!r}] = {name!r} is not known", next=f"use one of {', '.join(TYPES)}")


def dtype_of(name: str) -> pl.DataType:
    """The polars type of that name; times have microseconds."""
    import polars as pl

    check_types({"": name})
    if name.startswith("Datetime"):
        return pl.Datetime("us", "UTC" if name.endswith("[UTC]") else None)
    made: pl.DataType = getattr(pl, name)()
    return made


def read_rows(
    path: Path,
    kind: str,
    label: str,
    *,
    columns: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Read one file.

    Args:
        path: the file; CSV and JSON lines may be packed with gzip or zstd.
        kind: "csv", "jsonl" or "parquet".
        label: what the file is called in errors.
        columns: those to read, in this order; all if not given.
        types: names of types by column, instead of those that the file's values have.

    Raises:
        StorageError: if the file can't be read, or a value is not of the type.
        UsageError: if a column that is asked for is not there.
    """
    import polars as pl

    wanted = {name: dtype_of(kind_name) for name, kind_name in (types or {}).items()}
    scan: Callable[[], pl.LazyFrame] = {
        "csv": lambda: pl.scan_csv(path, infer_schema=False, glob=False),
        "jsonl": lambda: pl.scan_ndjson(path, infer_schema_length=None),
        "parquet": lambda: pl.scan_parquet(path, glob=False),
    }[kind]
    with _readable(path, kind, label):
        lazy = scan()
        names = lazy.collect_schema().names()
    missing = [name for name in columns or () if name not in names]
    if missing:
        raise UsageError(
            f"{label} has no column {missing[0]!r}", where=label, next=f"it has: {', '.join(names[:20])}"
        )
    with _readable(path, kind, label):
        frame = (lazy if columns is None else lazy.select(columns)).collect()
    if kind == "csv":
        frame = frame.with_columns(pl.all().replace("", None))
    convert = {"csv": _from_csv, "jsonl": _from_json, "parquet": _from_parquet}[kind]
    return frame.select(convert(column, wanted.get(column.name), label) for column in frame)


@contextmanager
def _readable(path: Path, kind: str, label: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - polars raises many kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0].replace(str(path), label)
        raise StorageError(
            f"{label} can't be read as {kind}: {reason}", where=label, next="mend the file"
        ) from None


def _from_csv(column: pl.Series, wanted: pl.DataType | None, label: str) -> pl.Series:
    if wanted is None:
        return inferred(column)
    values = typed(column, wanted)
    bad = misfits(column, values)
    if len(bad):
        raise _misfit(label, column, int(bad[0]), wanted, len(bad))
    return values


def _from_json(column: pl.Series, wanted: pl.DataType | None, label: str) -> pl.Series:
    import polars as pl

    if column.dtype == pl.String:
        return inferred_moments(column) if wanted is None else _from_csv(column, wanted, label)
    return _from_parquet(column, wanted, label)


def _from_parquet(column: pl.Series, wanted: pl.DataType | None, label: str) -> pl.Series:
    if wanted is None or column.dtype == wanted:
        return column
    values = column.cast(wanted, strict=False)
    same = values.cast(column.dtype, strict=False).eq_missing(column)
    if not same.all():
        bad = (~same).arg_true()
        raise _misfit(label, column, int(bad[0]), wanted, len(bad))
    return values


def _misfit(label: str, column: pl.Series, row: int, wanted: pl.DataType, count: int) -> StorageError:
    more = f" (and {count - 1} more)" if count > 1 else ""
    return StorageError(
        f"{label}, row {row + 1}, column {column.name!r}: {str(column[row])[:60]!r} is no {wanted}{more}",
        where=label,
        next="mend the file, or name another type in types=",
    )


def unite(parts: Sequence[tuple[str, pl.DataFrame]], *, union: bool = False) -> pl.DataFrame:
    """Put the rows of several files after one another.

    Columns must be the same, in any order; the first file's order holds. A column that is all null in one file
    takes the others' type; numbers of different width take the wider; no other type is changed.

    Args:
        parts: names and frames.
        union: whether a column that a file lacks is null in its rows, instead of an error.

    Raises:
        StorageError: if the files do not fit, naming two of them and the column.
    """
    import polars as pl

    types: dict[str, tuple[str, Any]] = {}
    for label, frame in parts:
        for name, dtype in frame.schema.items():
            empty = frame[name].null_count() == frame.height
            first, known = types.get(name, (label, None))
            joint = known if empty and known is not None else _joint(known, None if empty else dtype)
            if joint is None and not empty:
                raise StorageError(
                    f"column {name!r} is {known} in {first}, and {dtype} in {label}",
                    where=label,
                    next=f'name its type: types={{"{name}": "String"}}',
                )
            types[name] = (first if known is not None else label, joint)
    shown = {name: dtype for _, frame in parts for name, dtype in frame.schema.items()}
    schema = {name: found if found is not None else shown[name] for name, (_, found) in types.items()}
    return pl.concat([_fitted(label, f, schema, parts[0][0], union) for label, f in parts], rechunk=False)


def _joint(a: Any, b: Any) -> Any:
    """The type that holds both without loss, None if there is none."""
    import polars as pl

    if a is None or b is None or a == b:
        return a if b is None else b
    if a.is_integer() and b.is_integer():
        return max((a, b), key=_width) if a.is_signed_integer() == b.is_signed_integer() else pl.Int64()
    if a.is_numeric() and b.is_numeric() and not isinstance(a, pl.Decimal) and not isinstance(b, pl.Decimal):
        return pl.Float64()
    return None


def _width(dtype: Any) -> int:
    return int("".join(filter(str.isdigit, str(dtype))))


def _fitted(label: str, frame: pl.DataFrame, schema: dict[str, Any], first: str, union: bool) -> pl.DataFrame:
    import polars as pl

    missing = [name for name in schema if name not in frame.columns]
    if missing and not union:
        raise StorageError(
            f"{label} has no column {missing[0]!r}, which another file has (beginning with {first})",
            where=label,
            next="read the folders apart, or say union=True for null in its place",
        )
    columns = [
        _exact(frame[name], dtype, label)
        if name in frame.columns
        else pl.repeat(None, frame.height, dtype=dtype, eager=True).alias(name)
        for name, dtype in schema.items()
    ]
    return pl.DataFrame(columns)


def _exact(column: pl.Series, dtype: Any, label: str) -> pl.Series:
    import polars as pl

    if column.null_count() == len(column):
        return pl.repeat(None, len(column), dtype=dtype, eager=True).alias(column.name)
    return _from_parquet(column, dtype, label)
