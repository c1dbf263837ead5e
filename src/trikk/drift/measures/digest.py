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

import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from trikk.core.values import JSON

if TYPE_CHECKING:
    import numpy as np

    Floats: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.float64]]"

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
Node: TypeAlias = tuple[int, int, int]
"""First key, level, count."""


def key_of(number: float) -> int:
    """The place of a float (not NaN, not -0.0) among all floats."""
    bits: int = struct.unpack(">Q", struct.pack(">d", number))[0]
    return bits ^ _MASK if bits & _SIGN else bits | _SIGN


def number_of(key: int) -> float:
    """The float with that place; infinite for keys that are beyond the floats."""
    if key <= _LOWEST:
        return float("-inf")
    if key >= _HIGHEST:
        return float("inf")
    bits = key ^ _SIGN if key & _SIGN else key ^ _MASK
    number: float = struct.unpack(">d", struct.pack(">Q", bits))[0]
    return number


_LOWEST, _HIGHEST = key_of(float("-inf")), key_of(float("inf"))


@dataclass(frozen=True, slots=True)
class Digest:
    """A q-digest.

    Attributes:
        count: how many values.
        low: the least value; infinite if there is none.
        high: the greatest value; minus infinite if there is none.
        nodes: the nodes with a count, by first key, the larger before the smaller.
    """

    count: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    nodes: tuple[Node, ...] = ()

    @classmethod
    def of(cls, ordered: Floats) -> Digest:
        """The digest of some values.

        Args:
            ordered: float64 of shape (n,), ascending, all finite, without -0.0.
        """
        count = len(ordered)
        if not count:
            return cls()
        low, high = float(ordered[0]), float(ordered[-1])
        return cls(count, low, high, _tidy(_split(ordered, low, high), count))

    def merge(self, *more: Digest) -> Digest:
        """The digest of the values of all.

        Digests that are merged at once give the same nodes in any order. Merged in groups, they give nodes that
        keep the bounds, but others may be left.
        """
        digests = (self, *more)
        counts: dict[tuple[int, int], int] = {}
        for digest in digests:
            for start, level, weight in digest.nodes:
                counts[start, level] = counts.get((start, level), 0) + weight
        count = sum(digest.count for digest in digests)
        low, high = min(digest.low for digest in digests), max(digest.high for digest in digests)
        nodes = [(start, level, weight) for (start, level), weight in counts.items()]
        return Digest(count, low, high, _tidy(nodes, count))

    def edges(self) -> set[int]:
        """The first key of every node, and the key after its last."""
        starts = {start for start, _, _ in self.nodes}
        return starts | {start + (1 << (BITS - level)) for start, level, _ in self.nodes}

    def counts_below(self, keys: Sequence[int]) -> list[tuple[float, int, int]]:
        """How many values are below each of these keys, which ascend.

        Returns:
            For each key an estimate, a lower and an upper bound. They are one where the key is inside no node;
            elsewhere a node's values are taken to lie evenly between its ends.
        """
        counts: list[tuple[float, int, int]] = []
        passed, place, inside = 0, 0, list[Node]()
        for key in keys:
            while place < len(self.nodes) and self.nodes[place][0] < key:
                inside.append(self.nodes[place])
                place += 1
            passed += sum(weight for start, level, weight in inside if start + (1 << (BITS - level)) <= key)
            inside = [node for node in inside if node[0] + (1 << (BITS - node[1])) > key]
            unsure = sum(weight for _, _, weight in inside)
            estimate = passed + sum(self._part_below(node, key) for node in inside)
            counts.append((estimate, passed, passed + unsure))
        return counts

    def quantile(self, share: float) -> float:
        """A value that about `share` of the values are below; NaN if there is none."""
        if not self.count:
            return float("nan")
        edges = sorted(self.edges())
        below = [counts[0] for counts in self.counts_below(edges)]
        wanted = share * self.count
        for i in range(1, len(edges)):
            if below[i] >= wanted:
                left, right = max(number_of(edges[i - 1]), self.low), min(number_of(edges[i]), self.high)
                rise = below[i] - below[i - 1] if edges[i] - edges[i - 1] > 1 else 0.0  # one key is one value
                part = (wanted - below[i - 1]) / rise if rise > 0 else 0.0
                return left + (right - left) * max(0.0, part)
        return self.high

    def _part_below(self, node: Node, key: int) -> float:
        start, level, weight = node
        left = max(number_of(start), self.low)
        right = min(number_of(start + (1 << (BITS - level))), self.high)
        at = min(max(number_of(key), left), right)
        # halves, since the difference of two finite floats may be infinite
        return weight * (at / 2 - left / 2) / (right / 2 - left / 2) if right > left else float(weight)

    def to_json(self) -> dict[str, JSON]:
        """The nodes as four lists: steps from key to key as odd numbers and powers of two; levels; counts."""
        odds: list[JSON] = []
        powers: list[JSON] = []
        before = 0
        for start, _, _ in self.nodes:
            step = start - before
            power = (step & -step).bit_length() - 1 if step else 0
            odds.append(step >> power)
            powers.append(power)
            before = start
        levels: list[JSON] = [level for _, level, _ in self.nodes]
        counts: list[JSON] = [weight for _, _, weight in self.nodes]
        return {
            "low": self.low,
            "high": self.high,
            "odds": odds,
            "powers": powers,
            "levels": levels,
            "counts": counts,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Digest:
        """The digest that `to_json` wrote; KeyError, TypeError or ValueError if it is none."""
        nodes: list[Node] = []
        start = 0
        for odd, power, level, weight in zip(
            data["odds"], data["powers"], data["levels"], data["counts"], strict=True
        ):
            start += odd << power
            if not (0 <= start <= _MASK and 0 <= level <= BITS and weight > 0) or start % (1 << (BITS - level)):
                raise ValueError("a node that is none")
            nodes.append((start, level, weight))
        return cls(sum(weight for _, _, weight in nodes), float(data["low"]), float(data["high"]), tuple(nodes))


def _split(ordered: Floats, low: float, high: float) -> list[Node]:
    """Halve the smallest node that holds all values, and its halves, until none holds too much."""
    import numpy as np

    first = key_of(low)
    level = BITS - (first ^ key_of(high)).bit_length()
    size = 1 << (BITS - level)
    heavy, nodes = [(first - first % size, 0, len(ordered))], list[Node]()
    while level < BITS and heavy:
        half = 1 << (BITS - 1 - level)
        middles = np.array([number_of(start + half) for start, _, _ in heavy])
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
    return nodes + [(start, level, end - begin) for start, begin, end in heavy]


def _tidy(nodes: list[Node], count: int) -> tuple[Node, ...]:
    """In order, and at most MOST: first by folding, as little as is needed; what is left by compressing."""
    nodes.sort()
    # the less is folded the better the digest: first nodes of a quarter of what is allowed, then larger ones
    for part in (4, 2, 1):
        if len(nodes) > MOST:
            nodes = _folded(nodes, count // (FINENESS * part))
    for part in (16, 8, 4, 2, 1):
        if len(nodes) > MOST:
            nodes = _compressed(nodes, count // (FINENESS * part))
    return tuple(nodes)


def _folded(nodes: list[Node], allowed: int) -> list[Node]:
    """Make one node of all that lie inside the largest nodes that together hold little.

    A count never goes to a node that keeps others inside, where it would stay unsure for good. That is why a year
    of daily merges stays exact; but it leaves up to BITS * FINENESS nodes in the worst case.
    """
    starts = [start for start, _, _ in nodes]
    sums = [0, *accumulate(weight for _, _, weight in nodes)]
    last = max(start + (1 << (BITS - level)) for start, level, _ in nodes) - 1
    root = BITS - (starts[0] ^ last).bit_length()
    size = 1 << (BITS - root)
    open_parts, kept = [(starts[0] - starts[0] % size, root, 0, len(nodes))], list[Node]()
    while open_parts:
        start, level, begin, end = open_parts.pop()
        total = sums[end] - sums[begin]
        if end - begin == 1:
            kept.append(nodes[begin])
        elif total <= (allowed if level >= BINADE else 0):
            kept.append((start, level, total))
        elif end > begin:
            # a count of the interval itself stays beside those inside it: nobody knows where in it they belong
            if nodes[begin][:2] == (start, level):
                kept.append(nodes[begin])
                begin += 1
            middle = start + (1 << (BITS - 1 - level))
            cut = bisect_left(starts, middle, begin, end)
            open_parts += [(start, level + 1, begin, cut), (middle, level + 1, cut, end)]
    return sorted(node for node in kept if node[2])


def _compressed(nodes: list[Node], allowed: int) -> list[Node]:
    """Where two halves and their whole hold little, they become the whole: at most 3 * FINENESS nodes remain."""
    levels: list[dict[int, int]] = [{} for _ in range(BITS + 1)]
    for start, level, weight in nodes:
        levels[level][start] = weight
    for level in range(BITS, 0, -1):
        half = 1 << (BITS - level)
        halves, wholes = levels[level], levels[level - 1]
        for start in [*halves]:
            whole = start & ~half
            together = halves.get(whole, 0) + halves.get(whole | half, 0) + wholes.get(whole, 0)
            if together <= allowed and start in halves:  # it is gone if it was its sibling's other half
                halves.pop(whole, None)
                halves.pop(whole | half, None)
                wholes[whole] = together
    return sorted((start, level, weight) for level, kept in enumerate(levels) for start, weight in kept.items())
