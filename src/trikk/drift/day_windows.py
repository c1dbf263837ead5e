"""What a window of time is compared with: as values, without any access to data.

A Sunday compared with a whole week differs every Sunday. `matching="weekday"` compares it with Sundays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal, TypeAlias

from trikk.core.errors import UsageError
from trikk.core.zones import day_of, day_start, start_of

Matching = Literal["weekday"]
Span: TypeAlias = tuple[datetime, datetime]
"""A span of time: its beginning, and its end, which is not in it."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The time that the model was fitted on: for a monitor, the weeks before its version was registered."""


@dataclass(frozen=True, slots=True)
class FixedWindow:
    """One span of time, the same for every window.

    Attributes:
        start: its beginning.
        end: its end, not in it.
        matching: "weekday" keeps only the days with the weekdays of the window that is judged.
    """

    start: datetime
    end: datetime
    matching: Matching | None = None

    def __post_init__(self) -> None:
        if (self.start.tzinfo is None) != (self.end.tzinfo is None) or self.start >= self.end:
            raise UsageError(
                f"a reference from {self.start} to {self.end} has no time in it",
                next="give a start before the end, both with a time zone or both without",
            )


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """The days before the window that is judged.

    Attributes:
        days: how many.
        gap: days between them and the window, so that a slow change is not its own reference.
        matching: "weekday" keeps only the days with the weekdays of the window that is judged.
    """

    days: int
    gap: int = 0
    matching: Matching | None = None

    def __post_init__(self) -> None:
        if self.days < 1 or self.gap < 0:
            raise UsageError(
                f"a reference of {self.days} days, {self.gap} before", next="give days >= 1 and gap >= 0"
            )


Reference: TypeAlias = TrainingData | FixedWindow | SlidingWindow


def spans(reference: Reference, start: datetime, end: datetime) -> list[Span]:
    """The spans of time whose rows (or whose merged profiles) are the reference of a window.

    Days are those of the zone that `start` is in, and as long as they are there (23 to 25 hours).

    Args:
        reference: what the window is compared with.
        start: the beginning of the window that is judged.
        end: its end, not in it.

    Returns:
        Spans in order, neighbours joined; none for `TrainingData`, which no span of time describes, and where no
        day of the reference has a weekday of the window.

    Raises:
        UsageError: if the window is empty, or one of window and reference has a time zone and the other has not.
    """
    if start >= end:
        raise UsageError(f"a window from {start} to {end} has no time in it", next="give a start before the end")
    if isinstance(reference, TrainingData):
        return []
    if isinstance(reference, SlidingWindow):
        last = _earlier(start, reference.gap)
        first = _earlier(start, reference.gap + reference.days)
    else:
        if (reference.start.tzinfo is None) != (start.tzinfo is None):
            raise UsageError(
                "one of window and reference has a time zone, the other has not", next="give both the same kind"
            )
        first, last = reference.start, reference.end
    if reference.matching is None:
        return [(first, last)]
    return _joined(_matching(first, last, start, end))


def _matching(first: datetime, last: datetime, start: datetime, end: datetime) -> list[Span]:
    """The parts of the reference's days that have a weekday of the window."""
    if start.tzinfo is not None:
        first, last = first.astimezone(start.tzinfo), last.astimezone(start.tzinfo)
        end = end.astimezone(start.tzinfo)
    wanted = {weekday for weekday, _ in _days(start, end)}
    return [span for weekday, span in _days(first, last) if weekday in wanted]


def _days(first: datetime, last: datetime) -> list[tuple[int, Span]]:
    """The calendar days between with their weekdays, the first and last as far as they are in it."""
    days, begin = [], first
    while _utc(begin) < _utc(last):
        day, after = _day(begin)
        days.append((day.weekday(), (begin, min(after, last, key=_utc))))
        begin = after
    return days


def _utc(moment: datetime) -> datetime:
    """A moment as it can be compared: two times of one zone are by the clock, which may have been put back."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def _day(moment: datetime) -> Span:
    """The day that a moment lies in."""
    zone = moment.tzinfo
    if zone is None:
        midnight = datetime.combine(moment.date(), time())
        return midnight, midnight + _DAY
    day = day_of(moment, zone)
    return datetime.combine(day, time()), day_start(day + _DAY, zone).astimezone(zone)


def _earlier(moment: datetime, days: int) -> datetime:
    """The same time so many days before; the beginning of a day if that is what it is."""
    zone = moment.tzinfo
    if zone is None:
        return moment - days * _DAY
    day = day_of(moment, zone)
    if day_start(day, zone) == _utc(moment):
        return day_start(day - days * _DAY, zone).astimezone(zone)
    return start_of(moment.replace(tzinfo=None) - days * _DAY, zone).astimezone(zone)


def _joined(parts: list[Span]) -> list[Span]:
    spans: list[Span] = []
    for begin, until in parts:
        if spans and spans[-1][1] == begin:
            spans[-1] = (spans[-1][0], until)
        else:
            spans.append((begin, until))
    return spans
