"""A rule with another number in its place: what each threshold would have done, over the same past. Pure.

What a night showed does not depend on the number, but for `usual`, which leaves out what was bad. So each night is
read once, and judged anew for each number: `backtest_figures` does it for conditions, `backtest_drift` for drift.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from trikk.alerts.backtest.past import LATE, Night
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.core.values import JSON
from trikk.monitoring.cases.windows import zone_of
from trikk.monitoring.monitor_definition import MonitorSpec


@dataclass(frozen=True, slots=True)
class Days:
    """A period of local days, both ends included."""

    first: date
    last: date

    def hold(self, start: float, end: float, zone: ZoneInfo) -> bool:
        """Whether the time between two moments (seconds since 1970, the end excluded) lies in it."""
        begun, over = _days_of(start, end, zone)
        return self.first <= begun and over <= self.last

    def to_json(self) -> dict[str, JSON]:
        """The days as JSON."""
        return {"first": self.first.isoformat(), "last": self.last.isoformat()}


@functools.lru_cache(maxsize=100_000)
def _days_of(start: float, end: float, zone: ZoneInfo) -> tuple[date, date]:
    """The local days of the first moment and of the last before the end."""
    last = datetime.fromtimestamp(end - 1e-6, zone)
    return datetime.fromtimestamp(start, zone).date(), last.date()


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule saw of one cause on one night.

    Attributes:
        night: the night.
        bad: how many points in a row were bad, up to the last.
        good: how many were good.
        start: the first moment of the newest window, seconds since 1970.
        at: the moment after its last.
    """

    night: Night
    bad: int
    good: int
    start: float
    at: float


@dataclass(frozen=True, slots=True)
class Span:
    """An incident: when it was opened, what was seen then, and when it was resolved."""

    opened: Sight
    resolved: Night | None = None


@dataclass(frozen=True, slots=True)
class Flip:
    """The number at which one window turns from good to bad.

    Attributes:
        at: the number.
        more_is_good: whether it is good with larger numbers, and bad with smaller ones.
        bad_at: whether it is bad at the number itself.
    """

    at: float
    more_is_good: bool
    bad_at: bool = False


class Sweep(ABC):
    """A monitor's past, ready to be judged with any number.

    Attributes:
        spec: the monitor.
        rule: the rule.
        nights: the nights, in order.
        template: the condition or the limits, with X for the number.
        number: the number that holds now; None if it is to be found.
        is_slow: whether each number means reading all nights again.
    """

    template: str
    number: float | None
    is_slow = False

    def __init__(self, spec: MonitorSpec, rule: MonitorRule, over: Sequence[Night]) -> None:
        self.spec, self.rule, self.nights = spec, rule, over

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there was nothing to judge on any night."""

    @abstractmethod
    def text(self, threshold: float) -> str:
        """The condition or the limits with a number."""

    @abstractmethod
    def written(self, threshold: float) -> str:
        """The same as it is to be written in Python."""

    @abstractmethod
    def with_number(self, threshold: float) -> tuple[MonitorSpec, MonitorRule]:
        """The monitor and the rule with a number."""

    @abstractmethod
    def sights(self, threshold: float) -> dict[str, list[Sight]]:
        """What each cause's nights come to with a number: by cause, in the order of time."""

    @abstractmethod
    def flips(self, within: Days | None = None) -> list[Flip]:
        """The numbers at which windows turn from good to bad.

        Args:
            within: only windows that lie in these days.

        Raises:
            UsageError: if the number is no threshold.
        """

    def spans(self, sights: Mapping[str, Sequence[Sight]]) -> dict[str, list[Span]]:
        """The incidents of each cause."""
        windows, cooldown = self.rule.windows, self.rule.cooldown
        return {cause: spans(seen, windows, cooldown) for cause, seen in sights.items()}

    def is_within(self, sight: Sight, days: Days) -> bool:
        """Whether the newest window that was seen lies in these days."""
        return days.hold(sight.start, sight.at, zone_of(self.spec.timezone))

    def is_current(self, sight: Sight) -> bool:
        """Whether the newest window that was seen is not old, so that the night counts as watched."""
        age = sight.night.moment.timestamp() - sight.at
        return age <= (sight.at - sight.start) + self.spec.delay + LATE.total_seconds()


def spans(sights: Iterable[Sight], windows: int, cooldown: float) -> list[Span]:
    """The incidents of one cause, by the rules of `lifecycle.decide`, without their texts.

    Args:
        sights: its nights, in order.
        windows: how many in a row must be bad to open, and good to resolve.
        cooldown: seconds after an incident is resolved in which no other is opened.
    """
    found: list[Span] = []
    seen = -math.inf
    for sight in sights:
        if sight.at < seen:
            continue
        latest = found[-1] if found else None
        if latest is not None and latest.resolved is None:
            seen = sight.at
            if sight.good >= windows:
                found[-1] = Span(latest.opened, sight.night)
        elif sight.bad >= windows and _is_over(latest, sight, cooldown):
            found.append(Span(sight))
            seen = sight.at
    return found


def _is_over(latest: Span | None, sight: Sight, cooldown: float) -> bool:
    if latest is None or latest.resolved is None:
        return True
    return sight.night.moment.timestamp() >= latest.resolved.moment.timestamp() + cooldown
