"""Artifacts, tables and the files beside them from one place to another, each read back where it arrives.

Every file has one content for ever, or grows by being replaced as a whole; so each is brought over by itself,
whole or not at all, and whoever begins anew finds what has arrived. A table's log comes after its data, oldest
entry first: the table that a killed copy leaves is one of its earlier versions.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from trikk.core.digests import digest_file, digest_parts
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, StorageError, TableError, WrongState
from trikk.core.record import Record
from trikk.execution.project import Project
from trikk.storage.stores.s3_store import S3Store
from trikk.storage.stores.store_port import Store
from trikk.storage.tables import sums as table_sums
from trikk.storage.tables.data_files import DataFile, Files, LocalFiles

_AT_ONCE = 8  # so that requests to a bucket wait together
_LOG = "_delta_log/"
_LAST_CHECKPOINT = "_delta_log/_last_checkpoint"
_ENTRY = re.compile(r"_delta_log/(\d{20})\.json")
# What is copied otherwise, can be made again, or belongs to processes of one machine.
_LEFT_OUT = {
    "artifacts",
    "tables",
    "code",
    "opened",
    "server",
    "copying",
    "sagemaker-local",
    ".gitignore",
    "copy.lock",
}
T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[str, int], None]


class Amount(Record, frozen=True):
    """How much there is, and how much of it the target does not have yet; sizes in bytes."""

    count: int = 0
    size: int = 0
    lacking: int = 0
    lacking_size: int = 0

    def plus(self, size: int, *, lacks: bool) -> Amount:
        """With one more file."""
        return Amount(
            self.count + 1, self.size + size, self.lacking + lacks, self.lacking_size + (size if lacks else 0)
        )


# ---- artifacts


def count_objects(source: Store, target: Store) -> Amount:
    """The source's artifacts; a set of the target's digests is held meanwhile, 0.1 kB for each."""
    known = {bytes.fromhex(stored.digest) for stored in target.list()}
    amount = Amount()
    for stored in source.list():
        amount = amount.plus(stored.size, lacks=bytes.fromhex(stored.digest) not in known)
    return amount


def copy_objects(source: Store, target: Store, progress: Progress) -> None:
    """Bring every artifact over; one that is there already is hashed, and replaced if it is damaged.

    Raises:
        ArtifactCorrupt, ArtifactMissing, StorageError: if one can't be read, written, or read back.
    """

    def bring(digest: str) -> None:
        try:
            target.check(digest)
        except (ArtifactMissing, ArtifactCorrupt):
            _add_object(source, target, digest)
            target.check(digest)

    for count, _ in enumerate(_each(bring, (stored.digest for stored in source.list())), 1):
        progress("artifacts", count)


def _add_object(source: Store, target: Store, digest: str) -> None:
    path = target.workspace() / f"copy-{os.urandom(8).hex()}"
    try:
        source.export(digest, path)
        if isinstance(target, S3Store):
            target.put(path, digest)  # a cache of all that goes to the bucket would fill the disk
        else:
            target.add(path, digest)
    finally:
        path.unlink(missing_ok=True)


# ---- tables


def count_tables(source: Files, target: Files) -> Amount:
    """The files of the source's tables.

    Raises:
        WrongState: if the target has a table of the same name whose log is another, or goes further.
    """
    amount = Amount()
    for table in source.tables():
        known = {file.path: file.size for file in target.every(table)}
        files = list(source.every(table))
        _refuse_other_log(table, source, target, {file.path for file in files}, known.keys())
        for file in files:
            amount = amount.plus(file.size, lacks=known.get(file.path) != file.size)
    return amount


def copy_tables(source: Project, target: Project, progress: Progress) -> None:
    """Bring every table over, with all its versions.

    Raises:
        TableError: if a file is damaged, or can't be read back as it was written.
        WrongState: as `count_tables`.
    """
    room = target.tables.files.room(target.state_dir / "copying")
    try:
        count = 0
        for table in source.tables.files.tables():
            for _ in _copy_table(source.tables.files, target.tables.files, table, room):
                count += 1
                progress("files of tables", count)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _copy_table(source: Files, target: Files, table: str, room: Path) -> Iterator[None]:
    files = list(source.every(table))
    known = {file.path: file.size for file in target.every(table)}
    digests = table_sums.known(source.folder(table)) if isinstance(source, LocalFiles) else {}

    def bring(file: DataFile) -> None:
        path = file.path
        try:
            digest = digest_parts(source.read(table, path))
            if digests.get(path, digest) != digest:
                raise _damaged(table, path, "is damaged: its bytes are not those that were written")
            if known.get(path) == file.size and digest_parts(target.read(table, path)) == digest:
                return
            part = room / os.urandom(8).hex()
            with part.open("wb") as out:
                out.writelines(source.read(table, path))
            if digest_file(part) != digest:
                raise _damaged(table, path, "was changed while it was read")
            target.put(table, path, part)
            if digest_parts(target.read(table, path)) != digest:
                raise _damaged(table, path, "does not read as it was written in the target")
        except OSError as error:
            raise _damaged(table, path, f"can't be copied: {error.strerror or type(error).__name__}") from error

    yield from _each(bring, [file for file in files if not file.path.startswith(_LOG)])
    # One after the other: a table with an entry has all before it.
    for file in sorted((file for file in files if file.path.startswith(_LOG)), key=_log_order):
        bring(file)
        yield
    if isinstance(target, LocalFiles):
        _keep_digests(target, table, files)


def _log_order(file: DataFile) -> tuple[int, str]:
    last = 2 if file.path == _LAST_CHECKPOINT else 0 if _ENTRY.fullmatch(file.path) else 1
    return last, file.path


def _keep_digests(target: LocalFiles, table: str, files: list[DataFile]) -> None:
    """Add the lines of `ROOT/.sums` that a local table has of each of its commits."""
    folder = target.folder(table)
    if not table_sums.is_of(folder):
        table_sums.forget(folder)
    last = table_sums.last_version(folder)
    versions = sorted(int(match[1]) for file in files if (match := _ENTRY.fullmatch(file.path)))
    later = [version for version in versions if last is None or version > last]
    table_sums.add_commits(folder, ((version, target.commit(table, version)) for version in later))


def _refuse_other_log(
    table: str, source: Files, target: Files, paths: Iterable[str], known: Iterable[str]
) -> None:
    entries, there_already = ({path for path in each if _ENTRY.fullmatch(path)} for each in (paths, known))

    def is_same(path: str) -> bool:
        return digest_parts(source.read(table, path)) == digest_parts(target.read(table, path))

    if there_already - entries or not all(_each(is_same, sorted(there_already))):
        raise WrongState(
            f"the target has a table {table} that is no copy of this one, or has been written to since",
            next="copy to an empty place, or to an earlier copy of this project in which nothing has run since",
        )


def _damaged(table: str, path: str, how: str) -> TableError:
    return TableError(f"file {path} of table {table!r} {how}", next="`trikk doctor` names all that is damaged")


# ---- logs of steps, published streams, and what else lies in the project's folder of state


def count_state(source: Path, target: Path) -> Amount:
    """The files of a project's `.trikk` that are neither journal, artifacts nor tables."""
    amount = Amount()
    for path in _state_files(source):
        amount = amount.plus((source / path).stat().st_size, lacks=not _is_same_file(source / path, target / path))
    return amount


