"""Which earlier days a day is compared with. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from trikk.drift import FixedWindow, Reference, SlidingWindow, TrainingData, spans
from trikk.monitoring.windows import Window, window_at, windows_between

TRAINING_DAYS = 84
_INSTANT = timedelta(microseconds=1)


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
    if isinstance(reference, TrainingData):
        if registered is None:
            return Compared((), "the model that made its predictions is not registered")
        end = window_at("day", registered, zone).start.astimezone(zone)
        start = end - timedelta(days=TRAINING_DAYS)
        reference = FixedWindow(start, end, "weekday" if same_weekday else None)
    if isinstance(reference, FixedWindow) and reference.start.tzinfo is None:
        begin, until = (moment.replace(tzinfo=zone) for moment in (reference.start, reference.end))
        reference = replace(reference, start=begin, end=until)
    local = day.start.astimezone(zone)
    if isinstance(reference, FixedWindow) and reference.end > local:
        return Compared((), "the reference is not over when the day begins")
    found = [
        window.label
        for begin, until in spans(reference, local, day.end.astimezone(zone))
        for window in windows_between("day", begin, until - _INSTANT, zone)
        if window.start >= begin and window.end <= until
    ]
    return Compared(tuple(found), "" if found else "no day of the reference is such a weekday")


def first_needed(reference: Reference, first: datetime, zone: ZoneInfo) -> datetime:
    """The moment from which days are summed up, so that the truth of the first predictions has a reference.

    Args:
        reference: what the monitor declares.
        first: the first prediction's slot.
        zone: of a reference without one.
    """
    if isinstance(reference, FixedWindow):
        start = reference.start if reference.start.tzinfo else reference.start.replace(tzinfo=zone)
        return min(first, start)
    days = TRAINING_DAYS if isinstance(reference, TrainingData) else reference.days + reference.gap
    return first - timedelta(days=days + 1)


def farthest(reference: Reference) -> int | None:
    """How many days after a day there can be one that is compared with it; None if there is no limit."""
    return reference.days + reference.gap if isinstance(reference, SlidingWindow) else None
