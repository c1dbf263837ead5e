"""What each of many thresholds would have done over the same past: the real life-cycle on cheap looks. Pure.

What there was to judge on a night does not depend on the number. So each night is read once, and judged anew for
each number: `figure_sweep` does it for conditions, `drift_sweep` for drift. Whether an incident opens or ends is
decided by `lifecycle.turn`, as every day; only the texts and messages that go with it are left out.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trikk.alerts.backtest.past import LATE, Days, Night
from trikk.alerts.incidents.lifecycle import Turn, turn
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.alerts.rules.rule import streak
from trikk.core.zones import zone_of
from trikk.monitoring.monitor_definition import MonitorSpec

Times: TypeAlias = tuple[float, float]
"""A window's first moment and the moment after its last, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule saw of one cause on one night."""

    night: Night
    bad: int  # how many points in a row were bad, up to the last
    good: int  # how many were good
    start: float  # the first moment of the newest window, seconds since 1970
    at: float  # the moment after its last

    @classmethod
    def of(cls, night: Night, newest_first: Iterable[tuple[Times, bool]]) -> Sight | None:
        """What windows come to; None if there is none."""
        windows = iter(newest_first)
        newest = next(windows, None)
        if newest is None:
            return None
        times, is_bad = newest
        bad, good = streak(itertools.chain((is_bad,), (is_bad for _, is_bad in windows)))
        return cls(night, bad, good, *times)


@dataclass(frozen=True, slots=True)
class Span:
    """An incident: when it was opened, what was seen then, and when it was resolved."""

    opened: Sight
    resolved: Night | None = None


@dataclass(frozen=True, slots=True)
class Flip:
    """The number at which one window turns from good to bad."""

    at: float  # the number
    more_is_good: bool  # whether it is good with larger numbers, and bad with smaller ones
    bad_at: bool = False  # whether it is bad at the number itself


class Sweep(ABC):
    """A monitor's past, ready to be judged with any number.

    Attributes:
        spec: the monitor.
        nights: the nights, in order.
        template: the condition or the limits, with X for the number.
        number: the number that holds now; None if it is to be found.
        is_slow: whether each number means judging all nights anew.
    """

    template: str
    number: float | None
    is_slow = False

    def __init__(self, spec: MonitorSpec, over: Sequence[Night]) -> None:
        self.spec, self.nights = spec, over

    @property
    @abstractmethod
    def rule(self) -> MonitorRule:
        """The rule."""

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
            UsageError: if the number is not a threshold.
        """

    def spans(self, sights: Mapping[str, Sequence[Sight]]) -> dict[str, list[Span]]:
        """The incidents of each cause."""
        return {cause: spans(of_cause, self.rule) for cause, of_cause in sights.items()}

    def is_within(self, sight: Sight, days: Days) -> bool:
        """Whether the newest window that was seen lies in these days."""
        return days.hold(sight.start, sight.at, zone_of(self.spec.timezone))

    def is_current(self, sight: Sight) -> bool:
        """Whether the newest window that was seen is not old, so that the night counts as watched."""
        age = sight.night.moment.timestamp() - sight.at
        return age <= (sight.at - sight.start) + self.spec.delay + LATE.total_seconds()


@dataclass(slots=True)
class _Standing:
    """What `turn` asks of an incident; nobody resolves one of the past by hand."""

    opened: float
    seen_until: float
    resolved: float | None = None
    resolved_by: str = ""

    @property
    def is_open(self) -> bool:
        return self.resolved is None


def spans(sights: Iterable[Sight], rule: MonitorRule) -> list[Span]:
    """The incidents of one cause."""
    incidents: list[Span] = []
    latest: _Standing | None = None
    for sight in sights:
        now = sight.night.moment.timestamp()
        turned = turn(latest, sight.bad, sight.good, sight.at, rule, now)
        if turned is Turn.OPEN:
            incidents.append(Span(sight))
            latest = _Standing(now, sight.at)
        elif latest is not None and turned in (Turn.STAY_OPEN, Turn.RESOLVE):
            latest.seen_until = sight.at
            if turned is Turn.RESOLVE:
                incidents[-1] = Span(incidents[-1].opened, sight.night)
                latest.resolved = now
    return incidents
