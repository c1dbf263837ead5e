"""Keys of merges: whether they tell rows apart, in the rows that come and in the table that takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.errors import TableError

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

_SHOWN = 3


def check_columns(schema: pl.Schema, key: tuple[str, ...], *, subject: str, where: str | None) -> None:
    """Check that `subject` (such as "the table") has the key's columns, in types that can be compared exactly.

    Raises:
        TableError: if a key column is missing, or its type is a float or nested.
    """
    for name in key:
        if name not in schema:
            raise TableError(
                f"key column {name!r} is not in {subject}", where=where, next=f"there are: {', '.join(schema)}"
            )
        if schema[name].is_float() or schema[name].is_nested():
            raise TableError(
                f"key column {name!r} has type {schema[name]}, which can't identify a row",
                where=where,
                next="use integers, strings or dates as keys",
            )


def check_keys(rows: pl.DataFrame, key: tuple[str, ...], *, unique: bool, where: str | None) -> None:
    """Check that `key` can tell the rows apart.

    Args:
        rows: what is to be written.
        key: names of columns.
        unique: whether each key may occur only once.
        where: what an error names as its place.

    Raises:
        TableError: if a key column is missing, is of a type that can't be compared exactly (floats, nested), or
            holds nulls, or if two rows have the same key; examples are shown.
    """
    import polars as pl

    check_columns(rows.schema, key, subject="the rows", where=where)
    keys = rows.select(key)
    nulls = keys.filter(pl.any_horizontal(pl.all().is_null()))
    if nulls.height:
        raise TableError(
            f"{nulls.height} of {rows.height} rows have no key: {_examples(nulls)}",
            where=where,
            next="drop or fill the rows with null in a key column",
        )
    if not unique:
        return
    again = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
    if again.height:
        raise TableError(
            f"{again.height} keys occur more than once in the rows: {_examples(again)}",
            where=where,
            next="keep one row for each, such as frame.unique(subset=key, keep='last', maintain_order=True)",
        )


def check_target_keys(table: DeltaTable, rows: pl.DataFrame, key: tuple[str, ...], where: str) -> None:
    """Check that no row to be merged has two partners in the table, which a merge would both change.

    Raises:
        TableError: with examples.
    """
    import polars as pl

    keys = rows.lazy().select(key)
    check_unique(pl.scan_delta(table).select(key).join(keys, on=key, how="semi").collect(), key, where)


def check_unique(touched: pl.DataFrame, key: tuple[str, ...], where: str) -> None:
    """Check the keys of the table's rows that a merge touches, as `check_target_keys` does."""
    again = touched.filter(touched.is_duplicated()).unique()
    if again.height:
        raise TableError(
            f"the table has several rows for {again.height} of the keys: {_examples(again.sort(key))}",
            where=where,
            next="merge by a key that is unique in the table, or overwrite the table with unique rows first",
        )


def completed(rows: pl.LazyFrame, table: pl.LazyFrame, key: tuple[str, ...]) -> pl.LazyFrame:
    """Return `rows`, to be merged, with the table's columns that they lack: its values where the key is there.

    New rows get null in them. The key is unique in the table's rows that are touched (`check_target_keys`).
    """
    columns, given = table.collect_schema().names(), rows.collect_schema().names()
    lacking = [name for name in columns if name not in given]
    if not lacking:
        return rows
    whole = rows.join(table.select(*key, *lacking), on=key, how="left", maintain_order="left")
    return whole.select(*columns, *[name for name in given if name not in columns])


def _examples(rows: pl.DataFrame) -> str:
    return "; ".join(str(row) for row in rows.head(_SHOWN).to_dicts())
