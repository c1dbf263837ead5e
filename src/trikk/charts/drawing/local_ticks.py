"""The scale of time, with ticks where a place's clock shows round times: hours, days, Mondays, months.

Days begin where the place's days do, so two ticks around a change of the clock are 23 or 25 hours apart; an hour
that comes twice has two ticks, one that is left out has none. A label says what is new and no more: the hour, with
the day below it where the day changes; the day, with the month below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from trikk.charts.drawing.scales import Tick
from trikk.core.zones import day_start

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = 86400
_CLOCK = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
_DAYS, _MONTHS, _YEARS = (1, 2, 7, 14), (1, 3, 6), (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Times:
    """Moments (seconds since 1970) of a place's zone: `low` is drawn at the pixel `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    zone: tzinfo = UTC

    def __call__(self, value: float) -> float:
        """The pixel of a moment."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int) -> list[Tick]:
        """At most about so many round times of the place's clock, in order."""
        span = max(self.high - self.low, 1e-3)
        for step in _CLOCK:
            if span / step <= most - 1:
                return _told(self._clock_times(step), _second if step < 60 else _minute, _day_and_year)
        for days in _DAYS:
            if span / (days * _DAY) <= most:
                named = _day if days < 7 else _day_and_month
                return _told(self._days(days), named, _month_and_year if days < 7 else _year)
        for months in _MONTHS:
            if span / (months * 30 * _DAY) <= most:
                return _told(self._months(months), lambda at: MONTHS[at.month - 1], _year)
        years = next((years for years in _YEARS if span / (years * 365 * _DAY) <= most), _YEARS[-1])
        return _told(self._months(12 * years), _year, lambda _: "")

    def _clock_times(self, step: int) -> Iterator[datetime]:
        """Each round time within the span, in order, with both of those that the clock shows twice."""
        first, last = self._local(self.low), self._local(self.high)
        change = abs((first.utcoffset() or timedelta()) - (last.utcoffset() or timedelta()))
        early = min(first.replace(tzinfo=None), last.replace(tzinfo=None)) - change
        late = max(first.replace(tzinfo=None), last.replace(tzinfo=None)) + change
        midnight = early.replace(hour=0, minute=0, second=0, microsecond=0)
        shown = midnight + timedelta(seconds=(early - midnight).total_seconds() // step * step)
        moments = set()
        while shown <= late:
            for fold in (0, 1) if step <= 3600 else (0,):
                moment = shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
                if moment.astimezone(self.zone).replace(tzinfo=None) == shown:  # else the clock leaves it out
                    moments.add(moment)
            shown += timedelta(seconds=step)
        return (m.astimezone(self.zone) for m in sorted(moments) if self.low <= m.timestamp() <= self.high)

    def _days(self, every: int) -> Iterator[datetime]:
        """The first moments of days; of every seventh those of Mondays."""
        day = self._local(self.low).date()
        while (moment := day_start(day, self.zone)).timestamp() <= self.high:
            local = moment.astimezone(self.zone)
            # a day that is left out begins with the next one, which has its own tick
            if moment.timestamp() >= self.low and day.toordinal() % every == 1 % every and local.date() == day:
                yield local
            day += timedelta(days=1)

    def _months(self, every: int) -> Iterator[datetime]:
        first = self._local(self.low)
        number = (first.year * 12 + first.month - 1) // every * every
        while number // 12 <= date.max.year:
            moment = day_start(date(max(number // 12, 1), number % 12 + 1, 1), self.zone)
            if moment.timestamp() > self.high:
                return
            if moment.timestamp() >= self.low:
                yield moment.astimezone(self.zone)
            number += every

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, self.zone)


def _told(
    moments: Iterator[datetime], name: Callable[[datetime], str], context: Callable[[datetime], str]
) -> list[Tick]:
    ticks, before = [], ""
    for moment in moments:
        around = context(moment)
        ticks.append(Tick(moment.timestamp(), name(moment), around if around != before else ""))
        before = around
    return ticks


def _second(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def _minute(at: datetime) -> str:
    return f"{at:%H:%M}"


def _day(at: datetime) -> str:
    return str(at.day)


def _day_and_month(at: datetime) -> str:
    return f"{at.day} {MONTHS[at.month - 1]}"


def _day_and_year(at: datetime) -> str:
    return f"{_day_and_month(at)} {at.year}"


def _month_and_year(at: datetime) -> str:
    return f"{MONTHS[at.month - 1]} {at.year}"


def _year(at: datetime) -> str:
    return str(at.year)
