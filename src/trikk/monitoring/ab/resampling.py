"""How sure a difference is: resampling whole days, since the cases of one day are not independent. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from trikk.monitoring.ab.losses import Loss

_NORMAL = NormalDist()
_BLOCK = 4_000_000  # numbers that a block of resamples may take
_EQUAL = 1e-12
_LEAST_ALIKE = 7  # days from which neighbours are looked at
_MANY = 400  # degrees of freedom from which Student's distribution is taken for normal


@dataclass(frozen=True, slots=True)
class Spread:
    """A difference of two sides, second minus first, and how sure it is."""

    difference: float  # in the metric's units
    low: float | None  # the lower end of its interval; None with fewer than two days
    high: float | None  # the upper end
    error: float  # the standard error
    days: int  # how many days (or weeks) have cases
    # how alike neighbouring days are: the autocorrelation at lag one, 0 if it is not to be told from 0
    alike: float = 0.0

    @property
    def of_a_day(self) -> float:
        """The standard deviation of one day's part in the difference."""
        return self.error * math.sqrt(self.days)


def spread(
    sums: np.ndarray[Any, Any], loss: Loss, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> list[Spread]:
    """The difference of two sides for each group of cases, with an interval by resampling days.

    The interval is the expanded percentile interval: quantiles of the resampled differences, taken further
    outside where days are few (T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American
    Statistician 69 (2015), section 4.3). Where neighbouring days are alike, interval and error are widened by
    sqrt((1 + r) / (1 - r)) of a first-order autocorrelation r (F. Zwiers, H. von Storch, J. Climate 8 (1995)).

    Args:
        sums: float64 of shape (days, groups, 2 sides, numbers): what each day adds, in the order of time.
        loss: the metric.
        confidence: of the interval.
        resamples: how many.
        seed: the same gives the same.

    Returns:
        One for each group; the difference is NaN where a side has no metric.
    """
    import numpy as np

    count = sums.shape[0]
    present = (sums != 0).any(axis=(2, 3))
    with np.errstate(invalid="ignore"):  # infinite losses make NaN, which is told
        point = _difference(loss, sums.sum(axis=0))
        drawn = np.concatenate([_difference(loss, part) for part in _resampled(sums, resamples, seed)])
    spreads = []
    for group in range(sums.shape[1]):
        days = int(present[:, group].sum())
        values = drawn[:, group]
        # A resample may lack all days with a class, and has no value then.
        values = values[np.isfinite(values)]
        if days < 2 or not len(values) or not math.isfinite(point[group]):
            spreads.append(Spread(float(point[group]), None, None, math.nan, days))
            continue
        level = outside(days, confidence)
        low, high = np.quantile(values, [level, 1 - level])
        # Resampled days spread less than days do, by (n - 1) / n.
        error = float(values.std()) * math.sqrt(days / (days - 1))
        # Only where every day has cases: days that are missing are no neighbours.
        alike = _alike(_parts(loss, sums[:, group])) if days == count else 0.0
        wider = math.sqrt((1 + alike) / (1 - alike))
        at = float(point[group])
        spreads.append(
            Spread(at, at - wider * (at - float(low)), at + wider * (float(high) - at), error * wider, days, alike)
        )
    return spreads


def _difference(loss: Loss, sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The second side's worth minus the first's; 0 where only the order of summation makes a difference."""
    import numpy as np

    worth = loss.worth(sums)
    difference: np.ndarray[Any, Any] = worth[..., 1] - worth[..., 0]
    return np.where(np.abs(difference) <= _EQUAL * np.abs(worth).min(axis=-1), 0.0, difference)


def _resampled(sums: np.ndarray[Any, Any], resamples: int, seed: int) -> Iterator[np.ndarray[Any, Any]]:
    """Sums over days drawn with replacement, in blocks of shape (resamples, groups, 2, numbers)."""
    import numpy as np

    days, width = sums.shape[0], int(np.prod(sums.shape[1:]))
    flat = sums.reshape(days, width)
    generator = np.random.default_rng(seed)
    # All resamples at once would take gigabytes for a year of days in fifty slices.
    step = max(1, _BLOCK // max(days, width))
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        times = generator.multinomial(days, np.full(days, 1 / days), size=size)
        yield (times.astype(np.float64) @ flat).reshape(size, *sums.shape[1:])


def _parts(loss: Loss, sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each day's part in the difference: the jackknife's pseudo-values (Tukey, 1958)."""
    days = len(sums)
    whole = sums.sum(axis=0)
    parts: np.ndarray[Any, Any] = days * _difference(loss, whole) - (days - 1) * _difference(loss, whole - sums)
    return parts


def _alike(parts: np.ndarray[Any, Any]) -> float:
    """The autocorrelation of neighbouring days where it is likely above 0 (at 20 %, one-sided), at most 0.9.

    Of few days it comes out too low by (1 + 4 r) / n, which is mended (Marriott and Pope, Biometrika 41, 1954).
    """
    import numpy as np

    count = len(parts)
    centred = parts - parts.mean()
    square = float((centred**2).sum())
    if count < _LEAST_ALIKE or not np.isfinite(square) or square <= 0:
        return 0.0
    correlation = (count * float((centred[1:] * centred[:-1]).sum()) / square + 1) / (count - 4)
    return min(correlation, 0.9) if correlation > _NORMAL.inv_cdf(0.8) / math.sqrt(count) else 0.0


def outside(days: int, confidence: float) -> float:
    """The share of resamples to leave outside on each side: less than (1 - confidence) / 2 where days are few."""
    quantile = student_quantile((1 + confidence) / 2, days - 1)
    return _NORMAL.cdf(-math.sqrt(days / (days - 1)) * quantile)


def student_cdf(value: float, degrees: int) -> float:
    """Student's distribution for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    if degrees > _MANY:
        return _NORMAL.cdf(value)
    angle = math.atan(value / math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    if degrees % 2:
        total, term = 0.0, cosine
        for k in range(1, degrees - 1, 2):
            total += term
            term *= cosine * cosine * (k + 1) / (k + 2)
        inside = 2 / math.pi * (angle + sine * total)
    else:
        total, term = 0.0, 1.0
        for k in range(1, degrees, 2):
            total += term
            term *= cosine * cosine * k / (k + 1)
        inside = sine * total
    return 0.5 + inside / 2


def student_quantile(share: float, degrees: int) -> float:
    """The value below which a share (0.5 to 1) of Student's distribution lies, by bisection."""
    low, high = 0.0, 1.0
    # With one degree of freedom the tail is so long that no fixed end would do.
    while student_cdf(high, degrees) < share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, degrees) < share else (low, middle)
    return (low + high) / 2


def two_sided(value: float, degrees: int) -> float:
    """The probability of a t-value at least as far from 0."""
    return 2 * (1 - student_cdf(abs(value), degrees))
