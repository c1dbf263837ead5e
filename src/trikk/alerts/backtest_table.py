"""A table of thresholds, and the one that keeps to the false alarms that are accepted. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from trikk.alerts.backtest import Night
from trikk.alerts.backtest_bounds import LEAST_DAYS, LEAST_EXPECTED, LEAST_WINDOWS, Accepted
from trikk.alerts.backtest_sweep import Days, Sight, Span, Sweep
from trikk.alerts.backtest_template import Flip
from trikk.alerts.rule import Rule
from trikk.core.errors import UsageError
from trikk.core.values import JSON

MONTH = 30
OPEN_AT_MOST = 0.1
"""The share of good nights on which a false alarm may be open, if it is opened rarely enough."""
_CLOSE, _WIDE, _OTHERS = 15, 15, 19
_FEW = 4  # of each, where every number means reading all nights again
SUPPORTED, TENTATIVE, SHORT, NONE = "supported", "tentative", "not enough history", "none"


@dataclass(frozen=True, slots=True)
class Detection:
    """How an event was met.

    Attributes:
        event: its day.
        night: the night on which the incident was opened that was open first after the event; None if none was.
        days: from the event's day to that night; None if none was.
        early: it was opened by a window before the event, so that it was no detection of it.
    """

    event: date
    night: date | None
    days: int | None
    early: bool = False

    def to_json(self) -> dict[str, JSON]:
        """The detection as JSON."""
        night = self.night.isoformat() if self.night else None
        return {"event": self.event.isoformat(), "night": night, "days": self.days, "early": self.early}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a threshold would have done.

    Attributes:
        threshold: the number.
        when: the condition with it.
        alarms: incidents opened in all.
        alarm_nights: nights on which one was open.
        false_alarms: incidents opened by windows of the days known to be good.
        false_nights: nights on which one was open, of those days.
        good_days: how many of those days were watched.
        good_windows: how many windows were judged in them, of the cause that has most.
        upper: of the rate that is accepted, the largest that still fits, with 95% confidence; per day.
        detections: of each event.
    """

    threshold: float
    when: str
    alarms: int
    alarm_nights: int
    false_alarms: int
    false_nights: int
    good_days: int
    good_windows: int
    upper: float
    detections: tuple[Detection, ...]

    @property
    def per_month(self) -> float | None:
        """False alarms in 30 days; None if no good day was watched."""
        return self.false_alarms / self.good_days * MONTH if self.good_days else None

    def keeps_to(self, accepted: Accepted, windows: int) -> bool:
        """Whether false alarms were as rare as is accepted, and not rare because one of them never ended.

        Args:
            accepted: the rate.
            windows: how many good windows resolve an incident.
        """
        count = self.false_nights if accepted.of_nights else self.false_alarms
        is_brief = self.false_nights <= max(OPEN_AT_MOST * self.good_days, windows * self.false_alarms)
        return count <= accepted.per_day * self.good_days * (1 + 1e-9) and is_brief

    def to_json(self) -> dict[str, JSON]:
        """The outcome as JSON."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        found |= {"false_alarms_per_month": self.per_month, "detections": [d.to_json() for d in self.detections]}
        return found


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Which threshold to take.

    Attributes:
        verdict: supported: the days show that the rate is kept to. tentative: it was kept to, but the days are too
            few to rely on that. not enough history: they say nothing. none: no threshold keeps to it.
        threshold: the number; None if there is none to suggest.
        when: the condition with it; "" without one.
        why: in words.
    """

    verdict: str
    threshold: float | None
    when: str
    why: str

    def to_json(self) -> dict[str, JSON]:
        """The suggestion as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def candidates(sweep: Sweep, good: Days) -> list[float]:
    """Thresholds worth trying, the one that alarms most first: values that were seen, to three digits.

    Args:
        sweep: the past.
        good: the days known to be good; their highest values are all there.

    Raises:
        UsageError: if larger numbers do not always mean the same.
    """
    flips = sweep.flips()
    if not flips:
        return []
    more_is_good = flips[0].more_is_good
    if any(flip.more_is_good is not more_is_good for flip in flips):
        raise UsageError(
            "a larger number means fewer alarms for some windows and more for others",
            next="compare figures that are never negative, such as mae, or abs(bias) with a number",
        )
    close, wide, others = (_FEW, _FEW, _FEW) if sweep.of_usual else (_CLOSE, _WIDE, _OTHERS)
    ordered = _ordered(sweep.flips(good), more_is_good)
    chosen = [*ordered[-close:], *_spaced(ordered[:-close], wide), *_spaced(_ordered(flips, more_is_good), others)]
    given = sweep.template.number
    rounded = {_beyond(value, more_is_good) for value in chosen} | (set() if given is None else {given})
    return sorted(rounded, reverse=not more_is_good)


def _ordered(flips: Iterable[Flip], more_is_good: bool) -> list[float]:
    return sorted({flip.at for flip in flips}, reverse=not more_is_good)


def _spaced(values: Sequence[float], most: int) -> list[float]:
    """At most so many of the values, evenly spaced, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _beyond(value: float, more_is_good: bool) -> float:
    """The next number of three digits at which this value is good."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    steps = math.ceil(value / unit) if more_is_good else math.floor(value / unit)
    return float(f"{steps * unit:.3g}")


def outcome(sweep: Sweep, threshold: float, good: Days, events: Sequence[date], accepted: Accepted) -> Outcome:
    """What a threshold would have done.

    Args:
        sweep: the past.
        threshold: the number.
        good: the days known to be good.
        events: days of events that should have raised an alarm.
        accepted: the rate of false alarms that is accepted.
    """
    sights = sweep.sights(threshold)
    spans = sweep.spans(sights)
    every = [span for of_cause in spans.values() for span in of_cause]
    good_sights = {cause: _good_sights(sweep, seen, good) for cause, seen in sights.items()}
    good_nights = {cause: {sight.night.day for sight in seen} for cause, seen in good_sights.items()}
    false_nights = set().union(
        *(_open_nights(spans[cause], sweep.nights) & days for cause, days in good_nights.items())
    )
    good_days = len(set().union(*good_nights.values()))
    false_alarms = sum(sweep.is_within(span.opened, good) for span in every)
    count = len(false_nights) if accepted.of_nights else false_alarms
    return Outcome(
        threshold,
        sweep.template.at(threshold),
        len(every),
        len(_open_nights(every, sweep.nights)),
        false_alarms,
        len(false_nights),
        good_days,
        max((len({sight.at for sight in seen}) for seen in good_sights.values()), default=0),
        accepted.upper(count, good_days),
        tuple(_detection(sweep, every, event) for event in events),
    )


def _good_sights(sweep: Sweep, seen: Sequence[Sight], good: Days) -> list[Sight]:
    """Nights whose newest window lies in the good days, and is not old."""
    return [sight for sight in seen if sweep.is_current(sight) and sweep.is_within(sight, good)]


def _open_nights(spans: Iterable[Span], over: Sequence[Night]) -> set[date]:
    """The nights after whose look an incident was open."""
    moments = [night.moment for night in over]
    found: set[date] = set()
    for span in spans:
        begin = bisect_left(moments, span.opened.night.moment)
        end = len(over) if span.resolved is None else bisect_left(moments, span.resolved.moment)
        found.update(night.day for night in over[begin:end])
    return found


def _detection(sweep: Sweep, spans: Iterable[Span], event: date) -> Detection:
    """The incident that was open first on the event's day or later."""
    after = [span.opened for span in spans if span.resolved is None or span.resolved.day > event]
    if not after:
        return Detection(event, None, None)
    first = min(after, key=lambda sight: sight.night.moment)
    early = sweep.is_within(first, Days(date.min, event - timedelta(days=1)))
    return Detection(event, first.night.day, (first.night.day - event).days, early)


