"""A column of two frames, compared row by row: exact."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from trikk.drift.measures.column_kinds import NUMERIC, TEXTS, kind_of, numbers, texts
from trikk.drift.measures.column_pair import BINS, FEW, Counts, Gap, Side

if TYPE_CHECKING:
    import polars as pl


class RowPair:
    """One column of two frames."""

    def __init__(self, reference: pl.Series, current: pl.Series) -> None:
        self._before, self._now = _values(reference), _values(current)
        self.reference = _side(reference, self._before)
        self.current = _side(current, self._now)

    @cached_property
    def _ordered(self) -> tuple[pl.Series, pl.Series]:
        return self._before.sort(), self._now.sort()

    def few(self) -> Counts | None:
        """As `Pair.few`."""
        numeric = self.reference.kind in NUMERIC
        if numeric and any(_distinct(values) > 2 * FEW for values in (self._before, self._now)):
            return None
        before, now = _counted(self._before, "there"), _counted(self._now, "here")
        both = before.join(now, on="value", how="full", coalesce=True).fill_null(0).sort("value")
        if numeric and (both.height > FEW or (both["value"] % 1 != 0).any()):
            return None
        labels = [f"{value:g}" for value in both["value"]] if numeric else both["value"].to_list()
        return Counts(labels, both["there"].to_list(), both["here"].to_list())

    def bins(self) -> Counts:
        """As `Pair.bins`: the bins end with the reference's deciles, which belong to them."""
        import polars as pl

        before, now = self._ordered
        deciles = [before.quantile(i / BINS, "lower") for i in range(1, BINS)]
        edges = pl.Series(sorted({edge for edge in deciles if edge is not None}), dtype=pl.Float64)
        labels = [f"up to {edge:g}" for edge in edges] + ["above"]
        counts = []
        for ordered in (before, now):
            ends = [0, *ordered.search_sorted(edges, side="right").to_list(), len(ordered)]
            counts.append([float(end - start) for start, end in pairwise(ends)])
        return Counts(labels, counts[0], counts[1], exact=False)

    def gap(self) -> Gap:
        """As `Pair.gap`."""
        import polars as pl

        before, now = self._ordered
        up = pl.LazyFrame({"value": before}).with_columns(step=pl.lit(len(now), pl.Int64))
        down = pl.LazyFrame({"value": now}).with_columns(step=pl.lit(-len(before), pl.Int64))
        height, value = pl.col("step").cum_sum().abs(), pl.col("value")
        last = (value != value.shift(-1)).fill_null(value=True)
        ks, area = (
            up.merge_sorted(down, "value")
            .select(
                height.filter(last).max().alias("ks"),
                (height.cast(pl.Float64) * (value.shift(-1) - value)).sum().alias("area"),
            )
            .collect()
            .row(0)
        )
        total = len(before) * len(now)
        return Gap(ks / total, 0.0, area / total, 0.0)

    def moments(self) -> tuple[float, float, float, float]:
        """As `Pair.moments`."""
        moments = [
            float(moment or 0.0)  # type: ignore[arg-type]
            for values in (self._before, self._now)
            for moment in (values.mean(), values.std(ddof=0))
        ]
        return moments[0], moments[1], moments[2], moments[3]


def _values(column: pl.Series) -> pl.Series:
    kind = kind_of(column.dtype)
    if kind in NUMERIC:
        values = numbers(column).drop_nulls()
        return values.filter(values.is_finite())
    if kind in TEXTS:
        return texts(column).drop_nulls()
    return column.clear()


def _side(column: pl.Series, values: pl.Series) -> Side:
    return Side(str(column.dtype), kind_of(column.dtype), len(column), len(column) - len(values))


def _distinct(values: pl.Series) -> int:
    """About how many different values: right where there are few."""
    return int(values.approx_n_unique())  # type: ignore[arg-type]


def _counted(values: pl.Series, name: str) -> pl.DataFrame:
    return values.alias("value").value_counts(name=name)
