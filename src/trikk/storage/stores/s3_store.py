"""Objects in a bucket of S3 or of a server that speaks its protocol, with a local cache that is verified, too.

An object is put whole by one request (or one multipart upload), which S3 makes visible whole or not at all.
Since its name says its content, putting it twice writes the same bytes: that is how an object is touched (S3
refuses to copy an object onto itself, and has no other way to make it young).
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trikk.core.digests import digest_bytes, digest_parts
from trikk.core.errors import ArtifactMissing, StorageError, UsageError
from trikk.storage.stores.buckets import CHUNK, connect_bucket
from trikk.storage.stores.local import LocalStore, storage_error
from trikk.storage.stores.store_port import StoredObject, checked, corrupt, missing, verified

_PREFIX = "objects/"
_YOUNG = 300.0  # seconds for which a touch would change nothing that matters


class S3Store:
    """A store under `s3://bucket/prefix`.

    Args:
        url: the bucket and, if wanted, a prefix in it.
        options: `cache`: a local folder for what was read and written (default: under the user's cache
            folder); `endpoint`: the server's URL, and `region`, both also from AWS_ENDPOINT_URL and AWS_REGION.
            Credentials come from the standard AWS_* variables or the machine's role, never from here.

    Raises:
        UsageError: if the URL names no bucket.
        MissingExtra: if obstore is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.username or parts.query:
            raise UsageError(
                f"{parts.scheme}://{parts.hostname or ''} names no bucket", next="use s3://bucket/prefix"
            )
        given = dict(options or {})
        self.url = url.rstrip("/")
        self._cache = LocalStore(given.get("cache") or _cache_folder(self.url), durable=False)
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._endpoint, self._region = given.get("endpoint"), given.get("region")
        self._touched: dict[str, float] = {}

    @functools.cached_property
    def _store(self) -> Any:
        """The connection, made at its first use: a process that is forked before has none to share."""
        return connect_bucket(
            self._bucket,
            "an artifact store on S3",
            prefix=self._prefix,
            endpoint=self._endpoint,
            region=self._region,
            minutes=5,
        )

    def workspace(self) -> Path:
        """A local folder beside the cache."""
        return self._cache.workspace()

    def add(self, source: Path, digest: str) -> None:
        """Put a finished file into the bucket, then into the cache (see `Store.add`)."""
        try:
            self.put(source, digest)
            self._cache.add(source, digest)
        finally:
            source.unlink(missing_ok=True)

    def put(self, source: Path, digest: str) -> None:
        """Put a finished file into the bucket alone, and leave the file."""
        import obstore

        try:
            obstore.put(self._store, _key(digest), source, chunk_size=CHUNK)
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error

    def fetch(self, digest: str) -> Path:
        """The object as a file of the cache, downloaded if need be, verified now (see `Store.fetch`).

        A damaged file of the cache is not an error; it is downloaded again.
        """
        key = _key(digest)
        try:
            return self._cache.fetch(digest)
        except StorageError:
            pass
        download = self.workspace() / f"get-{os.urandom(8).hex()}"
        try:
            self._download(key, digest, download)
            verified(download, digest, f"{self.url}/{key}")
            self._cache.add(download, digest)
        finally:
            download.unlink(missing_ok=True)
        return self._cache.fetch(digest)

    def check(self, digest: str) -> None:
        """Download the object and hash it, in pieces (see `Store.check`)."""
        import obstore

        key = _key(digest)
        try:
            pieces = obstore.get(self._store, key).stream(min_chunk_size=CHUNK)
            actual = digest_parts(bytes(piece) for piece in pieces)
        except FileNotFoundError:
            raise missing(digest, f"{self.url}/{key}") from None
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error
        if actual != digest:
            raise corrupt(digest, actual, f"{self.url}/{key}")

    def export(self, digest: str, path: Path) -> None:
        """Download the object into a new file, past the cache (see `Store.export`)."""
        key = _key(digest)
        self._download(key, digest, path)
        verified(path, digest, f"{self.url}/{key}")

    def contains(self, digest: str) -> bool:
        """Whether there is such an object in the bucket."""
        import obstore

        try:
            obstore.head(self._store, _key(digest))
        except FileNotFoundError:
            return False
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error
        return True

    def touch(self, digest: str) -> bool:
        """Whether the object is there, now young (see `Store.touch`): it is put again if older than 5 minutes.

        Within 5 minutes a process asks the bucket once for each object.
        """
        import obstore

        key, now = _key(digest), time.time()
        if now - self._touched.get(digest, 0.0) < _YOUNG:
            return True
        try:
            if now - self._modified(key) > _YOUNG:
                obstore.put(self._store, key, self.fetch(digest), chunk_size=CHUNK)
        except (FileNotFoundError, ArtifactMissing):
            return False
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error
        self._touched[digest] = now
        return True

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """Remove the object from the bucket and the cache (see `Store.delete`).

        S3 has no removal by age: a touch that falls between the look and the removal, one request, is not seen.
        """
        import obstore

        key = _key(digest)
        try:
            modified = self._modified(key)
            if before is not None and modified > before:
                return False
            self._cache.delete(digest)
            obstore.delete(self._store, key)
        except FileNotFoundError:
            self._cache.delete(digest)
            return False
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error
        return True

    def _modified(self, key: str) -> float:
        """When an object was last put, in seconds since 1970; FileNotFoundError if there is none."""
        import obstore

        return float(obstore.head(self._store, key)["last_modified"].timestamp())

    def list(self) -> Iterator[StoredObject]:
        """All objects of the bucket under the prefix."""
        import obstore

        try:
            for page in obstore.list(self._store, prefix=_PREFIX):
                for meta in page:
                    digest = meta["path"].removeprefix(_PREFIX).replace("/", "")
                    yield StoredObject(digest, meta["size"], meta["last_modified"].timestamp())
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error

    def _download(self, key: str, digest: str, target: Path) -> None:
        import obstore

        try:
            with target.open("wb") as file:
                for chunk in obstore.get(self._store, key).stream(min_chunk_size=CHUNK):
                    file.write(chunk)
        except FileNotFoundError:
            raise missing(digest, f"{self.url}/{key}") from None
        except obstore.exceptions.BaseError as error:
            raise self._error(error) from error
        except OSError as error:
            raise storage_error(error, str(target.parent)) from error

    def _error(self, error: Exception) -> StorageError:
        """The error for a refused request: its kind only, since its text may show signed addresses."""
        return StorageError(
            f"the object store refused or did not answer ({type(error).__name__})",
            where=self.url,
            next="check the endpoint, the bucket's name and the AWS_* credentials",
        )


def _key(digest: str) -> str:
    checked(digest)
    return f"{_PREFIX}{digest[:2]}/{digest[2:]}"


def _cache_folder(url: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base else Path.home() / ".cache"
    return folder / "trikk" / "objects" / digest_bytes(url.encode())[:16]
