"""Files into a table: all of them or none, and never twice."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.storage.ingest_read import FORMATS, read_file
from trikk.storage.tables import Tables, Write

if TYPE_CHECKING:
    from trikk.storage.table_types import Mode


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest came to.

    Attributes:
        files: the files that were read, in order.
        rows: rows that went into the table.
        dropped: rows whose key was there before.
        version: the table's version that holds them.
        repeated: whether this ingest had been made before and was not made again.
    """

    files: tuple[str, ...]
    rows: int
    dropped: int
    version: int
    repeated: bool


def ingest(
    tables: Tables,
    name: str,
    sources: Sequence[str],
    *,
    key: Sequence[str] = (),
    mode: Mode = "append",
    identity: str,
    origin: Mapping[str, str],
) -> IngestReport:
    """Put the rows of files into a table, in one commit.

    Every file is read and checked before anything is written: against the table's columns, or against the first
    file's if the table is new. Values in CSV files that are empty are null.

    Args:
        tables: where the table is.
        name: the table, made if it does not exist.
        sources: paths, patterns (`*`, `**`, `?`, `[...]`, taken in sorted order) or s3:// URLs, which polars reads
            with the AWS_* environment; .csv, .csv.gz, .parquet, .jsonl or .ndjson in any case.
        key: columns; with "append", rows whose key is in the table or came before are dropped and counted; with
            "merge", the rows take the place of those with the same key.
        mode: "append", "overwrite" or "merge".
        identity: as in `Tables.write`.
        origin: as in `Tables.write`.

    Raises:
        UsageError: if a source is a folder, is of unknown format, or matches nothing.
        TableError: if a file can't be read or does not fit; nothing is written.
    """
    import polars as pl

    files = expand(sources)
    version = tables.version(name)
    schema = None if version is None else tables.scan(name, version).collect_schema()
    frames = []
    for file in files:
        frame = read_file(file, schema)
        schema = frame.schema if schema is None else schema
        frames.append(frame)
    write = Write(mode, pl.concat(frames, rechunk=False), tuple(key))
    made = tables.write(name, write, identity=identity, origin=origin)
    rows = made.rows if made.inserted is None else made.inserted + (made.updated or 0)
    return IngestReport(tuple(files), rows, made.rows - rows, made.version, made.repeated)


def expand(sources: Sequence[str]) -> list[str]:
    """The files that `sources` name, patterns in sorted order; URLs stay as they are.

    Raises:
        UsageError: if there is no source, a pattern matches no file, or a source is a folder or does not exist.
    """
    files: list[str] = []
    for source in sources:
        if "://" in source:
            if not source.startswith("s3://"):
                raise UsageError(f"{source!r} can't be read", next="give a path or an s3:// URL")
            files.append(source)
        elif Path(source).exists():
            files.append(_checked(source))
        elif glob.has_magic(source):
            found = sorted(path for path in glob.glob(source, recursive=True) if not Path(path).is_dir())  # noqa: PTH207
            if not found:
                raise UsageError(f"no file matches {source!r}", next="check the pattern and the folder")
            files += found
        else:
            raise UsageError(f"there is no file {source!r}", next="check the path")
    if not files:
        raise UsageError("there is nothing to ingest", next=f"name files that end in {FORMATS}")
    repeated = sorted({file for file in files if files.count(file) > 1})
    if repeated:
        raise UsageError(f"{repeated[0]!r} is named more than once", next="name each file once")
    return files


def _checked(source: str) -> str:
    if Path(source).is_dir():
        raise UsageError(f"{source!r} is a folder", next=f"name its files, such as '{source.rstrip('/')}/*.csv'")
    return source
