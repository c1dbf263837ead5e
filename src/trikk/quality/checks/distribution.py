"""How far a column's distribution is from that of a reference."""

from __future__ import annotations

import polars as pl

from trikk.core.errors import UsageError
from trikk.drift.measures.count_distances import psi

BINS = 10
TOP = 20


def distance(
    measure: str, rows: pl.LazyFrame, column: str, reference: pl.LazyFrame, reference_column: str
) -> float:
    """The distance between a column and a reference's.

    Raises:
        UsageError: if one of them has no values, or the columns are of kinds that can't be compared.
    """
    kinds = [_kind(rows, column), _kind(reference, reference_column)]
    kinds = [kind if kind != "nothing" else kinds[not n] for n, kind in enumerate(kinds)]  # nulls fit any
    if kinds[0] != kinds[1]:
        raise UsageError(f"{column} holds {kinds[0]}, the reference {kinds[1]}")
    current, expected = (
        _values(lazy, name, kinds[0]) for lazy, name in ((rows, column), (reference, reference_column))
    )
    if kinds[0] == "texts":
        if measure == "ks":
            raise UsageError(f'{column} holds texts, which have no order: use measure="psi"')
        return _psi_of_texts(current, expected)
    return _psi_of_numbers(current, expected) if measure == "psi" else ks(current, expected)


def ks(rows: pl.LazyFrame, reference: pl.LazyFrame) -> float:
    """The two-sample Kolmogorov-Smirnov statistic of the columns "value", without missing values.

    Raises:
        UsageError: if one has no values.
    """
    both = pl.concat([_counted(rows, "here"), _counted(reference, "there")], how="diagonal")
    sums = both.group_by("value").agg(pl.col("here", "there").sum()).sort("value").collect(engine="streaming")
    if not sums["here"].sum() or not sums["there"].sum():
        raise UsageError("there are no values to compare")
    current, expected = (sums[name].cum_sum() / sums[name].sum() for name in ("here", "there"))
    return float((current - expected).abs().max())  # type: ignore[arg-type]


def _counted(lazy: pl.LazyFrame, name: str) -> pl.LazyFrame:
    return lazy.drop_nulls().group_by("value").agg(pl.len().cast(pl.Int64).alias(name))


def _psi_of_numbers(rows: pl.LazyFrame, reference: pl.LazyFrame) -> float:
    value = pl.col("value")
    steps = [value.quantile(k / BINS, "lower").alias(str(k)) for k in range(1, BINS)]
    quantiles = reference.drop_nulls().select(steps).collect(engine="streaming").row(0)
    if None in quantiles:
        raise UsageError("the reference has no values")
    # Equal quantiles are one edge: a column that is mostly 0 has fewer bins.
    edges = sorted(set(quantiles))
    counts = [pl.len().alias("len"), value.count().alias("count")]
    counts += [(value <= edge).sum().alias(str(k)) for k, edge in enumerate(edges)]

    def bins(lazy: pl.LazyFrame) -> list[int]:
        total, present, *below = lazy.select(counts).collect(engine="streaming").row(0)
        return [after - before for before, after in zip([0, *below], [*below, present], strict=True)] + [
            total - present
        ]

    return psi(bins(reference), bins(rows))


def _psi_of_texts(rows: pl.LazyFrame, reference: pl.LazyFrame) -> float:
    def counts(lazy: pl.LazyFrame) -> dict[str | None, int]:
        return dict(lazy.group_by("value").len().collect(engine="streaming").iter_rows())

    current, expected = counts(rows), counts(reference)
    if not expected:
        raise UsageError("the reference has no values")
    known = [value for value in expected if value is not None]
    top: list[str | None] = [*sorted(known, key=lambda value: (-expected[value], value))[:TOP], None]
    # One bin for all the others, so that a new text moves the distance and makes no bins of its own.
    bins = [
        [*(counted.get(value, 0) for value in top), sum(counted.values()) - sum(counted.get(v, 0) for v in top)]
        for counted in (expected, current)
    ]
    return psi(*bins)


def _kind(lazy: pl.LazyFrame, column: str) -> str:
    dtype = lazy.collect_schema().get(column)
    if dtype is None:
        raise UsageError(f"there is no column {column!r} in the reference")
    if dtype == pl.Null:
        return "nothing"
    if dtype.is_numeric():
        return "numbers"
    if dtype.is_temporal():
        return "times" if isinstance(dtype, pl.Date | pl.Datetime) else str(dtype.base_type())
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Boolean):
        return "texts"
    raise UsageError(f"{column} is {dtype}, which has no distribution to compare")


def _values(lazy: pl.LazyFrame, column: str, kind: str) -> pl.LazyFrame:
    """The column as "value": floats without NaN, times in microseconds since 1970, or texts."""
    plain = pl.col(column)
    if kind == "numbers":
        value = plain.cast(pl.Float64).fill_nan(None)
    elif kind == "times":
        nothing = lazy.collect_schema()[column] == pl.Null
        value = plain.cast(pl.Int64) if nothing else plain.dt.timestamp("us")
    elif kind in ("texts", "nothing"):
        value = plain.cast(pl.String)
    else:
        value = plain.to_physical()
    return lazy.select(value.alias("value"))
