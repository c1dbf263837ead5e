"""Files into a table: all of them or none, and never twice."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.core.digests import digest_file, digest_json
from trikk.core.errors import StorageError, TableError, UsageError
from trikk.core.names import new_run_id
from trikk.storage.ingest.column_types import name_of
from trikk.storage.ingest.reader import ENDINGS, Part, Reading, Rows, format_of, read_parts, united
from trikk.storage.ingest.row_keys import Sorted, by_key
from trikk.storage.stores.buckets import connect_bucket, download, list_objects
from trikk.storage.stores.object_names import locate
from trikk.storage.tables.types import storable, without_text_for_nulls
from trikk.storage.tables.versioned_tables import Committed, Tables, Write

if TYPE_CHECKING:
    import polars as pl

    from trikk.storage.tables.types import Mode

_ENDS = ("overwrite", "delete", "restore", "truncate")


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest came to.

    Attributes:
        files: the files that were read, in order.
        rows: rows that went into the table.
        dropped: rows that did not.
        version: the table's version that holds them: a new one only if there was something to write; None where
            there is no table, and no row to make one of.
        repeated: whether this ingest had been made before and was not made again.
        new: rows that the table did not have.
        changed: rows of a merge that took the place of others.
        equal: dropped rows that were there already, or came earlier in the files, with the same values.
        different: dropped rows whose key was there or came earlier with other values.
        examples: two rows of one key that differ, in words, for each of the two places where that was seen.
        columns: the name of each column's type.
        doubts: what a careful reader would ask about the files, a sentence each.
    """

    files: tuple[str, ...]
    rows: int
    dropped: int
    version: int | None
    repeated: bool
    new: int = 0
    changed: int = 0
    equal: int = 0
    different: int = 0
    examples: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


def ingest(
    tables: Tables,
    name: str,
    sources: Sequence[str],
    *,
    key: Sequence[str] = (),
    mode: Mode = "append",
    identity: str | None = None,
    again: bool = False,
    reading: Reading | None = None,
    origin: Mapping[str, str],
) -> IngestReport:
    """Put the rows of files into a table, in one commit.

    Every file is read and checked before anything is written: against the table's columns, or if the table is new
    against each other. Where no row would be new or changed, nothing is written and the table keeps its version.

    Args:
        tables: where the table is.
        name: the table, made if it does not exist.
        sources: paths, patterns (`*`, `**`, `?`, `[...]`, taken in sorted order) or s3:// URLs, fetched with
            the AWS_* environment; .csv, .parquet, .jsonl or .ndjson in any case, packed as .gz or .zst or not.
        key: columns; with "append", rows whose key is in the table or came before are dropped and counted; with
            "merge", the rows take the place of those with the same key, and columns that the files lack stay.
        mode: "append", "overwrite" or "merge".
        identity: as in `Tables.write`; if None, and without a key, the files' names and bytes are the identity.
        again: whether files whose rows were put in before are wanted once more.
        reading: how the files are to be read.
        origin: as in `Tables.write`.

    Raises:
        UsageError: if a source is a folder, is of unknown format, or matches nothing.
        TableError: if a file can't be read or does not fit, or a merge has rows of one key with other values;
            nothing is written.
    """
    reading = reading or Reading()
    version = tables.version(name)
    table = None if version is None else tables.scan(name, version)
    with tempfile.TemporaryDirectory(prefix="trikk-ingest-") as folder:
        files = _files(sources, Path(folder))
        labels = tuple(label for label, _ in files)
        if identity is None and key:
            identity = f"ingest/{new_run_id()}"  # the key itself keeps rows from going in twice
        elif identity is None:
            identity = _free(tables, name, _identity(files, mode, reading), again, mode)
        if version is not None and (written := tables.made(name, identity)) is not None:
            return _repeated(labels, written)
        rows = _read(files, reading, None if table is None else without_text_for_nulls(table), mode)
    if not rows.frame.height:
        return IngestReport(labels, 0, 0, version, False, columns=rows.types, doubts=tuple(rows.doubts))
    sorted_rows = by_key(table, rows.frame, tuple(key), mode)
    report = _unwritten(labels, rows, sorted_rows, version)
    return _written(tables, name, sorted_rows, mode, tuple(key), identity, origin, report)


def _unwritten(labels: tuple[str, ...], rows: Rows, sorted_rows: Sorted, version: int | None) -> IngestReport:
    """The report of an ingest as long as nothing is written: all rows are dropped."""
    return IngestReport(
        labels,
        0,
        rows.frame.height,
        version,
        False,
        equal=sorted_rows.equal,
        different=sorted_rows.different,
        examples=sorted_rows.examples,
        columns=rows.types,
        doubts=tuple(rows.doubts),
    )


def _repeated(labels: tuple[str, ...], written: Committed) -> IngestReport:
    """The report of an ingest that was made before."""
    new, changed = _new_and_changed(written)
    return IngestReport(labels, new + changed, written.rows - new - changed, written.version, True, new, changed)


