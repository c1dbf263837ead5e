"""A table of thresholds, and the one that keeps to the false alarms that are accepted. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from trikk.alerts.backtest import Night
from trikk.alerts.backtest_bounds import LEAST_DAYS, LEAST_EXPECTED, Accepted
from trikk.alerts.backtest_sweep import Days, Sight, Span, Sweep
from trikk.alerts.backtest_template import Flip
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
        days: from the event's day to that night; negative if it was open before; None if none was.
    """

    event: date
    night: date | None
    days: int | None

    def to_json(self) -> dict[str, JSON]:
        """The detection as JSON."""
        night = self.night.isoformat() if self.night else None
        return {"event": self.event.isoformat(), "night": night, "days": self.days}


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
            next="compare something that is never negative, such as abs(bias)",
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
    is_good = _good_nights(sweep, sights, good)
    open_nights = _open_nights(every, sweep.nights)
    false_alarms = sum(sweep.is_within(span.opened, good) for span in every)
    false_nights = len(open_nights & is_good)
    count = false_nights if accepted.of_nights else false_alarms
    return Outcome(
        threshold,
        sweep.template.at(threshold),
        len(every),
        len(open_nights),
        false_alarms,
        false_nights,
        len(is_good),
        accepted.upper(count, len(is_good)),
        tuple(_detection(every, event) for event in events),
    )


def _good_nights(sweep: Sweep, sights: Mapping[str, Sequence[Sight]], good: Days) -> set[date]:
    """The nights whose newest window lies in the good days, and is not old."""
    return {
        sight.night.day
        for seen in sights.values()
        for sight in seen
        if sweep.is_current(sight) and sweep.is_within(sight, good)
    }


def _open_nights(spans: Iterable[Span], over: Sequence[Night]) -> set[date]:
    """The nights after whose look an incident was open."""
    moments = [night.moment for night in over]
    found: set[date] = set()
    for span in spans:
        begin = bisect_left(moments, span.opened.night.moment)
        end = len(over) if span.resolved is None else bisect_left(moments, span.resolved.moment)
        found.update(night.day for night in over[begin:end])
    return found


def _detection(spans: Iterable[Span], event: date) -> Detection:
    """The incident that was open first on the event's day or later."""
    after = [span for span in spans if span.resolved is None or span.resolved.day > event]
    first = min((span.opened.night.day for span in after), default=None)
    return Detection(event, first, None if first is None else (first - event).days)


def suggest(outcomes: Sequence[Outcome], accepted: Accepted, windows: int) -> Suggestion:
    """Choose the threshold that alarms most of those from which on all keep to the accepted rate.

    Args:
        outcomes: of thresholds, the one that alarms most first.
        accepted: the rate.
        windows: how many bad windows in a row open an incident.
    """
    days = outcomes[0].good_days if outcomes else 0
    if days < LEAST_DAYS or accepted.per_day * days < LEAST_EXPECTED:
        needed = max(LEAST_DAYS, math.ceil(LEAST_EXPECTED / accepted.per_day))
        why = (
            f"{days} good days were watched; at {accepted.text} it takes {needed} before a threshold can be chosen"
        )
        return Suggestion(SHORT, None, "", why)
    chosen: Outcome | None = None
    for one in reversed(outcomes):
        if not one.keeps_to(accepted, windows):
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
        if windows == 1 and not chosen.false_nights:
            why += f". By chance alone, one new window in {days + 1} goes beyond all of {days}"
    missed = [str(met.event) for met in chosen.detections if met.days is None]
    if missed:
        why += f". It would have missed {' and '.join(missed)}: another condition may tell these days apart"
    return Suggestion(verdict, chosen.threshold, chosen.when, why)


def _reason(chosen: Outcome, accepted: Accepted) -> str:
    days = chosen.good_days
    if accepted.of_nights:
        seen, upper = f"an alarm on {chosen.false_nights} of {days} good nights", f"on {chosen.upper:.2g} of them"
    else:
        alarms = "1 false alarm" if chosen.false_alarms == 1 else f"{chosen.false_alarms or 'no'} false alarms"
        seen, upper = f"{alarms} in {days} good days", f"{chosen.upper * MONTH:.2g} in 30 days"
    return f"the most watchful that keeps to {accepted.text}: {seen}, which would fit a rate of up to {upper} (95%) as well"
