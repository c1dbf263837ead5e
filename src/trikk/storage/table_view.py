"""A table as a run sees it: a pinned version with the run's own writes on top, in memory only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.storage.table_keys import check_keys
from trikk.storage.table_types import fitted
from trikk.storage.table_write import Write

if TYPE_CHECKING:
    import polars as pl


def overlay(base: pl.LazyFrame | None, writes: Sequence[Write], *, where: str | None = None) -> pl.LazyFrame:
    """Return `base` as it would read after `writes`, lazily.

    An append comes after the rows that are there; an overwrite takes their place; a merge removes the rows whose
    key is written anew and puts the new ones at the end. The order of rows depends on nothing but the arguments.

    Args:
        base: the table's rows, None if it does not exist; then `writes` must not be empty.
        writes: in the order in which they were made.
        where: what an error names as its place.

    Raises:
        TableError: if a write does not fit the columns that are there by then, as the write itself would.
    """
    import polars as pl

    state = base
    for write in writes:
        schema = None if state is None else state.collect_schema()
        replaces = write.mode == "overwrite"
        rows = fitted(write.frame.lazy(), schema, schema_mode=write.schema_mode, replaces=replaces, where=where)
        if write.mode == "merge":
            check_keys(rows, write.key, where=where)
        if state is None or replaces:
            state = rows
            continue
        if write.mode == "merge":
            state = state.join(rows.select(write.key), on=write.key, how="anti", maintain_order="left")
        state = pl.concat([state, rows], how="diagonal")
    if state is None:
        raise ValueError("a view needs a base or a write")
    return state
