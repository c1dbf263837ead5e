"""A monitor's drift by other limits: each night's days read once, and judged by any number. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from trikk.alerts.backtest.past import Days, Known, Night, PastDays
from trikk.alerts.backtest.sweep import Flip, Sight, Sweep, Times
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.rule import cause
from trikk.core.errors import UnknownName, UsageError
from trikk.core.zones import zone_of
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord, days_back, observed
from trikk.monitoring.day_drift.other_limits import MISSING, effects_of, is_measured
from trikk.monitoring.monitor_definition import MonitorSpec


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that X stands for; the others stay as they are."""

    drift: Drift  # what the monitor declares, with the numbers that were asked for
    varied: dict[str, float]  # the limits that X stands for, by their names in `thresholds`, as they are

    @classmethod
    def of(cls, drift: Drift, wanted: Sequence[str], days: Iterable[DriftRecord]) -> Limits:
        """Find the limits.

        Args:
            drift: what the monitor declares.
            wanted: names of limits, each perhaps with a number, as "wasserstein=0.3": a method, a column, which
                gets a limit of its own, or "missing"; empty for all that are in use.
            days: what was found of days.

        Raises:
            UnknownName: if there is no such limit.
            UsageError: if a number is none, or no day could be compared.
        """
        used, by_column = _used(drift, days)
        if not used:
            raise UsageError("no day could be compared yet", next="trikk watch --once compares what has come in")
        known = {**by_column, MISSING: drift.missing, **used}
        varied: dict[str, float] = {}
        for text in wanted or sorted(used):
            name, _, number = text.partition("=")
            if name not in known:
                raise UnknownName("limit", name, known)
            varied[name] = _number(text, number) if number else known[name]
        if wanted:
            # written down as it is, so that a limit that a column gets of its own is there for X too
            drift = replace(drift, thresholds={**(drift.thresholds or {}), **varied})
        return cls(drift, varied)

    @property
    def is_one(self) -> bool:
        """Whether X is a limit, and not what several are multiplied by."""
        return len(self.varied) == 1

    @property
    def number(self) -> float:
        """What X is now."""
        return next(iter(self.varied.values())) if self.is_one else 1.0

    @property
    def template(self) -> str:
        """The limits with X."""
        if self.is_one:
            return f"X for {next(iter(self.varied))}"
        return f"X times {self.text(1.0)}"

    def at(self, threshold: float) -> dict[str, float]:
        """The limits with a number, by name."""
        if self.is_one:
            return dict.fromkeys(self.varied, threshold)
        # as they will be written down, so that what was tried is what is suggested
        return {name: float(f"{limit * threshold:.4g}") for name, limit in self.varied.items()}

    def reached(self, sizes: Mapping[str, float]) -> float:
        """The largest number at which effects drift, by the names of their limits; 0 if there is none."""
        if self.is_one:
            return max(sizes.values(), default=0.0)
        return max((size / self.varied[name] for name, size in sizes.items() if self.varied[name]), default=0.0)

    def of_drift(self, threshold: float) -> Drift:
        """What the monitor would declare."""
        return replace(self.drift, thresholds={**(self.drift.thresholds or {}), **self.at(threshold)})

    def text(self, threshold: float) -> str:
        """The limits with a number, in words."""
        return ", ".join(f"{name} {limit:.6g}" for name, limit in self.at(threshold).items())


def _used(drift: Drift, days: Iterable[DriftRecord]) -> tuple[dict[str, float], dict[str, float]]:
    """The limits that were used, by name, and that of each column on its newest day."""
    used: dict[str, float] = {}
    by_column: dict[str, float] = {}
    # in the order of time: of a column that was compared by another method since, the newest limit holds
    for day in sorted(days, key=lambda d: (d.start, d.at)):
        for one in filter(is_measured, day.columns):
            name, limit = drift.limit(one.column, one.method or "")
            used[name] = by_column[one.column] = limit
        if any(effect.limit == MISSING for effect in effects_of(day, drift)):
            used[MISSING] = drift.missing
    return used, by_column


def _number(text: str, number: str) -> float:
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit > 0):
        raise UsageError(f"{text!r} gives no limit", next="write --limit wasserstein=0.3")
    return limit


