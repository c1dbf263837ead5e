"""Objects as files of a local folder: objects/ab/cdef..., with the workspace tmp/ beside them.

A file is written in the workspace, synced, and renamed to its name: after a crash at any moment an object is
there whole or not at all. The folder is not synced: a power cut may take back the last seconds of renames, as it
may take back the last events of a journal in WAL mode; a resume then finds the object missing and makes it again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from trikk.core.digests import digest_file, is_digest
from trikk.core.errors import StorageError
from trikk.storage.stores.store_port import StoredObject, checked, verified

_READ_ONLY_PLACE = {errno.EROFS, errno.EACCES, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NATIVE = re.compile(r"\(os error (\d+)\)")  # how libraries in Rust name an errno
_READ_ONLY = 0o444  # a step that writes into what it has loaded fails, and damages nothing


class LocalStore:
    """A store in a folder of the local file system.

    Args:
        root: the folder; made if it is not there.
        durable: sync each object to the disk; False only for a cache that can be filled again.
    """

    def __init__(self, root: Path | str, *, durable: bool = True) -> None:
        self.root = Path(root).absolute()
        self._objects = str(self.root / "objects")
        self._tmp = self.root / "tmp"
        self._durable = durable
        try:
            Path(self._objects).mkdir(parents=True, exist_ok=True)
            self._tmp.mkdir(exist_ok=True)
        except OSError as error:
            if error.errno not in _READ_ONLY_PLACE:  # what is there may still be read
                raise

    def workspace(self) -> Path:
        """The folder tmp/ beside the objects, on the same file system."""
        return self._tmp

    def add(self, source: Path, digest: str) -> None:
        """Take a finished file in (see `Store.add`); a damaged object of that name is replaced.

        Raises:
            StorageError: if the disk is full or can't be written; `source` is gone then, too.
        """
        target = self._path(digest)
        try:
            if not self._touched(target, digest):
                self._move(source, target)
        except OSError as error:
            raise storage_error(error, str(self.root)) from error
        finally:
            source.unlink(missing_ok=True)

    def fetch(self, digest: str) -> Path:
        """The object's file, mode 0444, its bytes verified now (see `Store.fetch`)."""
        path = Path(self._path(digest))
        return verified(path, digest, str(path))

    def contains(self, digest: str) -> bool:
        """Whether there is such an object."""
        return os.path.exists(self._path(digest))  # noqa: PTH110  a string is what is at hand

    def touch(self, digest: str) -> bool:
        """Whether the object is there and now young (see `Store.touch`); False as well for another user's file."""
        try:
            os.utime(self._path(digest))
        except (FileNotFoundError, PermissionError):
            return False
        return True

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """Remove the object (see `Store.delete`).

        It is moved away before its age is looked at, and put back if it is young: whoever touches it either comes
        before the move, and is seen, or finds no object and adds it again.
        """
        path, gone = self._path(digest), self._tmp / f"gone-{os.urandom(8).hex()}"
        try:
            if before is not None and os.stat(path).st_mtime > before:  # noqa: PTH116  a string is what is at hand
                return False  # readers of one that is young never miss it, unless it was touched just now
            os.rename(path, gone)  # noqa: PTH104
        except FileNotFoundError:
            return False
        if before is not None and gone.stat().st_mtime > before:
            os.rename(gone, path)  # noqa: PTH104
            return False
        gone.unlink()
        return True

    def list(self) -> Iterator[StoredObject]:
        """All objects; an object that vanishes meanwhile is left out."""
        folders = os.listdir(self._objects) if Path(self._objects).is_dir() else []  # noqa: PTH208  a million entries
        for folder in folders:
            for name in os.listdir(f"{self._objects}/{folder}"):  # noqa: PTH208
                if not is_digest(folder + name):
                    continue
                try:
                    status = os.stat(f"{self._objects}/{folder}/{name}")  # noqa: PTH116
                except FileNotFoundError:
                    continue
                yield StoredObject(folder + name, status.st_size, status.st_mtime)

    def _path(self, digest: str) -> str:
        checked(digest)
        return f"{self._objects}/{digest[:2]}/{digest[2:]}"

    def _touched(self, target: str, digest: str) -> bool:
        """Whether the object is there, whole, and now touched."""
        try:
            return self.touch(digest) and digest_file(Path(target)) == digest
        except FileNotFoundError:
            return False

    def _move(self, source: Path, target: str) -> None:
        descriptor = os.open(source, os.O_RDONLY)
        try:
            os.fchmod(descriptor, _READ_ONLY)
            if self._durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.rename(source, target)  # noqa: PTH104
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            os.rename(source, target)  # noqa: PTH104


def is_full(error: OSError) -> bool:
    """Whether the operating system refused a write for want of room."""
    native = _NATIVE.search(str(error))
    return (int(native[1]) if native else error.errno) in _FULL


def storage_error(error: OSError, where: str) -> StorageError:
    """The error for a write that the operating system refused."""
    if is_full(error):
        return StorageError(
            "the disk is full; nothing was stored", where=where, next="make room (trikk gc may help), then resume"
        )
    return StorageError(
        f"can't write: {error.strerror or error}", where=where, next="check the folder's owner and mode"
    )
