"""What range of a column each file of a table holds, as its log says: what part of it a change has touched.

delta-rs and Spark write down ranges of a table's first 32 columns only; those of others are read from the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class FileRange:
    """One data file: its name and the least and greatest value of a column; None where it has no value."""

    path: str
    least: Any
    greatest: Any


def ranges(table: DeltaTable, column: str) -> list[FileRange]:
    """The files of a table at its version, with the range of a column as far as the log says it.

    Args:
        table: opened at a version.
        column: its name; numbers, texts and times have ranges.
    """
    import polars as pl

    files = pl.DataFrame(table.get_add_actions(flatten=True))
    least, greatest = f"min.{column}", f"max.{column}"
    return [FileRange(row["path"], row.get(least), row.get(greatest)) for row in files.iter_rows(named=True)]


def complete(
    files: Iterable[FileRange], column: str, location: str, options: Mapping[str, str] | None
) -> list[FileRange]:
    """The same files, with the ranges that the log does not say read from them.

    Args:
        files: the files.
        column: its name.
        location: the table's folder or URL.
        options: how an object store is reached.
    """
    return [one if one.least is not None else _read(one.path, column, location, options) for one in files]


def _read(path: str, column: str, location: str, options: Mapping[str, str] | None) -> FileRange:
    import polars as pl

    given = None if options is None else dict(options)
    rows = pl.scan_parquet(f"{location}/{unquote(path)}", glob=False, storage_options=given)
    try:
        if column not in rows.collect_schema():
            return FileRange(path, None, None)
        ends = rows.select(least=pl.col(column).min(), greatest=pl.col(column).max()).collect()
    except OSError:  # of an older version, cleared away
        return FileRange(path, None, None)
    return FileRange(path, *ends.row(0))
