"""Tables whose libraries are imported when one is first touched: most commands, and most steps, touch none."""

from __future__ import annotations

from typing import Any


class LazyTables:
    """Stands for `Tables` at a location.

    Args:
        location: a folder or s3://bucket/prefix, as `Tables` takes it.
    """

    def __init__(self, location: str) -> None:
        self._location = location
        self._tables: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._tables is None:
            from trikk.storage.tables.versioned_tables import Tables

            self._tables = Tables(self._location)
        return getattr(self._tables, name)
