"""Objects as files of a local folder: objects/ab/cdef..., with the workspace tmp/ beside them.

A file is written in the workspace, synced, and renamed to its name: after a crash at any moment an object is
there whole or not at all. The folder is not synced: a power cut may take back the last seconds of renames, as it
may take back the last events of a journal in WAL mode; a resume then finds the object missing and makes it again.
An object that nobody has read for long may be compressed (`cold`), until it is wanted again.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from trikk.core.digests import digest_file, is_digest
from trikk.core.errors import ArtifactMissing, StorageError
from trikk.storage.stores import cold
from trikk.storage.stores.locks import file_lock
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
        # Another user's, or one on a disk that can't be written, may still be read.
        with contextlib.suppress(OSError):
            # So that it is not taken for cold between this and the moment when it is opened.
            if time.time() - path.stat().st_mtime > cold.WARM / 2:
                os.utime(path)
        try:
            return verified(path, digest, str(path))
        except ArtifactMissing:
            self._thaw(path, digest)
        return verified(path, digest, str(path))

    def check(self, digest: str) -> None:
        """Hash the object where it is: it stays compressed, and as old as it was.

        Raises:
            ArtifactMissing, ArtifactCorrupt, StorageError: as `fetch`.
        """
        path = Path(self._path(digest))
        try:
            verified(path, digest, str(path))
        except ArtifactMissing:
            if not cold.is_whole(path, digest):
                verified(path, digest, str(path))  # put back meanwhile, or there is none

    def export(self, digest: str, path: Path) -> None:
        """Write the object's bytes into a new file (see `Store.export`)."""
        own = Path(self._path(digest))
        unpack = functools.partial(cold.unpack, digest=digest)
        # As it is, compressed, or by now put back.
        ways: tuple[Callable[[Path, Path], object], ...] = (shutil.copyfile, unpack, shutil.copyfile)
        try:
            for copy in ways:
                with contextlib.suppress(FileNotFoundError):
                    copy(own, path)
                    break
        except OSError as error:
            raise storage_error(error, str(path.parent)) from error
        verified(path, digest, str(own))

    def contains(self, digest: str) -> bool:
        """Whether there is such an object."""
        return any(map(os.path.exists, self._forms(digest)))

    def touch(self, digest: str) -> bool:
        """Whether the object is there and now young (see `Store.touch`); False as well for another user's file."""
        for file in self._forms(digest):
            try:
                os.utime(file)
            except FileNotFoundError:
                continue
            except PermissionError:
                return False
            return True
        return False

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """Remove the object (see `Store.delete`).

        It is moved away before its age is looked at, and put back if it is young: whoever touches it either comes
        before the move, and is seen, or finds no object and adds it again.
        """
        path = self._path(digest)
        left = [self._delete(file, before) for file in (path, path + cold.SUFFIX)]
        return any(left)

    def _delete(self, path: str, before: float | None) -> bool:
        gone = self._tmp / f"gone-{os.urandom(8).hex()}"
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
            names = set(os.listdir(f"{self._objects}/{folder}"))  # noqa: PTH208
            for name in names:
                digest = folder + name.removesuffix(cold.SUFFIX)
                # A compressed file beside its object was left by a crash, and belongs to it.
                if not is_digest(digest) or (name.endswith(cold.SUFFIX) and digest[2:] in names):
                    continue
                try:
                    status = os.stat(f"{self._objects}/{folder}/{name}")  # noqa: PTH116
                except FileNotFoundError:
                    continue
                yield StoredObject(digest, status.st_size, status.st_mtime)

    def compress(self, digests: Iterable[str], *, before: float, dry_run: bool = False) -> tuple[int, int]:
        """Compress those of some objects that were neither added, touched nor fetched since a moment.

        Args:
            digests: the objects; those that are not here are left out.
            before: the moment in seconds since 1970, a day ago at the latest.
            dry_run: only say what it would come to.

        Returns:
            How many, and the bytes saved; about so, if `dry_run`.

        Raises:
            StorageError: if another process compresses, or no more can be written; every object is there.
        """
        before = min(before, time.time() - cold.WARM)
        paths = ((Path(self._path(digest)), digest) for digest in filter(is_digest, digests))
        if dry_run:
            saved = [cold.gain(path, before) for path, _ in paths]
        else:
            try:
                # Of two, one might remove the compressed file on which the other relies.
                with file_lock(self.root / "compress.lock", timeout=0):
                    saved = [cold.freeze(path, digest, self._tmp, before) for path, digest in paths]
            except OSError as error:
                raise storage_error(error, str(self.root)) from error
        return sum(map(bool, saved)), sum(saved)

    def head(self, digest: str, size: int = 6) -> bytes:
        """The first bytes of an object, not verified; none if there is none."""
        return cold.head(Path(self._path(digest)), size)

    def _thaw(self, path: Path, digest: str) -> None:
        try:
            cold.thaw(path, digest, self._tmp)
        except OSError as error:
            raise storage_error(error, str(path)) from error

    def _forms(self, digest: str) -> tuple[str, str, str]:
        """Where an object may be: as it is, compressed, or by now put back."""
        path = self._path(digest)
        return path, path + cold.SUFFIX, path

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


def is_full(error: Exception) -> bool:
    """Whether the operating system refused a write for want of room, whichever library says so."""
    native = _NATIVE.search(str(error))
    return (int(native[1]) if native else getattr(error, "errno", None)) in _FULL


def storage_error(error: OSError, where: str) -> StorageError:
    """The error for a write that the operating system refused."""
    if is_full(error):
        return StorageError(
            "the disk is full; nothing was stored", where=where, next="make room (trikk gc may help), then resume"
        )
    return StorageError(
        f"can't write: {error.strerror or error}", where=where, next="check the folder's owner and mode"
    )
