"""How often false alarms are accepted, and how much a few days can say about that. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from trikk.core.errors import UsageError
from trikk.core.record import Record
from trikk.drift.measures.survival import chi_square_survival

CONFIDENCE = 0.95
LEAST_DAYS, LEAST_WINDOWS = 14, 14
LEAST_EXPECTED = 0.5
"""Fewer accepted alarms than this in the time that is known to be good, and their absence says nothing."""

_PERIODS = {"day": 1.0, "week": 7.0, "month": 30.0, "quarter": 91.0, "year": 365.0}
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:/|per)\s*(day|week|month|quarter|year)\s*\Z")
_STEPS = 200  # of bisection: far more than the bits of a float, and it stops when they are used up


class Accepted(Record, frozen=True):
    """How many false alarms are accepted."""

    text: str  # as it was written
    per_day: float  # alarms opened in a day, or the share of nights on which one is open
    of_nights: bool = False  # whether it is that share

    @classmethod
    def of(cls, text: str) -> Accepted:
        """Read "1/month", "2 per week", or a share of nights such as "0.02".

        Raises:
            UsageError: if it is neither.
        """
        if match := _RATE.match(text):
            rate = float(match[1]) / _PERIODS[match[2]]
            if rate > 0:
                return cls(text.strip(), rate)
        try:
            share = float(text)
        except ValueError:
            share = math.nan
        if not 0 < share < 1:
            raise UsageError(
                f"{text!r} is not a rate of false alarms",
                next="write 1/month, 2/week, or the share of nights with an alarm, such as 0.02",
            )
        return cls(text.strip(), share, of_nights=True)

    def upper(self, count: int, days: int) -> float:
        """The largest rate (as `per_day`) that still fits `count` alarms in so many days, with 95% confidence."""
        return share_bound(count, days) if self.of_nights else rate_bound(count, days)

    @property
    def days_needed(self) -> int:
        """So many days without any false alarm show that the rate is kept to."""
        if self.of_nights:
            return math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - self.per_day))
        # The rule of three: no event in n days, so at most 3 / n with 95 %.
        return math.ceil(-math.log(1 - CONFIDENCE) / self.per_day)


def rate_bound(count: int, days: float) -> float:
    """The upper end of the exact one-sided interval of a Poisson rate, per day.

    F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936) 437-442: the rate at which
    `count` or fewer have probability 1 - CONFIDENCE; that probability is a chi-square's survival function. Alarms
    are taken to come independently of each other, which holds for incidents better than for bad windows.

    Args:
        count: how many were seen.
        days: in so many days; infinity is returned for none.
    """
    if days <= 0:
        return math.inf
    mean = _solved(lambda m: chi_square_survival(2 * m, 2 * (count + 1)), 0.0, 20.0 + 3.0 * count)
    return mean / days


def share_bound(count: int, nights: int) -> float:
    """The upper end of the exact one-sided interval of a share.

    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404-413: the share at which `count` or fewer of `nights`
    have probability 1 - CONFIDENCE. Nights are taken to be independent of each other; where alarms last for
    several nights, the truth is less certain than this.

    Args:
        count: on how many nights.
        nights: of so many; 1 is returned for none.
    """
    if count >= nights:
        return 1.0
    return _solved(lambda share: _at_most(count, nights, share), 0.0, 1.0)


def _at_most(count: int, number: int, share: float) -> float:
    """The probability of `count` or fewer of `number`."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    start = math.lgamma(number + 1)
    yes, no = math.log(share), math.log1p(-share)
    return math.fsum(
        math.exp(start - math.lgamma(k + 1) - math.lgamma(number - k + 1) + k * yes + (number - k) * no)
        for k in range(count + 1)
    )


def _solved(probability: Callable[[float], float], low: float, high: float) -> float:
    """Where a probability that falls comes down to 1 - CONFIDENCE, by bisection; never below it."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        # Two neighbouring floats: there is nothing between them any more.
        if not low < middle < high:
            break
        if probability(middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high
