"""Files of a table that a commit writes anew: those whose rows a merge replaces, and small ones put together.

A merge reads the keys of the files that may hold them, and writes those files anew that do, without the replaced
rows. delta-rs' own joins all columns at once, in a plan that grows with the square of their number (deltalake
1.6.6): 9 s for 10 rows of 1,600 columns.

Small files go into the commit of the write that comes anyway, so there is no version that nobody has asked for,
and no moment between two: a crash leaves files that no version names, for clean-up. Their rows are marked as
unchanged (`dataChange`), as are those that a merge leaves: whoever asks a log for news does not see them.

Format: https://github.com/delta-io/delta/blob/master/PROTOCOL.md, sections "Add File and Remove File" and
"Per-file Statistics".
"""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from trikk.core.errors import TableError
from trikk.storage.tables.merge_keys import check_unique, completed
from trikk.storage.tables.opening import PROPERTIES

if TYPE_CHECKING:
    import polars as pl
    from deltalake import CommitProperties, DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

    from trikk.storage.tables.opening import Place

SMALL = 8_000_000
"""Bytes from which on a file stays as it is: reading it costs more than finding it."""
MANY = 48
"""So many small files at a table's end are put together: the cost of one in a read is about 0.1 ms."""
_MOST = 8 * SMALL  # bytes of files read at once, compressed: some 500 MB of rows
_ALWAYS = 32  # files put together whatever their sizes, so that it happens in one write of thirty at most
_COLUMNS = 32  # that have statistics, as by delta-rs and Spark
_TEXT = 32  # characters of a text in statistics
_LAST = "\U0010ffff"  # comes after every other character
_PATH = "\0path"  # no column of a table is called so
_YEAR = re.compile(r"\d{4}-")
_FEATURES = {"timestampNtz", "appendOnly", "invariants"}


def is_plain(table: DeltaTable) -> bool:
    """Whether a table is laid out as trikk does it: no partitions, constraints, deletion vectors, other names.

    What another program has asked of its writers, only delta-rs knows to keep.
    """
    metadata, protocol = table.metadata(), table.protocol()
    asked = {*(protocol.reader_features or ()), *(protocol.writer_features or ())} - _FEATURES
    settings = metadata.configuration.keys() - PROPERTIES.keys()
    # Invariants, generated columns and identities stand in the fields, at any depth.
    is_ruled = '"delta.' in table.schema().to_json()
    return not (metadata.partition_columns or asked or settings or is_ruled)


