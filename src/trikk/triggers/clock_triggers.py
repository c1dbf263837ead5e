"""Triggers that the clock brings: lines of cron, and lengths of time. Pure: the time is passed in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import ClassVar
from zoneinfo import ZoneInfo

from msgspec.structs import force_setattr

from trikk.core.cron import checked_cron, explained, names_time, newest_ticks, ticks
from trikk.core.durations import exactly, seconds
from trikk.core.errors import UsageError
from trikk.core.zones import start_of
from trikk.triggers.declaration import Missed, Overlap, Trigger, one_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ClockTrigger(Trigger, frozen=True, kw_only=True):
    """What the clock's triggers declare beside what all do.

    Attributes:
        missed: what happens with moments that came while no server was there.
        at_most: how many of these have a run with `missed="all"`, the newest.
    """

    missed: Missed = Missed.LATEST
    at_most: int = 100

    def _check(self) -> None:
        super()._check()
        force_setattr(self, "missed", one_of(Missed, "missed", self.missed))
        if isinstance(self.at_most, bool) or not isinstance(self.at_most, int) or not 1 <= self.at_most <= 10_000:
            raise UsageError(f"at_most={self.at_most!r} is out of range", next="use a number from 1 to 10000")
        if self.missed is Missed.ALL and self.overlap in (Overlap.SKIP, Overlap.CANCEL):
            raise UsageError(
                f'missed="all" makes up for every moment, and overlap="{self.overlap}" drops all but one',
                next='use overlap="queue", or missed="latest"',
            )

    @property
    def zone(self) -> ZoneInfo:
        """Whose clock counts, or shows its moments."""
        return ZoneInfo(self.timezone or "UTC")

    @abstractmethod
    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """The moments after `after`, up to `until` (included), at which it comes due, in order, in UTC."""

    @abstractmethod
    def newest(self, after: datetime, until: datetime, count: int) -> list[datetime]:
        """The last `count` of `ticks`, in order; quick however long the time is."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment after another at which it comes due, in UTC; None at the end of the calendar."""
        return next(self.ticks(moment), None)

    def comes_due_at(self, moment: datetime) -> bool:
        """Whether it comes due at this very moment."""
        return self.next_after(moment - timedelta(microseconds=1)) == moment

    def in_place_of(self, left_out: datetime) -> datetime | None:  # noqa: ARG002 - only some have such moments
        """The moment, in UTC, at which it comes due in place of a local time that the clock leaves out, if any."""
        return None

    def count(self, after: datetime, until: datetime, at_most: int) -> int:
        """How many `ticks` there are; `at_most` if there are more."""
        return sum(1 for _ in islice(self.ticks(after, until), at_most))


class Cron(ClockTrigger, frozen=True, tag="cron"):
    """Comes due when a line of cron does: `Cron("0 4 * * *", timezone="Europe/Oslo")`, four o'clock of each day.

    Where clocks change, a time that is left out or comes twice comes due once, and a line with `*` as its minute
    or hour at each hour that there is; `trikk.core.cron` has the rules.

    Attributes:
        line: minute, hour, day, month and weekday. If both days are restricted, either is enough.
    """

    line: str

    def _check(self) -> None:
        super()._check()
        force_setattr(self, "line", checked_cron(self.line))

    def in_words(self) -> str:
        """When it comes due, for people."""
        return f"{explained(self.line)}, by the clock of {self.zone.key}"

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """The moments after `after`, up to `until` (included), at which it comes due, in order, in UTC."""
        return ticks(self.line, self.zone, after, until)

    def newest(self, after: datetime, until: datetime, count: int) -> list[datetime]:
        """The last `count` of `ticks`, in order; quick however long the time is."""
        return newest_ticks(self.line, self.zone, after, until, count)

    def in_place_of(self, left_out: datetime) -> datetime | None:
        """The moment, in UTC, at which it comes due in place of a local time that the clock leaves out, if any."""
        tick = start_of(left_out, self.zone)
        return tick if names_time(self.line, left_out) and self.comes_due_at(tick) else None


class Interval(ClockTrigger, frozen=True, tag="interval"):
    """Comes due each time a length of time has passed: `Interval("15m")`.

    Its moments are multiples of that length since 1970-01-01 00:00 UTC, whatever clocks do and whenever a server
    was started: `Interval("15m")` comes due at each quarter of an hour.

    Attributes:
        every: the length in seconds, of at least one; written as a number or a text such as "15m".
    """

    every: str | float
    least: ClassVar[float] = 1.0

    def _check(self) -> None:
        super()._check()
        length = seconds(self.every, what="an interval")
        if length < self.least or length != timedelta(seconds=length).total_seconds():
            raise UsageError(f"an interval of {self.every!r} is too short or too exact", next='Interval("15m")')
        force_setattr(self, "every", length)

    def in_words(self) -> str:
        """When it comes due, for people."""
        return f"Every {exactly(self.length.total_seconds())}, counted from 1970-01-01 00:00 UTC"

    @property
    def length(self) -> timedelta:
        """The length of time."""
        return timedelta(seconds=float(self.every))

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """The moments after `after`, up to `until` (included), at which it comes due, in order, in UTC."""
        number = (after - _EPOCH) // self.length + 1
        try:
            while until is None or _EPOCH + number * self.length <= until:
                yield _EPOCH + number * self.length
                number += 1
        except OverflowError:  # the end of the calendar
            return

    def newest(self, after: datetime, until: datetime, count: int) -> list[datetime]:
        """The last `count` of `ticks`, in order; quick however long the time is."""
        first = max((after - _EPOCH) // self.length + 1, (until - _EPOCH) // self.length - count + 1)
        return list(self.ticks(_EPOCH + (first - 1) * self.length, until))

    def count(self, after: datetime, until: datetime, at_most: int) -> int:
        """How many `ticks` there are; `at_most` if there are more."""
        number = (until - _EPOCH) // self.length - (after - _EPOCH) // self.length
        return min(at_most, max(0, number))
