"""One write into a Delta table: exactly once for its identity, whole or not at all.

delta-rs records an application transaction with a commit and refuses a second one only if both were under way
at the same time (tried, 1.6.6). So the identity is looked up in a fresh snapshot before each attempt, and what
comes in between is caught by the log's own conflict check; a file lock keeps local writers out of each other's
way. An attempt that lost is made again on a fresh snapshot.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trikk.core.errors import TableError, UsageError
from trikk.storage.positions import Advance, check_positions
from trikk.storage.stores.local import is_full
from trikk.storage.tables.merge_keys import check_columns, check_keys, check_target_keys, completed
from trikk.storage.tables.rewriting import Rewriting, is_plain
from trikk.storage.tables.types import Mode, SchemaMode, fitted, with_first_values

if TYPE_CHECKING:
    import polars as pl
    from deltalake import CommitProperties, DeltaTable

    from trikk.storage.tables.opening import Place

_ATTEMPTS = 30  # with their pauses some 45 s
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Write:
    """Rows for a table, and how they go in.

    Attributes:
        mode: "append" adds the rows (with a key: those whose key is not there yet), "overwrite" puts them in the
            place of all rows, "merge" replaces the rows with the same key and adds the others.
        frame: the rows, possibly none.
        key: the columns that say which row is which, without nulls. A merge needs them, each combination at most
            once; an append drops rows whose combination is in the table or came earlier in the rows.
        schema_mode: "strict" wants exactly the table's columns; "merge" adds new columns, and takes rows that lack
            some: these are null in them, or stay as they are in rows that a merge replaces (with "overwrite": the
            table takes the frame's columns and types whatever it had).
        positions: how far the write moves the sources of its rows on, in the same commit.
    """

    mode: Mode
    frame: pl.DataFrame | pl.LazyFrame
    key: tuple[str, ...] = ()
    schema_mode: SchemaMode = "strict"
    positions: tuple[Advance, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in ("append", "overwrite", "merge"):
            raise UsageError(f"there is no write mode {self.mode!r}", next="use 'append', 'overwrite' or 'merge'")
        if self.schema_mode not in ("strict", "merge"):
            raise UsageError(f"there is no schema mode {self.schema_mode!r}", next="use 'strict' or 'merge'")
        if len(set(self.key)) != len(self.key):
            raise UsageError(f"key {self.key!r} names a column twice")
        if self.mode == "merge" and not self.key:
            raise UsageError("a merge needs a key", next="name the columns that tell rows apart: key=[...]")
        if self.mode == "overwrite" and self.key:
            raise UsageError("an overwrite takes no key", next="use mode 'merge', or leave the key out")


@dataclass(frozen=True, slots=True)
class Committed:
    """What a write came to.

    Attributes:
        version: the table's version that it made.
        rows: how many rows it was given.
        repeated: whether it had been made before under the same identity, and was therefore not made again.
        inserted: rows that are new; None for an overwrite.
        updated: rows that were replaced by a merge, 0 for an append, None for an overwrite.
        digest: of a repeated write, the digest of its rows that `origin` named when it was made; None if none.

    An append with a key drops `rows - inserted` rows.
    """

    version: int
    rows: int
    repeated: bool = False
    inserted: int | None = None
    updated: int | None = None
    digest: str | None = None


def commit(place: Place, write: Write, *, identity: str, origin: Mapping[str, str]) -> Committed:
    """Make one write, or find that it was made. The caller holds the table's lock, where there is one.

    Raises:
        TableError: if the rows do not fit, or if others kept changing the table for too long.
        Overtaken: if the table is not where the rows were read from.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError

    frame = write.frame.lazy().collect()
    write = replace(write, frame=frame)
    notes = {f"trikk.{name}": value for name, value in origin.items()}
    notes |= {"trikk.identity": identity, "trikk.mode": write.mode, "trikk.rows": str(frame.height)}
    pause = _FIRST_PAUSE
    for attempt in range(_ATTEMPTS):
        # Anew in each attempt: the commit that came in between may have been this very write, by another process.
        table = place.open()
        if table is not None and identity and (earlier := find_identity(place, table, identity)) is not None:
            return earlier
        position_of = table.transaction_version if table is not None else lambda _: None
        check_positions(place.name, position_of, write.positions)
        if table is not None and _took_types(place, table, write, notes):
            continue
        rows = prepared(place, table, write)
        if table is not None and _took_columns(place, table, write, rows, notes):
            continue
        try:
            return _attempt(place, table, write, rows, notes, tidy=attempt == 0)
        except CommitFailedError:
            pass
        except DeltaError as error:
            if is_full(error):
                raise  # whoever called has words for it
            if table is not None or "already exists" not in str(error):
                raise TableError(
                    f"nothing was written: {_first_line(error)}", where=f"table {place.name}"
                ) from error
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # spreads contenders
        pause = min(pause * 2, _LONGEST_PAUSE)
    raise TableError(
        f"table {place.name!r} was changed by others at each of {_ATTEMPTS} attempts; nothing was written",
        where=place.location,
        next="retry when fewer processes merge into it or overwrite it",
    )


def _took_types(place: Place, table: DeltaTable, write: Write, notes: Mapping[str, str]) -> bool:
    """Give the table's columns that never had a value the types of the rows that bring the first, if any do.

    A commit of its own, before the rows: after a crash between both the column is still empty, nothing is lost.
    Where somebody else came first it is not made; whoever calls looks again at a fresh snapshot in either case.
    """
    import polars as pl
    from deltalake import CommitProperties, write_deltalake
    from deltalake.exceptions import CommitFailedError

    stored = pl.scan_delta(table)
    columns = with_first_values(stored, write.frame.lazy(), where=f"table {place.name}")
    if not columns:
        return False
    whole = stored.with_columns(columns).collect()
    about = {**notes, "trikk.mode": "types", "trikk.rows": str(whole.height)}
    about["trikk.identity"] += "/types"
    properties = CommitProperties(custom_metadata=about, max_commit_retries=0)
    with suppress(CommitFailedError):
        write_deltalake(table, whole, mode="overwrite", schema_mode="overwrite", commit_properties=properties)
    return True


def _took_columns(
    place: Place, table: DeltaTable, write: Write, rows: pl.DataFrame, notes: Mapping[str, str]
) -> bool:
    """Give a plain table the columns that a merge is the first to bring, as `_took_types` gives types.

    delta-rs' own merge adds several in an order of chance (deltalake 1.6.6).
    """
    from deltalake import CommitProperties, write_deltalake
    from deltalake.exceptions import CommitFailedError

    if write.mode != "merge" or not rows.schema.keys() - table_schema(table).keys() or not is_plain(table):
        return False
    check_target_keys(table, rows, write.key, f"table {place.name}")
    about = {**notes, "trikk.mode": "columns", "trikk.rows": "0"}
    about["trikk.identity"] += "/columns"
    properties = CommitProperties(custom_metadata=about, max_commit_retries=0)
    with suppress(CommitFailedError):
        write_deltalake(table, rows.clear(), mode="append", schema_mode="merge", commit_properties=properties)
    return True


def find_identity(place: Place, table: DeltaTable, identity: str) -> Committed | None:
    """The write that was made under `identity`, None if there was none in this snapshot.

    The transaction holds the version that was expected when it was written; retries inside delta-rs can only have
    moved the commit further, so the entries from there on are searched (nearly always the first is the one).
    """
    expected = table.transaction_version(identity)
    if expected is None:
        return None
    for version in range(expected, table.version() + 1):
        actions = place.files.commit(place.name, version)
        entry: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        if entry.get("trikk.identity") == identity:
            return replace(_read_back(version, entry), digest=entry.get("trikk.digest"))
    raise TableError(
        f"table {place.name!r} knows the write {identity!r} but not its log entry",
        where=place.location,
        next="restore the table's _delta_log folder from a backup",
    )


def prepared(place: Place, table: DeltaTable | None, write: Write) -> pl.DataFrame:
    """The rows as they go into the table.

    Raises:
        TableError: if their columns, values or keys do not fit.
    """
    import polars as pl

    where = f"table {place.name}"
    schema = None if table is None else table_schema(table)
    lazy = fitted(
        write.frame.lazy(),
        schema,
        mode=write.mode,
        schema_mode=write.schema_mode,
        where=where,
    )
    try:
        rows = lazy.collect()
    except pl.exceptions.InvalidOperationError as error:
        raise TableError(
            f"a value does not fit its stored type: {_first_line(error)}",
            where=where,
            next="cast the column yourself (UInt64 and 128-bit integers are stored as Int64)",
        ) from error
    if not write.key:
        return rows
    check_keys(rows, write.key, unique=write.mode == "merge", where=where)
    if write.mode == "append":
        rows = rows.unique(subset=write.key, keep="first", maintain_order=True)
    if table is None or schema is None:
        return rows
    check_columns(schema, write.key, subject="the table", where=where)
    if write.mode == "append":
        known = Rewriting(place, table).rows_near(rows, write.key) if is_plain(table) else pl.scan_delta(table)
        return rows.lazy().join(known.select(write.key), on=write.key, how="anti", maintain_order="left").collect()
    return rows


def table_schema(table: DeltaTable) -> pl.Schema:
    """The columns of an open table as polars types."""
    import polars as pl

    return pl.Schema(table.schema())


def _attempt(
    place: Place,
    table: DeltaTable | None,
    write: Write,
    rows: pl.DataFrame,
    notes: Mapping[str, str],
    *,
    tidy: bool,
) -> Committed:
    """Make one attempt at a commit on top of `table`; CommitFailedError if somebody else was faster.

    Args:
        place: of the table.
        table: fresh, None if there is none.
        write: what is to be written.
        rows: of it, `prepared`.
        notes: what the commit says of itself.
        tidy: whether small files may be put together by the way.
    """
    from deltalake import CommitProperties, Transaction

    expected = 0 if table is None else table.version() + 1
    marks = [Transaction(advance.source, advance.after) for advance in write.positions]
    if notes["trikk.identity"]:
        marks.append(Transaction(notes["trikk.identity"], expected))

    def properties(retries: int = 0) -> CommitProperties:
        return CommitProperties(
            custom_metadata={**notes, "trikk.inserted": str(inserted), "trikk.updated": str(updated)},
            app_transactions=marks,
            max_commit_retries=retries,
        )

    given, inserted, updated = int(notes["trikk.rows"]), rows.height, 0
    # No rows are an append of none: the identity is what is to be kept.
    merges = write.mode == "merge" and table is not None and rows.height > 0
    rewriting = _rewriting(place, table, write, rows)
    if rewriting is not None:
        if merges:
            rows, updated = rewriting.merge(rows, write.key)
            inserted -= updated
        if tidy:
            with suppress(Exception):  # the write does not need it; a damaged file is found when it is read
                rewriting.put_together()
        if merges or not rewriting.is_empty:
            rewriting.commit(rows, properties())
            return Committed(expected, given, False, inserted, updated)
    elif merges:
        inserted, updated = _merge(place, table, rows, write, properties())
        return Committed(expected, given, False, inserted, updated)
    # delta-rs' own retries would put a second creation of a table on top of the first, and can't know that an
    # append with a key depends on every row: these look anew instead.
    _put(place, table, rows, write, properties(0 if table is None or write.key else 15))
    version = 0 if table is None else table.version()
    if write.mode == "overwrite":
        return Committed(version, given)
    return Committed(version, given, False, inserted, updated)


def _rewriting(place: Place, table: DeltaTable | None, write: Write, rows: pl.DataFrame) -> Rewriting | None:
    """What writes files anew in this commit; None if delta-rs has to make it alone."""
    if table is None or write.mode == "overwrite" or rows.schema.keys() - table_schema(table).keys():
        return None
    return Rewriting(place, table) if is_plain(table) else None


def _put(
    place: Place, table: DeltaTable | None, rows: pl.DataFrame, write: Write, properties: CommitProperties
) -> None:
    from deltalake import write_deltalake

    from trikk.storage.tables.opening import PROPERTIES

    common: dict[str, Any] = {"commit_properties": properties}
    if table is None:
        write_deltalake(
            place.location,
            rows,
            mode="error",
            configuration=PROPERTIES,
            storage_options=place.options,
            **common,
        )
    elif write.mode == "overwrite":
        changed = table_schema(table) != rows.schema
        write_deltalake(table, rows, mode="overwrite", schema_mode="overwrite" if changed else None, **common)
    else:
        changed = write.schema_mode == "merge"
        write_deltalake(table, rows, mode="append", schema_mode="merge" if changed else None, **common)


def _merge(
    place: Place, table: Any, rows: pl.DataFrame, write: Write, properties: CommitProperties
) -> tuple[int, int]:
    """A merge by delta-rs itself, into a table that is not plain."""
    import polars as pl

    check_target_keys(table, rows, write.key, f"table {place.name}")
    predicate = " AND ".join(f"t.{_quoted(name)} = s.{_quoted(name)}" for name in write.key)
    result = (
        table.merge(
            completed(rows.lazy(), pl.scan_delta(table), write.key).collect(),
            predicate,
            source_alias="s",
            target_alias="t",
            merge_schema=write.schema_mode == "merge",
            streamed_exec=False,
            commit_properties=properties,
        )
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )
    return int(result["num_target_rows_inserted"]), int(result["num_target_rows_updated"])


def _read_back(version: int, entry: Mapping[str, Any]) -> Committed:
    rows = int(entry["trikk.rows"])
    metrics = entry.get("operationMetrics") or {}
    if entry.get("operation") == "MERGE":
        inserted, updated = metrics["num_target_rows_inserted"], metrics["num_target_rows_updated"]
        return Committed(version, rows, True, int(inserted), int(updated))
    if entry["trikk.mode"] == "overwrite":
        return Committed(version, rows, True)
    return Committed(version, rows, True, int(entry["trikk.inserted"]), int(entry.get("trikk.updated", 0)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
