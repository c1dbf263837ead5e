"""Windows of time that figures are made for, by the clock of the place where the slots are. Pure."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from trikk.core.errors import UsageError
from trikk.core.zones import day_of, day_start, hour_of, moment_of

_MONTH = re.compile(r"\d{4}-\d{2}")
_INSTANT = timedelta(microseconds=1)
GAP = 84
"""Windows in a row of which nothing is said, after which none is looked for any more: twelve weeks of days."""
Known = TypeVar("Known")


class WindowKind(StrEnum):
    """How long a window is, by the clock of its place; weeks begin on Mondays."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


KINDS = (*WindowKind,)


class WindowState(StrEnum):
    """What a window's figures are worth."""

    EMPTY = "empty"
    """Neither predictions nor labels."""
    PENDING = "pending"
    """Labels have yet to come."""
    PARTIAL = "partial"
    """Some labels have come."""
    FINAL = "final"
    """All labels are there, or all that were expected by now."""
    OVERDUE = "overdue"
    """It is past the time, and too few labels came."""

    @property
    def is_open(self) -> bool:
        """Whether time alone will change it."""
        return self in (WindowState.PENDING, WindowState.PARTIAL)

    @property
    def is_over(self) -> bool:
        """Whether its labels were due and something was expected."""
        return self in (WindowState.FINAL, WindowState.OVERDUE)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A window of time, its end not included.

    Attributes:
        start: the first moment, in UTC.
        end: the moment after the last, in UTC.
        kind: hour, day, week (from Monday), or month.
        label: how people call it: "2020-03-26", "2020-03-26T07:00+13:00" for an hour, or "2020-03" for a month.
    """

    start: datetime
    end: datetime
    kind: str
    label: str


def window_at(kind: str, moment: datetime, zone: ZoneInfo) -> Window:
    """The window that a moment lies in; it ends where the next one begins.

    Days have 23 to 25 hours where clocks change by one, and an hour is cut in two by a change of half an hour.

    Args:
        kind: hour, day, week or month.
        moment: with its zone.
        zone: whose midnights and Mondays count.
    """
    if kind == WindowKind.HOUR:
        start, end = hour_of(moment, zone)
        local = start.astimezone(zone)
        return Window(start, end, kind, local.isoformat(timespec="seconds" if local.second else "minutes"))
    day = day_of(moment, zone)
    if kind == WindowKind.WEEK:
        day -= timedelta(days=day.weekday())
    elif kind == WindowKind.MONTH:
        day = day.replace(day=1)
    return _of_days(kind, day, zone)


def windows_between(kind: str, first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[Window]:
    """All windows that touch the time from `first` to `last`, both included, in order."""
    window = window_at(kind, first, zone)
    while window.start <= last.astimezone(UTC):
        yield window
        window = window_at(kind, window.end, zone)


def labels_back(kind: str, moment: datetime, zone: ZoneInfo) -> Iterator[str]:
    """The labels of the windows of a kind, from the one in which a moment lies backwards, without an end.

    Who looks windows up by name does as much work as there are windows to look at, however long the history is.
    """
    window = window_at(kind, moment, zone)
    while True:
        yield window.label
        window = window_at(kind, window.start - _INSTANT, zone)


def until_gap(windows: Iterable[Known | None], *, with_last: bool = False) -> Iterator[Known]:
    """What is known of windows, up to the first gap: `GAP` windows in a row of which nothing is.

    Without that, a monitor that has just begun would be searched back to the year 1.

    Args:
        windows: each window, the newest first; None where nothing is known.
        with_last: whether the last known window counts as one of the gap that follows it.
    """
    silent = 0
    for known in windows:
        if known is not None:
            yield known
        silent = int(with_last) if known is not None else silent + 1
        if silent >= GAP:
            return


def window_named(kind: str, label: str, zone: ZoneInfo) -> Window:
    """The window that a label names; a date in a week or a month names that one.

    Raises:
        UsageError: if it names none, such as a day that a place's clocks left out.
    """
    try:
        is_month = kind == WindowKind.MONTH and _MONTH.fullmatch(label)
        moment = datetime.fromisoformat(f"{label}-01" if is_month else label)
        window = window_at(kind, moment_of(moment, zone), zone)
    except (ValueError, OverflowError) as error:  # the latter of a window that ends after the year 9999
        raise UsageError(
            f"{label!r} names no {kind}", next="write it as 2020-03-26, 2020-03 or 2020-03-26T07:00"
        ) from error
    # Samoa had no 30 December 2011: that date is no window, though a moment of it lies in the next day.
    if kind == WindowKind.DAY and moment.tzinfo is None:
        named = _of_days(kind, moment.date(), zone)
        if named.start == named.end:
            raise UsageError(f"clocks of {zone.key} left out {label}", next=f"the next day is {window.label}")
    return window


def moments(first: datetime, last: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The moments in UTC between which all times from `first` to `last` lie.

    What has no zone is meant in `zone`: an hour that comes twice is the first of the two, and one that is left out
    when clocks are put forward is told by the clock as it was before. So there a later time can be an earlier
    moment.

    Args:
        first: the least time, with a zone or without.
        last: the greatest.
        zone: of times without one.
    """
    begin, end = (moment_of(time, zone) for time in (first, last))
    if first.tzinfo is None:
        begin -= _left_out(first, zone)
    if last.tzinfo is None:
        # Clocks that went forward that day make a later time an earlier moment; the end must not lie before it.
        day_before, day = ((end - ago).astimezone(zone).utcoffset() for ago in (timedelta(days=1), timedelta()))
        forward = (day or timedelta()) - (day_before or timedelta())
        end += _left_out(last - forward, zone)
    return begin, end


def _left_out(time: datetime, zone: ZoneInfo) -> timedelta:
    """By how much clocks are put forward over a time without a zone; nothing if it is one that clocks show."""
    return moment_of(time, zone).astimezone(zone).replace(tzinfo=None) - time


def _of_days(kind: str, first: date, zone: ZoneInfo) -> Window:
    days, label = 7 if kind == WindowKind.WEEK else 1, first.isoformat()
    if kind == WindowKind.MONTH:
        days, label = monthrange(first.year, first.month)[1], f"{first:%Y-%m}"
    # Both ends are asked for as days: on the day that clocks change, 24 hours after midnight is not midnight.
    start, end = (day_start(day, zone) for day in (first, first + timedelta(days=days)))
    return Window(start, end, kind, label)


def state_of(
    window: Window,
    predicted: int,
    observed: int,
    labelled: int,
    *,
    delay: timedelta,
    now: datetime,
    least: float,
    settling: timedelta = timedelta(),
) -> WindowState:
    """What a window's figures are worth now.

    Args:
        window: the window.
        predicted: how many cases have a prediction.
        observed: how many have a truth, predicted or not.
        labelled: how many have both.
        delay: how long after the window's end its labels are expected.
        now: the time.
        least: the share of labelled cases, of those predicted, below which labels are missing.
        settling: how long after the window's end predictions may come in.
    """
    due = now >= window.end + delay
    if not predicted and not observed:
        return WindowState.EMPTY
    # All labels are there before their time, but a prediction that still counts may come and have none.
    if now >= window.end + settling and predicted and labelled == predicted:
        return WindowState.FINAL
    if due:
        # Truths without any prediction (not predicted) wait for nothing.
        return WindowState.FINAL if not predicted or labelled >= least * predicted else WindowState.OVERDUE
    return WindowState.PARTIAL if labelled else WindowState.PENDING
