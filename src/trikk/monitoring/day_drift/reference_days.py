"""Which earlier days a day is compared with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from trikk.core.zones import day_of, start_of
from trikk.drift import FixedWindow, Reference, SlidingWindow, TrainingData
from trikk.monitoring.cases.windows import Window, windows_between

TRAINING_DAYS = 84
_INSTANT = timedelta(microseconds=1)
_NOT_OVER = "the reference is not over when the day begins"


@dataclass(frozen=True, slots=True)
class Compared:
    """The days of a reference, by their labels in order; or why there are none."""

    days: tuple[str, ...]
    why: str = ""


def compared_with(
    reference: Reference, day: Window, zone: ZoneInfo, registered: datetime | None, *, same_weekday: bool
) -> Compared:
    """The days that a day is compared with: whole days, all of them over when it begins.

    Args:
        reference: what the monitor declares.
        day: the day.
        zone: whose midnights count; what has no zone is meant in it.
        registered: when the model version that predicted the day was registered; None if that is not known.
        same_weekday: for training data, compare with the same weekday only.
    """
    this = date.fromisoformat(day.label)
    if isinstance(reference, SlidingWindow):
        days, weekday = _before(this - timedelta(days=reference.gap), reference.days), reference.matching
    elif isinstance(reference, FixedWindow):
        begin, until = (start_of(moment, zone) for moment in (reference.start, reference.end))
        if until > day.start:
            return Compared((), _NOT_OVER)
        whole = windows_between("day", begin, until - _INSTANT, zone)
        days = [date.fromisoformat(w.label) for w in whole if w.start >= begin and w.end <= until]
        weekday = reference.matching
    else:
        if registered is None:
            return Compared((), "the model that made its predictions is not registered")
        end = day_of(registered, zone)
        if end > this:
            return Compared((), _NOT_OVER)
        days, weekday = _before(end, TRAINING_DAYS), "weekday" if same_weekday else None
    labels = [one.isoformat() for one in days if not weekday or one.weekday() == this.weekday()]
    return Compared(tuple(labels), "" if labels else "no day of the reference is such a weekday")


def _before(day: date, days: int) -> list[date]:
    """So many dates before one, in order."""
    return [day - timedelta(days=back) for back in range(days, 0, -1)]


def first_needed(reference: Reference, first: datetime, zone: ZoneInfo) -> datetime:
    """The moment from which days are summed up, so that the truth of the first predictions has a reference.

    Args:
        reference: what the monitor declares.
        first: the first prediction's slot.
        zone: of a reference without one.
    """
    if isinstance(reference, FixedWindow):
        return min(first, start_of(reference.start, zone))
    days = TRAINING_DAYS if isinstance(reference, TrainingData) else reference.days + reference.gap
    return first - timedelta(days=days + 1)


def farthest(reference: Reference) -> int | None:
    """How many days after a day there can be one that is compared with it; None if there is no limit."""
    return reference.days + reference.gap if isinstance(reference, SlidingWindow) else None
