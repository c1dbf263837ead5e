"""One file into a frame that fits a table, or an error that names the file, the column and the line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.core.errors import TableError, UsageError
from trikk.storage.ingest_text import inferred, inferred_moments, misfits, typed
from trikk.storage.table_types import storable

if TYPE_CHECKING:
    import polars as pl

FORMATS = ".csv, .csv.gz, .parquet, .jsonl or .ndjson"


def read_file(source: str, schema: pl.Schema | None) -> pl.DataFrame:
    """Read one file.

    Args:
        source: a path or s3:// URL; its ending, in any case, gives the format.
        schema: the columns that it must have, in any order; None: they are inferred from the whole file.

    Raises:
        UsageError: if the ending is unknown.
        TableError: if the file can't be read or does not fit.
    """
    reader = _reader(source)
    frame = reader(source, schema)
    if schema is not None:
        _check_columns(source, frame, schema)
        frame = frame.select(schema.names())
    return frame


def _reader(source: str) -> Callable[[str, pl.Schema | None], pl.DataFrame]:
    lower = source.lower()
    if lower.endswith((".csv", ".csv.gz")):
        return _csv
    if lower.endswith(".parquet"):
        return _parquet
    if lower.endswith((".jsonl", ".ndjson")):
        return _json_lines
    raise UsageError(f"the format of {source!r} is not known", next=f"give a file that ends in {FORMATS}")


def _csv(source: str, schema: pl.Schema | None) -> pl.DataFrame:
    import polars as pl

    try:
        text = pl.scan_csv(source, infer_schema=False, glob="*" in source and _remote(source)).collect()
    except Exception as error:
        raise _unreadable(source, error) from error
    text = text.with_columns(pl.all().replace("", None))
    if schema is None:
        return text.select(inferred(column) for column in text)
    columns = []
    for column in text:
        wanted = schema.get(column.name)
        values = column if wanted is None else typed(column, wanted)
        bad = misfits(column, values)
        if wanted is not None and len(bad):
            row = int(bad[0])
            raise _value_error(source, column.name, wanted, column[row], _csv_line(text, row), len(bad))
        columns.append(values)
    return pl.DataFrame(columns)


def _parquet(source: str, schema: pl.Schema | None) -> pl.DataFrame:
    import polars as pl

    try:
        frame = pl.scan_parquet(source, glob="*" in source and _remote(source)).collect()
    except Exception as error:
        raise _unreadable(source, error) from error
    return _storable(frame, schema, source)


def _json_lines(source: str, schema: pl.Schema | None) -> pl.DataFrame:
    import polars as pl

    try:
        frame = pl.scan_ndjson(source, infer_schema_length=None).collect()
    except Exception as error:
        raise _unreadable(source, error, line=_bad_json_line(source)) from error
    if schema is None:
        texts = [inferred_moments(column) for column in frame if column.dtype == pl.String]
        return _storable(frame.with_columns(texts), None, source)
    columns = []
    for column in frame:
        wanted = schema.get(column.name)
        if wanted is None or column.dtype in (wanted, pl.Null):
            columns.append(column)
            continue
        values = _from_json(column, wanted)
        bad = (column.is_not_null() & values.is_null()).arg_true()
        if len(bad):
            row = int(bad[0])
            raise _value_error(source, column.name, wanted, column[row], row + 1, len(bad), column.dtype)
        columns.append(values)
    return _storable(pl.DataFrame(columns), schema, source)


def _from_json(column: pl.Series, wanted: pl.DataType) -> pl.Series:
    """JSON has one type of number and no dates; nothing else is converted."""
    import polars as pl

    if column.dtype == pl.String and (wanted == pl.Date or isinstance(wanted, pl.Datetime)):
        return typed(column, wanted)
    if column.dtype.is_integer() and wanted.is_numeric():
        return column.cast(wanted, strict=False)
    if column.dtype.is_float() and wanted.is_float():
        return column.cast(wanted, strict=False)
    if column.dtype.is_nested() and wanted.is_nested():
        return column.cast(wanted, strict=False)
    return pl.Series(column.name, [None] * len(column), dtype=wanted)


def _storable(frame: pl.DataFrame, schema: pl.Schema | None, source: str) -> pl.DataFrame:
    import polars as pl

    try:
        return storable(frame, schema=schema, where=source)
    except pl.exceptions.InvalidOperationError as error:
        raise TableError(f"a value does not fit: {str(error).splitlines()[0]}", where=source) from error


def _check_columns(source: str, frame: pl.DataFrame, schema: pl.Schema) -> None:
    wrong = [
        f"column {name!r}: expected {dtype}, found {frame.schema.get(name, 'no such column')}"
        for name, dtype in schema.items()
        if frame.schema.get(name) != dtype
    ]
    wrong += [f"column {name!r} is not in the table" for name in frame.columns if name not in schema]
    if wrong:
        raise TableError(
            f"{source} does not fit: " + "; ".join(wrong),
            where=source,
            next="mend the file, or ingest it into a table of its own; nothing was written",
        )


def _value_error(
    source: str,
    column: str,
    wanted: pl.DataType,
    found: object,
    line: int,
    count: int,
    dtype: pl.DataType | None = None,
) -> TableError:
    more = f" (and {count - 1} more)" if count > 1 else ""
    kind = "" if dtype is None else f" ({dtype})"
    return TableError(
        f"{source} line {line}, column {column!r}: expected {wanted}, found {str(found)[:60]!r}{kind}{more}",
        where=f"{source}:{line}",
        next="mend the file; nothing was written",
    )


def _unreadable(source: str, error: Exception, line: int | None = None) -> TableError:
    at = "" if line is None else f" line {line}"
    return TableError(
        f"{source}{at} can't be read: {(str(error).splitlines() or ['no reason given'])[0]}",
        where=source if line is None else f"{source}:{line}",
        next="mend the file; nothing was written",
    )


def _csv_line(text: pl.DataFrame, row: int) -> int:
    """The line on which a row begins: quoted values before it may hold line ends of their own."""
    import polars as pl

    inside = text.head(row).select(pl.all().str.count_matches("\n").sum()).sum_horizontal()
    return row + 2 + int(inside.item() or 0)


def _bad_json_line(source: str) -> int | None:
    if _remote(source):
        return None
    opened = gzip.open if source.lower().endswith(".gz") else Path.open
    try:
        with opened(Path(source), "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    try:
                        json.loads(line)
                    except ValueError:
                        return number
    except OSError:
        return None
    return None


def _remote(source: str) -> bool:
    return "://" in source
