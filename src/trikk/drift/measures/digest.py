"""A summary of numbers that can be merged without losing its guarantee: the q-digest, over the order of floats.

Source: Shrivastava, Buragohain, Agrawal and Suri, Medians and beyond, SenSys 2004; merging: Agarwal et al.,
Mergeable summaries, PODS 2012. Every finite float is one of 2^64 keys in the order of the floats. A *node* is an
interval of 2^(64 - level) keys that starts at a multiple of its size; it holds a count. Nodes of two digests are
the same, one inside the other, or apart, so merging is adding, whatever the order.

A node that is more than one key holds at most 1/FINENESS of all values. The distribution function at a key is
thereby known up to the counts of the nodes that the key lies inside; `counts_below` gives that with every value.

Nothing here is random, and all of it is whole numbers: the same values and merges give the same nodes, on every
machine. It needs numpy and nothing else of trikk's libraries, so that a device can sum up what it measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from trikk.core.values import JSON

if TYPE_CHECKING:
    import numpy as np

    Floats: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.float64]]"
    Keys: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.uint64]]"
    Levels: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.uint8]]"
    Counts: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"

FINENESS = 160
BINADE = 12
"""The level at which a node lies between two powers of two: as large as a node gets unless nodes are short.

A float begins with its sign and the 11 bits of its exponent, so that nodes of this level share both.
"""
MOST = 3 * FINENESS
"""Nodes in a digest."""
BITS = 64
_SIGN = 1 << 63
_MASK = (1 << 64) - 1
_LOWEST, _HIGHEST = (1 << 52) - 1, 0xFFF << 52
"""The keys of minus infinity and of infinity."""


def key_of(number: Any) -> Keys:
    """The places of floats (not NaN, not -0.0) among all floats; as many uint64 as there are numbers."""
    import numpy as np

    bits = np.asarray(number, dtype=np.float64).view(np.uint64)
    return np.where(bits >= _SIGN, ~bits, bits | np.uint64(_SIGN))


def number_of(key: Any) -> Floats:
    """The floats with these places; infinite for keys that are beyond the floats."""
    import numpy as np

    keys = np.minimum(np.maximum(np.asarray(key, dtype=np.uint64), _LOWEST), _HIGHEST)
    return np.where(keys >= _SIGN, keys ^ np.uint64(_SIGN), ~keys).view(np.float64)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes by first key, the larger before the smaller.

    Attributes:
        starts: the first key of each, uint64 of shape (n,).
        levels: 0 to 64, uint8 of shape (n,).
        counts: the values in each, int64 of shape (n,).
    """

    starts: Keys
    levels: Levels
    counts: Counts

    def __len__(self) -> int:
        return len(self.starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nodes) and self.tuples() == other.tuples()

    __hash__ = None  # type: ignore[assignment]

    def tuples(self) -> list[tuple[int, int, int]]:
        """First key, level and count of each."""
        return list(zip(self.starts.tolist(), self.levels.tolist(), self.counts.tolist(), strict=True))

    @property
    def ends(self) -> Keys:
        """The key after the last of each; of one that reaches to the last key that one, which no float has."""
        import numpy as np

        last: Keys = self.starts | _rest(self.levels)
        return np.minimum(last, np.uint64(_MASK - 1)) + np.uint64(1)

    @classmethod
    def of(cls, starts: Keys, levels: Levels, counts: Counts) -> Nodes:
        """Nodes in any order as they are kept: sorted, one for each interval, none without a count."""
        import numpy as np

        order = np.lexsort((levels, starts))
        starts, levels, counts = starts[order], levels[order], counts[order]
        is_first = np.ones(len(starts), dtype=bool)
        is_first[1:] = (starts[1:] != starts[:-1]) | (levels[1:] != levels[:-1])
        firsts = np.flatnonzero(is_first)
        sums = np.add.reduceat(counts, firsts) if len(firsts) else counts
        kept = firsts[sums > 0]
        return cls(starts[kept], levels[kept].astype(np.uint8), sums[sums > 0])