def suggest(outcomes: Sequence[Outcome], accepted: Accepted, rule: Rule) -> Suggestion:
    """Choose the threshold that alarms most of those from which on all keep to the accepted rate.

    Args:
        outcomes: of thresholds, the one that alarms most first.
        accepted: the rate.
        rule: the rule.
    """
    days = outcomes[0].good_days if outcomes else 0
    seen = outcomes[0].good_windows if outcomes else 0
    needed = max(LEAST_DAYS, math.ceil(LEAST_EXPECTED / accepted.per_day))
    if days < needed or seen < LEAST_WINDOWS:
        why = f"{days} good days with {seen} windows were watched; at {accepted.text} it takes {needed} days"
        return Suggestion(SHORT, None, "", f"{why} and {LEAST_WINDOWS} windows before a threshold can be chosen")
    chosen: Outcome | None = None
    for one in reversed(outcomes):
        if not one.keeps_to(accepted, rule.windows):
            break
        chosen = one
    if chosen is None:
        return Suggestion(NONE, None, "", f"no threshold that was tried keeps to {accepted.text}")
    why = _reason(chosen, accepted)
    verdict = SUPPORTED
    if chosen.upper > accepted.per_day:
        verdict = TENTATIVE
        why += (
            f"; {accepted.days_needed} good days without a false alarm would show that {accepted.text} is kept to"
        )
        if rule.windows == 1 and not rule.slice and not chosen.false_nights:
            why += f". By chance alone, one new window in {seen + 1} goes beyond all of {seen}"
    missed = [str(met.event) for met in chosen.detections if met.days is None]
    if missed:
        why += f". It would have missed {' and '.join(missed)}: another condition may tell these days apart"
    return Suggestion(verdict, chosen.threshold, chosen.when, why)


def _reason(chosen: Outcome, accepted: Accepted) -> str:
    days = chosen.good_days
    if accepted.of_nights:
        seen, upper = f"an alarm on {chosen.false_nights} of {days} good nights", f"{chosen.upper:.2g} of nights"
    else:
        alarms = "1 false alarm" if chosen.false_alarms == 1 else f"{chosen.false_alarms or 'no'} false alarms"
        seen, upper = f"{alarms} in {days} good days", f"{chosen.upper * MONTH:.2g} in 30 days"
    return f"the most watchful that keeps to {accepted.text}: {seen}; up to {upper} would fit that as well (95%)"
