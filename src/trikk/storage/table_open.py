"""Opening a Delta table so that polars finds its files, whatever the folder is called.

delta-rs writes the names of local files as in a URL (`a%20b`), and polars takes them as they are (deltalake 1.6,
polars 2.1), so that a table in a folder with a blank or an umlaut could be written and not be read.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from deltalake import DeltaTable


def open_table(location: str, version: int | None, options: Mapping[str, str] | None) -> DeltaTable:
    """A snapshot of the table at a folder or URL; delta-rs' own errors if there is none.

    Args:
        location: an absolute path, or s3://...
        version: which; the newest if None.
        options: how an object store is reached.
    """
    from deltalake import DeltaTable

    given = None if options is None else dict(options)
    if "://" in location or quote(location) == location:
        return DeltaTable(location, version=version, storage_options=given)
    found: DeltaTable = _plainly_named()(location, version=version)
    return found


@functools.cache
def _plainly_named() -> Any:
    from deltalake import DeltaTable

    class PlainlyNamed(DeltaTable):
        """A local table whose files have the names that the filesystem knows."""

        def file_uris(self, *args: Any, **kwargs: Any) -> list[str]:
            return [unquote(uri) for uri in super().file_uris(*args, **kwargs)]

    return PlainlyNamed
