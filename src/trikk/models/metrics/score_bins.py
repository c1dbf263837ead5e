"""A histogram of probabilities that adds up over days and slices, and the AUC and average precision of it. Pure.

Bins are the same for everybody: 1/256 wide, and finer towards 0 and 1, where the probabilities of rare classes
are. Exactly 0 and exactly 1 have a bin of their own. Within a bin nobody knows the order any more, so that a
figure comes with the most that it can be off by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MIDDLE = 256
"""Bins of equal width between 0 and 1, of which those next to 0 and 1 are cut further."""
_FINE, _BINADES, _EDGE = 16, 20, 4
_TAIL = 2 + _FINE * _BINADES
LAST = 2 * _TAIL + MIDDLE - 2 * _FINE - 1
"""The bin of exactly 1; that of exactly 0 is 0."""
_MANY = 64

Bins = dict[int, tuple[int, int]]
"""By bin, how many cases are of another class, and how many are of the class."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and the most that it can be off by; 0 if it is exact."""

    value: float
    error: float = 0.0


def bin_of(probability: pl.Expr) -> pl.Expr:
    """The bin of each probability, an Int16 that does not fall as probabilities rise."""
    import polars as pl

    p = probability
    middle = (p * MIDDLE).floor().cast(pl.Int16) + (_TAIL - _FINE)
    low, high = 2.0**-_EDGE, 1 - 2.0**-_EDGE
    upper = pl.when(p >= high).then(pl.lit(LAST, pl.Int16) - _tail(1 - p)).otherwise(middle)
    return pl.when(p < low).then(_tail(p)).otherwise(upper).cast(pl.Int16)


def _tail(p: pl.Expr) -> pl.Expr:
    """Bins from 0 (exactly 0) on, 16 for each power of two."""
    import polars as pl

    power = p.clip(2.0 ** -(_EDGE + _BINADES), 2.0**-_EDGE).log(2).floor()
    part = (p / pl.lit(2.0).pow(power) - 1) * _FINE
    number = 2 + (power + _EDGE + _BINADES) * _FINE + part.floor()
    return number.clip(1, _TAIL - 1).replace(float("nan"), 1).cast(pl.Int16) * (p > 0).cast(pl.Int16)


def ends_of(number: int) -> tuple[float, float]:
    """The least and the greatest probability in a bin."""
    if number in (0, LAST):
        return float(number == LAST), float(number == LAST)
    if number <= LAST - _TAIL:
        return _least(number), math.nextafter(_least(number + 1), 0)
    first, last = ends_of(LAST - number)
    return math.nextafter(1 - math.nextafter(last, 1), 1), min(1 - first, math.nextafter(1, 0))


def _least(number: int) -> float:
    """The least probability of a bin that is in the middle or below it."""
    if number >= _TAIL:
        return (number - _TAIL + _FINE) / MIDDLE
    power, part = divmod(number - 2, _FINE)
    return math.ldexp(1 + part / _FINE, power - _EDGE - _BINADES) if number > 1 else math.ulp(0)


def merged(parts: Iterable[Bins]) -> Bins:
    """The bins of all cases of several parts."""
    total: Bins = {}
    for part in parts:
        for number, (misses, hits) in part.items():
            before = total.get(number, (0, 0))
            total[number] = before[0] + misses, before[1] + hits
    return total


def complete(classes: Mapping[str, Bins], name: str) -> Bins:
    """The bins of a class; where nobody knew of it, all cases are of other classes and had probability 0 of it."""
    if name in classes:
        return classes[name]
    total = sum(map(sum, next(iter(classes.values()), {}).values()))
    return {0: (total, 0)} if total else {}


def to_flat(bins: Bins) -> list[int]:
    """Bins as JSON: for each in order the step from the one before, cases of another class, and of the class."""
    numbers = sorted(bins)
    steps = [after - before for before, after in pairwise([0, *numbers])]
    return [value for number, step in zip(numbers, steps, strict=True) for value in (step, *bins[number])]


def from_flat(flat: Sequence[int]) -> Bins:
    """The bins that `to_flat` wrote."""
    bins: Bins = {}
    number = 0
    for step, misses, hits in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        number += step
        bins[number] = misses, hits
    return bins


def auc(bins: Bins) -> Measured | None:
    """The share of pairs of a case of the class and one of another that are ranked rightly; None without pairs.

    It is off by half of the share of the pairs that lie in one bin, at most.
    """
    of_others, of_class = (sum(counts[side] for counts in bins.values()) for side in (0, 1))
    if not of_others or not of_class:
        return None
    below, right, unsure = 0, 0.0, 0.0
    for number in sorted(bins):
        misses, hits = bins[number]
        right += hits * (below + misses / 2)
        unsure += 0.0 if number in (0, LAST) else hits * misses / 2
        below += misses
    return Measured(right / (of_others * of_class), unsure / (of_others * of_class))


def average_precision(bins: Bins) -> Measured | None:
    """The mean precision over the cases of the class, each at its own probability; None if there is no such case.

    At best the cases of the class lie above the others of their bin, all at one probability; at worst below, each
    at another.
    """
    own = sum(hits for _, hits in bins.values())
    if not own:
        return None
    true, called = 0, 0
    best = worst = 0.0
    for number in sorted(bins, reverse=True):
        misses, hits = bins[number]
        if number in (0, LAST):  # one probability: one threshold
            part = hits * (true + hits) / (called + hits + misses) if hits else 0.0
            best, worst = best + part, worst + part
        elif hits:
            best += hits * (true + hits) / (called + hits)
            wrong = called - true + misses
            worst += hits - wrong * _harmonic(true + wrong, hits)
        true, called = true + hits, called + hits + misses
    return Measured((best + worst) / 2 / own, (best - worst) / 2 / own)


RANKS: dict[str, Callable[[Bins], Measured | None]] = {"auc": auc, "average_precision": average_precision}


def over_classes(name: str, bins: Mapping[str, Bins]) -> Measured | None:
    """AUC or average precision, of more than two classes the mean over classes; None if one has none.

    Args:
        name: "auc" or "average_precision".
        bins: by class as text; of two classes those of the positive one alone.
    """
    every = [RANKS[name](one) for one in bins.values()]
    known = [one for one in every if one is not None]
    if not known or len(known) < len(every):
        return None
    value, error = (math.fsum(getattr(one, part) for one in known) / len(known) for part in ("value", "error"))
    return Measured(value, error)


def _harmonic(after: int, count: int) -> float:
    """The sum of 1/n of `count` numbers after a number."""
    few = min(count, max(0, _MANY - after))
    total = math.fsum(1 / (after + number) for number in range(1, few + 1))
    first, last = after + few, after + count
    if first == last:
        return total
    return total + math.log(last / first) + (1 / last - 1 / first) / 2 - (1 / last**2 - 1 / first**2) / 12
