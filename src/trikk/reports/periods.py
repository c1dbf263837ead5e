"""Periods that a report is about: a month, a week or a day by the clock of one place. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from trikk.core.errors import UsageError
from trikk.core.zones import day_of, day_start

MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905


class PeriodKind(StrEnum):
    """How long a time a report is about."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_WRITTEN = {
    PeriodKind.DAY: "2020-03-26",
    PeriodKind.WEEK: "2020-W13, or a date in it",
    PeriodKind.MONTH: "2020-03",
}


@dataclass(frozen=True, slots=True)
class Period:
    """A period of time, its end not included."""

    kind: PeriodKind  # day, week (from Monday) or month
    first: date  # its first day
    zone: ZoneInfo  # whose midnights count

    @property
    def next_first(self) -> date:
        """The first day after it."""
        if self.kind == PeriodKind.MONTH:
            # 32 days after the first of a month is always in the next.
            return (self.first.replace(day=1) + timedelta(days=32)).replace(day=1)
        return self.first + timedelta(days=7 if self.kind == PeriodKind.WEEK else 1)

    @property
    def start(self) -> datetime:
        """The first moment, in UTC."""
        return day_start(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The moment after the last, in UTC."""
        return day_start(self.next_first, self.zone)

    @property
    def is_empty(self) -> bool:
        """Whether it is a day that the clocks of the place left out."""
        return self.start == self.end

    @property
    def label(self) -> str:
        """How commands and files name it: "2020-03", "2020-W13", "2020-03-26"."""
        if self.kind == PeriodKind.MONTH:
            return f"{self.first:%Y-%m}"
        if self.kind == PeriodKind.WEEK:
            # The ISO year: 30 December 2019 is in 2020-W01.
            year, week, _ = self.first.isocalendar()
            return f"{year:04}-W{week:02}"
        return self.first.isoformat()

    @property
    def title(self) -> str:
        """How people call it: "March 2020", "Week 13, 23 to 29 March 2020", "Thursday, 26 March 2020"."""
        if self.kind == PeriodKind.MONTH:
            return f"{MONTHS[self.first.month - 1]} {self.first.year}"
        if self.kind == PeriodKind.DAY:
            return f"{DAYS[self.first.weekday()]}, {day_text(self.first)}"
        last = self.next_first - timedelta(days=1)
        start = str(self.first.day)
        start += "" if last.month == self.first.month else f" {MONTHS[self.first.month - 1]}"
        start += "" if last.year == self.first.year else f" {self.first.year}"
        return f"Week {self.first.isocalendar()[1]}, {start} to {day_text(last)}"

    @property
    def short(self) -> str:
        """The same in the middle of a sentence: "March 2020", "week 13", "26 March"."""
        if self.kind == PeriodKind.MONTH:
            return self.title
        if self.kind == PeriodKind.WEEK:
            return f"week {self.first.isocalendar()[1]}"
        return f"{self.first.day} {MONTHS[self.first.month - 1]}"

    @property
    def before(self) -> Period:
        """The period of the same kind before it."""
        earlier = containing(self.kind, self.first - timedelta(days=1), self.zone)
        # Pacific/Apia had no 30 December 2011.
        return earlier.before if earlier.is_empty else earlier


def day_text(day: date) -> str:
    """A date as people write it: "26 March 2020"."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def containing(kind: PeriodKind, day: date, zone: ZoneInfo) -> Period:
    """The period of a kind that a day lies in."""
    if kind == PeriodKind.MONTH:
        return Period(kind, day.replace(day=1), zone)
    return Period(kind, day - timedelta(days=day.weekday() if kind == PeriodKind.WEEK else 0), zone)


def last_complete(kind: PeriodKind, now: datetime, zone: ZoneInfo) -> Period:
    """The last period of a kind that is over at a time."""
    return containing(kind, day_of(now, zone), zone).before


def period_named(kind: PeriodKind, text: str, zone: ZoneInfo) -> Period:
    """The period that a text names.

    Args:
        kind: day, week or month.
        text: 2020-03 for a month, 2020-W13 for a week, or a date that lies in the period.
        zone: whose midnights count.

    Raises:
        UsageError: if it names none.
    """
    try:
        period = containing(kind, _day_in(kind, text), zone)
        _ = period.before.start, period.end  # of the first and the last year there is none
        if not period.is_empty:
            return period
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{text[:40]!r} names no {kind}", next=f"write it as {_WRITTEN[kind]}")


def _day_in(kind: PeriodKind, text: str) -> date:
    """A day that lies in the period that a text names; ValueError if it names none."""
    if kind == PeriodKind.MONTH and re.fullmatch(r"\d{4}-\d{2}", text):
        return date.fromisoformat(f"{text}-01")
    is_week = kind == PeriodKind.WEEK and re.fullmatch(r"\d{4}-W\d{2}", text)
    if not is_week and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text)
