"""Two plain distances between two columns, for those who need a number and no verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.drift.measures import counts
from trikk.drift.measures.column_kinds import NUMERIC, WORDS
from trikk.drift.profile_rows import RowPair

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
    found = pair.bins() if pair.reference.kind in NUMERIC else pair.few()
    assert found is not None
    return counts.psi(found.reference, found.current)


def _pair(reference: pl.Series, current: pl.Series) -> RowPair:
    pair = RowPair(reference, current)
    there, here = pair.reference, pair.current
    if not there.values or not here.values:
        raise UsageError(
            f"there are no values to compare in {'the reference' if not there.values else 'the rows'}"
        )
    if there.kind != here.kind:
        raise UsageError(f"{WORDS[there.kind]} can't be compared with {WORDS[here.kind]}")
    return pair
