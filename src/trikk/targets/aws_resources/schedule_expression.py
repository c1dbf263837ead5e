"""Cron lines as the expressions of EventBridge Scheduler, `cron(minute hour day month weekday year)`. Pure.

A line that the service can't say is refused with the reason. Each field is written anew from the numbers that
`cronsim` reads in it: the service counts weekdays from 1, steps have a start, and one of both days is `?`.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from trikk.core.cron import ticks
from trikk.core.errors import UsageError
from trikk.core.zones import is_left_out

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_LOOKED_AT = range(2025, 2035)  # whose changes of clocks are looked for
_TICKS_LOOKED_AT = 20_000  # hours, more than two years of them
_DAY, _TEN_YEARS = timedelta(days=1), timedelta(days=3653)


def schedule_expression(line: str) -> str:
    """A cron line as the expression that comes due at the same times.

    Args:
        line: as `trikk.core.cron.checked_cron` gave it.

    Raises:
        UsageError: if EventBridge Scheduler can't say it; the reason is named.
    """
    from cronsim import CronSim

    parsed = CronSim(line, _SOME_DAY)
    day, weekday = _days(line, parsed.days, parsed.weekdays, either=not parsed.day_and)
    minute = _numbers(parsed.minutes, range(60))
    hour = _numbers(parsed.hours, range(24))
    month = _numbers(parsed.months, range(1, 13))
    return f"cron({minute} {hour} {day} {month} {weekday} *)"


def _days(
    line: str, days: Collection[int], weekdays: Collection[int | tuple[int, int]], *, either: bool
) -> Sequence[str]:
    """Both fields of days, one of which is `?`."""
    every_day = set(days) >= set(range(1, 32))
    every_weekday = {day % 7 for day in weekdays if isinstance(day, int)} == set(range(7))
    if every_day or every_weekday:
        if either or (every_day and every_weekday):
            return "*", "?"
        return ("?", _weekday(line, weekdays)) if every_day else (_day(line, days), "?")
    how = "either of them is enough" if either else "both have to fit"
    raise _refused(
        line, f"it names days of the month and weekdays, of which {how}", "write two triggers, or one kind of days"
    )


def _day(line: str, days: Collection[int]) -> str:
    from cronsim import CronSim

    if CronSim.LAST_WEEKDAY in days:
        raise _refused(line, "it has no last working day (LW)", "use L, the last day, or a weekday's last: 5L")
    if CronSim.LAST in days:
        if len(days) > 1:
            raise _refused(line, "it has the last day (L) only by itself", "write a trigger for each")
        return "L"
    return _numbers(days, range(1, 32))


def _weekday(line: str, weekdays: Collection[int | tuple[int, int]]) -> str:
    from cronsim import CronSim

    special = [day for day in weekdays if isinstance(day, tuple)]
    if special and len(weekdays) > 1:
        raise _refused(line, "it has # and L only by themselves", "write a trigger for each")
    if special:
        ((weekday, turn),) = special
        number = weekday % 7 + 1  # Sunday is 1
        return f"{number}L" if turn == CronSim.LAST else f"{number}#{turn}"
    numbers = sorted({day % 7 for day in weekdays if isinstance(day, int)})
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{_WEEKDAYS[numbers[0]]}-{_WEEKDAYS[numbers[-1]]}"
    return ",".join(_WEEKDAYS[number] for number in numbers)


def _numbers(numbers: Collection[int], all_of: range) -> str:
    """A field that has these numbers: `*`, a number, `first/step` to the end of the field, a span, or a list."""
    ordered = sorted(numbers)
    if len(ordered) == len(all_of):
        return "*"
    steps = {later - earlier for earlier, later in pairwise(ordered)}
    if len(ordered) > 2 and len(steps) == 1:
        (step,) = steps
        if step == 1:
            return f"{ordered[0]}-{ordered[-1]}"
        if ordered[-1] + step > all_of[-1]:
            return f"{ordered[0]}/{step}"
    return ",".join(map(str, ordered))


def _refused(line: str, why: str, mend: str) -> UsageError:
    return UsageError(f"EventBridge Scheduler can't say {line!r}: {why}", next=mend)


def clock_notes(line: str, zone: ZoneInfo) -> list[str]:
    """What is otherwise than with `trikk serve` where clocks change, each in a sentence; none in a zone like UTC.

    Scheduler leaves out a time that the clock leaves out, and starts once what happens twice.
    """
    minute, hour, *_ = line.split()
    changes = list(_changes(zone))
    if not changes:
        return []
    if minute.startswith("*") or hour.startswith("*"):
        return [f"in the hour that the clock of {zone.key} shows twice, Scheduler comes due once"]
    from cronsim import CronSim

    parsed = CronSim(line, _SOME_DAY)
    times = [time(hour, minute) for hour in sorted(parsed.hours) for minute in sorted(parsed.minutes)]
    left_out = next((at for day in changes for at in times if is_left_out(datetime.combine(day, at), zone)), None)
    if left_out is None:
        return []
    return [f"when the clock of {zone.key} is put forward over {left_out:%H:%M}, Scheduler leaves that out"]


def _changes(zone: ZoneInfo) -> Iterator[date]:
    """The days of some years on which a clock is changed."""
    day = date(_LOOKED_AT[0], 1, 1)
    while day.year in _LOOKED_AT:
        offsets = {datetime.combine(each, time(), zone).utcoffset() for each in (day, day + _DAY)}
        if len(offsets) > 1:
            yield day
        day += _DAY


def longest_gap(line: str) -> int:
    """The hours within which a line always comes due again, but for what changes of clocks add.

    Looked for in ten years; of a line that does not come due twice in these, all of them.
    """
    hourly = " ".join(["0", *line.split()[1:]])
    utc = ZoneInfo("UTC")
    moments = list(islice(ticks(hourly, utc, _SOME_DAY, _SOME_DAY + _TEN_YEARS), _TICKS_LOOKED_AT))
    longest = max((later - earlier for earlier, later in pairwise(moments)), default=_TEN_YEARS)
    return longest // timedelta(hours=1) + 1  # the minute may be any