class Rewriting:
    """The files that one commit adds to a table, in the order of their rows, and those that it does without.

    Args:
        place: of the table.
        table: opened at the version on which the commit builds; plain.
    """

    def __init__(self, place: Place, table: DeltaTable) -> None:
        import polars as pl

        self._place, self._table = place, table
        self._schema = pl.Schema(table.schema())
        self._files = pl.DataFrame(table.get_add_actions())  # oldest first
        self._write = uuid.uuid4()
        self._adds: list[AddAction] = []
        self._removes: list[RemoveAction] = []

    def merge(self, rows: pl.DataFrame, key: tuple[str, ...]) -> tuple[pl.DataFrame, int]:
        """Write the files anew that hold the keys of rows, without the rows that have them.

        Args:
            rows: fitted, each key once.
            key: its columns.

        Returns:
            The rows with the columns that they lack (`completed`), and how many rows they replace.

        Raises:
            TableError: if the table has several rows for a key, or a file to be written anew is damaged.
        """
        import polars as pl

        keys = rows.lazy().select(key)
        held_keys = self.rows_near(rows, key).select(*key, _PATH).join(keys, on=key, how="semi").collect()
        check_unique(held_keys.select(key), key, f"table {self._place.name}")
        touched = self._files.filter(self._located(self._files).is_in(held_keys[_PATH].unique().implode()))
        replaced = [self._schema.to_frame()]
        for batch in _batches(touched):
            self._check(batch)
            whole = self._scan(batch).drop(_PATH).collect()
            replaced.append(whole.join(rows, on=key, how="semi", maintain_order="left"))
            self._add(whole.join(rows, on=key, how="anti", maintain_order="left"), new=False)
        self._remove(touched, rows_go=True)
        self._files = self._files.join(touched, on="path", how="anti", maintain_order="left")
        old = pl.concat(replaced)
        if old.height != held_keys.height:  # else the table would have both, the old row and the new one
            raise TableError(
                f"{held_keys.height} rows were to be replaced, {old.height} were read; nothing was written",
                where=self._place.location,
                next="look whether another program changes the table's files",
            )
        rows = completed(rows.lazy(), old.lazy(), key).collect()
        return rows, old.height

    def rows_near(self, rows: pl.DataFrame, key: tuple[str, ...]) -> pl.LazyFrame:
        """The table's rows, but for those of files that hold none of the rows' keys by the ranges in the log."""
        return self._scan(self._files.filter(_may_hold(self._files, rows, key)))

    def put_together(self) -> None:
        """Write the small files at the table's end anew as one, if there are many."""
        files = _tail(self._files)
        if files.is_empty():
            return
        self._check(files)
        rows = self._scan(files).drop(_PATH).collect()
        # Before all others of this commit: the rows were there before those that it changes or adds.
        self._add(rows, new=False, first=True)
        self._remove(files, rows_go=False)

    @property
    def is_empty(self) -> bool:
        """Whether no file is written anew."""
        return not self._removes

    def commit(self, rows: pl.DataFrame, properties: CommitProperties) -> None:
        """Add new rows, and make it all one version.

        Args:
            rows: with the table's columns.
            properties: of the commit; without retries inside delta-rs, which would put it on top of a version that
                has lost the removed files already, and leave their rows twice (tried, 1.6.6).

        Raises:
            CommitFailedError: if there is a newer version than the one on which it builds.
        """
        if not rows.is_empty():  # a merge of no rows may lack columns
            self._add(rows.select(self._schema.names()), new=True)
        actions: list[AddAction | RemoveAction] = [*self._adds, *self._removes]
        self._table.create_write_transaction(
            actions, mode="append", schema=self._table.schema(), commit_properties=properties
        )

    def _add(self, rows: pl.DataFrame, *, new: bool, first: bool = False) -> None:
        from deltalake.transaction import AddAction

        if rows.is_empty():
            return
        # Parts of one write: what reads the table in order goes by that (`opening.oldest_first`).
        path = f"part-{len(self._adds):05}-{self._write}-c000.zstd.parquet"
        size = self._place.files.add(self._place.name, path, rows)
        action = AddAction(path, size, {}, _now(), new, json.dumps(statistics(rows)))
        self._adds.insert(0 if first else len(self._adds), action)

    def _check(self, files: pl.DataFrame) -> None:
        # A flipped bit would get a digest of its own in the new file, and nobody would find it any more.
        self._place.files.check(self._place.name, map(unquote, files["path"]))

    def _remove(self, files: pl.DataFrame, *, rows_go: bool) -> None:
        from deltalake.transaction import RemoveAction

        for path, size in files.select("path", "size_bytes").iter_rows():
            self._removes.append(RemoveAction(path, rows_go, _now(), size, {}))

    def _located(self, files: pl.DataFrame) -> pl.Series:
        import polars as pl

        return pl.Series([f"{self._place.location}/{unquote(path)}" for path in files["path"]], dtype=pl.String)

    def _scan(self, files: pl.DataFrame) -> pl.LazyFrame:
        """The rows of some of the table's files, each with its file's path."""
        import polars as pl

        if files.is_empty():
            return self._schema.to_frame().lazy().with_columns(pl.lit("").alias(_PATH))
        casts = pl.ScanCastOptions(
            integer_cast="upcast", datetime_cast=["nanosecond-downcast", "convert-timezone"]
        )  # as other programs may have written them
        return pl.scan_parquet(
            self._located(files).to_list(),
            schema=self._schema,
            missing_columns="insert",
            extra_columns="ignore",
            cast_options=casts,
            include_file_paths=_PATH,
            storage_options=self._place.options,
            glob=False,
        )


