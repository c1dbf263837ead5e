"""Objects of a bucket: the connection, what is there, and an object brought into a file.

Artifacts, `trikk ingest` and the step `s3` reach S3 by these. A server's own words are shown nowhere, since they
may hold signed addresses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from trikk.core.errors import MissingExtra, StorageError
from trikk.core.record import Record
from trikk.storage.stores.object_names import Location

CHUNK = 8 << 20
"""Bytes of a piece: 8 MB, as the AWS command line takes them."""


class BucketObject(Record, frozen=True):
    """An object: its key, and what tells one content of it from another."""

    key: str
    size: int
    etag: str | None
    version: str | None = None


def connect_bucket(
    bucket: str,
    purpose: str,
    *,
    prefix: str = "",
    endpoint: str | None = None,
    region: str | None = None,
    credentials: Any = None,
    minutes: float = 10,
) -> Any:
    """A connection to a bucket, or to what is under a prefix in it.

    Args:
        bucket: its name.
        purpose: what it is for, as the error says if obstore is not installed.
        prefix: "" for the whole bucket.
        endpoint: the server's URL, where the environment's is not meant.
        region: likewise.
        credentials: a provider of obstore's; those of the environment or the machine's role if None.
        minutes: that one request may take, an object's whole body among it.

    Raises:
        MissingExtra: if obstore is not installed.
    """
    try:
        from obstore.store import S3Store as Bucket
    except ImportError:
        raise MissingExtra(purpose, "s3") from None
    server = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {"region": region or _region()}
    if server:
        options["endpoint"] = server
    if credentials is not None:
        options["credential_provider"] = credentials
    return Bucket(
        bucket,
        prefix=prefix or None,
        client_options={
            "allow_http": (server or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(minutes=minutes),
        },
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
        **options,
    )


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def list_objects(bucket: Any, place: Location, label: str) -> list[BucketObject]:
    """The objects that an address names, sorted by key; none if there is none.

    Args:
        bucket: a connection to the whole bucket.
        place: the address.
        label: what the address is called in an error.

    Raises:
        StorageError: if the server refuses or is away.
    """
    import obstore

    with readable(label):
        if place.is_pattern or place.is_folder:
            pages = obstore.list(bucket, prefix=place.prefix or None)
            metas = [meta for page in pages for meta in page if place.matches(meta["path"])]
        else:
            try:
                metas = [obstore.head(bucket, place.key)]
            except FileNotFoundError:
                metas = []
    return sorted(map(_described, metas), key=lambda one: one.key)


def download(bucket: Any, listed: BucketObject, path: Path, label: str) -> BucketObject:
    """Bring an object into a file, in pieces; it must still be the one that was listed.

    Raises:
        StorageError: if it is another one or gone by now, arrives cut off, or the server refuses or is away.
    """
    import obstore

    with readable(label):
        try:
            described = fetch_into(path, bucket, listed.key, etag=listed.etag)
        except (FileNotFoundError, obstore.exceptions.PreconditionError):
            raise StorageError(
                f"{label} was changed or removed while it was read", where=label, next="run this again"
            ) from None
    if path.stat().st_size != described.size:
        raise StorageError(f"{label} arrived cut off", where=label, next="run this again")
    return described


def fetch_into(path: Path, bucket: Any, key: str, etag: str | None = None) -> BucketObject:
    """Write an object's bytes into a file; what obstore raises goes through.

    Args:
        path: the file.
        bucket: a connection.
        key: the object's name under the connection's prefix.
        etag: of the content that is wanted, and no other.
    """
    import obstore

    options: Any = {"if_match": etag} if etag else {}
    answer = obstore.get(bucket, key, options=options)
    with path.open("wb") as file:
        for chunk in answer.stream(min_chunk_size=CHUNK):
            file.write(chunk)
    return _described(answer.meta)


def _described(meta: Mapping[str, Any]) -> BucketObject:
    return BucketObject(meta["path"], meta["size"], meta.get("e_tag"), meta.get("version"))


@contextmanager
def readable(label: str) -> Iterator[None]:
    """Say what was refused; never the library's own text, which may show signed addresses.

    Raises:
        StorageError: in the place of any error of obstore's.
    """
    import obstore

    try:
        yield
    except obstore.exceptions.BaseError as error:
        raise StorageError(
            f"{label} can't be read: the server refused or did not answer ({type(error).__name__})",
            where=label,
            next="check the endpoint, the bucket's name and the credentials",
        ) from None
