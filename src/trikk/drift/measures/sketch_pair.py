"""A column of two profiles, compared within the bounds that their digests give."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trikk.drift.measures.category_summary import Categories
from trikk.drift.measures.column_pair import BINS, FEW, Counts, Gap, Side
from trikk.drift.measures.column_summary import ColumnProfile
from trikk.drift.measures.digest import Digest, number_of
from trikk.drift.measures.number_summary import Numbers

if TYPE_CHECKING:
    from trikk.drift.measures.digest import Floats, Keys

_TINY = 5e-324  # where both ends are 0, and nothing is divided


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
        import numpy as np

        reference, current = (side.digest for side in self._numbers())
        edges = reference.edges()
        below = reference.counts_below(edges)[0]
        # For each decile the first edge that is not below it; none for those that only the last edge reaches.
        places = np.searchsorted(below, [reference.count * i / BINS for i in range(1, BINS)])
        chosen = edges[np.unique(places[places < len(edges)])]
        labels = [f"below {edge:g}" for edge in number_of(chosen).tolist()] + ["above"]
        counts = []
        for digest in (reference, current):
            ends = np.concatenate([[0.0], digest.counts_below(chosen)[0], [float(digest.count)]])
            counts.append(np.maximum(0.0, np.diff(ends)).tolist())
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
    import numpy as np

    edges = np.union1d(reference.edges(), current.edges())
    numbers, nearest = number_of(edges), edges[1:] - edges[:-1] == 1
    before, now = (_shares(digest, edges) for digest in (reference, current))
    gaps = before.estimate - now.estimate
    ks = float(np.abs(gaps).max())
    apart, close = before.most - now.least, before.least - now.most
    least = float(np.maximum(close, now.least - before.most).max())
    most = float(np.maximum(apart, now.most - before.least).max())
    # Both only rise, so that between two edges neither is beyond its bounds at the next one; between two edges
    # that are one key apart nothing happens.
    inside = ~nearest
    for here, there in ((before, now), (now, before)):
        most = max(most, float((here.most[1:] - there.least[:-1])[inside].max(initial=0.0)))
    left = np.maximum(min(reference.low, current.low), numbers[:-1])
    right = np.minimum(max(reference.high, current.high), numbers[1:])
    wide = right > left
    with np.errstate(over="ignore", invalid="ignore"):
        width = (right - left)[wide]
        area = width * _mean_height(gaps[:-1], gaps[1:])[wide]
        error = width * (_unsure(before) + _unsure(now))[wide]
    return Gap(ks, max(most - ks, ks - max(0.0, least)), _sum(area), _sum(error))


class _Shares(NamedTuple):
    """The share of a digest's values below each of some keys, with its bounds."""

    estimate: Floats
    least: Floats
    most: Floats


def _shares(digest: Digest, edges: Keys) -> _Shares:
    return _Shares(*(counts / digest.count for counts in digest.counts_below(edges)))


def _sum(parts: Floats) -> float:
    """The sum from the first to the last: the same bits on every machine, which sums in blocks are not."""
    return float(parts.cumsum()[-1]) if len(parts) else 0.0


def _unsure(shares: _Shares) -> Floats:
    """How far a rising function may be, on average between two edges, from the line between its estimates.

    A function that rises from one end of the line to the other is at most half its height away; outside of that
    height it is at most as far as the bounds are from the estimates.
    """
    import numpy as np

    estimate, least, most = shares
    beyond = np.maximum(estimate - least, most - estimate)
    return (estimate[1:] - estimate[:-1]) / 2 + np.maximum(beyond[:-1], beyond[1:])


def _mean_height(left: Floats, right: Floats) -> Floats:
    """The mean of |f| where f goes straight from `left` to `right`."""
    import numpy as np

    crossed = (left * left + right * right) / np.maximum(2 * (np.abs(left) + np.abs(right)), _TINY)
    return np.where(left * right >= 0, np.abs(left + right) / 2, crossed)


def _categories(before: Categories, now: Categories) -> Counts:
    if before.counts is not None and now.counts is not None:
        labels = sorted({*before.counts, *now.counts})
        counts = [[float(side.get(label, 0)) for label in labels] for side in (before.counts, now.counts)]
        return Counts(labels, counts[0], counts[1])
    bins = [[float(frequency) for frequency in side.hashed().bins] for side in (before, now)]
    return Counts([f"hash {i}" for i in range(len(bins[0]))], bins[0], bins[1], exact=False)


def _side(column: ColumnProfile) -> Side:
    return Side(column.dtype, column.kind, column.rows, column.missing)