def _new_and_changed(written: Committed) -> tuple[int, int]:
    """Rows that the table did not have, and rows that took the place of others; all are new in an overwrite."""
    return (written.rows if written.inserted is None else written.inserted), written.updated or 0


def _written(
    tables: Tables,
    name: str,
    sorted_rows: Sorted,
    mode: Mode,
    key: tuple[str, ...],
    identity: str,
    origin: Mapping[str, str],
    report: IngestReport,
) -> IngestReport:
    if not sorted_rows.rows.height:
        return report
    write = Write(mode, sorted_rows.rows, key, schema_mode="merge" if mode == "merge" else "strict")
    committed = tables.write(name, write, identity=identity, origin=origin)
    new, changed = _new_and_changed(committed)
    dropped = report.dropped - new - changed
    return replace(
        report,
        rows=new + changed,
        dropped=dropped,
        version=committed.version,
        repeated=committed.repeated,
        new=new,
        changed=changed,
    )


def _read(files: Sequence[tuple[str, Path]], reading: Reading, schema: pl.Schema | None, mode: Mode) -> Rows:
    import polars as pl

    parts: list[Part] = []
    try:
        for label, path in files:
            parts += read_parts(path, *format_of(label), label, reading)
        if not parts:
            return Rows(pl.DataFrame(), {}, [])
        rows = united(parts, reading, table=schema, for_table=True, may_lack=mode == "merge")
        frame = storable(rows.frame, schema=schema, where=files[0][0])
    except StorageError as error:
        raise TableError(error.what, where=error.where, next=error.next) from error
    return replace(rows, frame=frame, types={column: name_of(dtype) for column, dtype in frame.schema.items()})


def _identity(files: Sequence[tuple[str, Path]], mode: Mode, reading: Reading) -> str:
    """The name of this ingest: the same files, read and put in the same way, are the same ingest."""
    # By their last names: the same files in another folder, or in a bucket, are the same ingest.
    contents = [[label.rsplit("/", 1)[-1], digest_file(path)] for label, path in files]
    options = [dict(reading.types), list(reading.nulls), reading.separator or ","]
    return f"ingest/{digest_json([mode, *contents, *options])}"  # type: ignore[list-item]


def _free(tables: Tables, name: str, identity: str, again: bool, mode: Mode) -> str:
    """The identity, or with a number after it: where its rows were put in and are not there any more, or `again`.

    Rows are gone when the table was overwritten since; an overwrite is, as soon as anything was written after it.
    """
    candidate, number = identity, 1
    newest = tables.version(name)
    while newest is not None and (written := tables.made(name, candidate)) is not None:
        later = newest - written.version
        since = tables.describe(name, history=later).history[:later]
        if not again and not (later if mode == "overwrite" else any(write.mode in _ENDS for write in since)):
            return candidate
        number += 1
        candidate = f"{identity}/{number}"
    return candidate


def _files(sources: Sequence[str], folder: Path) -> list[tuple[str, Path]]:
    """The files that are meant: what each is called, and where it lies; objects are fetched into a folder."""
    files = expand(sources)
    for file in files:
        format_of(file)
    placed: list[tuple[str, Path]] = []
    for file in files:
        placed += _fetched(file, folder) if "://" in file else [(file, Path(file))]
    return placed


def _fetched(url: str, folder: Path) -> list[tuple[str, Path]]:
    place = locate(url)
    bucket = connect_bucket(place.bucket, "reading from S3")
    try:
        objects = list_objects(bucket, place, url)
        if not objects and place.is_pattern:
            raise UsageError(f"no object matches {url!r}", next="check the pattern and the bucket")
        if not objects:
            raise TableError(f"there is no object {url}", where=url, next="check the bucket and the key")
        fetched = []
        for number, listed in enumerate(objects):
            label = f"s3://{place.bucket}/{listed.key}"
            path = folder / f"{len(list(folder.iterdir()))}-{number}"
            download(bucket, listed, path, label)
            fetched.append((label, path))
    except StorageError as error:
        raise TableError(error.what, where=error.where, next=error.next) from None
    return fetched


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
            matching = sorted(path for path in glob.glob(source, recursive=True) if not Path(path).is_dir())  # noqa: PTH207
            if not matching:
                raise UsageError(f"no file matches {source!r}", next="check the pattern and the folder")
            files += matching
        else:
            raise UsageError(f"there is no file {source!r}", next="check the path")
    if not files:
        raise UsageError("there is nothing to ingest", next=f"name files that end in {ENDINGS}")
    repeated = sorted({file for file in files if files.count(file) > 1})
    if repeated:
        raise UsageError(f"{repeated[0]!r} is named more than once", next="name each file once")
    return files


def _checked(source: str) -> str:
    if Path(source).is_dir():
        raise UsageError(f"{source!r} is a folder", next=f"name its files, such as '{source.rstrip('/')}/*.csv'")
    return source
