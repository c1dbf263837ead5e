"""Where the jobs of one execution tell each other what they have done: small objects in a bucket, or files.

Nothing else goes between jobs: neither the engine's own messages, which are short, nor a database, which a job may
not reach. Objects are seen whole or not at all, and one that is put as new is put by one job only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

from trikk.core.errors import StorageError, UsageError


class Exchange(Protocol):
    """Objects by name; a name has parts between slashes.

    Every method raises StorageError if the place can't be reached.

    Attributes:
        url: where it is, for people.
    """

    url: str

    def put_new(self, name: str, data: bytes) -> bool:
        """Put an object unless there is one of that name; whether it was put."""

    def put(self, name: str, data: bytes) -> None:
        """Put an object, in place of what was there."""

    def get(self, name: str) -> bytes | None:
        """An object; None if there is none."""

    def names(self, prefix: str) -> list[str]:
        """The names that begin with a text, sorted."""


def open_exchange(url: str) -> Exchange:
    """The exchange at `s3://bucket/prefix`, or in a folder.

    Raises:
        UsageError: if it is neither.
        MissingExtra: if it is a bucket, and obstore is not installed.
    """
    if url.startswith("s3://"):
        return BucketExchange(url)
    path = url.removeprefix("file://")
    if "://" in path or not path.startswith("/"):
        raise UsageError(
            f"{url[:80]!r} is no exchange", next="use s3://bucket/prefix, or a folder's absolute path"
        )
    return FolderExchange(Path(path))


class FolderExchange:
    """Files below a folder that all jobs see.

    Args:
        folder: where; it is made when the first file is put.
    """

    def __init__(self, folder: Path) -> None:
        self.url = str(folder)
        self._folder = folder

    def put_new(self, name: str, data: bytes) -> bool:
        """Put a file unless there is one."""
        try:
            with self._written(name, data) as (half, target):
                try:
                    os.link(half, target)  # unlike a rename it refuses to replace
                except FileExistsError:
                    return False
            return True
        except OSError as error:
            raise self._error(error) from error

    def put(self, name: str, data: bytes) -> None:
        """Put a file, in place of what was there."""
        try:
            with self._written(name, data) as (half, target):
                half.replace(target)
        except OSError as error:
            raise self._error(error) from error

    def get(self, name: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(error) from error

    def names(self, prefix: str) -> list[str]:
        """The files whose names begin with a text, sorted."""
        folder = self._path(prefix.rpartition("/")[0] or ".")
        paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        names = (path.relative_to(self._folder).as_posix() for path in paths)
        return sorted(name for name in names if name.startswith(prefix))

    @contextmanager
    def _written(self, name: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        """The bytes in a file beside the one of that name, which is removed in the end if it is still there."""
        target = self._path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.parent / f".{target.name}.{os.urandom(4).hex()}"
        try:
            with half.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield half, target
        finally:
            half.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)

    def _error(self, error: OSError) -> StorageError:
        return StorageError(
            f"the exchange can't be used: {error.strerror or error}",
            where=self.url,
            next="check that the folder can be written, and that the disk has room",
        )


class BucketExchange:
    """Objects below a prefix of a bucket.

    Args:
        url: `s3://bucket/prefix`.
    """

    def __init__(self, url: str) -> None:
        from trikk.storage.stores.buckets import connect_bucket

        parts = urlsplit(url)
        if not parts.netloc or parts.username or parts.query:
            raise UsageError("an exchange in a bucket is s3://bucket/prefix", where=parts.hostname)
        self.url = url.rstrip("/")
        self._bucket = connect_bucket(parts.netloc, "an exchange on S3", prefix=parts.path.strip("/"), minutes=1)

    def put_new(self, name: str, data: bytes) -> bool:
        """Put an object unless there is one, by the bucket's own condition (If-None-Match)."""
        import obstore

        try:
            obstore.put(self._bucket, checked_name(name), data, mode="create", use_multipart=False)
        except obstore.exceptions.AlreadyExistsError:
            return False
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error
        return True

    def put(self, name: str, data: bytes) -> None:
        """Put an object, in place of what was there."""
        import obstore

        try:
            obstore.put(self._bucket, checked_name(name), data, use_multipart=False)
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error

    def get(self, name: str) -> bytes | None:
        """An object's bytes; None if there is none."""
        import obstore

        try:
            return bytes(obstore.get(self._bucket, checked_name(name)).bytes())
        except FileNotFoundError:
            return None
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error

    def names(self, prefix: str) -> list[str]:
        """The objects whose names begin with a text, sorted."""
        import obstore

        try:
            # S3 knows no folders, obstore's prefixes are of whole parts of a name.
            pages = obstore.list(self._bucket, prefix=prefix.rpartition("/")[0] or None)
            names = [str(item["path"]) for page in pages for item in page]
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error
        return sorted(name for name in names if name.startswith(prefix))

    def _error(self, error: Any) -> StorageError:
        """The error for a refused request: its kind only, since its text may show signed addresses."""
        return StorageError(
            f"the exchange did not answer or refused ({type(error).__name__})",
            where=self.url,
            next="check the bucket's name and region, and the rights of the job's role",
        )


def checked_name(name: str) -> str:
    """Return a name if it leads nowhere else; UsageError if it does."""
    parts = PurePosixPath(name).parts
    if not name or name.startswith("/") or ".." in parts or "\0" in name or "\\" in name:
        raise UsageError(f"{name[:80]!r} is no name in an exchange")
    return name
