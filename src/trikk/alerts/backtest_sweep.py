"""A rule with another number in its place: what each threshold would have done, over the same past. Pure.

What a night showed does not depend on the number, but for `usual`, which leaves out what was bad. So each night is
read once, and its windows are judged anew for each number.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from trikk.alerts.backtest import LATE, Known, Night, Past, readings
from trikk.alerts.backtest_template import Flip, Template, Turning
from trikk.alerts.figures import USUAL_WINDOWS, value_of
from trikk.alerts.reading import Reading
from trikk.alerts.rule import Rule
from trikk.core.values import JSON
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.figures import Figures
from trikk.monitoring.windows import zone_of


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
class _Shown:
    """A night's points before they are judged: indices of figures, the newest last."""

    night: Night
    figures: tuple[int, ...]
    start: float
    at: float


class Sweep:
    """A monitor's past, ready to be judged with any number.

    Args:
        known: the monitor's records.
        spec: the monitor.
        rule: the rule; its condition is the template's.
        template: the condition with a place.
        over: the nights, in order.
    """

    def __init__(
        self, known: Iterable[Known], spec: MonitorSpec, rule: Rule, template: Template, over: Sequence[Night]
    ) -> None:
        self._past, self._spec, self._rule = Past(spec.name, known), spec, rule
        self.template, self.nights = template, over
        self._shown: dict[str, list[_Shown]] = defaultdict(list)
        self._figures: list[Figures] = []
        self._by_object: dict[int, int] = {}
        self._by_content: dict[str, int] = {}
        start = 1.0 if template.number is None else template.number
        self.of_usual = any(name.kind == "usual" for name in self._ruled(start).condition.names())
        self._read(self._ruled(start))

    def _ruled(self, threshold: float) -> Rule:
        return replace(self._rule, when=self.template.at(threshold))

    def _read(self, rule: Rule) -> None:
        kind = rule.window or self._spec.windows[0]
        for night in self.nights:
            for reading in readings(self._past, self._spec, rule, night):
                if not reading.points:
                    continue
                indices = tuple(self._index(kind, point.mark, reading.part) for point in reading.points)
                last = reading.points[-1]
                self._shown[reading.cause].append(_Shown(night, indices, last.start, last.at))

    def _index(self, kind: str, mark: str, part: tuple[str, str] | None) -> int:
        """The number of the figures that a point was made from; equal figures of a window have one."""
        record = self._past.window(kind, mark)
        figures = None if record is None else record.whole if part is None else record.of(*part)
        assert figures is not None
        if id(figures) not in self._by_object:
            content = f"{mark} {figures!r}"
            if content not in self._by_content:
                self._by_content[content] = len(self._figures)
                self._figures.append(figures)
            self._by_object[id(figures)] = self._by_content[content]
        return self._by_object[id(figures)]

    @property
    def nights_judged(self) -> int:
        """On how many nights the rule could judge anything."""
        return max((len(nights) for nights in self._shown.values()), default=0)

    def sights(self, threshold: float) -> dict[str, list[Sight]]:
        """What each cause's nights come to with a number: by cause, in the order of time."""
        rule = self._ruled(threshold)
        if self.of_usual:
            return self._sights_of_usual(rule)
        condition = rule.condition
        holds = [condition.judge(functools.partial(value_of, figures=f))[0] for f in self._figures]
        return {
            cause: [_judged(shown, holds, rule.windows) for shown in nights]
            for cause, nights in self._shown.items()
        }

    def _sights_of_usual(self, rule: Rule) -> dict[str, list[Sight]]:
        found: dict[str, list[Sight]] = defaultdict(list)
        for night in self.nights:
            for reading in readings(self._past, self._spec, rule, night):
                if reading.points:
                    found[reading.cause].append(_of_reading(reading, night))
        return found

    def spans(self, sights: Mapping[str, Sequence[Sight]]) -> dict[str, list[Span]]:
        """The incidents of each cause."""
        windows, cooldown = self._rule.windows, self._rule.cooldown
        return {cause: spans(seen, windows, cooldown) for cause, seen in sights.items()}

    def is_within(self, sight: Sight, days: Days) -> bool:
        """Whether the newest window that was seen lies in these days."""
        return days.hold(sight.start, sight.at, zone_of(self._spec.timezone))

    def is_current(self, sight: Sight) -> bool:
        """Whether the newest window that was seen is not old, so that the night counts as watched."""
        age = sight.night.moment.timestamp() - sight.at
        return age <= (sight.at - sight.start) + self._spec.delay + LATE.total_seconds()

    def flips(self, within: Days | None = None) -> list[Flip]:
        """The numbers at which windows turn from good to bad, each window as it was judged first.

        Args:
            within: only windows that lie in these days.

        Raises:
            UsageError: if the number in the condition is no threshold.
        """
        zone, turning = zone_of(self._spec.timezone), Turning(self.template)
        found: dict[tuple[str, float], Flip | None] = {}
        for cause, nights in self._shown.items():
            order: dict[int, None] = {}
            for shown in nights:
                order |= dict.fromkeys(shown.figures)
                newest, key = shown.figures[-1], (cause, shown.at)
                if key in found or not (within is None or within.hold(shown.start, shown.at, zone)):
                    continue
                before = [self._figures[i] for i in order if i != newest][-USUAL_WINDOWS:] if self.of_usual else []
                found[key] = turning.flip(functools.partial(value_of, figures=self._figures[newest], good=before))
        return [flip for flip in found.values() if flip is not None]


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


def _judged(shown: _Shown, holds: Sequence[bool | None], windows: int) -> Sight:
    """Count from the newest back, as far as it matters; what can't be judged is left out."""
    state: bool | None = None
    count = 0
    for index in reversed(shown.figures):
        held = holds[index]
        if held is None:
            continue
        if state is not None and held is not state:
            break
        state, count = held, count + 1
        if count >= windows:
            break
    bad, good = (count, 0) if state else (0, count)
    return Sight(shown.night, bad, good, shown.start, shown.at)


def _of_reading(reading: Reading, night: Night) -> Sight:
    last = reading.points[-1]
    return Sight(night, reading.bad, reading.good, last.start, last.at)
