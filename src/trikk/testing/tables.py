"""Tables in memory, with the same meaning as the real ones; the same contract tests run against both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trikk.core.errors import TableError, UnknownName, UsageError
from trikk.core.names import check_name
from trikk.storage.table_types import storable
from trikk.storage.table_view import overlay
from trikk.storage.table_write import Committed, Write

if TYPE_CHECKING:
    import polars as pl


class MemoryTables:
    """Every version of every table, as frames.

    Args:
        frames: tables that exist at the beginning, at version 0.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame] | None = None) -> None:
        self._versions: dict[str, list[pl.DataFrame]] = {}
        self._made: dict[tuple[str, str], Committed] = {}
        for name, frame in (frames or {}).items():
            self._versions[check_name("table", name)] = [storable(frame)]

    def names(self) -> list[str]:
        """The tables that there are."""
        return sorted(self._versions)

    def version(self, name: str) -> int | None:
        """The newest version of a table, None where there is no table."""
        check_name("table", name)
        return len(self._versions[name]) - 1 if name in self._versions else None

    def scan(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a table at a version (None: the newest)."""
        check_name("table", name)
        if name not in self._versions:
            raise UnknownName("table", name, self.names())
        versions = self._versions[name]
        if version is not None and not 0 <= version < len(versions):
            raise TableError(f"table {name} has no version {version}", next=f"it has 0 to {len(versions) - 1}")
        return versions[-1 if version is None else version].lazy()

    def view(self, name: str, version: int | None, writes: Sequence[Write]) -> pl.LazyFrame:
        """The table at a pinned version (None: it did not exist) with a run's own writes on top."""
        if version is None and not writes:
            raise UnknownName("table", name, self.names())
        return overlay(None if version is None else self.scan(name, version), writes, where=f"table {name}")

    def write(self, name: str, write: Write, *, identity: str, origin: Mapping[str, str]) -> Committed:  # noqa: ARG002
        """Make a write once for each identity."""
        if not identity:
            raise UsageError("a write needs an identity")
        made = self._made.get((check_name("table", name), identity))
        if made is not None:
            return Committed(made.version, made.rows, True, made.inserted, made.updated)
        before = self.version(name)
        after = self.view(name, before, [write]).collect()
        self._versions.setdefault(name, []).append(after)
        rows = write.frame.lazy().collect().height
        made = Committed((before if before is not None else -1) + 1, rows)
        self._made[name, identity] = made
        return made
