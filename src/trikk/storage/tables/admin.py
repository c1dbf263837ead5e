"""What a table holds and what can be cleared away: for people, and for the commands that serve them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from trikk.core.errors import TableError
from trikk.storage.tables.data_files import Files, logged
from trikk.storage.tables.table_write import table_schema

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class TableWrite:
    """One version in a table's history.

    Attributes:
        version: the version that the write made.
        at: when, in seconds since 1970.
        mode: "append", "overwrite" or "merge", "types" where columns without values took the type of the first,
            "columns" where a merge was about to bring new ones; for other programs' writes their operation in
            lower case.
        rows: how many rows it was given, None where that was not recorded.
        run: the run that wrote, None for writes from outside a run.
        step: the step that wrote, None for writes from outside a run.
        identity: the identity under which it can't be made again, None for other programs' writes.
    """

    version: int
    at: float
    mode: str
    rows: int | None
    run: str | None
    step: str | None
    identity: str | None


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column that a version has otherwise than the one before: polars' type names, None where there was none."""

    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class VersionWrite(TableWrite):
    """One version, and what it did to the table.

    Attributes:
        added_bytes: size of the data files that it added, 0 without any.
        removed_files: how many data files it did without.
        columns: those that it changed.
    """

    added_bytes: int
    removed_files: int
    columns: tuple[ColumnChange, ...]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table at a version.

    Attributes:
        name: the table.
        version: the version described.
        rows: how many rows it has.
        columns: polars' type names by column.
        bytes: size of the data files of this version.
        files: how many data files this version has.
        written: when this version was made, in seconds since 1970.
        history: the writes up to this version, newest first.
    """

    name: str
    version: int
    rows: int
    columns: dict[str, str]
    bytes: int
    files: int
    written: float
    history: tuple[TableWrite, ...]


@dataclass(frozen=True, slots=True)
class CleanReport:
    """What a clean-up removed (or would, if `dry_run`): paths relative to the table, and their bytes.

    `kept` are the versions that it spared, `young` the unreferenced files that are within the grace period, and
    `young_bytes` their size.
    """

    name: str
    removed: tuple[str, ...]
    bytes: int
    kept: tuple[int, ...]
    young: int
    young_bytes: int
    dry_run: bool


def info(name: str, table: DeltaTable, *, limit: int, newest: int) -> TableInfo:
    """Describe an open snapshot with its newest `limit` writes, in a table whose newest version is `newest`."""
    import polars as pl

    actions = pl.DataFrame(table.get_add_actions())
    rows = _row_count(table, actions)
    later = newest - table.version()
    entries = table.history(max(limit, 1) + later)  # delta-rs counts from the newest, whatever the snapshot
    history = tuple(_write(entry) for entry in entries if entry["version"] <= table.version())
    return TableInfo(
        name=name,
        version=table.version(),
        rows=rows,
        columns={column: str(dtype) for column, dtype in table_schema(table).items()},
        bytes=int(actions["size_bytes"].sum()),
        files=actions.height,
        written=history[0].at,
        history=history[:limit],
    )


def row_count(table: DeltaTable) -> int:
    """How many rows an open snapshot has, by its log if that says it."""
    import polars as pl

    return _row_count(table, pl.DataFrame(table.get_add_actions()))


def _row_count(table: DeltaTable, actions: pl.DataFrame) -> int:
    import polars as pl

    counted = "num_records" in actions.columns and actions["num_records"].null_count() == 0
    return int(actions["num_records"].sum() if counted else pl.scan_delta(table).select(pl.len()).collect().item())


def version_writes(
    name: str, files: Files, versions: range, columns: Callable[[int], Mapping[str, str]]
) -> list[VersionWrite]:
    """What each of these versions (ascending) did, the newest first; it costs as much as they are many.

    Args:
        name: the table.
        files: its files.
        versions: of the table; those that the log has no entry of any more are left out.
        columns: gives the columns that a version had.
    """
    writes: list[VersionWrite] = []
    known: Mapping[str, str] | None = None
    for version in versions:
        try:
            actions = files.commit(name, version)
        except FileNotFoundError:
            known = None  # in a checkpoint; what it changed is not known
            continue
        changed: tuple[ColumnChange, ...] = ()
        schema = next((a["metaData"]["schemaString"] for a in actions if "metaData" in a), None)
        if schema is not None:
            before = known if known is not None else (columns(version - 1) if version else {})
            known = _columns(schema)
            changed = _changes(before, known)
        entry: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        added = sum(int(action["add"]["size"]) for action in actions if "add" in action)
        removed = sum("remove" in action for action in actions)
        write = _write({**entry, "version": version})
        writes.append(VersionWrite(**asdict(write), added_bytes=added, removed_files=removed, columns=changed))
    return writes[::-1]


def _columns(schema: str) -> dict[str, str]:
    import polars as pl
    from deltalake import Schema

    return {column: str(dtype) for column, dtype in pl.Schema(Schema.from_json(schema)).items()}


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ColumnChange, ...]:
    names = dict.fromkeys((*before, *after))
    return tuple(
        ColumnChange(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def sweep(
    name: str, snapshots: Collection[DeltaTable], files: Files, *, before: float, dry_run: bool
) -> CleanReport:
    """Remove the data files that no snapshot uses, and that neither were written nor given up since `before`.

    A run that was locked to the version that was the newest then may still be about to say so.

    Raises:
        TableError: if a file that a snapshot uses is not listed. Nothing is removed then: either the table is
            damaged, or its paths are not understood.
    """
    used: set[str] = set()
    for snapshot in snapshots:
        used |= logged(snapshot).keys()
    listed = {file.path: file for file in files.data(name)}
    missing = sorted(used - listed.keys())
    if missing:
        raise TableError(
            f"{len(missing)} data files of table {name!r} are missing, such as {missing[0]}; nothing was removed",
            where=f"table {name}",
            next="restore them from a backup, or do without the versions that use them",
        )
    unused = [listed[path] for path in sorted(listed.keys() - used)]
    lately = removed_since(name, max(snapshot.version() for snapshot in snapshots), files, before)
    old = [file for file in unused if file.modified < before and file.path not in lately]
    if not dry_run:
        files.delete(name, [file.path for file in old])
    return CleanReport(
        name=name,
        removed=tuple(file.path for file in old),
        bytes=sum(file.size for file in old),
        kept=tuple(sorted({snapshot.version() for snapshot in snapshots})),
        young=len(unused) - len(old),
        young_bytes=sum(file.size for file in unused) - sum(file.size for file in old),
        dry_run=dry_run,
    )


def removed_since(name: str, newest: int, files: Files, moment: float) -> set[str]:
    """The data files that versions made since a moment (seconds since 1970) do without, by the log."""
    removed: set[str] = set()
    for version in range(newest, -1, -1):
        try:
            actions = files.commit(name, version)
        except FileNotFoundError:
            break  # another program has put the older entries of a bucket's log into a checkpoint
        at = next((action["commitInfo"].get("timestamp") for action in actions if "commitInfo" in action), None)
        if at is not None and at / 1000 < moment:
            break
        removed |= {unquote(action["remove"]["path"]) for action in actions if "remove" in action}
    return removed


def _write(entry: Mapping[str, Any]) -> TableWrite:
    metrics = entry.get("operationMetrics") or {}
    rows = entry.get("trikk.rows", metrics.get("num_added_rows"))
    return TableWrite(
        version=int(entry["version"]),
        at=entry.get("timestamp", 0) / 1000,
        mode=str(entry.get("trikk.mode") or entry.get("operation", "unknown")).lower(),
        rows=None if rows is None else int(rows),
        run=entry.get("trikk.run"),
        step=entry.get("trikk.step"),
        identity=entry.get("trikk.identity") or None,
    )
