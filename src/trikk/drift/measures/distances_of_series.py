"""Two plain distances between two columns, for those who need a number and no verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.drift.measures import count_distances
from trikk.drift.measures.column_kinds import NUMERIC, WORDS
from trikk.drift.measures.row_pair import RowPair

if TYPE_CHECKING:
    import polars as pl


def ks(reference: pl.Series, current: pl.Series) -> float:
    """The Kolmogorov-Smirnov statistic D of two columns of numbers or times, 0 to 1; missing values do not count.

    Raises:
        UsageError: if a side has no values, or the columns can't be compared in this way.
    """
    pair = _pair(reference, current)
    if pair.reference.kind not in NUMERIC:
        raise UsageError(f"{WORDS[pair.reference.kind]} has no order to compare", next="use psi")
    return pair.gap().ks


def psi(reference: pl.Series, current: pl.Series) -> float:
    """The population stability index of two columns; missing values do not count.

    Numbers and times are counted between the deciles of the reference, everything else by value.

    Raises:
        UsageError: if a side has no values, or the columns can't be compared.
    """
    pair = _pair(reference, current)
    counts = pair.bins() if pair.reference.kind in NUMERIC else pair.few()
    assert counts is not None
    return count_distances.psi(counts.reference, counts.current)


def _pair(reference: pl.Series, current: pl.Series) -> RowPair:
    pair = RowPair(reference, current)
    for side, name in ((pair.reference, "the reference"), (pair.current, "the rows")):
        if not side.values:
            raise UsageError(f"there are no values to compare in {name}")
    if pair.reference.kind != pair.current.kind:
        raise UsageError(f"{WORDS[pair.reference.kind]} can't be compared with {WORDS[pair.current.kind]}")
    return pair
