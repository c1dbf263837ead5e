"""Tables in memory, with the same meaning as the real ones; the same contract tests run against both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trikk.core.errors import TableError, UnknownName, UsageError
from trikk.core.names import check_name
from trikk.storage.positions import check_positions
from trikk.storage.tables.merge_keys import check_keys
from trikk.storage.tables.ranges import FileRange
from trikk.storage.tables.run_view import overlay
from trikk.storage.tables.table_write import Committed, Write
from trikk.storage.tables.types import storable

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows that one write has put into a table, as a file of a real one; none is equal to another."""

    name: str
    rows: pl.DataFrame


class MemoryTables:
    """Every version of every table, as frames.

    Args:
        frames: tables that exist at the beginning, at version 0.
    """

    def __init__(self, frames: Mapping[str, pl.DataFrame] | None = None) -> None:
        self._versions: dict[str, list[pl.DataFrame]] = {}
        self._parts: dict[str, list[tuple[Part, ...]]] = {}
        self._commits: dict[tuple[str, str], Committed] = {}
        self._positions: dict[tuple[str, str], int] = {}
        for name, frame in (frames or {}).items():
            self._versions[check_name("table", name)] = [first := storable(frame)]
            self._parts[name] = [(Part(f"{name}-0", first),)]

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

    def ranges(self, name: str, column: str, version: int | None = None) -> list[FileRange]:
        """The parts that the writes up to a version have left, with the range of a column in each."""
        self.scan(name, version)
        return [_range(part, column) for part in self._parts[name][-1 if version is None else version]]

    def added_ranges(self, name: str, column: str, after: int, until: int) -> list[FileRange] | None:
        """The parts that came between two versions; None where others were changed or removed."""
        self.scan(name, until)
        if after > until:
            return None
        before, now = self._parts[name][after], self._parts[name][until]
        return None if now[: len(before)] != before else [_range(part, column) for part in now[len(before) :]]

    def rows_in(self, name: str, paths: Sequence[str]) -> pl.LazyFrame:
        """The rows of some of its parts, as `ranges` names them."""
        import polars as pl

        parts = {part.name: part.rows for version in self._parts[name] for part in version}
        return pl.concat([parts[path] for path in paths], how="diagonal_relaxed").lazy()

    def view(self, name: str, version: int | None, writes: Sequence[Write]) -> pl.LazyFrame:
        """The table at a pinned version (None: it did not exist) with a run's own writes on top."""
        if version is None and not writes:
            raise UnknownName("table", name, self.names())
        return overlay(None if version is None else self.scan(name, version), writes, where=f"table {name}")

    def appended(self, name: str, after: int, until: int) -> pl.LazyFrame | None:
        """The rows that came to a table between two versions; None where others were changed or removed."""
        before, now = (self.scan(name, version).collect() for version in (after, until))
        if now.schema != before.schema or not now.head(before.height).equals(before):
            return None
        return now.slice(before.height).lazy()

    def write(self, name: str, write: Write, *, identity: str, origin: Mapping[str, str]) -> Committed:
        """Make a write once for each identity."""
        if not identity:
            raise UsageError("a write needs an identity")
        earlier = self._commits.get((check_name("table", name), identity))
        if earlier is not None:
            return replace(earlier, repeated=True)
        check_positions(name, lambda source: self._positions.get((name, source)), write.positions)
        frame = write.frame.lazy().collect()
        before = self._versions.get(name, [])
        write = replace(write, frame=before[-1].clear() if before and not frame.width else frame)
        after, inserted, updated = _written(before[-1] if before else None, write, where=f"table {name}")
        self._versions[name] = [*before, after]
        parts = self._parts.setdefault(name, [])
        parts.append(_parts(parts[-1] if parts else (), write, after, f"{name}-{len(before)}"))
        commit = Committed(len(before), frame.height, False, inserted, updated)
        self._commits[name, identity] = replace(commit, digest=origin.get("digest"))
        self._positions |= {(name, advance.source): advance.after for advance in write.positions}
        return commit

    def positions(self, name: str, sources: Sequence[str]) -> dict[str, int | None]:
        """How far each of some sources has been brought into a table; None for one that never was."""
        return {source: self._positions.get((check_name("table", name), source)) for source in sources}


def _written(
    before: pl.DataFrame | None, write: Write, *, where: str
) -> tuple[pl.DataFrame, int | None, int | None]:
    """The table after a write, with the numbers of rows that are new and that were replaced."""
    rows = write.frame.lazy().collect()
    after = overlay(None if before is None else before.lazy(), [write], where=where)
    if write.key:
        check_keys(rows, write.key, unique=write.mode == "merge", where=where)
    if write.mode == "overwrite":
        return after.collect(), None, None
    replaced = 0
    if write.mode == "merge" and before is not None:
        partners = before.select(write.key).join(rows.select(write.key), on=write.key, how="semi")
        if partners.is_duplicated().any():
            raise TableError(
                "the table has several rows for one of the keys",
                where=where,
                next="merge by a key that is unique in the table, or overwrite the table with unique rows first",
            )
        replaced = partners.height
    whole = after.collect()
    return whole, whole.height - (0 if before is None else before.height), replaced


def _parts(before: tuple[Part, ...], write: Write, after: pl.DataFrame, name: str) -> tuple[Part, ...]:
    """The parts of a table after a write: those that lost rows are made anew, and what is new comes last."""
    if write.mode == "overwrite":
        return (Part(name, after),)
    kept = before
    if write.mode == "merge":
        rest = ((part, _without(part.rows, write)) for part in before)
        kept = tuple(p if p.rows.height == rows.height else Part(f"{name}/{p.name}", rows) for p, rows in rest)
    return (*kept, Part(name, after.slice(sum(part.rows.height for part in kept))))


def _without(rows: pl.DataFrame, write: Write) -> pl.DataFrame:
    return rows.join(write.frame.lazy().collect().select(write.key), on=write.key, how="anti")


def _range(part: Part, column: str) -> FileRange:
    if column not in part.rows.columns:
        return FileRange(part.name, None, None)
    return FileRange(part.name, part.rows[column].min(), part.rows[column].max())
