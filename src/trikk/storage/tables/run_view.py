"""A table as a run sees it: a pinned version with the run's own writes on top, in memory only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.core.errors import TableError
from trikk.storage.tables.merge_keys import check_columns, completed
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.types import fitted, with_first_values

if TYPE_CHECKING:
    import polars as pl


def overlay(base: pl.LazyFrame | None, writes: Sequence[Write], *, where: str | None = None) -> pl.LazyFrame:
    """Return `base` as it would read after `writes`, lazily.

    An append comes after the rows that are there (with a key: its new ones); an overwrite takes their place; a
    merge removes the rows whose key is written anew and puts the new ones at the end, with what the old ones had
    in columns that the new ones lack. The order of rows depends on nothing but the arguments.

    Args:
        base: the table's rows, None if it does not exist; then `writes` must not be empty.
        writes: in the order in which they were made.
        where: what an error names as its place.

    Raises:
        TableError: if a write does not fit the columns that are there by then, as the write itself would.
    """
    state = base
    for write in writes:
        if state is not None:
            state = state.with_columns(with_first_values(state, write.frame.lazy(), where=where))
        elif write.frame.lazy().collect_schema().len() == 0:
            continue
        schema = None if state is None else state.collect_schema()
        rows = fitted(
            write.frame.lazy(),
            schema,
            mode=write.mode,
            schema_mode=write.schema_mode,
            where=where,
        )
        check_columns(rows.collect_schema(), write.key, subject="the rows", where=where)
        if schema is not None and write.mode != "overwrite":
            check_columns(schema, write.key, subject="the table", where=where)
        state = _after(state, rows, write)
    if state is None:
        raise TableError(
            "there is no such table yet, and nothing was written into it",
            where=where,
            next="write rows into it first",
        )
    return state


def _after(state: pl.LazyFrame | None, rows: pl.LazyFrame, write: Write) -> pl.LazyFrame:
    import polars as pl

    key = list(write.key)
    if write.mode == "append" and key:
        rows = rows.unique(subset=key, keep="first", maintain_order=True)
    if state is None or write.mode == "overwrite":
        return rows
    if write.mode == "append" and key:
        rows = rows.join(state.select(key), on=key, how="anti", maintain_order="left")
    if write.mode == "merge":
        rows = completed(rows, state, write.key)
        state = state.join(rows.select(key), on=key, how="anti", maintain_order="left")
    return pl.concat([state, rows], how="diagonal")
