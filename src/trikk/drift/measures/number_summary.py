"""A numeric column in a profile: a digest, exact moments, and every value while there are few."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.drift.measures.digest import Digest

if TYPE_CHECKING:
    from trikk.drift.measures.digest import Floats

FEW = 40
"""Up to so many different values are kept one by one."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Finite numbers, summed up.

    Attributes:
        digest: their distribution, with count, least and greatest value.
        mean: their mean; 0.0 if there are none, not finite if they are too large to add up.
        squares: the sum of squared differences from the mean.
        zeros: how many are 0.
        values: how often each value occurs, while there are at most 40 different ones; else None.
    """

    digest: Digest
    mean: float
    squares: float
    zeros: int
    values: dict[float, int] | None

    @property
    def count(self) -> int:
        """How many numbers."""
        return self.digest.count

    @property
    def deviation(self) -> float:
        """Their standard deviation (divided by n, as numpy's); 0.0 if there are none."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    @classmethod
    def of(cls, ordered: Floats) -> Numbers:
        """The summary of some numbers.

        Args:
            ordered: float64 of shape (n,), ascending, all finite, without -0.0.
        """
        import numpy as np

        count = len(ordered)
        if not count:
            return cls(Digest(), 0.0, 0.0, 0, {})
        with np.errstate(over="ignore", invalid="ignore"):  # huge values have no finite sum
            # of the ordered values, so that another order of the rows comes to the same bits
            mean = float(ordered.mean())
            squares = float(((ordered - mean) ** 2).sum())
        changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        values = None
        if len(changes) < FEW:
            ends = pairwise([0, *changes.tolist(), count])
            values = {float(ordered[start]): end - start for start, end in ends}
        return cls(Digest.of(ordered), mean, squares, count - int(np.count_nonzero(ordered)), values)

    def merge(self, *more: Numbers) -> Numbers:
        """The summary of all; moments as in Chan, Golub and LeVeque, The American Statistician 37 (1983)."""
        parts = (self, *more)
        count, mean, squares = 0, 0.0, 0.0
        for part in parts:
            if not count:
                count, mean, squares = part.count, part.mean, part.squares
            elif part.count:
                apart, count = part.mean - mean, count + part.count
                mean += apart * (part.count / count)
                squares += part.squares + apart * apart * (count - part.count) * (part.count / count)
        digest = self.digest.merge(*(part.digest for part in more))
        zeros = sum(part.zeros for part in parts)
        return Numbers(digest, mean, squares, zeros, _added([part.values for part in parts]))

    def to_json(self) -> dict[str, JSON]:
        """The summary as JSON."""
        values: JSON = None if self.values is None else [[value, count] for value, count in self.values.items()]
        return {
            "digest": self.digest.to_json(),
            "mean": self.mean,
            "squares": self.squares,
            "zeros": self.zeros,
            "values": values,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Numbers:
        """The summary that `to_json` wrote; KeyError, TypeError or ValueError if it is none."""
        values = data["values"]
        return cls(
            Digest.read(data["digest"]),
            float(data["mean"]),
            float(data["squares"]),
            int(data["zeros"]),
            None if values is None else {float(value): int(count) for value, count in values},
        )


def _added(parts: Sequence[dict[float, int] | None]) -> dict[float, int] | None:
    """How often each value occurs in all parts; None where one has too many of them, or all together have."""
    counts: dict[float, int] = {}
    for part in parts:
        if part is None:
            return None
        for value, count in part.items():
            counts[value] = counts.get(value, 0) + count
    return dict(sorted(counts.items())) if len(counts) <= FEW else None
