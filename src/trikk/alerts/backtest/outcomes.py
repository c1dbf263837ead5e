"""What each of many thresholds would have done. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from trikk.alerts.backtest.bounds import Accepted
from trikk.alerts.backtest.past import Days, Night
from trikk.alerts.backtest.sweep import Flip, Sight, Span, Sweep
from trikk.core.errors import UsageError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.core.zones import zone_of

Opened: TypeAlias = tuple[Night, Night | None, float, float]

MONTH = 30
OPEN_AT_MOST = 0.1
"""The share of good nights on which a false alarm may be open, if it is opened rarely enough."""
_CLOSE, _WIDE, _ALL = 15, 15, 19
"""How many numbers are tried: right above the highest figures of good days, among the rest of them, among all."""
_FEW = 4  # of each, where every number means judging all nights anew


class Detection(Record, frozen=True):
    """How an event was met."""

    event: date  # its day
    # the night on which the incident was opened that was open first after the event; None if none was
    night: date | None
    days: int | None  # from the event's day to that night; None if none was
    early: bool = False  # it was opened by a window before the event, so that it was not a detection of it


class Outcome(Record, frozen=True):
    """What a threshold would have done."""

    threshold: float  # the number
    when: str  # the rule with it: its condition, or its limits
    alarms: int  # incidents opened in all
    alarm_nights: int  # nights on which one was open
    false_alarms: int  # incidents opened by windows of the days known to be good
    false_nights: int  # nights on which one was open, of those days
    good_days: int  # how many of those days were watched
    good_windows: int  # how many windows were judged in them, of the cause that has most
    upper: float  # of the rate that is accepted, the largest that still fits, with 95% confidence; per day
    detections: tuple[Detection, ...]  # of each event

    @property
    def per_month(self) -> float | None:
        """False alarms in 30 days; None if no good day was watched."""
        return self.false_alarms / self.good_days * MONTH if self.good_days else None

    def keeps_to(self, accepted: Accepted, windows: int) -> bool:
        """Whether false alarms were as rare as is accepted, and not rare because one of them never ended."""
        count = self.false_nights if accepted.of_nights else self.false_alarms
        is_brief = self.false_nights <= max(OPEN_AT_MOST * self.good_days, windows * self.false_alarms)
        # 1/month in 30 days is one alarm: a float's rounding must not make it less
        return count <= accepted.per_day * self.good_days * (1 + 1e-9) and is_brief

    def to_json(self) -> dict[str, JSON]:
        """The outcome as JSON, with the rate."""
        return {**super().to_json(), "false_alarms_per_month": self.per_month}


def candidates(sweep: Sweep, good: Days) -> list[float]:
    """Thresholds worth trying, the one that alarms most first: values that were seen, to three digits.

    Raises:
        UsageError: if larger numbers do not always mean the same.
    """
    flips = sweep.flips()
    present = [] if sweep.number is None else [sweep.number]
    if not flips:
        return present
    more_is_good = flips[0].more_is_good
    if any(flip.more_is_good is not more_is_good for flip in flips):
        raise UsageError(
            "a larger number means fewer alarms for some windows and more for others",
            next="compare figures that are never negative, such as mae, or abs(bias) with a number",
        )
    close, wide, whole = (_FEW, _FEW, _FEW) if sweep.is_slow else (_CLOSE, _WIDE, _ALL)
    ordered = _ordered(sweep.flips(good))
    # the highest of the good days decide on false alarms, so none of them may be left out
    chosen = [*ordered[-close:], *_spaced(ordered[:-close], wide), *_spaced(_ordered(flips), whole)]
    return sorted({*(_beyond(flip) for flip in chosen), *present}, reverse=not more_is_good)


def _ordered(flips: Iterable[Flip]) -> list[Flip]:
    """One of each number, that of the worst window last."""
    by_number = {flip.at: flip for flip in flips}
    return sorted(by_number.values(), key=lambda flip: flip.at if flip.more_is_good else -flip.at)


def _spaced(flips: Sequence[Flip], most: int) -> list[Flip]:
    """At most so many, evenly spaced, the first and the last among them."""
    if len(flips) <= most:
        return list(flips)
    return [flips[round(i * (len(flips) - 1) / (most - 1))] for i in range(most)]


def _beyond(flip: Flip) -> float:
    """The next number of three digits at which the window is good."""
    if flip.at == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(flip.at))) - 2)
    up = flip.more_is_good
    steps = math.ceil(flip.at / unit) if up else math.floor(flip.at / unit)
    number = float(f"{steps * unit:.3g}")
    if number == flip.at and flip.bad_at:
        return float(f"{(steps + (1 if up else -1)) * unit:.3g}")
    return number


def outcome(sweep: Sweep, threshold: float, good: Days, events: Sequence[date], accepted: Accepted) -> Outcome:
    """What a threshold would have done."""
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
    # What is counted is what was accepted: a rate is of openings, a share is of nights.
    count = len(false_nights) if accepted.of_nights else false_alarms
    opened = [(span.opened.night, span.resolved, span.opened.start, span.opened.at) for span in every]
    return Outcome(
        threshold,
        sweep.text(threshold),
        len(every),
        len(_open_nights(every, sweep.nights)),
        false_alarms,
        len(false_nights),
        good_days,
        max((len({sight.at for sight in seen}) for seen in good_sights.values()), default=0),
        accepted.upper(count, good_days),
        tuple(detection(opened, event, zone_of(sweep.spec.timezone)) for event in events),
    )


def _good_sights(sweep: Sweep, seen: Sequence[Sight], good: Days) -> list[Sight]:
    """Nights whose newest window lies in the good days, and is not old."""
    return [sight for sight in seen if sweep.is_current(sight) and sweep.is_within(sight, good)]


def _open_nights(spans: Iterable[Span], over: Sequence[Night]) -> set[date]:
    """The nights after whose look an incident was open."""
    # open after the look that opened it, and no more after the one that resolved it
    moments = [night.moment for night in over]
    days: set[date] = set()
    for span in spans:
        begin = bisect_left(moments, span.opened.night.moment)
        end = len(over) if span.resolved is None else bisect_left(moments, span.resolved.moment)
        days.update(night.day for night in over[begin:end])
    return days


def detection(incidents: Iterable[Opened], event: date, zone: ZoneInfo) -> Detection:
    """The incident that was open first on an event's day or later, or that a window of it opened ahead of it."""
    before = Days(date.min, event - timedelta(days=1))
    # one that was open already and went on counts too, as early: people were warned, if perhaps of something else
    meetings = [
        (opened, early)
        for opened, resolved, start, end in incidents
        if not (early := before.hold(start, end, zone)) or resolved is None or resolved.day > event
    ]
    if not meetings:
        return Detection(event, None, None)
    opened, early = min(meetings, key=lambda meeting: meeting[0].moment)
    return Detection(event, opened.day, (opened.day - event).days, early)
