"""A column of two profiles, compared within the bounds that their digests give."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from trikk.drift.measures.category_summary import Categories
from trikk.drift.measures.column_pair import BINS, FEW, Counts, Gap, Side
from trikk.drift.measures.column_summary import ColumnProfile
from trikk.drift.measures.digest import Digest, number_of
from trikk.drift.measures.number_summary import Numbers


class SketchPair:
    """One column of two profiles."""

    def __init__(self, reference: ColumnProfile, current: ColumnProfile) -> None:
        self._before, self._now = reference.summary, current.summary
        self.reference = _side(reference)
        self.current = _side(current)

    def few(self) -> Counts | None:
        """As `Pair.few`; categories of which one side has too many are compared by their hashes."""
        if isinstance(self._before, Categories) and isinstance(self._now, Categories):
            return _categories(self._before, self._now)
        before, now = (numbers.values for numbers in self._numbers())
        if before is None or now is None:
            return None
        values = sorted({*before, *now})
        if len(values) > FEW or any(value % 1 for value in values):
            return None
        counts = [[float(side.get(value, 0)) for value in values] for side in (before, now)]
        return Counts([f"{value:g}" for value in values], counts[0], counts[1])

    def bins(self) -> Counts:
        """As `Pair.bins`: the bins end at the edges of the reference's digest that are next above its deciles."""
        reference, current = (side.digest for side in self._numbers())
        edges = sorted(reference.edges())
        wanted = [reference.count * i / BINS for i in range(1, BINS)]
        chosen: list[int] = []
        for edge, (below, _, _) in zip(edges, reference.counts_below(edges), strict=True):
            if wanted and below >= wanted[0]:
                chosen.append(edge)
                wanted = [share for share in wanted if share > below]
        labels = [f"below {number_of(edge):g}" for edge in chosen] + ["above"]
        counts = []
        for digest in (reference, current):
            ends = [0.0, *(below for below, _, _ in digest.counts_below(chosen)), float(digest.count)]
            counts.append([max(0.0, after - before) for before, after in pairwise(ends)])
        return Counts(labels, counts[0], counts[1], exact=False)

    def gap(self) -> Gap:
        """As `Pair.gap`."""
        before, now = (side.digest for side in self._numbers())
        return gap_of(before, now)

    def moments(self) -> tuple[float, float, float, float]:
        """As `Pair.moments`."""
        before, now = self._numbers()
        return before.mean, before.deviation, now.mean, now.deviation

    def _numbers(self) -> tuple[Numbers, Numbers]:
        before, now = self._before, self._now
        assert isinstance(before, Numbers)
        assert isinstance(now, Numbers)
        return before, now


def gap_of(reference: Digest, current: Digest) -> Gap:
    """The distance of two distribution functions, and how far it may be from that of the values.

    Between two neighbouring edges of nodes both functions are taken to be straight. The bounds follow from the
    bounds at the edges alone: a function only rises.
    """
    edges = sorted(reference.edges() | current.edges())
    low, high = min(reference.low, current.low), max(reference.high, current.high)
    before = [[part / reference.count for part in bounds] for bounds in reference.counts_below(edges)]
    now = [[part / current.count for part in bounds] for bounds in current.counts_below(edges)]
    gaps = [a[0] - b[0] for a, b in zip(before, now, strict=True)]
    ks = max(abs(gap) for gap in gaps)
    least = max(max(a[1] - b[2], b[1] - a[2]) for a, b in zip(before, now, strict=True))
    most, area, error = 0.0, 0.0, 0.0
    for i in range(len(edges) - 1):
        a, b = i, i + 1 if edges[i + 1] - edges[i] > 1 else i  # one key wide: nothing happens inside
        most = max(most, before[b][2] - now[a][1], now[b][2] - before[a][1])
        left, right = max(low, number_of(edges[i])), min(high, number_of(edges[i + 1]))
        if right > left:
            width = right - left
            area += width * _mean_height(gaps[i], gaps[i + 1])
            error += width * (_unsure(before[i], before[i + 1]) + _unsure(now[i], now[i + 1]))
    most = max(most, *(max(a[2] - b[1], b[2] - a[1]) for a, b in zip(before, now, strict=True)))
    return Gap(ks, max(most - ks, ks - max(0.0, least)), area, error)


def _unsure(left: Sequence[float], right: Sequence[float]) -> float:
    """How far a rising function may be on average from the straight line between two estimates with their bounds.

    A function that rises from one end of the line to the other is at most half its height away; outside of that
    height it is at most as far as the bounds are from the estimates.
    """
    ends = (left[0] - left[1], left[2] - left[0], right[0] - right[1], right[2] - right[0])
    return (right[0] - left[0]) / 2 + max(ends)


def _mean_height(left: float, right: float) -> float:
    """The mean of |f| where f goes straight from `left` to `right`."""
    if left * right >= 0:
        return abs(left + right) / 2
    return (left * left + right * right) / (2 * (abs(left) + abs(right)))


def _categories(before: Categories, now: Categories) -> Counts:
    if before.counts is not None and now.counts is not None:
        labels = sorted({*before.counts, *now.counts})
        counts = [[float(side.get(label, 0)) for label in labels] for side in (before.counts, now.counts)]
        return Counts(labels, counts[0], counts[1])
    bins = [[float(frequency) for frequency in side.hashed().bins] for side in (before, now)]
    return Counts([f"hash {i}" for i in range(len(bins[0]))], bins[0], bins[1], exact=False)


def _side(column: ColumnProfile) -> Side:
    return Side(column.dtype, column.kind, column.rows, column.missing)
