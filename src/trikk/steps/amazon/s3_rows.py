"""Rows from objects in a bucket: which objects were read is written down, each as it was when it was listed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import MissingExtra, StorageError
from trikk.core.values import JSON
from trikk.runs.context import current_step
from trikk.steps.amazon.credentials import check_access, session
from trikk.steps.amazon.s3_names import Location, fill, locate
from trikk.storage.ingest.reader import Part, Reading, Rows, format_of, read_parts, united

if TYPE_CHECKING:
    import polars as pl

_CHUNK = 8 << 20
_OBJECTS_IN_EVENT = 500


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its key, and what tells one content of it from another."""

    key: str
    size: int
    etag: str | None
    version: str | None = None

    def to_json(self) -> dict[str, JSON]:
        """As it stands in the event."""
        return {"key": self.key, "size": self.size, "etag": self.etag, "version": self.version}


def read_s3(
    uri: str,
    parameters: Mapping[str, object] | None = None,
    format: str | None = None,  # noqa: A002 - the word that authors know
    columns: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    union: bool = False,
    nulls: Sequence[str] = (),
    separator: str | None = None,
    profile: str | None = None,
    role: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
) -> pl.DataFrame:
    """Read the rows of one or many objects, in the order of their keys.

    In a run, "source.read" events name every object that was read, with its size, ETag and version.

    Args:
        uri: s3://bucket/key, a folder (ends with /), or a pattern; may hold `{name}` for each parameter.
        parameters: values by name.
        format: "csv", "parquet" or "jsonl" for all objects; by each one's ending if not given.
        columns: those to read; all if not given.
        types: names of types by column, as in `trikk.storage.ingest.column_types`.
        union: whether a column that a file lacks is null in its rows.
        nulls: texts in CSV that mean that there is no value.
        separator: between the values of CSV; a comma if None.
        profile: a section of the AWS configuration files.
        role: the ARN of a role to take on.
        endpoint: the server's URL; AWS_ENDPOINT_URL if not given.
        region: AWS_REGION, or the profile's, if not given.

    Returns:
        The rows, in the columns' order of the first object.

    Raises:
        UsageError: if the address, or a column that is named, is wrong.
        StorageError: if there is no object, the server refuses or is away, or an object is damaged or changes
            while it is read.
        MissingExtra: if obstore, or boto3 for a profile or a role, is not installed.
    """
    reading = Reading(columns, types or {}, nulls, separator, union)
    filled = fill(uri, parameters or {})
    place = locate(filled)
    check_access(profile, role, endpoint, region)
    bucket = connect(place.bucket, profile, role, endpoint, region)
    objects = list_objects(bucket, place, filled)
    kinds = [format_of(found.key, format) for found in objects]
    parts: list[Part] = []
    read: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="trikk-s3-", dir=_scratch()) as folder:
        for found, (kind, packed) in zip(objects, kinds, strict=True):
            label = f"s3://{place.bucket}/{found.key}"
            path = Path(folder, f"object.{kind}")
            read.append(download(bucket, found, path, label))
            parts += read_parts(path, kind, packed, label, reading)
            path.unlink()
    rows = united(parts, reading)
    _record(filled, place.bucket, read, rows)
    return rows.frame


def connect(bucket: str, profile: str | None, role: str | None, endpoint: str | None, region: str | None) -> Any:
    """A connection to a bucket.

    Raises:
        MissingExtra: if obstore, or boto3 for a profile or a role, is not installed.
        UsageError: if there is no such profile.
        StorageError: if there are no credentials for it.
    """
    try:
        from obstore.store import S3Store
    except ImportError:
        raise MissingExtra("reading from S3", "s3") from None
    server = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {}
    if profile or role:
        from obstore.auth.boto3 import Boto3CredentialProvider

        who = session(profile, role, region)
        options["credential_provider"] = Boto3CredentialProvider(who)
        region = region or who.region_name
    if server:
        options["endpoint"] = server
    known = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    options["region"] = region or known or "us-east-1"
    return S3Store(
        bucket,
        client_options={
            "allow_http": (server or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(minutes=10),
        },
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
        **options,
    )


def list_objects(bucket: Any, place: Location, shown: str) -> list[Found]:
    """The objects that an address names, sorted by key.

    Raises:
        StorageError: if there is none (it may still arrive), or the server refuses or is away.
    """
    import obstore

    with _told(shown):
        if not place.is_pattern and not place.is_folder:
            try:
                metas = [obstore.head(bucket, place.key)]
            except FileNotFoundError:
                raise _nothing(shown) from None
        else:
            pages = obstore.list(bucket, prefix=place.prefix or None)
            metas = [meta for page in pages for meta in page if place.matches(meta["path"])]
    if not metas:
        raise _nothing(shown)
    found = [Found(m["path"], m["size"], m.get("e_tag"), m.get("version")) for m in metas]
    return sorted(found, key=lambda one: one.key)


def _nothing(shown: str) -> StorageError:
    return StorageError(
        f"there is no object {shown}",
        where=shown,
        next="check the bucket and the key; a folder ends with /, and * stays in one folder (** does not)",
    )


def download(bucket: Any, found: Found, path: Path, label: str) -> Found:
    """Bring an object into a file, in pieces; it must still be the one that was listed."""
    import obstore

    options: Any = {"if_match": found.etag} if found.etag else {}
    with _told(label):
        try:
            got = obstore.get(bucket, found.key, options=options)
            with path.open("wb") as file:
                for chunk in got.stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
        except (FileNotFoundError, obstore.exceptions.PreconditionError):
            raise StorageError(
                f"{label} was changed or removed while it was read", where=label, next="run this again"
            ) from None
    if path.stat().st_size != got.meta["size"]:
        raise StorageError(f"{label} arrived cut off", where=label, next="run this again")
    return Found(found.key, got.meta["size"], got.meta.get("e_tag"), got.meta.get("version"))


def _scratch() -> Path | None:
    """Where files are laid for a moment: beside the artifacts in a run, else the system's folder for that."""
    step = current_step()
    return None if step is None else step.artifacts.store.workspace()


def _record(uri: str, bucket: str, objects: list[Found], rows: Rows) -> None:
    step = current_step()
    if step is None:
        return
    for doubt in rows.doubts:
        print(f"{uri}: {doubt}")  # noqa: T201 - into the step's log
    about: dict[str, JSON] = {
        "source": "s3",
        "uri": uri,
        "bucket": bucket,
        "rows": rows.frame.height,
        "count": len(objects),
        "bytes": sum(one.size for one in objects),
    }
    about |= {"columns": dict(rows.types), "doubts": list(rows.doubts)}
    pieces = [objects[at : at + _OBJECTS_IN_EVENT] for at in range(0, len(objects), _OBJECTS_IN_EVENT)]
    step.record_many([("source.read", {**about, "objects": [o.to_json() for o in piece]}) for piece in pieces])


@contextmanager
def _told(label: str) -> Iterator[None]:
    """Say what was refused; never the library's own text, which may show signed addresses."""
    import obstore

    try:
        yield
    except obstore.exceptions.BaseError as error:
        raise StorageError(
            f"{label} can't be read: the server refused or did not answer ({type(error).__name__})",
            where=label,
            next="check the endpoint, the bucket's name and the credentials",
        ) from None
