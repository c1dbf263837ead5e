"""Cron lines: whether a text is one, and when it comes due by the clock of a place. Pure: the time is passed in.

A line has five fields, minute hour day month weekday: `0 6 1 * *` is six o'clock on the first of each month.
Fields take `*`, numbers, `1-5`, `*/15`, `1,15`, names of months and weekdays (`MAR`, `MON`; Sunday is 0 or 7), `L`
for a month's last day, `LW` for its last working day, `FRI#2` for its second Friday and `5L` for its last. If both
day and weekday are restricted, either is enough, as in Debian's cron, whose rules all of this follows.

Where clocks change, for a line that names hour and minute (neither begins with `*`):

- a time that is left out in spring comes due at the moment after the gap: `30 2 * * *` at 03:00 of that day, once;
- a time that happens twice in autumn comes due the first time only.

A line that has `*` (or `*/15`) as its minute or hour means "every": it comes due whenever the clock shows such a
time, so twice an hour in all 25 hours of an autumn day, and not in the hour that spring leaves out.

Moments are in UTC, since two of a place's own times can't be compared or subtracted where its clock changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from trikk.core.errors import UsageError

_LONGEST = 200
_LEAST = timedelta(microseconds=1)
_FIRST_LOOK = timedelta(hours=1)
_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def checked_cron(text: object) -> str:
    """The line, with single blanks between its fields, if it is one that comes due at all.

    Raises:
        UsageError: if it has not five fields, one of them is wrong, or no day is ever such a day (30 February).
    """
    from cronsim import CronSim, CronSimError

    fields = text.split() if isinstance(text, str) and len(text) <= _LONGEST else []
    line = " ".join(fields)
    try:
        problem = "" if len(fields) == 5 else "it needs five fields"
        if len(fields) == 6:
            problem = "a sixth field is seconds to some and years to others; it needs five"
        if not problem and next(CronSim(line, _SOME_DAY), None) is None:
            problem = "no day is ever such a day"
    except CronSimError as error:
        problem = str(error).lower()
    if problem:
        raise UsageError(
            f"{str(text)[:60]!r} is not a cron line that comes due: {problem}",
            next='write minute, hour, day, month and weekday, such as "0 6 1 * *"',
        )
    return line


def explained(line: str) -> str:
    """A line, as `checked_cron` gave it, in words: "At 04:00 every day"; of two days the one or the other."""
    from cronsim import CronSim

    minute, hour, day, month, weekday = line.split()
    if day.startswith("*") or weekday.startswith("*"):
        return CronSim(line, _SOME_DAY).explain()
    by_day, by_weekday = (f"{minute} {hour} {days}" for days in (f"{day} {month} *", f"* {month} {weekday}"))
    either = CronSim(by_day, _SOME_DAY).explain(), CronSim(by_weekday, _SOME_DAY).explain()
    return f"{either[0]}, or {either[1][0].lower()}{either[1][1:]}: either day is enough"


def ticks(line: str, zone: ZoneInfo, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
    """The moments at which a line comes due, in order, in UTC.

    Args:
        line: as `checked_cron` gave it.
        zone: whose clock counts.
        after: with its zone; a tick at this very moment is left out.
        until: with its zone; a tick at this very moment is included. Without end if None.
    """
    from cronsim import CronSim

    last = after.astimezone(UTC)
    end = None if until is None else until.astimezone(UTC)
    try:
        for tick in CronSim(line, after.astimezone(zone)):
            moment = tick.astimezone(UTC)
            if end is not None and moment > end:
                return
            if moment > last:  # of an hour that happens twice, the library begins with the first
                yield moment
                last = moment
    except OverflowError:  # the end of the calendar
        return


def names_time(line: str, local: datetime) -> bool:
    """Whether a line names a local time (without a zone) by hour and minute, rather than as one of "every"."""
    minute, hour, *_ = line.split()
    time = local.replace(tzinfo=UTC)
    is_every = minute.startswith("*") or hour.startswith("*")
    return not is_every and next(ticks(line, ZoneInfo("UTC"), time - _LEAST), None) == time


def last_tick(line: str, zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The last of `ticks`, quick however long the time is; None if there is none."""
    return next(iter(newest_ticks(line, zone, after, until, 1)), None)


def newest_ticks(line: str, zone: ZoneInfo, after: datetime, until: datetime, count: int) -> list[datetime]:
    """The last moments, `count` at most, in the time after `after`, up to `until`, at which a line comes due.

    The same as the last of `ticks`; looked for from the end, so that it is quick however long the time is.
    """
    start, end = after.astimezone(UTC), until.astimezone(UTC)
    span, begin, newest = _FIRST_LOOK, end, deque[datetime](maxlen=count)
    while begin > start and len(newest) < count:
        begin = start if span >= end - start else end - span
        newest = deque(ticks(line, zone, begin, end), maxlen=count)
        span *= 4
    return list(newest)
