"""Objects in memory, for tests, simulators and one-off runs that keep nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from trikk.storage.stores.store_port import StoredObject, checked, missing, verified


class MemoryStore:
    """A store whose objects live as long as the process; only the workspace is a (temporary) folder."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="trikk-"))
        weakref.finalize(self, _remove, self._folder, os.getpid())

    def workspace(self) -> Path:
        """A temporary folder."""
        return self._folder

    def add(self, source: Path, digest: str) -> None:
        """Take a finished file in (see `Store.add`)."""
        try:
            self._objects[checked(digest)] = (source.read_bytes(), time.time())
        finally:
            source.unlink(missing_ok=True)

    def fetch(self, digest: str) -> Path:
        """The object's bytes as a file of the workspace, verified now (see `Store.fetch`)."""
        if checked(digest) not in self._objects:
            raise missing(digest, "memory:")
        path = self.workspace() / f"object-{digest}"
        if not path.exists():
            path.write_bytes(self._objects[digest][0])
            path.chmod(0o444)
        return verified(path, digest, "memory:")

    def check(self, digest: str) -> None:
        """Hash the object (see `Store.check`)."""
        self.fetch(digest)

    def export(self, digest: str, path: Path) -> None:
        """Write the object's bytes into a new file (see `Store.export`)."""
        path.write_bytes(self.fetch(digest).read_bytes())

    def contains(self, digest: str) -> bool:
        """Whether there is such an object."""
        return checked(digest) in self._objects

    def touch(self, digest: str) -> bool:
        """Whether the object is there and now young (see `Store.touch`)."""
        if checked(digest) not in self._objects:
            return False
        self._objects[digest] = (self._objects[digest][0], time.time())
        return True

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """Remove the object (see `Store.delete`)."""
        stored = self._objects.get(checked(digest))
        if stored is None or (before is not None and stored[1] > before):
            return False
        del self._objects[digest]
        (self.workspace() / f"object-{digest}").unlink(missing_ok=True)
        return True

    def list(self) -> Iterator[StoredObject]:
        """All objects, as they were at the call."""
        for digest, (data, modified) in list(self._objects.items()):
            yield StoredObject(digest, len(data), modified)


def _remove(folder: Path, owner: int) -> None:
    """Remove the workspace, but not from a forked child that ends first."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
