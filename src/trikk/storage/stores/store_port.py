"""The port for stored bytes: what a place must be able to do to hold artifacts.

A store knows objects and digests, nothing of values. `tests/storage/test_store_contract.py` says what each
implementation must do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trikk.core.digests import digest_file, is_digest
from trikk.core.errors import ArtifactCorrupt, ArtifactMissing, StorageError

_NEXT = "run the step that made it again (trikk resume or trikk run)"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a store: its digest, its size in bytes, and when it was last added (seconds since 1970)."""

    digest: str
    size: int
    modified: float


class Store(Protocol):
    """A place for objects that are named by the BLAKE3 digest of their bytes.

    Every method that takes a digest raises StorageError if it is not one. Objects are visible whole or not
    at all, whatever is killed.
    """

    def workspace(self) -> Path:
        """An existing folder for half-written files, from which `add` takes them without copying."""

    def add(self, source: Path, digest: str) -> None:
        """Take a finished file in, whose bytes have that digest; `source` is consumed.

        Durable when it returns. If the object is there already it is touched, so that a clean-up by age that
        runs at the same time spares it, and `source` is dropped.

        Raises:
            StorageError: if the place is full or can't be written.
        """

    def fetch(self, digest: str) -> Path:
        """A local, read-only file with the object's bytes, verified by hashing them now.

        Raises:
            ArtifactMissing: if there is no such object.
            ArtifactCorrupt: if its bytes are not those that the digest was computed from.
        """

    def check(self, digest: str) -> None:
        """Hash the object where it is: nothing is cached, and it stays as old as it was.

        Raises:
            ArtifactMissing, ArtifactCorrupt: as `fetch`.
        """

    def export(self, digest: str, path: Path) -> None:
        """Write the object's bytes into a new file, verified; nothing is cached, and it stays as old as it was.

        Raises:
            ArtifactMissing, ArtifactCorrupt: as `fetch`.
            StorageError: if the file can't be written.
        """

    def contains(self, digest: str) -> bool:
        """Whether there is such an object; its bytes are not looked at."""

    def touch(self, digest: str) -> bool:
        """Whether there is such an object, whose age begins anew then, so that a clean-up by age spares it.

        Whoever is about to name an object that he has not added calls this first.
        """

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """Remove the object and return whether that was done; nothing happens if there is none.

        Args:
            digest: which.
            before: leave it if it was added or touched after this moment (seconds since 1970).
        """

    def list(self) -> Iterator[StoredObject]:
        """All objects, in no particular order."""


def checked(digest: str) -> str:
    """Return `digest`, which may now become part of a path; raises StorageError if it is none."""
    if isinstance(digest, str) and is_digest(digest):
        return digest
    raise StorageError(f"{str(digest)[:80]!r} is not a digest", next="look for a damaged event or manifest")


def verified(path: Path, digest: str, where: str) -> Path:
    """Return `path` if its bytes have that digest.

    Raises:
        ArtifactMissing: if there is no such file.
        ArtifactCorrupt: if the bytes are others; `where` says which object, for people.
        StorageError: if it can't be read.
    """
    try:
        actual = digest_file(path)
    except FileNotFoundError:
        raise missing(digest, where) from None
    except OSError as error:
        raise StorageError(
            f"artifact {digest[:12]} can't be read: {error.strerror or error}",
            where=where,
            next="check its owner and mode, and the disk",
        ) from error
    if actual != digest:
        raise corrupt(digest, actual, where)
    return path


def corrupt(digest: str, actual: str, where: str) -> ArtifactCorrupt:
    """The error for an object whose bytes give another digest."""
    return ArtifactCorrupt(
        f"artifact {digest[:12]} is damaged: its bytes give {actual[:12]}", where=where, next=_NEXT
    )


def missing(digest: str, where: str) -> ArtifactMissing:
    """The error for an object that is not in the store."""
    return ArtifactMissing(f"artifact {digest[:12]} is not in the store", where=where, next=_NEXT)
