"""Rows from objects in a bucket: which objects were read is written down, each as it was when it was listed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import MissingExtra, StorageError
from trikk.core.values import JSON
from trikk.runs.context import current_step
from trikk.steps.amazon.credentials import check_access, session
from trikk.steps.amazon.name_templates import fill
from trikk.storage.ingest.reader import Part, Reading, Rows, format_of, read_parts, united
from trikk.storage.stores.buckets import BucketObject, connect_bucket, download, list_objects
from trikk.storage.stores.object_names import locate

if TYPE_CHECKING:
    import polars as pl

_PURPOSE = "reading from S3"
_OBJECTS_IN_EVENT = 500  # so that an event stays below some 100 kB, however many objects there are


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
    """Read the rows of one or many objects, in the order of their keys; arguments as `trikk.s3` describes them.

    In a run, "source.read" events name every object that was read, with its size, ETag and version.

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
    if not objects:
        raise StorageError(  # not the author's mistake for sure: it may still arrive
            f"there is no object {filled}",
            where=filled,
            next="check the bucket and the key; a folder ends with /, and * stays in one folder (** does not)",
        )
    kinds = [format_of(one.key, format) for one in objects]
    parts: list[Part] = []
    read: list[BucketObject] = []
    with tempfile.TemporaryDirectory(prefix="trikk-s3-", dir=scratch()) as folder:
        for listed, (kind, packed) in zip(objects, kinds, strict=True):
            label = f"s3://{place.bucket}/{listed.key}"
            path = Path(folder, f"object.{kind}")
            read.append(download(bucket, listed, path, label))
            parts += read_parts(path, kind, packed, label, reading)
            path.unlink()  # one object at a time is on the disk
    rows = united(parts, reading)
    _record(filled, place.bucket, read, rows)
    return rows.frame


def connect(bucket: str, profile: str | None, role: str | None, endpoint: str | None, region: str | None) -> Any:
    """A connection to a bucket, with the credentials of the environment, a profile or a role.

    Raises:
        MissingExtra: if obstore, or boto3 for a profile or a role, is not installed.
        UsageError: if there is no such profile.
        StorageError: if there are no credentials for it.
    """
    credentials = None
    if profile or role:
        who = session(profile, role, region)
        credentials = _provider(who)
        region = region or who.region_name
    return connect_bucket(bucket, _PURPOSE, endpoint=endpoint, region=region, credentials=credentials)


def _provider(who: Any) -> Any:
    """What renews a session's credentials before they run out."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise MissingExtra(_PURPOSE, "s3") from None
    return Boto3CredentialProvider(who)


def scratch() -> Path | None:
    """Where files are laid for a moment: beside the artifacts in a run, else the system's folder for that."""
    step = current_step()
    return None if step is None else step.artifacts.store.workspace()


def _record(uri: str, bucket: str, objects: list[BucketObject], rows: Rows) -> None:
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