def copy_state(source: Path, target: Path, progress: Progress) -> None:
    """Bring these files over, with their times and modes.

    Raises:
        StorageError: if one can't be read or written.
    """
    for count, path in enumerate(_state_files(source), 1):
        progress("logs and streams", count)
        if _is_same_file(source / path, target / path):
            continue
        part = target / path.parent / f".copy-{os.urandom(8).hex()}"
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / path, part)
            part.replace(target / path)
        except OSError as error:
            raise StorageError(f"{path} can't be copied: {error.strerror or error}", where=str(target)) from error
        finally:
            part.unlink(missing_ok=True)


def _state_files(state: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(state):
        is_top = Path(folder) == state
        folders[:] = sorted(name for name in folders if not (is_top and name in _LEFT_OUT))
        for name in sorted(names):
            path = Path(folder, name)
            is_left_out = is_top and (name in _LEFT_OUT or name.startswith("journal.db"))
            if not is_left_out and not name.startswith(".copy-") and path.is_file() and not path.is_symlink():
                yield path.relative_to(state)


def _is_same_file(source: Path, target: Path) -> bool:
    try:
        was, now = source.stat(), target.stat()
    except FileNotFoundError:
        return False
    return was.st_size == now.st_size and digest_file(source) == digest_file(target)


def _each(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The results of work on items, a few of them at once, in order."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 4 * _AT_ONCE:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