def statistics(rows: pl.DataFrame) -> dict[str, Any]:
    """What the log says of a file: its rows, and of its first 32 columns the nulls, least and greatest value.

    Numbers, booleans, texts (32 characters), dates and times have ends; floats only where none is NaN or infinite.
    Times are rounded outwards to milliseconds, as the format has them.
    """
    import polars as pl

    flat = {n: t for n, t in list(rows.schema.items())[:_COLUMNS] if not t.is_nested() and t != pl.Binary}
    nulls = rows.select(pl.col(*flat).null_count()).row(0, named=True) if flat else {}
    known: dict[str, Any] = {"numRecords": rows.height, "minValues": {}, "maxValues": {}, "nullCount": nulls}
    for name, dtype in flat.items():
        ends = _ends(rows[name]) if not dtype.is_decimal() and nulls[name] < rows.height else None
        if ends is not None:
            known["minValues"][name], known["maxValues"][name] = ends
    return known


def _ends(column: pl.Series) -> tuple[Any, Any] | None:
    import polars as pl

    if column.dtype.is_temporal():
        # As text at once: Python has no dates beyond the year 9999.
        first, last, shape = pl.col(column.name).min(), pl.col(column.name).max(), "%Y-%m-%d"
        if isinstance(column.dtype, pl.Datetime):
            first, last = first.dt.truncate("1ms"), last.dt.offset_by("999us").dt.truncate("1ms")
            shape = "%Y-%m-%dT%H:%M:%S%.3fZ" if column.dtype.time_zone else "%Y-%m-%d %H:%M:%S%.3f"
        row = column.to_frame().select(first.dt.to_string(shape).alias("a"), last.dt.to_string(shape).alias("b"))
        texts = row.row(0)
        return texts if all(map(_YEAR.match, texts)) else None
    least: Any = column.min()
    greatest: Any = column.max()
    if column.dtype.is_float():
        # Engines differ on where NaN stands, and JSON has neither it nor what is infinite.
        is_finite = not column.is_nan().any() and math.isfinite(least) and math.isfinite(greatest)
        return (least, greatest) if is_finite else None
    if column.dtype == pl.String:
        if len(greatest) > _TEXT and _LAST in greatest:
            return None
        return least[:_TEXT], greatest if len(greatest) <= _TEXT else greatest[:_TEXT] + _LAST
    return least, greatest


def _may_hold(files: pl.DataFrame, rows: pl.DataFrame, key: tuple[str, ...]) -> pl.Series:
    """Which files may hold a key, by the ranges that the log gives for its columns."""
    import polars as pl

    may = pl.repeat(True, files.height, eager=True)
    for name in key:
        keys = rows[name].unique().sort()
        least, greatest = _end(files, "min", name), _end(files, "max", name)
        is_ordered = keys.dtype.is_integer() or keys.dtype in (pl.String, pl.Date, pl.Datetime)
        if least is None or greatest is None or not is_ordered:
            continue
        least, greatest = least.cast(keys.dtype, strict=False), greatest.cast(keys.dtype, strict=False)
        if keys.dtype == pl.Datetime:
            greatest = greatest.dt.offset_by("1ms")  # delta-rs cuts them off to milliseconds
        between = keys.search_sorted(greatest, side="right") > keys.search_sorted(least, side="left")
        may &= between | least.is_null() | greatest.is_null()
    return may


def _end(files: pl.DataFrame, end: str, name: str) -> pl.Series | None:
    dtype = files.schema.get(end)
    fields = [] if dtype is None or not dtype.is_nested() else [field.name for field in dtype.fields]  # type: ignore[attr-defined]
    return files[end].struct.field(name) if name in fields else None


def _batches(files: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Files one after another, in batches of so many bytes as are read at once, or of a single larger one."""
    start, size = 0, 0
    for number, more in enumerate(files["size_bytes"]):
        if number > start and size + more > _MOST:
            yield files[start:number]
            start, size = number, 0
        size += more
    if files.height > start:
        yield files[start:]


def _tail(files: pl.DataFrame) -> pl.DataFrame:
    """The newest files that are to be put together; none while there are few.

    Older ones join as long as none is larger than all newer ones together. So sizes at least double from one file
    to the next older, and a row is written anew as often as the table's size doubles.
    """
    newest = files["size_bytes"].reverse().to_list()
    small = list(takewhile(SMALL.__gt__, newest))
    if len(small) < MANY:
        return files.clear()
    count, size = 0, 0
    for more in small:
        if (count >= _ALWAYS and more > size) or size + more > _MOST:
            break
        count, size = count + 1, size + more
    return files.tail(count)


def _now() -> int:
    return int(time.time() * 1000)
