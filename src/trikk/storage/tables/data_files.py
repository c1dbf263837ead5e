"""A table's data files as a folder or a bucket lists them, whatever the log says of them."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from trikk.core.errors import MissingExtra
from trikk.storage.stores.syncing import sync_path
from trikk.storage.tables import delta_log as table_log
from trikk.storage.tables import sums as table_sums

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file: its path in the table's folder, its bytes, and when it was written (seconds since 1970)."""

    path: str
    size: int
    modified: float


class Files(Protocol):
    """What clean-up needs of a place that holds tables."""

    def tables(self) -> list[str]:
        """The names of folders that hold a _delta_log."""

    def data(self, table: str) -> Iterator[DataFile]:
        """All Parquet files of a table, its log's excepted."""

    def delete(self, table: str, paths: Iterable[str]) -> None:
        """Remove files of a table; those that are gone are no error."""

    def add(self, table: str, path: str, rows: pl.DataFrame) -> int:
        """Write rows as a new Parquet file of a table, and return its bytes."""

    def has(self, table: str, path: str) -> bool:
        """Whether there is such a file of a table."""

    def check(self, table: str, paths: Iterable[str]) -> None:
        """Raise TableError if a file of a table is not what was written, as far as its digest is known here."""

    def commit(self, table: str, version: int) -> list[dict[str, Any]]:
        """The actions of one commit in a table's log."""

    def every(self, table: str) -> Iterator[DataFile]:
        """All files of a table, its log's first, but for those that writers have not finished."""

    def read(self, table: str, path: str) -> Iterator[bytes]:
        """The bytes of a file in pieces; FileNotFoundError if there is none."""

    def put(self, table: str, path: str, source: Path) -> None:
        """Make a file of a table out of a finished one, whole or not at all, over what was there; consumes it."""

    def room(self, otherwise: Path) -> Path:
        """A folder for the files that `put` takes, made and empty; beside the tables, or else under another."""


class LocalFiles:
    """Files under a local root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def tables(self) -> list[str]:
        """The names of folders that hold a _delta_log with an entry."""
        return sorted(log.parent.name for log in self._root.glob("[!.]*/_delta_log") if _has_entry(log))

    def data(self, table: str) -> Iterator[DataFile]:
        """All Parquet files of a table, its log's excepted."""
        top = self._root / table
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(("_", "."))]
            for name in names:
                if name.endswith(".parquet"):
                    path = Path(folder, name)
                    try:
                        stat = path.stat()
                    except FileNotFoundError:
                        continue  # another clean-up was faster
                    yield DataFile(str(path.relative_to(top)), stat.st_size, stat.st_mtime)

    def delete(self, table: str, paths: Iterable[str]) -> None:
        """Remove files of a table; those that are gone are no error."""
        for path in paths:
            (self._root / table / path).unlink(missing_ok=True)

    def add(self, table: str, path: str, rows: pl.DataFrame) -> int:
        """Write rows as a new Parquet file of a table, and return its bytes; synced with the commit."""
        file = self._root / table / path
        rows.write_parquet(file)
        return file.stat().st_size

    def has(self, table: str, path: str) -> bool:
        """Whether there is such a file of a table."""
        return (self._root / table / path).exists()

    def check(self, table: str, paths: Iterable[str]) -> None:
        """Hash files of a table; raises TableError at the first that is not what was written."""
        table_sums.check(self._root / table, paths)

    def commit(self, table: str, version: int) -> list[dict[str, Any]]:
        """The actions of one commit in a table's log."""
        return table_log.read_commit(self._root / table, version)

    def every(self, table: str) -> Iterator[DataFile]:
        """All files of a table, its log's first, but for those that writers have not finished."""
        top = self._root / table
        log = top / "_delta_log"
        for start in (log, top):
            for folder, folders, names in os.walk(start):
                folders[:] = [name for name in folders if name[0] != "." and Path(folder, name) != log]
                for path in (Path(folder, name) for name in names):
                    if _is_finished(path.name):
                        status = path.stat()
                        yield DataFile(str(path.relative_to(top)), status.st_size, status.st_mtime)

    def read(self, table: str, path: str) -> Iterator[bytes]:
        """The bytes of a file in pieces; FileNotFoundError if there is none."""
        with (self._root / table / path).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def put(self, table: str, path: str, source: Path) -> None:
        """Make a file of a table out of a finished one by renaming; it is on the disk when this returns."""
        target = self._root / table / path
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_path(source)
        source.replace(target)
        sync_path(target.parent)

    def room(self, otherwise: Path) -> Path:  # noqa: ARG002 - the port's
        """A folder for the files that `put` takes, made and empty, on the tables' own file system."""
        return _emptied(self._root / ".copying")

    def folder(self, table: str) -> Path:
        """Where a table is."""
        return self._root / table


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _is_finished(name: str) -> bool:
    return name[0] != "." and not name.endswith(".tmp") and "#" not in name


