"""Objects of a folder that nobody has read for long, compressed; the first who wants one has it as it was.

An object is named by the digest of its own bytes, compressed or not: `cdef...` becomes `cdef....z` (a zlib stream)
and keeps its age. zlib and not zstd, since Python 3.11 has no other without a further package; at level 1 it takes
frames of people counts to a fifth, at 180 MB a second, and gives them back at 400.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from trikk.core.digests import digest_file, digest_parts
from trikk.core.errors import ArtifactCorrupt, StorageError

SUFFIX = ".z"
WARM = 86_400.0  # seconds for which whoever was given an object's file may still be about to open it
SMALLEST = 16_384  # bytes: below, a file system's blocks leave nothing to be gained
_LEVEL = 1
_PIECE = 1 << 20  # bytes
_SAMPLE = 4  # pieces from which a gain is told beforehand


def head(path: Path, size: int) -> bytes:
    """The first bytes of an object, given its file, or of what its compressed one gives; none if there is none."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        return file.read(size)
    with contextlib.suppress(FileNotFoundError, zlib.error), path.with_name(path.name + SUFFIX).open("rb") as file:
        return zlib.decompressobj().decompress(file.read(1024), size)
    return b""


def gain(path: Path, before: float) -> int:
    """How many bytes `freeze` would save, by the first megabytes."""
    try:
        status = path.stat()
        size = status.st_size
        if status.st_mtime > before or size < SMALLEST:
            return 0
        read = [piece for piece, _ in zip(_pieces(path), range(_SAMPLE), strict=False)]
    except FileNotFoundError:
        return 0
    squeezed = sum(len(zlib.compress(piece, _LEVEL)) for piece in read)
    saved = size - size * squeezed // max(1, sum(map(len, read)))
    return saved if saved * 10 >= size else 0


def freeze(path: Path, digest: str, folder: Path, before: float) -> int:
    """Put a compressed file in an object's place.

    Args:
        path: the object's file.
        digest: its name.
        folder: for half-written files, on the same file system.
        before: leave it if it was added, touched or fetched after this moment (seconds since 1970).

    Returns:
        The bytes saved; 0 if it was left as it is, as one is that is damaged or gets hardly smaller.
    """
    squeezed, gone = (folder / f"{kind}-{os.urandom(8).hex()}" for kind in ("cold", "gone"))
    try:
        status = path.stat()
        if not gain(path, before) or digest_file(path) != digest:
            return 0
        with squeezed.open("xb") as file:
            packer = zlib.compressobj(_LEVEL)
            file.writelines(packer.compress(piece) for piece in _pieces(path))
            file.write(packer.flush())
            file.flush()
            os.fsync(file.fileno())
        saved = status.st_size - squeezed.stat().st_size
        # Read back before the only other copy goes.
        if saved <= 0 or digest_parts(_unpacked(squeezed)) != digest:
            return 0
        squeezed.chmod(0o444)
        os.utime(squeezed, ns=(status.st_atime_ns, status.st_mtime_ns))
        # First the one is there, then the other goes: whoever looks in between, or after a crash, has one.
        compressed = squeezed.rename(path.with_name(path.name + SUFFIX))
        path.rename(gone)
        if gone.stat().st_mtime > before:  # wanted meanwhile, and perhaps about to be opened
            gone.rename(path)
            compressed.unlink(missing_ok=True)
            return 0
        gone.unlink()
        return saved
    except FileNotFoundError:
        return 0
    finally:
        squeezed.unlink(missing_ok=True)


def is_whole(path: Path, digest: str) -> bool:
    """Whether there is a compressed file of an object, which is left as it is.

    Raises:
        ArtifactCorrupt: if it is damaged.
        StorageError: if it can't be read.
    """
    squeezed = path.with_name(path.name + SUFFIX)
    try:
        if digest_parts(_unpacked(squeezed)) != digest:
            raise _damaged(digest, squeezed, "other bytes")
    except FileNotFoundError:
        return False
    except zlib.error as error:
        raise _damaged(digest, squeezed, str(error)) from error
    except OSError as error:
        raise StorageError(
            f"artifact {digest[:12]} can't be read: {error.strerror or error}", where=str(squeezed)
        ) from error
    return True


def unpack(path: Path, target: Path, digest: str) -> None:
    """Write what a compressed file of an object gives into a file; the object stays as it is.

    Raises:
        FileNotFoundError: if there is no compressed file; no target is made then.
        ArtifactCorrupt: if it is damaged; what is not seen here is another digest of the target.
    """
    squeezed = path.with_name(path.name + SUFFIX)
    pieces = _unpacked(squeezed)
    try:
        first = next(pieces)
        with target.open("wb") as file:
            file.write(first)
            file.writelines(pieces)
    except zlib.error as error:
        raise _damaged(digest, squeezed, str(error)) from error


def thaw(path: Path, digest: str, folder: Path) -> None:
    """Put an object's own file back where there is only a compressed one; nothing happens if there is none.

    Raises:
        ArtifactCorrupt: if it is damaged.
        OSError: if it can't be read, or the file can't be written.
    """
    squeezed, whole = path.with_name(path.name + SUFFIX), folder / f"warm-{os.urandom(8).hex()}"
    if not squeezed.exists():
        return
    try:
        with whole.open("xb") as file:
            file.writelines(_unpacked(squeezed))
            file.flush()
            os.fsync(file.fileno())
        whole.chmod(0o444)
        if digest_file(whole) == digest:
            whole.rename(path)
        else:
            raise _damaged(digest, squeezed, "other bytes")
        squeezed.unlink(missing_ok=True)
    except FileNotFoundError:
        return  # there is none, or somebody else was faster
    except zlib.error as error:
        raise _damaged(digest, squeezed, str(error)) from error
    finally:
        whole.unlink(missing_ok=True)


def _damaged(digest: str, file: Path, gives: str) -> ArtifactCorrupt:
    return ArtifactCorrupt(
        f"artifact {digest[:12]} is damaged: its compressed file gives {gives}",
        where=str(file),
        next="run the step that made it again (trikk resume or trikk run)",
    )


def _pieces(path: Path, size: int = _PIECE) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(size):
            yield piece


def _unpacked(path: Path) -> Iterator[bytes]:
    """The bytes of a compressed file; zlib.error if it is damaged or cut short."""
    unpacker = zlib.decompressobj()
    for piece in _pieces(path, _PIECE >> 6):  # which may give a thousand times as much
        yield unpacker.decompress(piece)
    yield unpacker.flush()
    if not unpacker.eof:
        raise zlib.error("a part of its bytes")
