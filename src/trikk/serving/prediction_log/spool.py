"""Predictions on their way into the table: written to a local file before their answers are sent.

A process has a folder of its own below `.trikk/endpoints/TABLE/`, which it holds by a lock that the kernel
frees when the process dies. Files in a folder that nobody holds were left by a process that was killed;
whoever starts next takes them over. A file is a row of records: 4 bytes length, 4 bytes CRC-32, then an Arrow
IPC stream. A record that is not whole was never answered for.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trikk.core.names import new_run_id
from trikk.storage.stores.syncing import sync_path

_HEAD = struct.Struct(">II")  # of a record: length, CRC-32
_LOCK = "lock"
_SUFFIX = ".log"
_TRIES = 10  # new folders; one is lost only to a process that takes it for left over in that very moment


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the log that is complete."""

    path: Path  # where it is
    identity: str  # the same whoever puts it into the table, and however often

    def records(self) -> Iterator[bytes]:
        """Its records, up to the first that is not whole; raises OSError if it can't be read."""
        data = self.path.read_bytes()
        at = 0
        while at + _HEAD.size <= len(data):
            length, check = _HEAD.unpack_from(data, at)
            record = data[at + _HEAD.size : at + _HEAD.size + length]
            # The end of a file that was being written when the power went.
            if len(record) < length or zlib.crc32(record) != check:
                return
            yield record
            at += _HEAD.size + length


class Spool:
    """The log files of one process.

    Args:
        folder: the table's folder below `.trikk/endpoints`.
        durable: whether a record is synced to the disk before `append` returns.

    Raises OSError where the disk does.
    """

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._mutex = threading.Lock()
        self._own, self._held = _claim(folder)
        self._number = 0
        self._file: int | None = None
        self._size = 0
        self.rows = 0

    def append(self, record: bytes, rows: int) -> None:
        """Add a record, whole or not at all; from any thread.

        Raises:
            OSError: if it can't be written; then nothing of it is there.
        """
        data = _HEAD.pack(len(record), zlib.crc32(record)) + record
        with self._mutex:
            if self._file is None:
                self._begin()
            assert self._file is not None
            try:
                _write(self._file, data)
                if self._durable:
                    os.fdatasync(self._file)
            except OSError:
                # Half a record would end the file for its readers, with all that is answered for after it.
                os.ftruncate(self._file, self._size)
                raise
            self._size += len(data)
            self.rows += rows

    def cut(self) -> Segment | None:
        """Complete the file that is being written; None if there is none."""
        with self._mutex:
            if self._file is None:
                return None
            os.close(self._file)
            self._file, self._size, self.rows = None, 0, 0
            return self._segment(self._path())

    def left_over(self) -> list[Segment]:
        """The complete files of processes that are gone, and of this one."""
        segments = []
        for folder in sorted(self._folder.iterdir()):
            if folder.is_dir() and (folder == self._own or folder in self._held or self._take_over(folder)):
                # The file that is being written is not complete yet; all others are.
                now = self._path() if folder == self._own and self._file is not None else None
                segments += [self._segment(path) for path in sorted(folder.glob(f"*{_SUFFIX}")) if path != now]
        return segments

    def done(self, segment: Segment) -> None:
        """Remove a file whose rows are in the table, and the folder of a process that is gone with its last."""
        segment.path.unlink(missing_ok=True)
        folder = segment.path.parent
        if folder != self._own and not any(folder.glob(f"*{_SUFFIX}")):
            shutil.rmtree(folder, ignore_errors=True)
            if (lock := self._held.pop(folder, None)) is not None:
                os.close(lock)

    def close(self) -> None:
        """Give the folders up; an empty one goes."""
        self.cut()
        if not any(self._own.glob(f"*{_SUFFIX}")):
            shutil.rmtree(self._own, ignore_errors=True)
        for lock in self._held.values():
            os.close(lock)
        self._held = {}

    def _begin(self) -> None:
        self._number += 1
        self._file = os.open(
            self._path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        if self._durable:
            sync_path(self._own)

    def _path(self) -> Path:
        return self._own / f"{self._number:08d}{_SUFFIX}"

    def _segment(self, path: Path) -> Segment:
        return Segment(path, f"endpoint/{path.parent.name}/{path.stem}")

    def _take_over(self, folder: Path) -> bool:
        lock = _hold(folder)
        if lock is None:
            return False
        if not any(folder.glob(f"*{_SUFFIX}")):
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            return False
        self._held[folder] = lock
        return True


def _claim(folder: Path) -> tuple[Path, dict[Path, int]]:
    """A new folder that this process holds."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        own = folder / new_run_id()
        own.mkdir()
        lock = _hold(own)
        # Between its making and its lock, another process may have taken the folder for one that was left, and
        # removed it as empty.
        if lock is not None and (own / _LOCK).exists():
            return own, {own: lock}
    raise OSError(f"no folder in {folder} can be locked")


def _hold(folder: Path) -> int | None:
    """Lock a folder; None if another process has it."""
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
