"""A numeric column in a profile: a digest, exact moments, and every value while there are few."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.drift.measures.digest import Digest

if TYPE_CHECKING:
    import polars as pl

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
    def of(cls, finite: pl.Series) -> Numbers:
        """The summary of Float64 values that are all finite, without nulls."""
        ordered = finite.sort()
        count = len(ordered)
        if not count:
            return cls(Digest(), 0.0, 0.0, 0, {})
        mean = float(ordered.mean())  # type: ignore[arg-type]
        squares = float(((ordered - mean) ** 2).sum())
        runs = ordered.head(1).append(ordered.filter(ordered != ordered.shift(1))) if count else ordered
        values = None
        if len(runs) <= FEW:
            starts = [*ordered.search_sorted(runs, side="left").to_list(), count]
            values = {v: starts[i + 1] - starts[i] for i, v in enumerate(runs.to_list())}
        return cls(Digest.of(ordered), mean, squares, int((ordered == 0).sum()), values)

    def merge(self, *others: Numbers) -> Numbers:
        """The summary of all; moments as in Chan, Golub and LeVeque, The American Statistician 37 (1983)."""
        count, mean, squares = 0, 0.0, 0.0
        for other in (self, *others):
            if not count:
                count, mean, squares = other.count, other.mean, other.squares
            elif other.count:
                apart, count = other.mean - mean, count + other.count
                mean += apart * (other.count / count)
                squares += other.squares + apart * apart * (count - other.count) * (other.count / count)
        digest = self.digest.merge(*(other.digest for other in others))
        zeros = sum(part.zeros for part in (self, *others))
        return Numbers(digest, mean, squares, zeros, _together([self.values, *(other.values for other in others)]))

    def to_json(self) -> dict[str, JSON]:
        """The summary as JSON."""
        values: JSON = None if self.values is None else [[value, held] for value, held in self.values.items()]
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
            None if values is None else {float(value): int(held) for value, held in values},
        )


def _together(parts: list[dict[float, int] | None]) -> dict[float, int] | None:
    found: dict[float, int] = {}
    for part in parts:
        if part is None:
            return None
        for value, held in part.items():
            found[value] = found.get(value, 0) + held
    return dict(sorted(found.items())) if len(found) <= FEW else None
