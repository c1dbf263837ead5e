"""Which moment a person means who names a time, or a day, to a trigger. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from trikk.core.errors import ParameterError
from trikk.core.text import printable, shorten
from trikk.core.zones import day_start, is_left_out, moment_of, zone_of
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.declared import Declared

_TICKS_SHOWN = 3
_YEARS = range(1970, 9000)


def tick_named(declared: Declared, text: str) -> datetime:
    """The scheduled moment that a person means, in UTC: a time, or a day on which the trigger comes due once.

    Args:
        declared: the trigger; a time without a zone is of its time zone.
        text: ISO, such as 2026-11-30T04:00 or 2026-11-30.

    Raises:
        ParameterError: if it is neither, the clock leaves it out, or the trigger waits for events.
    """
    trigger = declared.trigger
    if not isinstance(trigger, ClockTrigger):
        what = f"trigger {declared.name} waits for events and has no scheduled times"
        raise ParameterError(what, next="fire it without a time: the run is for this moment")
    zone = zone_of(trigger.timezone or "UTC")
    local, day = _read(text, zone)
    if day is None:
        return _shown(declared.name, trigger, local, zone)
    start, end = (day_start(d, zone) - timedelta(microseconds=1) for d in (day, day + timedelta(days=1)))
    ticks = list(islice(trigger.ticks(start, end), _TICKS_SHOWN + 1))
    if len(ticks) == 1:
        return ticks[0]
    shown = [tick.astimezone(zone).isoformat(timespec="minutes") for tick in ticks[:_TICKS_SHOWN]]
    mend = f"give the time: {', '.join(shown)}" if ticks else "`trikk triggers NAME` shows its times"
    number = "not" if not ticks else "more than once"
    raise ParameterError(f"trigger {declared.name} comes due {number} on {day}", next=mend)


def end_named(declared: Declared, text: str, now: datetime) -> datetime:
    """When a pause is to end, in UTC: a time, or the first moment of a day.

    Args:
        declared: the trigger; a time without a zone is of its time zone.
        text: ISO, such as 2026-11-30T04:00 or 2026-11-30.
        now: the time, with its zone.

    Raises:
        ParameterError: if it is neither, or is past.
    """
    zone = zone_of(declared.trigger.timezone or "UTC")
    local, day = _read(text, zone)
    end = moment_of(local, zone) if day is None else day_start(day, zone)
    if end <= now:
        raise ParameterError(
            f"a pause can't end at {text}, which is past", next="give a later time, or unpause it"
        )
    return end


def _shown(name: str, trigger: ClockTrigger, local: datetime, zone: ZoneInfo) -> datetime:
    """The moment of a time, in UTC; of one that the clock leaves out, that which comes due in its place."""
    if not is_left_out(local, zone):
        return moment_of(local, zone)
    tick = trigger.in_place_of(local)
    if tick is None:
        raise ParameterError(
            f"the clock of {zone.key} is put forward over {local.isoformat(timespec='minutes')}",
            next=f"give another time; `trikk triggers {name}` shows those at which it comes due",
        )
    return tick  # and not an hour later, else the clock would bring this run a second time


def _read(text: str, zone: ZoneInfo) -> tuple[datetime, date | None]:
    """A time, and the day if the text is one; ParameterError if it is neither."""
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-11-30") else None
        local = datetime.fromisoformat(text)
        if moment_of(local, zone).year not in _YEARS:
            raise ValueError(text)  # noqa: TRY301 - as for any other text that is no time
    except (ValueError, OverflowError) as error:
        mend = "write it as 2026-11-30T04:00, or as a day: 2026-11-30"
        raise ParameterError(f"{shorten(printable(text), 60)!r} is not a time", next=mend) from error
    return local, day
