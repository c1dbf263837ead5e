"""Rows of files by their key: which are new, which change something, which say the same, which contradict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trikk.core.errors import TableError
from trikk.storage.tables.merge_keys import check_columns, check_keys
from trikk.storage.tables.types import with_first_values

if TYPE_CHECKING:
    import polars as pl

    from trikk.storage.tables.types import Mode

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Sorted:
    """What is to be written, and what is not.

    Attributes:
        rows: to be written; those that an append drops are among them, unless there are no others.
        equal: how many others are in the table, or came earlier, with the same values.
        different: how many others have a key that is in the table, or came earlier, with other values.
        examples: two rows of one key that differ, in words.
    """

    rows: pl.DataFrame
    equal: int = 0
    different: int = 0
    examples: tuple[str, ...] = ()


def by_key(table: pl.LazyFrame | None, rows: pl.DataFrame, key: tuple[str, ...], mode: Mode) -> Sorted:
    """Look which rows of files have to be written.

    Args:
        table: what is there, None if there is no table.
        rows: of the files, with columns of the table's types; a merge may lack some.
        key: columns; without them all rows are to be written.
        mode: "append" drops rows whose key is there or came earlier; "merge" those that change nothing.

    Raises:
        TableError: if a key is missing, null or can't identify a row, or rows to be merged contradict each other.
    """
    if not key:
        return Sorted(rows)
    check_keys(rows, key, unique=False, where="the files")
    first = rows.unique(subset=key, keep="first", maintain_order=True)
    distinct = first if first.height == rows.height else rows.unique(maintain_order=True)
    equal, different, examples = rows.height - distinct.height, distinct.height - first.height, list[str]()
    if different:
        examples.append(_example(distinct, first, key, "in the files: "))
        if mode == "merge":
            raise TableError(
                f"rows of the files contradict each other: {different} have the key of another and other values, "
                f"{equal} the same; {examples[0]}",
                where="the files",
                next="keep one row of each key; nothing was written",
            )
    if table is None:
        return Sorted(first if mode == "merge" else rows, equal, different, tuple(examples))
    table = table.with_columns(with_first_values(table, rows.lazy()))  # as the write will have it
    check_columns(table.collect_schema(), key, subject="the table", where="the table")
    stored = table.select(rows.columns).join(first.lazy().select(key), on=key, how="semi").collect()
    if mode == "merge" and stored.select(key).is_duplicated().any():
        return Sorted(first, equal, different)  # which the write refuses
    stored = stored.unique(subset=key, keep="last", maintain_order=True)
    same = first.join(stored, on=rows.columns, how="semi", nulls_equal=True, maintain_order="left")
    known = first.join(stored, on=key, how="semi", maintain_order="left")
    equal += same.height
    if mode == "merge":
        write = first.join(same, on=key, how="anti", maintain_order="left")
        return Sorted(write, equal, different, tuple(examples))
    if known.height > same.height:
        examples.append(_example(known, stored, key, "in the table and in the files: "))
    write = rows if known.height < first.height else rows.clear()  # the write looks again, and drops what is there
    return Sorted(write, equal, different + known.height - same.height, tuple(examples))


def _example(rows: pl.DataFrame, earlier: pl.DataFrame, key: tuple[str, ...], where: str) -> str:
    """A key whose row in `rows` differs from that in `others`, with a column in which they differ."""
    differing = rows.join(earlier, on=rows.columns, how="anti", nulls_equal=True, maintain_order="left").head(1)
    before = earlier.join(differing, on=key, how="semi").row(0, named=True)
    after = differing.row(0, named=True)
    column = next(name for name in after if repr(after[name]) != repr(before[name]))
    shown = ", ".join(f"{name}={after[name]}" for name in key)
    values = " and ".join(str(value)[:_SHOWN] for value in (before[column], after[column]))
    return f"{where}{shown} has {column} {values}"