def _has_entry(log: Path) -> bool:
    with os.scandir(log) as names:  # there may be thousands: up to the first is enough
        return any(entry.name.endswith(".json") for entry in names)


class RemoteFiles:
    """Files under s3://bucket/prefix, listed with obstore."""

    def __init__(self, root: str, options: dict[str, str]) -> None:
        self._root = root
        self._options = options

    def tables(self) -> list[str]:
        """The names of folders that hold a _delta_log."""
        import obstore

        store = self._store("")
        folders = obstore.list_with_delimiter(store)["common_prefixes"]
        names = [str(prefix).rstrip("/").rsplit("/", 1)[-1] for prefix in folders]
        return sorted(name for name in names if next(iter(store.list(f"{name}/_delta_log")), None))

    def data(self, table: str) -> Iterator[DataFile]:
        """All Parquet files of a table, its log's excepted."""
        for batch in self._store(table).list():
            for entry in batch:
                path = str(entry["path"])
                if path.endswith(".parquet") and not any(part[0] in "_." for part in path.split("/")):
                    yield DataFile(path, int(entry["size"]), entry["last_modified"].timestamp())

    def delete(self, table: str, paths: Iterable[str]) -> None:
        """Remove files of a table; those that are gone are no error."""
        listed = list(paths)
        if listed:
            self._store(table).delete(listed)

    def add(self, table: str, path: str, rows: pl.DataFrame) -> int:
        """Write rows as a new Parquet object of a table, and return its bytes."""
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        self._store(table).put(path, buffer.getbuffer())
        return buffer.tell()

    def has(self, table: str, path: str) -> bool:
        """Whether there is such an object of a table; a request."""
        try:
            self._store(table).head(path)
        except FileNotFoundError:
            return False
        return True

    def check(self, table: str, paths: Iterable[str]) -> None:
        """Nothing: a bucket keeps checksums of its own."""

    def commit(self, table: str, version: int) -> list[dict[str, Any]]:
        """The actions of one commit in a table's log."""
        entry = self._store(table).get(f"_delta_log/{version:020d}.json")
        return table_log.parse_commit(bytes(entry.bytes()))

    def every(self, table: str) -> Iterator[DataFile]:
        """All objects of a table, its log's first, but for those that writers have not finished."""
        store = self._store(table)
        for prefix in ("_delta_log", None):
            for batch in store.list(prefix):
                for entry in batch:
                    path = str(entry["path"])
                    is_log = path.startswith("_delta_log/")
                    if is_log == (prefix is not None) and _is_finished(path.rpartition("/")[2]):
                        yield DataFile(path, int(entry["size"]), entry["last_modified"].timestamp())

    def read(self, table: str, path: str) -> Iterator[bytes]:
        """The bytes of an object in pieces; FileNotFoundError if there is none."""
        for piece in self._store(table).get(path).stream(min_chunk_size=_PIECE):
            yield bytes(piece)

    def put(self, table: str, path: str, source: Path) -> None:
        """Make an object of a table out of a file, which is removed."""
        self._store(table).put(path, source)
        source.unlink()

    def room(self, otherwise: Path) -> Path:
        """A folder for the files that `put` takes, made and empty."""
        return _emptied(otherwise)

    def _store(self, folder: str) -> Any:
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise MissingExtra("listing tables in an object store", "s3") from error
        client = {key: self._options[key] for key in _CLIENT if key in self._options}
        if self._options.get("aws_allow_http") == "true":
            client["allow_http"] = "true"
        rest = {k: v for k, v in self._options.items() if k not in (*_CLIENT, "aws_allow_http")}
        url = f"{self._root}/{folder}".rstrip("/")
        return S3Store.from_url(url, config=rest, client_options=client)  # type: ignore[arg-type]


_CLIENT = ("timeout", "connect_timeout")
_PIECE = 1 << 20  # bytes


def thin_checkpoints(files: Files, table: str) -> None:
    """Remove the checkpoints of a table that no version needs; see `delta_log.surplus_checkpoints`."""
    log = "_delta_log/"
    listed = takewhile(lambda path: path.startswith(log), (file.path for file in files.every(table)))
    surplus = table_log.surplus_checkpoints([path.removeprefix(log) for path in listed])
    files.delete(table, [f"{log}{name}" for name in surplus])


def logged(table: DeltaTable) -> dict[str, int]:
    """The data files that a snapshot is made of: relative paths with their sizes in bytes."""
    import polars as pl
    from deltalake import DeltaTable

    actions = pl.DataFrame(DeltaTable.get_add_actions(table))  # InOrder would sort them
    return {unquote(path): size for path, size in actions.select("path", "size_bytes").iter_rows()}
