"""What range of a column each file of a table holds, as its log says: what part of it a change has touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class FileRange:
    """One data file: its name and the least and greatest value of a column; None where the log does not say."""

    path: str
    least: Any
    greatest: Any


def ranges(table: DeltaTable, column: str) -> list[FileRange]:
    """The files of a table at its version, with the range of a column.

    Args:
        table: opened at a version.
        column: its name; numbers, texts and times have ranges.
    """
    import polars as pl

    files = pl.DataFrame(table.get_add_actions(flatten=True))
    least, greatest = f"min.{column}", f"max.{column}"
    return [FileRange(row["path"], row.get(least), row.get(greatest)) for row in files.iter_rows(named=True)]
