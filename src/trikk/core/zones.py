"""Local time: which moments of UTC a place's clock, days and dates mean, wherever that clock was changed.

A clock that is put forward leaves times out, sometimes midnight (America/Sao_Paulo) or a whole day
(Pacific/Apia); one that is put back shows times twice, sometimes across midnight (America/St_Johns). Whatever
cuts time into hours, days or months asks here, so that one part always begins where the last one ended. Pure.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from trikk.core.errors import UsageError

_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


def zone_of(name: object) -> ZoneInfo:
    """A time zone by its name; UsageError if there is none."""
    try:
        return ZoneInfo(name)  # type: ignore[arg-type]
    # of an unknown name KeyError; of a folder of names OSError; of what is no text one of the others
    except (KeyError, OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"there is no time zone {name!r}", next='use a name such as "Europe/Oslo"') from error


def moment_of(local: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, that a row or a person means by a time; one that has a zone means itself.

    A time that comes twice is the first of the two; one that is left out is told by the clock as it was before.
    """
    return (local if local.tzinfo else local.replace(tzinfo=zone, fold=0)).astimezone(UTC)


def moment_named(text: str, zone: tzinfo, *, day_ends: bool = False) -> datetime:
    """The moment, in UTC, of an ISO time as a person wrote it, by a clock; of a day, its beginning or its end.

    Raises:
        UsageError: if it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
        if day_ends and len(text) <= len("2020-03-03"):
            moment += timedelta(days=1, microseconds=-1)
        return moment_of(moment, zone)
    except (ValueError, OverflowError):
        raise UsageError(f"{text[:60]!r} is not a time", next="write 2020-03-03, or 2020-03-03T12:30") from None


def is_left_out(local: datetime, zone: tzinfo) -> bool:
    """Whether a place's clock never shows a time, as it is put forward over it; of one that has a zone, never."""
    return local.tzinfo is None and moment_of(local, zone).astimezone(zone).replace(tzinfo=None) != local


def local_text(at: float, zone: str) -> str:
    """A moment (seconds since 1970) as people of a place read it: "2020-03-22 23:59 NZDT"."""
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"


def start_of(local: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, at which a span of time begins (or ends) that is given by the clock.

    It is when the clock first shows that time; for one that is left out, the moment at which it is put forward.
    """
    if local.tzinfo:
        return local.astimezone(UTC)
    by_new, by_old = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    if by_new >= by_old:  # the clock shows it, once or twice
        return by_old
    return _first_after(by_new, by_old, zone)


def day_start(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day, in UTC; of a day that is left out, that of the day after it."""
    return start_of(datetime.combine(day, time()), zone)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """The day that a moment lies in: the last one that has begun.

    That is the date that the clock shows, but for a clock that is put back across midnight: what it then shows a
    second time is of the day that had begun.
    """
    local_day = moment.astimezone(zone).date()
    while day_start(local_day + _DAY, zone) <= moment:
        local_day += _DAY
    return local_day


def hour_of(moment: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The hour of the clock that a moment lies in: its first moment and the one after its last, in UTC.

    It is shorter where the clock is changed within it, by half an hour in Australia/Lord_Howe.
    """
    at = moment.astimezone(UTC)
    local = at.astimezone(zone)
    start = at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    end = start + timedelta(hours=1)
    if start.astimezone(zone).utcoffset() != local.utcoffset():
        start = _first_after(start, at, zone)
    if (end - _SECOND).astimezone(zone).utcoffset() != local.utcoffset():
        end = _first_after(at.replace(microsecond=0), end, zone)
    return start, end


def _first_after(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """When a clock is changed that differs between two moments: the first whole second by the new one."""
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before) / _SECOND) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * _SECOND).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return min(before + high * _SECOND, after)
