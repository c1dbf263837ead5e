"""Whether the second of two sides is better: a decision on numbers, with its reason. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from trikk.core.text import counted
from trikk.models.metrics.own_metric import Better
from trikk.monitoring.ab.resampling import Spread

MOST_DAYS = 1000
_NORMAL = NormalDist()


class Outcome(StrEnum):
    """What is known of the second side against the first."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "not yet known"


@dataclass(frozen=True, slots=True)
class Rules:
    """When a difference counts."""

    least_days: int = 7  # days below which nothing is decided
    confidence: float = 0.95  # of the interval that has to leave out 0
    power: float = 0.8  # the probability with which a difference of the expected size is to be found
    # the least difference that matters, as a share of the first side's metric; None to plan with the difference
    # that was seen
    matters: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be thought of the second side."""

    state: Outcome  # whether it is better
    reason: str  # why, in a sentence
    # days still needed; None if it is decided, or no number of days (up to 1,000) would do
    days_needed: int | None = None


def judge(difference: Spread, better: str, rules: Rules, first: float) -> Verdict:
    """Judge the second side against the first."""
    if not math.isfinite(difference.difference):
        return Verdict(Outcome.OPEN, "the metric is not a number on these cases")
    if difference.low is None and difference.days > 1:
        return Verdict(Outcome.OPEN, "without some of the days the metric is not defined")
    if difference.low is None or difference.high is None:
        few = f"{counted(difference.days, 'day')} with cases are too few"
        return Verdict(Outcome.OPEN, few, max(1, rules.least_days - difference.days))
    between = f"between {difference.low:+.4g} and {difference.high:+.4g} at {rules.confidence:.0%}"
    outside = difference.low > 0 or difference.high < 0
    if outside and difference.days >= rules.least_days:
        good = (difference.difference > 0) == (better == Better.HIGHER)
        return Verdict(Outcome.BETTER if good else Outcome.WORSE, f"the difference lies {between}")
    needed = days_for(difference, rules, first)
    wanted = max(needed or 0, rules.least_days) - difference.days
    if difference.days < rules.least_days:
        reason = f"{counted(difference.days, 'day')} of the {rules.least_days} that are asked for at least"
        return Verdict(Outcome.OPEN, reason, None if needed is None else max(1, wanted))
    reason = f"the difference lies {between}, on either side of 0"
    if needed is None:
        return Verdict(Outcome.OPEN, f"{reason}; if there is one, it is too small for {MOST_DAYS:,} days to tell")
    return Verdict(Outcome.OPEN, reason, max(1, wanted))


def days_for(difference: Spread, rules: Rules, first: float) -> int | None:
    """How many days in all would tell such a difference from 0; None if more than a thousand.

    n = ((z(1 - a/2) + z(power)) s / d)^2 + z(1 - a/2)^2 / 2, with s the standard deviation of a day's difference
    and d the difference: the sample size of a paired comparison (NIST/SEMATECH e-Handbook of Statistical Methods,
    7.2.2.2), with the correction for s being estimated (W. Guenther, The American Statistician 35 (1981)).
    """
    expected = abs(difference.difference) if rules.matters is None else rules.matters * abs(first)
    if not expected or not math.isfinite(difference.of_a_day):
        return None
    sure = _NORMAL.inv_cdf((1 + rules.confidence) / 2)
    needed = ((sure + _NORMAL.inv_cdf(rules.power)) * difference.of_a_day / expected) ** 2 + sure**2 / 2
    return math.ceil(needed) if needed <= MOST_DAYS else None


def detectable(difference: Spread, rules: Rules) -> float | None:
    """The least difference that as many days as there are would find with the rules' power; None without days."""
    if not math.isfinite(difference.error):
        return None
    return (_NORMAL.inv_cdf((1 + rules.confidence) / 2) + _NORMAL.inv_cdf(rules.power)) * difference.error
