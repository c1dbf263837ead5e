"""A monitor's drift by other limits: each night's days read once, and judged by any number. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from trikk.alerts.backtest.drift_limits import Limits
from trikk.alerts.backtest.past import Known, Night, Versions
from trikk.alerts.backtest.threshold_sweep import Days, Flip, Sight, Sweep
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.rule import cause
from trikk.monitoring.cases.windows import GAP, zone_of
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import AHEAD, DriftRecord
from trikk.monitoring.day_drift.other_limits import MISSING, effects_of, is_measured
from trikk.monitoring.monitor_definition import MonitorSpec


@dataclass(frozen=True, slots=True)
class _Day:
    """What a version of a day comes to.

    Attributes:
        start: its first moment, seconds since 1970.
        at: the moment after its last.
        sizes: the largest significant effect for each limit that X stands for.
        is_fixed: whether another limit makes it drift, whatever X is.
        is_good: whether it is a good day if it does not drift; else it says nothing.
    """

    start: float
    at: float
    sizes: Mapping[str, float]
    is_fixed: bool
    is_good: bool

    @property
    def is_certain(self) -> bool:
        """Whether it says something, whatever X is."""
        return self.is_good or self.is_fixed

    def drifts(self, limits: Mapping[str, float]) -> bool:
        """Whether it drifts by these limits."""
        return self.is_fixed or any(size >= limits[name] for name, size in self.sizes.items())


class DriftSweep(Sweep):
    """A monitor's days and limits with a place for a number.

    Args:
        known: what was found of days.
        spec: the monitor.
        rule: the rule on its drift.
        limits: which limits the number is for.
        over: the nights, in order.
    """

    def __init__(
        self,
        known: Iterable[Known[DriftRecord]],
        spec: MonitorSpec,
        rule: DriftRule,
        limits: Limits,
        over: Sequence[Night],
    ) -> None:
        super().__init__(spec, rule, over)
        self._rule = rule
        known = list(known)
        self.template, self.number = limits.template, limits.number
        self._limits, self._versions = limits, Versions(known)
        drift = limits.of_drift(limits.number)
        self._days = {id(one.record): _day(one.record, drift, limits) for one in known}
        self._labels: dict[str, list[_Day]] = defaultdict(list)
        for one in known:
            self._labels[one.record.label].append(self._days[id(one.record)])
        self._shown = [(night, self._seen(night)) for night in over]

    def _seen(self, night: Night) -> list[tuple[int, _Day]]:
        """The days that a night may look at, the newest first, and how far back: as `drift_observations` goes."""
        self._versions.now = night.moment.timestamp()
        top = (night.moment + AHEAD).astimezone(zone_of(self.spec.timezone)).date()
        found: list[tuple[int, _Day]] = []
        back = last = certain = 0
        while back - last < GAP and certain < self.rule.windows:
            record = self._versions.of("day", (top - timedelta(days=back)).isoformat())
            day = None if record is None else self._days[id(record)]
            if day is not None and (day.is_certain or day.sizes):
                found.append((back, day))
                last, certain = back, certain + day.is_certain
            back += 1
        return found

    @property
    def is_empty(self) -> bool:
        """Whether no day said anything."""
        return not any(days for _, days in self._shown)

    def text(self, threshold: float) -> str:
        """The limits with a number, in words."""
        return self._limits.text(threshold)

    def written(self, threshold: float) -> str:
        """The monitor's drift as an argument of `Monitor`."""
        return f"drift={self._limits.of_drift(threshold).written()}"

    def with_number(self, threshold: float) -> tuple[MonitorSpec, DriftRule]:
        """The monitor with the number in its limits, and the rule."""
        return msgspec.structs.replace(self.spec, drift=self._limits.of_drift(threshold).to_json()), self._rule

    def sights(self, threshold: float) -> dict[str, list[Sight]]:
        """What the nights come to with a number."""
        limits = self._limits.at(threshold)
        found = (_judged(night, days, limits, self.rule.windows) for night, days in self._shown)
        return {cause(self.rule, self.spec.name): [sight for sight in found if sight is not None]}

    def flips(self, within: Days | None = None) -> list[Flip]:
        """The numbers at which days turn from good to bad, each day as it was when it was worst."""
        zone = zone_of(self.spec.timezone)
        found = []
        for days in self._labels.values():
            if within is not None and not within.hold(days[0].start, days[0].at, zone):
                continue
            worst = max((self._limits.reached(day.sizes) for day in days if not day.is_fixed), default=0.0)
            if worst > 0:
                found.append(Flip(worst, more_is_good=True, bad_at=True))
        return found


def _day(record: DriftRecord, drift: Drift, limits: Limits) -> _Day:
    sizes: dict[str, float] = {}
    is_fixed = False
    methods = {one.column: one.method or "" for one in record.columns}
    for effect in effects_of(record, drift):
        if effect.limit in limits.varied:
            sizes[effect.limit] = max(effect.size, sizes.get(effect.limit, 0.0))
        elif effect.limit == MISSING:
            is_fixed = is_fixed or effect.size >= drift.missing
        else:
            is_fixed = is_fixed or effect.size >= drift.limit(effect.column, methods[effect.column])[1]
    is_good = record.settled and any(is_measured(one) for one in record.columns)
    return _Day(record.start.timestamp(), record.end.timestamp(), sizes, is_fixed, is_good)


def _judged(
    night: Night, days: Sequence[tuple[int, _Day]], limits: Mapping[str, float], windows: int
) -> Sight | None:
    """Count from the newest day back, as far as it matters; None if no day says anything."""
    newest: _Day | None = None
    state, count, last = False, 0, 0
    for back, day in days:
        bad = day.drifts(limits)
        if not (bad or day.is_good):
            continue
        if back - last >= GAP or (newest is not None and bad is not state) or count >= windows:
            break
        newest, state, count, last = newest or day, bad, count + 1, back
    if newest is None:
        return None
    return Sight(night, count if state else 0, 0 if state else count, newest.start, newest.at)
