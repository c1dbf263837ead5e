"""The columns that name a prediction: what they may be, that no two rows share them, and their text for an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.core.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

RESERVED = ("prediction_id", "predicted_at", "value", "model", "model_version", "run")


def check_columns(
    schema: pl.Schema,
    key: Sequence[str],
    slot: str | None,
    keep: Sequence[str],
    reserved: Sequence[str] = RESERVED,
) -> None:
    """Refuse columns that are not there, are named twice, take a name of the result, or can't name a row.

    Raises:
        UsageError: naming the column.
    """
    named = [*key, *([slot] if slot is not None else []), *keep]
    if not key:
        raise UsageError("predict needs a key", next="name the column that says what a row is about: key=...")
    for name in named:
        if name not in schema:
            raise UsageError(f"there is no column {name!r}", next=f"there are: {', '.join(schema)}")
        if name in reserved:
            raise UsageError(f"{name!r} is a column of the predictions themselves", next="rename it before")
        if named.count(name) > 1:
            raise UsageError(f"{name!r} is named twice", next="name it as key, slot or keep")
    for name in named[: len(named) - len(keep)]:
        dtype = schema[name]
        if dtype.is_float() or dtype.is_nested() or dtype.is_decimal():
            raise UsageError(
                f"{name!r} is {dtype}, which can't name a row",
                next="use text, integers, dates, times or truth values",
            )


def check_keys(lazy: pl.LazyFrame, names: list[str]) -> None:
    """Refuse rows without a name and rows of the same name; needs 16 bytes of memory for each row.

    Raises:
        UsageError: naming the first such row.
    """
    import polars as pl

    missing = pl.any_horizontal(pl.col(name).is_null() for name in names)
    hashed = _hashed(names)
    seen = lazy.select(hashed.alias("hash"), missing.alias("missing")).collect(engine="streaming")
    if seen["missing"].any():
        row = seen["missing"].arg_max()
        count = int(seen["missing"].sum())
        raise UsageError(
            f"{count:,} rows have no {' or '.join(names)}, the first is row {row}", next="fill or drop these rows"
        )
    # two keys may share a hash, so that suspects are compared by their values; equal keys always share one
    twice = _twice(seen["hash"])
    if not len(twice):
        return
    suspects = lazy.select(names).filter(hashed.is_in(twice.implode())).collect(engine="streaming")
    repeated = suspects.group_by(names, maintain_order=True).len().filter(pl.col("len") > 1)
    if repeated.height:
        first = repeated.row(0, named=True)
        shown = ", ".join(f"{name}={first[name]}" for name in names)
        raise UsageError(
            f"{repeated.height:,} keys occur more than once, the first is {shown}, {first['len']} times",
            next="make the rows unique, or name more columns in key= or slot=",
        )


def repeated_keys(lazy: pl.LazyFrame, names: list[str]) -> pl.Series:
    """The hashes (`pl.struct(names).hash()`) that come more than once: of equal keys, seldom of different ones."""
    return _twice(lazy.select(_hashed(names).alias("hash")).collect(engine="streaming")["hash"])


def _hashed(names: list[str]) -> pl.Expr:
    import polars as pl

    return pl.struct(names).hash()


def _twice(hashes: pl.Series) -> pl.Series:
    ordered = hashes.sort()
    return ordered.filter(ordered == ordered.shift()).unique()


def key_text(keys: pl.DataFrame) -> pl.Series:
    """One text for each row (String), different for different rows: each value as text, with its length before it.

    Times are microseconds since 1970 (nanoseconds where the column has them) and dates are days, so that the text
    does not depend on how a version of polars prints them.
    """
    import polars as pl

    columns: list[pl.Expr] = []
    for name, dtype in keys.schema.items():
        column = pl.col(name)
        if isinstance(dtype, pl.Datetime):
            column = column.dt.epoch("ns" if dtype.time_unit == "ns" else "us")
        elif dtype.is_temporal():
            column = column.to_physical()
        text = column.cast(pl.String)
        columns += [text.str.len_bytes().cast(pl.String), pl.lit(":"), text]
    return keys.select(pl.concat_str(columns)).to_series()
