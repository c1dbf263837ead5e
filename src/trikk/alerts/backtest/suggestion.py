"""The threshold that keeps to the false alarms that are accepted, and how far a few days support it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from trikk.alerts.backtest.bounds import LEAST_DAYS, LEAST_EXPECTED, LEAST_WINDOWS, Accepted
from trikk.alerts.backtest.outcomes import MONTH, Outcome
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.core.record import Record


class Support(StrEnum):
    """How far the good days support what is suggested."""

    SUPPORTED = "supported"
    """The days show that the rate is kept to."""
    TENTATIVE = "tentative"
    """It was kept to, but the days are too few to rely on that."""
    SHORT = "not enough history"
    """The days say nothing."""
    NONE = "none"
    """No threshold keeps to the rate."""


class Suggestion(Record, frozen=True):
    """Which threshold to take."""

    verdict: Support  # how far it can be relied on
    threshold: float | None  # the number; None if there is none to suggest
    when: str  # the condition with it; "" without one
    why: str  # in words


def suggest(outcomes: Sequence[Outcome], accepted: Accepted, rule: MonitorRule) -> Suggestion:
    """Choose the threshold that alarms most of those from which on all keep to the accepted rate."""
    days = max((one.good_days for one in outcomes), default=0)
    seen = max((one.good_windows for one in outcomes), default=0)
    needed = max(LEAST_DAYS, math.ceil(LEAST_EXPECTED / accepted.per_day))
    if days < needed or seen < LEAST_WINDOWS:
        why = f"{days} good days with {seen} windows were watched; at {accepted.text} it takes {needed} days"
        return Suggestion(
            Support.SHORT, None, "", f"{why} and {LEAST_WINDOWS} windows before a threshold can be chosen"
        )
    chosen: Outcome | None = None
    # from the least watchful on: below one that alarms too often, another that keeps to the rate does so by
    # chance, or because one long alarm hides what several would have been
    for one in reversed(outcomes):
        if one.good_days < needed or not one.keeps_to(accepted, rule.windows):
            break
        chosen = one
    if chosen is None:
        return Suggestion(Support.NONE, None, "", f"no threshold that was tried keeps to {accepted.text}")
    why = _reason(chosen, accepted)
    verdict = Support.SUPPORTED
    if chosen.upper > accepted.per_day:
        verdict = Support.TENTATIVE
        why += (
            f"; {accepted.days_needed} good days without a false alarm would show that {accepted.text} is kept to"
        )
        # of n + 1 figures that are alike the last is the largest with 1/(n + 1), whatever their distribution is
        if rule.windows == 1 and not rule.slice and not chosen.false_nights:
            seen = chosen.good_windows
            why += f". By chance alone, one new window in {seen + 1} goes beyond all of {seen}"
    if equal := _as_early(outcomes, chosen):
        why += f". All from here to {equal.when} meet the events on the same nights"
    missed = [str(met.event) for met in chosen.detections if met.days is None]
    if missed:
        why += f". It would have missed {' and '.join(missed)}: another rule may tell these days apart"
    return Suggestion(verdict, chosen.threshold, chosen.when, why)


def _reason(chosen: Outcome, accepted: Accepted) -> str:
    days = chosen.good_days
    if accepted.of_nights:
        seen, upper = f"an alarm on {chosen.false_nights} of {days} good nights", f"{chosen.upper:.2g} of nights"
    else:
        alarms = "1 false alarm" if chosen.false_alarms == 1 else f"{chosen.false_alarms or 'no'} false alarms"
        seen, upper = f"{alarms} in {days} good days", f"{chosen.upper * MONTH:.2g} in 30 days"
    return f"the most watchful that keeps to {accepted.text}: {seen}, so that it may be up to {upper} (95%)"


def _as_early(outcomes: Sequence[Outcome], chosen: Outcome) -> Outcome | None:
    """The least watchful that, with all between, meets the events as the chosen one; None if it is that one."""
    if all(met.days is None for met in chosen.detections):
        return None
    last = chosen
    for one in outcomes[outcomes.index(chosen) + 1 :]:
        if one.detections != chosen.detections:
            break
        last = one
    return None if last is chosen else last