def _no_nodes() -> Nodes:
    import numpy as np

    return Nodes(np.empty(0, np.uint64), np.empty(0, np.uint8), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Digest:
    """A q-digest.

    Attributes:
        count: how many values.
        low: the least value; infinite if there is none.
        high: the greatest value; minus infinite if there is none.
        nodes: the nodes with a count.
    """

    count: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    nodes: Nodes = field(default_factory=_no_nodes)

    @classmethod
    def of(cls, ordered: Floats) -> Digest:
        """The digest of some values.

        Args:
            ordered: float64 of shape (n,), ascending, all finite, without -0.0.
        """
        count = len(ordered)
        if not count:
            return cls()
        return cls(count, float(ordered[0]), float(ordered[-1]), _tidy(_split(ordered), count))

    def merge(self, *more: Digest) -> Digest:
        """The digest of the values of all.

        Digests that are merged at once give the same nodes in any order. Merged in groups, they give nodes that
        keep the bounds, but others may be left.
        """
        import numpy as np

        digests = (self, *more)
        count = sum(digest.count for digest in digests)
        low, high = min(digest.low for digest in digests), max(digest.high for digest in digests)
        parts = [digest.nodes for digest in digests]
        nodes = Nodes.of(
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.levels for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )
        return Digest(count, low, high, _tidy(nodes, count))

    def edges(self) -> Keys:
        """The first key of every node, and the key after its last: ascending, each once."""
        import numpy as np

        return np.unique(np.concatenate([self.nodes.starts, self.nodes.ends]))

    def counts_below(self, keys: Keys) -> tuple[Floats, Counts, Counts]:
        """How many values are below each of some keys.

        Args:
            keys: uint64 of shape (n,).

        Returns:
            For each key an estimate, a lower and an upper bound. They are one where the key is inside no node;
            elsewhere a node's values are taken to lie evenly between its ends.
        """
        import numpy as np

        nodes, ends = self.nodes, self.nodes.ends
        by_end = np.argsort(ends)
        begun, ended = (np.concatenate([[0], np.cumsum(c)]) for c in (nodes.counts, nodes.counts[by_end]))
        least = ended[np.searchsorted(ends[by_end], keys, side="right")]
        most = begun[np.searchsorted(nodes.starts, keys, side="left")]
        inside = np.zeros(len(keys))
        # Nodes that a key lies inside hold each other, so that there is one of a level: the larger ones first.
        unsure = np.flatnonzero(most > least)
        left, right = np.maximum(number_of(nodes.starts), self.low), np.minimum(number_of(ends), self.high)
        for level in np.unique(nodes.levels[nodes.levels < BITS]):
            alike = np.flatnonzero(nodes.levels == level)
            starts = keys[unsure] & ~_rest(level)
            place = np.minimum(np.searchsorted(nodes.starts[alike], starts), len(alike) - 1)
            holds = (nodes.starts[alike][place] == starts) & (keys[unsure] != starts)
            at, node = unsure[holds], alike[place[holds]]
            inside[at] += _part_below(nodes.counts[node], left[node], right[node], number_of(keys[at]))
        return least + inside, least, most

    def quantile(self, share: float) -> float:
        """A value that about `share` of the values are below; NaN if there is none."""
        import numpy as np

        if not self.count:
            return float("nan")
        edges = self.edges()
        below, wanted = self.counts_below(edges)[0], share * self.count
        reached = np.flatnonzero(below[1:] >= wanted)
        if not len(reached):
            return self.high
        i = int(reached[0]) + 1
        ends = number_of(edges[i - 1 : i + 1])
        left, right = max(float(ends[0]), self.low), min(float(ends[1]), self.high)
        # one key is one value
        rise = float(below[i] - below[i - 1]) if edges[i] - edges[i - 1] > 1 else 0.0
        part = (wanted - float(below[i - 1])) / rise if rise > 0 else 0.0
        return left + (right - left) * max(0.0, part)

    def to_json(self) -> dict[str, JSON]:
        """The nodes as four lists: steps from key to key as odd numbers and powers of two; levels; counts."""
        import numpy as np

        steps = np.diff(self.nodes.starts, prepend=np.uint64(0))
        # the lowest bit that is set, as a float exact, whose exponent is its place; 0 is 0 times 1
        powers = np.maximum(np.frexp((steps & (~steps + np.uint64(1))).astype(np.float64))[1] - 1, 0)
        return {
            "low": self.low,
            "high": self.high,
            "odds": (steps >> powers.astype(np.uint64)).tolist(),
            "powers": powers.tolist(),
            "levels": self.nodes.levels.tolist(),
            "counts": self.nodes.counts.tolist(),
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Digest:
        """The digest that `to_json` wrote; KeyError, TypeError or ValueError if it is none."""
        import numpy as np

        try:
            odds = np.array(data["odds"], dtype=np.uint64)
            powers, levels = (np.array(data[name], dtype=np.uint8) for name in ("powers", "levels"))
            counts = np.array(data["counts"], dtype=np.int64)
        except OverflowError as error:
            raise ValueError("a node that is none") from error
        if not len(odds) == len(powers) == len(levels) == len(counts):
            raise ValueError("nodes of which a part is missing")
        # A power of 64 and more shifts everything out, which the odd number then tells.
        steps = odds << powers
        starts = np.cumsum(steps, dtype=np.uint64)
        is_whole = (powers < BITS) & (steps >> powers == odds) & (levels <= BITS) & (counts > 0)
        is_whole &= starts & _rest(levels) == 0
        if not is_whole.all() or (starts[1:] < starts[:-1]).any():
            raise ValueError("a node that is none")
        return cls(int(counts.sum()), float(data["low"]), float(data["high"]), Nodes(starts, levels, counts))


def _rest(levels: Any) -> Any:
    """The size of nodes of these levels less one: the bits of a key that may differ inside them."""
    import numpy as np

    levels = np.asarray(levels, dtype=np.uint64)
    halves = levels >> np.uint64(1)
    # in two steps: to shift 64 bits by 64 is not defined
    return np.uint64(_MASK) >> halves >> (levels - halves)


def _part_below(counts: Counts, left: Floats, right: Floats, numbers: Floats) -> Floats:
    """How many of the values of nodes between `left` and `right` lie below numbers, if evenly spread."""
    import numpy as np

    # halves, since the difference of two finite floats may be infinite
    part, whole = np.minimum(np.maximum(numbers, left), right) / 2 - left / 2, right / 2 - left / 2
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        below = counts * part / whole
        # of values near the greatest float many times a part of them is infinite, too
        below = np.where(np.isfinite(below), below, counts * (part / whole))
    return np.where(right > left, below, counts)


def _split(ordered: Floats) -> Nodes:
    """Halve the smallest node that holds all values, and its halves, until none holds too much.

    The middles of a level are looked for among the values at once; the rest is some hundred whole numbers, for
    which arrays would take longer than lists.
    """
    import numpy as np

    first, last = (int(key) for key in key_of(ordered[[0, -1]]))
    level = BITS - (first ^ last).bit_length()
    heavy, nodes = [(first & ~int(_rest(level)), 0, len(ordered))], list[tuple[int, int, int]]()
    while level < BITS and heavy:
        half = 1 << (BITS - 1 - level)
        middles = number_of([start + half for start, _, _ in heavy])
        cuts = np.searchsorted(ordered, middles, side="left").tolist()
        level += 1
        halves = [
            part
            for (start, begin, end), cut in zip(heavy, cuts, strict=True)
            for part in ((start, begin, cut), (start + half, cut, end))
        ]
        allowed = len(ordered) // FINENESS if level >= BINADE else 0
        nodes += [(start, level, end - begin) for start, begin, end in halves if 0 < end - begin <= allowed]
        heavy = [part for part in halves if part[2] - part[1] > allowed]
    nodes += [(start, level, end - begin) for start, begin, end in heavy]
    starts, levels, counts = zip(*nodes, strict=True)
    return Nodes.of(np.array(starts, np.uint64), np.array(levels, np.uint8), np.array(counts))


def _tidy(nodes: Nodes, count: int) -> Nodes:
    """At most MOST: first by folding, as little as is needed; what is left by compressing."""
    # the less is folded the better the digest: first nodes of a quarter of what is allowed, then larger ones
    for part in (4, 2, 1):
        if len(nodes) > MOST:
            nodes = _folded(nodes, count // (FINENESS * part))
    for part in (16, 8, 4, 2, 1):
        if len(nodes) > MOST:
            nodes = _compressed(nodes, count // (FINENESS * part))
    return nodes


def _folded(nodes: Nodes, allowed: int) -> Nodes:
    """Make one node of all that lie inside the largest nodes that together hold little.

    A count never goes to a node that keeps others inside, where it would stay unsure for good. That is why a year
    of daily merges stays exact; but it leaves up to BITS * FINENESS nodes in the worst case.
    """
    import numpy as np

    sums = np.concatenate([[0], np.cumsum(nodes.counts)])
    level = BITS - int(nodes.starts[0] ^ (nodes.starts | _rest(nodes.levels)).max()).bit_length()
    starts, begins, ends = np.array([nodes.starts[0] & ~_rest(level)]), np.array([0]), np.array([len(nodes)])
    kept: list[Any] = []
    wholes: list[tuple[Keys, int, Counts]] = []
    while True:
        totals = sums[ends] - sums[begins]
        is_alone = ends - begins == 1
        is_light = ~is_alone & (totals <= (allowed if level >= BINADE else 0))
        kept.append(begins[is_alone])
        wholes.append((starts[is_light], level, totals[is_light]))
        is_heavy = ~is_alone & ~is_light
        starts, begins, ends = starts[is_heavy], begins[is_heavy], ends[is_heavy]
        if not len(starts):  # as on the last level, where there are no halves
            break
        # a count of the interval itself stays beside those inside it: nobody knows where in it they belong
        is_own = (nodes.starts[begins] == starts) & (nodes.levels[begins] == level)
        kept.append(begins[is_own])
        begins = begins + is_own
        middles = starts + np.uint64(1 << (BITS - 1 - level))
        # Nodes of the first half start before its end, so that no other part's nodes come between.
        cuts = np.clip(np.searchsorted(nodes.starts, middles), begins, ends)
        starts = np.stack([starts, middles], axis=1).ravel()
        begins, ends = np.stack([begins, cuts], axis=1).ravel(), np.stack([cuts, ends], axis=1).ravel()
        is_any = ends > begins
        starts, begins, ends, level = starts[is_any], begins[is_any], ends[is_any], level + 1
    places = np.concatenate(kept)
    return Nodes.of(
        np.concatenate([nodes.starts[places], *(whole[0] for whole in wholes)]),
        np.concatenate([nodes.levels[places], *(np.full(len(whole[0]), whole[1]) for whole in wholes)]),
        np.concatenate([nodes.counts[places], *(whole[2] for whole in wholes)]),
    )


def _compressed(nodes: Nodes, allowed: int) -> Nodes:
    """Where two halves and their whole hold little, they become the whole: at most 3 * FINENESS nodes remain."""
    import numpy as np

    for level in range(BITS, 0, -1):
        if not (nodes.levels == level).any():
            continue
        near = np.flatnonzero((nodes.levels == level) | (nodes.levels == level - 1))
        wholes, places = np.unique(nodes.starts[near] & ~_rest(level - 1), return_inverse=True)
        together = np.zeros(len(wholes), np.int64)
        np.add.at(together, places, nodes.counts[near])
        moved = (together <= allowed)[places]
        starts, levels = nodes.starts.copy(), nodes.levels.copy()
        starts[near[moved]], levels[near[moved]] = wholes[places[moved]], level - 1
        nodes = Nodes.of(starts, levels, nodes.counts)
    return nodes