@dataclass(frozen=True, slots=True)
class _Day:
    """What a version of a day comes to by any number.

    `judged_anew` says the same with all its words. For 40 numbers, a thousand days and 20 columns that takes half
    a minute, so that here a day is no more than its largest effects. Tests hold the two together.
    """

    times: Times  # its first moment and the moment after its last, seconds since 1970
    sizes: Mapping[str, float]  # the largest significant effect for each limit that X stands for
    is_fixed: bool  # whether another limit makes it drift, whatever X is
    is_good: bool  # whether it is a good day if it does not drift; else it says nothing

    @classmethod
    def of(cls, record: DriftRecord, drift: Drift, limits: Limits) -> _Day:
        """Tell the effects that X decides about from those that other limits do."""
        sizes: dict[str, float] = {}
        is_fixed = False
        methods = {one.column: one.method or "" for one in record.columns}
        for effect in effects_of(record, drift):
            if effect.limit in limits.varied:
                sizes[effect.limit] = max(effect.size, sizes.get(effect.limit, 0.0))
            elif effect.limit == MISSING:
                is_fixed |= effect.size >= drift.missing
            else:
                is_fixed |= effect.size >= drift.limit(effect.column, methods[effect.column])[1]
        is_good = record.settled and any(is_measured(one) for one in record.columns)
        return cls((record.start.timestamp(), record.end.timestamp()), sizes, is_fixed, is_good)

    @property
    def may_say_something(self) -> bool:
        """Whether there is a number with which it says something."""
        return self.is_good or self.is_fixed or bool(self.sizes)

    def judge(self, limits: Mapping[str, float]) -> bool | None:
        """Whether it drifts by these limits; None if it says nothing."""
        if self.is_fixed or any(size >= limits[name] for name, size in self.sizes.items()):
            return True
        return False if self.is_good else None


class _Backwards:
    """The numbers of a night's days, the newest first, read once and as far back as anybody has looked."""

    def __init__(self, past: PastDays, spec: MonitorSpec, night: Night, numbers: Mapping[int, int]) -> None:
        self._past, self._night, self._numbers = past, night, numbers
        self._unread = days_back(past, spec, night.moment)
        self._read: list[int | None] = []

    def __iter__(self) -> Iterator[int | None]:
        yield from self._read
        self._past.look(self._night.moment)  # another night may have been looked at since
        for record in self._unread:
            self._read.append(None if record is None else self._numbers[id(record)])
            yield self._read[-1]


class DriftSweep(Sweep):
    """A monitor's days and limits with a place for a number."""

    def __init__(
        self,
        known: Iterable[Known[DriftRecord]],
        spec: MonitorSpec,
        rule: DriftRule,
        limits: Limits,
        over: Sequence[Night],
    ) -> None:
        super().__init__(spec, over)
        self._rule, self._limits = rule, limits
        self.template, self.number = limits.template, limits.number
        known, drift = list(known), limits.of_drift(limits.number)
        self._labels = [one.record.label for one in known]
        self._days = [_Day.of(one.record, drift, limits) for one in known]
        past, numbers = PastDays(spec.name, known), {id(one.record): number for number, one in enumerate(known)}
        self._shown = [(night, _Backwards(past, spec, night, numbers)) for night in over]

    @property
    def rule(self) -> DriftRule:
        """The rule."""
        return self._rule

    @property
    def is_empty(self) -> bool:
        """Whether no day said anything."""
        return not any(observed(days, lambda n: self._days[n].may_say_something, 1) for _, days in self._shown)

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
        verdicts = [day.judge(limits) for day in self._days]
        sights = []
        for night, days in self._shown:
            # no life-cycle asks for a longer streak than this
            numbers = observed(days, lambda n: verdicts[n] is not None, self.rule.windows)
            sight = Sight.of(night, ((self._days[n].times, verdicts[n] is True) for n in numbers))
            if sight is not None:
                sights.append(sight)
        return {cause(self.rule, self.spec.name): sights}

    def flips(self, within: Days | None = None) -> list[Flip]:
        """The numbers at which days turn from good to bad, each day as it was when it was worst."""
        zone = zone_of(self.spec.timezone)
        by_label: dict[str, list[_Day]] = defaultdict(list)
        for label, day in zip(self._labels, self._days, strict=True):
            by_label[label].append(day)
        flips = []
        for versions in by_label.values():
            if within is not None and not within.hold(*versions[0].times, zone):
                continue
            worst = max((self._limits.reached(day.sizes) for day in versions if not day.is_fixed), default=0.0)
            if worst > 0:
                flips.append(Flip(worst, more_is_good=True, bad_at=True))
        return flips
