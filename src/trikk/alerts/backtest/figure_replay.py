"""A condition with another number: each night's figures read once, and judged by any threshold. Pure."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from trikk.alerts.backtest.night_replay import readings
from trikk.alerts.backtest.past import Known, Night, Past
from trikk.alerts.backtest.template import Template, Turning
from trikk.alerts.backtest.threshold_sweep import Days, Flip, Sight, Sweep
from trikk.alerts.rules.figures import USUAL_WINDOWS, FigureRule, nearest_zero, value_of
from trikk.alerts.rules.rule import Reading
from trikk.monitoring.cases.windows import zone_of
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec


@dataclass(frozen=True, slots=True)
class _Shown:
    """A night's points before they are judged: indices of figures, the newest last."""

    night: Night
    figures: tuple[int, ...]
    start: float
    at: float


class FigureSweep(Sweep):
    """A monitor's windows and a condition with a place for the number.

    Args:
        known: the monitor's records.
        spec: the monitor.
        rule: the rule; its condition is the template's.
        template: the condition with a place.
        over: the nights, in order.
    """

    def __init__(
        self,
        known: Iterable[Known[WindowRecord]],
        spec: MonitorSpec,
        rule: FigureRule,
        template: Template,
        over: Sequence[Night],
    ) -> None:
        super().__init__(spec, rule, over)
        self._rule = rule
        self._past, self._template = Past(spec.name, known), template
        self.template, self.number = template.text, template.number
        self._shown: dict[str, list[_Shown]] = defaultdict(list)
        self._figures: list[Figures] = []
        self._by_object: dict[int, int] = {}
        self._by_content: dict[str, int] = {}
        _, start = self.with_number(1.0 if template.number is None else template.number)
        self.is_slow = start.names_usual
        self._read(start)

    @property
    def is_empty(self) -> bool:
        """Whether no window could be judged."""
        return not self._shown

    def text(self, threshold: float) -> str:
        """The condition with a number."""
        return self._template.at(threshold)

    def written(self, threshold: float) -> str:
        """The condition as an argument of `Alarm`."""
        often = f" for {self.rule.windows} windows" if self.rule.windows > 1 else ""
        return f"when={json.dumps(self.text(threshold) + often)}"

    def with_number(self, threshold: float) -> tuple[MonitorSpec, FigureRule]:
        """The monitor, and the rule with a number in its condition."""
        return self.spec, replace(self._rule, when=self.text(threshold))

    def _read(self, rule: FigureRule) -> None:
        kind = rule.kind_of_window(self.spec)
        for night in self.nights:
            for reading in readings(self._past, self.spec, rule, night):
                if not reading.points:
                    continue
                indices = tuple(self._index(kind, point.mark, reading.part) for point in reading.points)
                self._shown[reading.cause].append(_Shown(night, indices, *self._times(kind, reading)))

    def _times(self, kind: str, reading: Reading) -> tuple[float, float]:
        """The beginning and end of the newest window of a reading, seconds since 1970."""
        newest = self._past.window(kind, reading.points[-1].mark)
        assert newest is not None
        return newest.start.timestamp(), newest.end.timestamp()

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

    def sights(self, threshold: float) -> dict[str, list[Sight]]:
        """What each cause's nights come to with a number: by cause, in the order of time."""
        _, rule = self.with_number(threshold)
        if self.is_slow:
            return self._sights_of_usual(rule)
        condition = rule.condition
        zero = nearest_zero(self.spec)
        holds = [condition.judge(functools.partial(value_of, figures=f, zero=zero))[0] for f in self._figures]
        return {
            cause: [_judged(shown, holds, rule.windows) for shown in nights]
            for cause, nights in self._shown.items()
        }

    def _sights_of_usual(self, rule: FigureRule) -> dict[str, list[Sight]]:
        found: dict[str, list[Sight]] = defaultdict(list)
        for night in self.nights:
            for reading in readings(self._past, self.spec, rule, night):
                if reading.points:
                    times = self._times(rule.kind_of_window(self.spec), reading)
                    found[reading.cause].append(Sight(night, reading.bad, reading.good, *times))
        return found

    def flips(self, within: Days | None = None) -> list[Flip]:
        """The numbers at which windows turn from good to bad, each window as it was judged first."""
        zone, turning = zone_of(self.spec.timezone), Turning(self._template)
        zero = nearest_zero(self.spec)
        found: dict[tuple[str, float], Flip | None] = {}
        for cause, nights in self._shown.items():
            order: dict[int, None] = {}
            for shown in nights:
                order |= dict.fromkeys(shown.figures)
                newest, key = shown.figures[-1], (cause, shown.at)
                if key in found or not (within is None or within.hold(shown.start, shown.at, zone)):
                    continue
                before = [self._figures[i] for i in order if i != newest][-USUAL_WINDOWS:] if self.is_slow else []
                values = functools.partial(value_of, figures=self._figures[newest], good=before, zero=zero)
                found[key] = turning.flip(values)
        return [flip for flip in found.values() if flip is not None]


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
