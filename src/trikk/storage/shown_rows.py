"""Rows and columns of a table as people are shown them: what any type holds as a number or a text, and summaries.

What can't be shown in Python (days before the year 1, moments after 9999) or as JSON (bytes) becomes text while it
still is a column, so that no row makes a page fail. Only what is asked for is read: of a wide table the columns
that are shown, of one column its values alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trikk.core.errors import ParameterError
from trikk.storage.tables.row_filter import column_type

if TYPE_CHECKING:
    import polars as pl

_LONGEST = 300  # characters of a text, and bytes of binary data
_BINS = 12
_MOST_VALUES = 12


def as_shown(schema: pl.Schema, columns: Sequence[str]) -> list[pl.Expr]:
    """Columns as numbers, booleans or texts; long ones are cut."""
    import polars as pl

    return [_shown(pl.col(name), schema[name]).alias(name) for name in columns]


def _shown(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    from trikk.storage.row_json import as_json

    if dtype.is_integer() or dtype.is_float() or dtype == pl.Boolean:
        return column
    if dtype == pl.Null:
        return column.cast(pl.String)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return column.cast(pl.String).str.slice(0, _LONGEST)
    if dtype == pl.Binary:
        column = column.bin.slice(0, _LONGEST)
    text = as_json(column, dtype).str.strip_chars('"').str.slice(0, _LONGEST)
    return pl.when(column.is_not_null()).then(text)


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """What a column holds.

    Attributes:
        column: its name.
        dtype: polars' name of its type.
        rows: how many rows there are.
        nulls: how many are null.
        nans: how many are NaN; None where the type has none.
        distinct: how many different values there are, of many rows about (HyperLogLog); None of nested types.
        least, most: the smallest and the largest value, as shown; None without any.
        mean, deviation: of finite numbers; None of other types.
        bins: of numbers, (from, to, rows) in bins of the same width over the finite ones.
        values: of others, the most frequent values with their rows, as far as `values_of` rows were looked at.
        values_of: how many rows `values` was counted over.
    """

    column: str
    dtype: str
    rows: int
    nulls: int
    nans: int | None
    distinct: int | None
    least: str | int | float | bool | None
    most: str | int | float | bool | None
    mean: float | None
    deviation: float | None
    bins: tuple[tuple[float, float, int], ...]
    values: tuple[tuple[str, int], ...]
    values_of: int


_EXACT = 100_000  # rows whose different values are counted one by one
_LOOKED_AT = 1_000_000  # rows whose values are counted: of all of ten million texts it would take seconds


def column_summary(rows: pl.LazyFrame, name: str) -> ColumnSummary:
    """Summarise a column, which alone is read, in batches.

    Raises:
        ParameterError: if there is no such column, or its type can't be read.
    """
    import polars as pl

    dtype = column_type(rows.collect_schema(), name)
    column = pl.col(name)
    is_float, is_number = dtype.is_float(), dtype.is_numeric()
    is_nested = dtype.is_nested() or dtype == pl.Object
    finite = column.cast(pl.Float64).filter(column.cast(pl.Float64).is_finite()) if is_number else None
    distinct = column.n_unique() if _count(rows) <= _EXACT else column.approx_n_unique()
    wanted = {
        "rows": pl.len(),
        "nulls": column.null_count(),
        **({"nans": column.is_nan().sum()} if is_float else {}),
        **({} if is_nested else {"distinct": distinct}),
        **(
            {}
            if is_nested or dtype in (pl.Categorical, pl.Enum, pl.Null)
            else {"least": _shown(column.min(), dtype), "most": _shown(column.max(), dtype)}
        ),
        **({} if finite is None else {"low": finite.min(), "high": finite.max()}),
        **({} if finite is None else {"mean": finite.mean(), "deviation": finite.std()}),
    }
    try:
        facts = rows.select(column).select(**wanted).collect(engine="streaming").row(0, named=True)
        if "distinct" in facts:
            facts["distinct"] = min(facts["distinct"], facts["rows"])
        bins = _bins(rows, name, facts["low"], facts["high"]) if facts.get("low") is not None else ()
        values = () if is_number or dtype == pl.Null else _values(rows, name, dtype)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise ParameterError(f"column {name!r} can't be summarised: {reason}") from error
    return ColumnSummary(
        name, str(dtype), facts["rows"], facts["nulls"], facts.get("nans"), facts.get("distinct"),
        facts.get("least"), facts.get("most"), facts.get("mean"), facts.get("deviation"),
        bins, values, min(facts["rows"], _LOOKED_AT),
    )  # fmt: skip


def _count(rows: pl.LazyFrame) -> int:
    import polars as pl

    return int(rows.select(pl.len()).collect().item())  # by what the files say of themselves


def _bins(rows: pl.LazyFrame, name: str, low: float, high: float) -> tuple[tuple[float, float, int], ...]:
    """How many finite values lie in each of some bins between two of them."""
    import polars as pl

    width = high / _BINS - low / _BINS  # of the largest floats, the difference alone has no number
    if width <= 0 or not math.isfinite(width):
        return ()
    number = pl.col(name).cast(pl.Float64)
    place = ((number / width) - low / width).floor().clip(0, _BINS - 1).cast(pl.Int32)
    counted = rows.select(place.filter(number.is_finite()).alias("bin")).group_by("bin").len()
    counts = dict(counted.collect(engine="streaming").iter_rows())
    edges = [low + width * step for step in range(_BINS)] + [high]
    return tuple((edges[step], edges[step + 1], counts.get(step, 0)) for step in range(_BINS))


def _values(rows: pl.LazyFrame, name: str, dtype: pl.DataType) -> tuple[tuple[str, int], ...]:
    import polars as pl

    shown = (
        rows.select(pl.col(name)).head(_LOOKED_AT).select(_shown(pl.col(name), dtype).cast(pl.String).alias("v"))
    )
    counted = (
        shown.drop_nulls().group_by("v").len().sort(["len", "v"], descending=[True, False]).head(_MOST_VALUES)
    )
    return tuple(counted.collect(engine="streaming").iter_rows())
