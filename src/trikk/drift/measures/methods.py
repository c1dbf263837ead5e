"""What to measure of a column, and the measuring."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trikk.drift.drift_report import Method, MethodName
from trikk.drift.measures.column_kinds import NUMERIC
from trikk.drift.measures.column_pair import Counts, Pair
from trikk.drift.measures.count_distances import chi_square, cramers_v, jensen_shannon, pooled, psi
from trikk.drift.measures.survival import kolmogorov_survival

SMALL = 1000
"""Up to so many values in the reference a test of significance is the method, above it a distance."""
THRESHOLDS: dict[str, float] = {
    **dict.fromkeys(map(str, Method), 0.1),
    "missing": 0.1,
}
"""The least effect that counts."""
OF_NUMBERS = (Method.KS, Method.WASSERSTEIN)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a method found.

    Attributes:
        method: which.
        statistic: in its own units.
        effect: without units; for distances of counts, rare categories pooled, without what chance gives.
        p_value: of Kolmogorov and Smirnov's test for distances of distribution functions, of the chi-square
            test for distances of counts.
        error: how far `effect` may be from the truth; None where no bound is known.
        change: what has changed, in words.
        distance: of numbers, however measured, how far apart they are in standard deviations of the reference.
    """

    method: MethodName
    statistic: float
    effect: float
    p_value: float
    error: float | None
    change: str
    distance: float | None = None


def suited(pair: Pair, counts: Counts | None) -> Method:
    """The method for a column: by its type, the number of its values, and how many of them differ.

    Few different values: chi-square, and Jensen-Shannon for more than 1,000 values in the reference. Else
    Kolmogorov-Smirnov, and Wasserstein for more than 1,000: with many values every test is significant, and a
    distance says how much it matters. These are Evidently's choices, so that one can come from there.
    """
    many = pair.reference.values > SMALL
    if counts is not None:
        return Method.JENSEN_SHANNON if many else Method.CHI_SQUARE
    return Method.WASSERSTEIN if many else Method.KS


def measure(pair: Pair, method: MethodName | None = None) -> Measured | None:
    """Measure a column that has values on both sides.

    Args:
        pair: the column.
        method: None for the one that suits; for a column of categories not one of `OF_NUMBERS`.

    Returns:
        What was found; None where nothing can be said, since nearly every value occurs once, or values are so
        large that they can't be added.
    """
    if method in OF_NUMBERS:
        return _distance(pair, method)
    counts = pair.few()
    method = method or suited(pair, counts)
    if method in OF_NUMBERS:
        return _distance(pair, method)
    measured = _counted(counts or pair.bins(), method)
    if measured is None or pair.reference.kind not in NUMERIC:
        return measured
    far = _distance(pair, Method.WASSERSTEIN)
    return replace(measured, distance=None if far is None else far.effect)


def _distance(pair: Pair, method: MethodName) -> Measured | None:
    gap = pair.gap()
    mean, spread, now, _ = moments = pair.moments()
    p_value = kolmogorov_survival(gap.ks, pair.reference.values, pair.current.values)
    change = f"mean {mean:.4g} -> {now:.4g}"
    scale = next((part for part in (spread, moments[3], abs(mean), abs(now)) if part > 0), 1.0)
    effect = gap.area / scale
    is_known = math.isfinite(effect) and math.isfinite(scale)
    if method == Method.KS:
        return Measured(method, gap.ks, gap.ks, p_value, gap.ks_error, change, effect if is_known else None)
    if not is_known:
        return None
    return Measured(method, gap.area, effect, p_value, gap.area_error / scale, change, effect)


def _counted(counts: Counts, method: MethodName) -> Measured | None:
    before, now = pooled(counts.reference, counts.current)
    test = chi_square(before, now)
    if test.degrees == 0 and sum(a + b > 0 for a, b in zip(counts.reference, counts.current, strict=True)) > 1:
        return None
    chance = test.degrees * (1 / math.fsum(before) + 1 / math.fsum(now))
    if method == Method.CHI_SQUARE:
        statistic = chi_square(counts.reference, counts.current).statistic
        effect = _without(cramers_v(before, now) ** 2, chance / 4) ** 0.5
    elif method == Method.PSI:
        statistic = psi(counts.reference, counts.current)
        effect = _without(psi(before, now), chance)
    else:
        statistic = jensen_shannon(counts.reference, counts.current)
        effect = _without(jensen_shannon(before, now) ** 2, chance / (8 * math.log(2))) ** 0.5
    return Measured(method, statistic, effect, test.p_value, 0.0 if counts.exact else None, _changed(counts))


def _without(squared: float, chance: float) -> float:
    """A squared distance without what two samples of one distribution show on average.

    All three are chi-square to the first order, whose mean is its degrees of freedom; compare W. Bergsma, A
    bias-correction for Cramer's V, J. Korean Stat. Soc. 42 (2013) 323-328.
    """
    return max(0.0, squared - chance)


def _changed(counts: Counts) -> str:
    """What is new, what is gone, and otherwise the share that changed most."""
    before, now = sum(counts.reference), sum(counts.current)
    shares = [
        (label, a / before, b / now)
        for label, a, b in zip(counts.labels, counts.reference, counts.current, strict=True)
    ]
    parts = []
    for word, changes in (
        ("new", [(label, b) for label, a, b in shares if a == 0 < b]),
        ("gone", [(label, a) for label, a, b in shares if b == 0 < a]),
    ):
        if counts.exact and changes:
            named = sorted(changes, key=lambda item: -item[1])[:3]
            more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
            parts.append(f"{word}: {', '.join(f'{label} ({share:.1%})' for label, share in named)}{more}")
    label, a, b = max(shares, key=lambda item: abs(item[1] - item[2]))
    if not label.startswith("hash ") and a > 0 and b > 0:
        parts.append(f"{label}: {a:.1%} -> {b:.1%}")
    return "; ".join(parts)


def fits(method: MethodName, pair: Pair) -> bool:
    """Whether a method can measure columns of this kind."""
    return method not in OF_NUMBERS or pair.reference.kind in NUMERIC
