"""From a location as people write it to a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trikk.core.errors import UsageError
from trikk.storage.stores.local import LocalStore
from trikk.storage.stores.memory_store import MemoryStore
from trikk.storage.stores.store_port import Store


def open_store(location: str, options: Mapping[str, str] | None = None) -> Store:
    """The store at a location: an absolute path, `s3://bucket/prefix`, or `memory:`.

    Args:
        location: as above.
        options: for S3 only: `cache` (a local folder), `endpoint` and `region`; credentials come from the
            standard AWS_* environment variables.

    Raises:
        UsageError: if the location is none of these.
    """
    if location == "memory:":
        return MemoryStore()
    if location.startswith("s3://"):
        from trikk.storage.stores.s3_store import S3Store

        return S3Store(location, options)
    path = Path(location)
    if not path.is_absolute():
        raise UsageError(
            f"{location!r} is not a place for artifacts",
            next="use an absolute path, s3://bucket/prefix, memory:",
        )
    try:
        return LocalStore(path)
    except OSError as error:
        raise UsageError(
            f"artifacts can't be kept in {location}: {error.strerror}", next="name a folder that can be written"
        ) from error
