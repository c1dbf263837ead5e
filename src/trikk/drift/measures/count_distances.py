"""Distances between two lists of counts in the same bins or categories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trikk.drift.measures.survival import chi_square_survival

FLOOR = 1e-4
"""The share that stands in for an empty bin's, whose logarithm would be infinite."""
LEAST_EXPECTED = 5.0
"""Where fewer are expected, chi-square is not to be trusted (W. G. Cochran, Biometrics 10 (1954) 417-451)."""


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """What the test of independence says of two lists of counts.

    Attributes:
        statistic: Pearson's chi-square of the table of two rows, without Yates' correction.
        degrees: of freedom: occupied categories less one; 0 where there is one category, and nothing to test.
        p_value: 1.0 where there is nothing to test.
    """

    statistic: float
    degrees: int
    p_value: float


def psi(reference: Sequence[float], current: Sequence[float]) -> float:
    """The population stability index: the sum of (p - q) ln(p / q), empty shares raised to 0.0001.

    Source: N. Siddiqi, Credit Risk Scorecards, Wiley 2006. Both need a count above 0.
    """
    shares = zip(_shares(reference), _shares(current), strict=True)
    raised = ((max(q, FLOOR), max(p, FLOOR)) for q, p in shares)
    return math.fsum((p - q) * math.log(p / q) for q, p in raised)


def jensen_shannon(reference: Sequence[float], current: Sequence[float]) -> float:
    """The Jensen-Shannon distance with logarithms of base 2: 0 for equal shares, 1 where nothing is common.

    The root of the divergence (Endres and Schindelin, IEEE Trans. Inf. Theory 49 (2003) 1858-1860). Both need a
    count above 0.
    """
    parts = []
    for q, p in zip(_shares(reference), _shares(current), strict=True):
        middle = (p + q) / 2
        parts += [share * math.log2(share / middle) for share in (p, q) if share > 0]
    return math.sqrt(min(1.0, max(0.0, math.fsum(parts) / 2)))


def cramers_v(reference: Sequence[float], current: Sequence[float]) -> float:
    """Cramer's V, 0 to 1, that samples of equal size with these shares would have.

    The ordinary V falls when one sample is much larger than the other, so that a day compared with a month would
    count less than a day compared with a day. For samples of equal size the two are the same. Both need a count
    above 0.
    """
    shares = zip(_shares(reference), _shares(current), strict=True)
    return math.sqrt(min(1.0, math.fsum((p - q) ** 2 / (p + q) for q, p in shares if p + q > 0) / 2))


def chi_square(reference: Sequence[float], current: Sequence[float]) -> ChiSquare:
    """Pearson's test of whether both lists have the same shares. Both need a count above 0."""
    current_total, reference_total = math.fsum(current), math.fsum(reference)
    total = current_total + reference_total
    parts, occupied = [], 0
    for before, now in zip(reference, current, strict=True):
        both = before + now
        if both > 0:
            occupied += 1
            parts.append((before - both * reference_total / total) ** 2 / (both * reference_total / total))
            parts.append((now - both * current_total / total) ** 2 / (both * current_total / total))
    degrees = occupied - 1
    statistic = math.fsum(parts) if degrees else 0.0
    return ChiSquare(statistic, degrees, chi_square_survival(statistic, degrees) if degrees else 1.0)


def pooled(reference: Sequence[float], current: Sequence[float]) -> tuple[list[float], list[float]]:
    """The same counts, with the rare categories together as the last.

    Rare are those in which fewer than 5 are expected on the smaller side, and fewer than 10 are seen there (a new
    category is never expected). Where they are together still rare, they join the rarest of the others.
    """
    sides = math.fsum(reference), math.fsum(current)
    side = 0 if sides[0] < sides[1] else 1
    smaller = sides[side] / (sides[0] + sides[1]) if sides[0] + sides[1] else 0.0
    kept: list[tuple[float, float]] = []
    rest = (0.0, 0.0)
    for pair in zip(reference, current, strict=True):
        if _rare(pair, side, smaller):
            rest = (rest[0] + pair[0], rest[1] + pair[1])
        else:
            kept.append(pair)
    if kept and _rare(rest, side, smaller):
        rarest = kept.pop(min(range(len(kept)), key=lambda i: kept[i][0] + kept[i][1]))
        rest = (rest[0] + rarest[0], rest[1] + rarest[1])
    kept.append(rest)
    return [a for a, _ in kept], [b for _, b in kept]


def _rare(pair: tuple[float, float], side: int, smaller: float) -> bool:
    return (pair[0] + pair[1]) * smaller < LEAST_EXPECTED and pair[side] < 2 * LEAST_EXPECTED


def _shares(counts: Sequence[float]) -> list[float]:
    total = math.fsum(counts)
    return [count / total for count in counts]
