"""Versioned tables: Delta Lake folders that other engines read, with writes that happen exactly once."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trikk.core.errors import TableError, TrikkError, UnknownName, UsageError, VersionMissing
from trikk.core.names import check_name
from trikk.storage.stores.local import is_full
from trikk.storage.stores.locks import file_lock
from trikk.storage.tables import delta_log as table_log
from trikk.storage.tables import sums as table_sums
from trikk.storage.tables.admin import CleanReport, TableInfo, VersionWrite, info, row_count, sweep, version_writes
from trikk.storage.tables.data_files import Files, LocalFiles, RemoteFiles, logged, thin_checkpoints
from trikk.storage.tables.opening import Place
from trikk.storage.tables.ranges import FileRange, complete, ranges
from trikk.storage.tables.run_view import overlay
from trikk.storage.tables.table_write import Committed, Write, commit, find_identity

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

__all__ = ["Tables", "Write", "Committed", "TableInfo", "CleanReport"]

_THINNED_EVERY = 1000  # versions
_FEW = 100  # commits, each a request where the table is in a bucket


class Tables:
    """The tables under one root.

    Args:
        root: a local folder, or s3://bucket/prefix.
        options: how the object store is reached, in object_store's words (aws_endpoint_url, aws_access_key_id
            ...); what is not given comes from the AWS_* environment. Ignored for a local folder.
    """

    def __init__(self, root: str, options: Mapping[str, str] | None = None) -> None:
        self._remote = "://" in root
        if self._remote and not root.startswith("s3://"):
            raise UsageError(f"tables can't be kept at {root!r}", next="use a folder or s3://bucket/prefix")
        self._root = root.rstrip("/") if self._remote else str(Path(root).absolute())
        if "%" in self._root:
            raise UsageError(f"tables can't be kept at {self._root}", next="use a path without a % in it")
        self._options = _s3_options(options or {}) if self._remote else None
        self._files: Files = (
            LocalFiles(Path(self._root)) if self._options is None else RemoteFiles(self._root, self._options)
        )

    @property
    def is_remote(self) -> bool:
        """Whether they are in a bucket, where each look takes requests."""
        return self._remote

    @property
    def files(self) -> Files:
        """The tables' files as they lie there, whatever the logs say of them: for who copies them."""
        return self._files

    def version(self, name: str) -> int | None:
        """The newest version of a table, None where there is no table.

        Raises:
            TableError: if the table's log is damaged.
        """
        place = self._place(name)
        if not self._remote:
            return table_log.local_version(Path(place.location))
        table = self._open(place, None)
        return None if table is None else int(table.version())

    def scan(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a table at a version (None: the newest at this moment), read when collected.

        Raises:
            UnknownName: if there is no such table.
            TableError: if it has no such version, or is damaged.
        """
        import polars as pl

        table = self._existing(name, version)
        self._check_files(name, table)
        frame = pl.scan_delta(table)
        try:
            frame.collect_schema()
        except Exception as error:  # polars and deltalake have no common base
            raise self._explained(self._place(name), version, error) from error
        return frame

    def ranges(self, name: str, column: str, version: int | None = None) -> list[FileRange]:
        """The table's files at a version, with the range of a column in each, from the log as far as it says it.

        Raises:
            UnknownName: if there is no such table.
            TableError: if it has no such version, or is damaged.
        """
        files = ranges(self._existing(name, version), column)
        return complete(files, column, self._place(name).location, self._options)

    def added_ranges(self, name: str, column: str, after: int, until: int) -> list[FileRange] | None:
        """The files that the versions after one, up to another, have added, with the range of a column in each.

        It costs as much as these versions have done, however large the table is.

        Args:
            name: the table.
            column: its name.
            after: the version that is known.
            until: the version up to which to go.

        Returns:
            The files; None where rows were changed or removed, where the log does not say, or where there are so
            many versions that reading them is no gain: then `ranges` of both have to be compared.
        """
        check_name("table", name)
        if not 0 <= until - after <= _FEW:
            return None
        files: list[FileRange] = []
        for version in range(after + 1, until + 1):
            try:
                added = table_log.ranges_added(self._files.commit(name, version), column)
            except Exception:  # noqa: BLE001 - whatever it is, opening the table will tell better
                return None
            if added is None:
                return None
            files += added
        return complete(files, column, self._place(name).location, self._options)

    def rows_in(self, name: str, paths: Sequence[str]) -> pl.LazyFrame:
        """The rows of some of a table's files, lazily, whichever versions they belong to.

        Args:
            name: the table.
            paths: at least one, as `ranges` names them; a column that a file does not have is null there.
        """
        import polars as pl

        files = (f"{self._place(name).location}/{unquote(path)}" for path in paths)
        frames = [pl.scan_parquet(file, glob=False, storage_options=self._options) for file in files]
        return pl.concat(frames, how="diagonal_relaxed")

    def view(self, name: str, version: int | None, writes: Sequence[Write]) -> pl.LazyFrame:
        """The table as a run sees it: at its pinned version, with the run's own `writes` on top, lazily.

        Args:
            name: the table.
            version: the pinned version, None if the table did not exist when the run was locked.
            writes: what the run itself has written since, in order; nothing of it is read from the real table.

        Raises:
            UnknownName: if there is neither a base nor a write.
            TableError: as `scan`, and if a write does not fit.
        """
        check_name("table", name)
        if version is None and not writes:
            raise UnknownName("table", name, self.names())
        base = None if version is None else self.scan(name, version)
        return overlay(base, writes, where=f"table {name}")

    def appended(self, name: str, after: int, until: int) -> pl.LazyFrame | None:
        """The rows that the versions after one, up to another, have added, and nothing else of the table.

        Args:
            name: the table.
            after: the version whose rows are known.
            until: the version up to which to go, not before `after`.

        Returns:
            The rows, lazily; None where these versions did more than to add rows, so that the whole must be read.

        Raises:
            UnknownName, TableError: as `scan`.
        """
        import polars as pl

        table = self._existing(name, until)
        if table.metadata().partition_columns:
            return None
        files = logged(table)
        paths = []
        for version in range(after + 1, until + 1):
            added = table_log.added(self._files.commit(name, version))
            # One that was put together with others since is still there until a clean-up.
            if added is None or not all(path in files or self._files.has(name, path) for path in added):
                return None
            paths += [f"{self._place(name).location}/{path}" for path in added]
        if not paths:
            return self.scan(name, until).head(0)
        self._check_files(name, table)
        schema = pl.Schema(table.schema())
        return pl.scan_parquet(paths, schema=schema, missing_columns="insert", storage_options=self._options)

    def write(self, name: str, write: Write, *, identity: str, origin: Mapping[str, str]) -> Committed:
        """Make a write exactly once.

        Args:
            name: the table, made if it does not exist.
            write: the rows and how they go in.
            identity: deterministic name of this write, such as "run/step/item". A write that is already in the
                table under this identity is not made again, whoever makes it and however often. "" where the
                write's positions tell: identities stay in the log for ever, and a stream writes each second.
            origin: who wrote, kept with the version: usually {"run": ..., "step": ...}.

        Raises:
            TableError: if the rows do not fit (nothing is written), the table is damaged, or others keep it busy.
            Overtaken: if the write has positions, and the table has left them.
        """
        if not identity and not write.positions:
            raise UsageError("a write needs an identity")
        place = self._place(name)
        with self._lock(name):
            before = None if self._remote else self.version(name)
            if not self._remote and (before is None or not table_sums.is_of(Path(place.location))):
                # Else the digests of an earlier table of that name would call the new one damaged.
                table_sums.forget(Path(place.location))
            try:
                committed = commit(place, write, identity=identity, origin=origin)
                # Still under the lock: nobody may read a digest of a version that is not on the disk.
                if not self._remote:
                    for version in range(0 if before is None else before + 1, committed.version + 1):
                        table_log.sync_commit(Path(place.location), version)
                if committed.version % _THINNED_EVERY == 0:
                    with suppress(Exception):  # the rows are in the table: it is done the next time
                        thin_checkpoints(self._files, name)
            except TrikkError:
                raise
            except Exception as error:  # polars and deltalake have no common base
                if is_full(error):
                    raise TableError(
                        "the disk is full; the write did not come to its end",
                        where=place.location,
                        next="make room (trikk gc may help), then resume: nothing is written twice",
                    ) from error
                raise self._explained(place, None, error) from error
        return committed

    def made(self, name: str, identity: str) -> Committed | None:
        """The write that was made under an identity, None if there was none, or if there is no table.

        Raises:
            TableError: if the table's log is damaged.
        """
        place = self._place(name)
        table = self._open(place, None)
        return None if table is None else find_identity(place, table, identity)

    def positions(self, name: str, sources: Sequence[str]) -> dict[str, int | None]:
        """How far each of some sources has been brought into a table; None for one that never was.

        Raises:
            TableError: if the table's log is damaged.
        """
        table = self._open(self._place(name), None)
        return {source: None if table is None else table.transaction_version(source) for source in sources}

    def names(self) -> list[str]:
        """The names of all tables, sorted."""
        return self._files.tables()

    def describe(self, name: str, version: int | None = None, *, history: int = 20) -> TableInfo:
        """What a table holds at a version (None: the newest), with its newest `history` writes up to there.

        Raises:
            UnknownName, TableError: as `scan`.
        """
        table = self._existing(name, version)
        newest = self.version(name) or 0
        return info(name, table, limit=history, newest=newest)

    def versions(self, name: str, limit: int, before: int | None = None) -> list[VersionWrite]:
        """A table's versions, the newest first: who made each, and what it changed.

        It costs as much as is given, however many versions there are.

        Args:
            name: the table.
            limit: how many at most.
            before: only those before this version; None for the newest.

        Raises:
            UnknownName, TableError: as `scan`.
        """
        newest = self._existing(name, None).version()
        last = newest if before is None else min(newest, before - 1)
        versions = range(max(0, last - limit + 1), last + 1)
        return version_writes(name, self._files, versions, lambda v: self.describe(name, v, history=1).columns)

    def damage(self, name: str, keep: Collection[int] = ()) -> list[TableError]:
        """What is damaged of a table: its log, and the data files of its newest version and of those in `keep`.

        Reads all of these files where the table is in a folder; in a bucket, the log alone.
        """
        try:
            if not self._remote:
                table_log.listed_version(Path(self._place(name).location))
            newest = self._existing(name, None)
            kept = [self._existing(name, version) for version in sorted(set(keep) - {newest.version()})]
            used: set[str] = set()
            for snapshot in [*kept, newest]:
                self._check_files(name, snapshot)
                used |= logged(snapshot).keys()
        except TableError as error:
            return [error]
        if self._remote:
            return []
        top = Path(self._place(name).location)
        return [table_sums.damage(top, path) for path in table_sums.damaged(top, sorted(used))]

    def row_count(self, name: str, version: int) -> int:
        """How many rows a version has, of which no data file is read where the log says it.

        Raises:
            UnknownName, TableError: as `scan`.
        """
        return row_count(self._existing(name, version))

    def written(self, name: str, version: int | None = None) -> float:
        """When a version (None: the newest) was made, in seconds since 1970, by its entry in the log alone.

        Raises:
            UnknownName: if there is no such table.
            TableError: if its log is damaged.
            FileNotFoundError: if the log has no such entry, or has it no more.
        """
        version = self.version(name) if version is None else version
        if version is None:
            raise UnknownName("table", name, self.names())
        actions = self._files.commit(name, version)
        return float(next((a["commitInfo"].get("timestamp", 0) for a in actions if "commitInfo" in a), 0)) / 1000

    def wrote(self, name: str, version: int) -> str | None:
        """The run whose write made a version, None if it was no run.

        Raises:
            TableError: if there is no such version.
        """
        try:
            actions = self._files.commit(name, version)
        except FileNotFoundError:
            raise VersionMissing(
                f"table {name!r} has no version {version}", where=self._place(name).location
            ) from None
        return next((a["commitInfo"].get("trikk.run") for a in actions if "commitInfo" in a), None)

    def clean(self, name: str, keep: Collection[int], *, grace: float, dry_run: bool = False) -> CleanReport:
        """Remove the data files that neither the newest version nor one in `keep` needs.

        Other versions can't be read any more afterwards; the log keeps their history. Makes no new version.

        Args:
            name: the table.
            keep: versions that must stay readable.
            grace: files younger than this many seconds stay: a write under way has written them.
            dry_run: only say what would be removed.

        Raises:
            UnknownName, TableError: as `scan`, for each version to keep; then nothing is removed.
        """
        before = time.time() - grace  # what is given up while this waits for a writer is young
        with nullcontext() if dry_run else self._lock(name):
            newest = self._existing(name, None)
            kept = [self._existing(name, version) for version in sorted(set(keep) - {newest.version()})]
            return sweep(name, [*kept, newest], self._files, before=before, dry_run=dry_run)

    def _place(self, name: str) -> Place:
        check_name("table", name)
        return Place(name, f"{self._root}/{name}", self._options, self._files)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        if self._remote:
            yield
            return
        with file_lock(Path(self._root, ".locks", f"{name}.lock")):
            yield

    def _open(self, place: Place, version: int | None) -> DeltaTable | None:
        try:
            return place.open(version)
        except Exception as error:
            raise self._explained(place, version, error) from error

    def _existing(self, name: str, version: int | None) -> DeltaTable:
        place = self._place(name)
        newest = self.version(name) if self._remote else table_log.local_version(Path(place.location), at=version)
        if newest is None:
            raise UnknownName("table", name, self.names())
        if version is not None and not 0 <= version <= newest:
            raise VersionMissing(
                f"table {name!r} has no version {version}", where=place.location, next=f"it has 0 to {newest}"
            )
        table = self._open(place, newest if version is None else version)
        if table is None:
            raise UnknownName("table", name, self.names())
        return table

    def _check_files(self, name: str, table: DeltaTable) -> None:
        """A local table's files must be there, whole; a bucket would have to be asked for each."""
        if self._remote:
            return
        top = f"{self._root}/{name}"
        for path, size in logged(table).items():
            try:
                actual = os.stat(f"{top}/{path}").st_size  # noqa: PTH116  # thousands of files
            except OSError:
                actual = -1
            if actual != size:
                raise TableError(
                    f"data file {path} of table {name!r} is {'missing' if actual < 0 else 'damaged'}",
                    where=f"{top}, version {table.version()}",
                    next="restore the file from a backup; "
                    "if clean-up removed this version, use a newer one: trikk tables " + name,
                )

    def _explained(self, place: Place, version: int | None, error: Exception) -> TableError:
        top = Path(place.location)
        problem = None if self._remote else table_log.find_damage(top)
        if problem is None and not self._remote:
            for path in table_sums.damaged(top, ()):
                return table_sums.damage(top, path)
        at = "" if version is None else f" at version {version}"
        return TableError(
            problem or f"table {place.name!r} can't be read{at}: {str(error).splitlines()[0]}",
            where=place.location,
            next=table_log.RESTORE if problem else None,
        )


def _s3_options(given: Mapping[str, str]) -> dict[str, str]:
    """Options with limits, so that an unreachable store is an error in seconds and not in minutes."""
    options = {"connect_timeout": "5s", "timeout": "60s"}
    options.update({key.lower(): value for key, value in given.items()})
    endpoint = options.get("aws_endpoint_url") or os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint.startswith("http://"):
        options.setdefault("aws_allow_http", "true")
    return options
