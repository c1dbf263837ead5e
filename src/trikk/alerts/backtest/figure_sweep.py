"""A condition with another number: each night's windows read once, and judged by any threshold. Pure."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from msgspec.structs import replace

from trikk.alerts.backtest.past import Days, Known, Night, Past
from trikk.alerts.backtest.sweep import Flip, Sight, Sweep, Times
from trikk.alerts.backtest.template import Template, Turning
from trikk.alerts.rules.figures import USUAL_WINDOWS, FigureRule, Judgeable, nearest_zero, value_of
from trikk.alerts.rules.rule import cause
from trikk.core.zones import zone_of
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec


@dataclass(frozen=True, slots=True)
class _Shown:
    """What there was to judge of a cause on a night: numbers of windows, the newest last."""

    night: Night
    windows: tuple[int, ...]


_Judge: TypeAlias = Callable[[_Shown], Iterator[tuple[int, bool]]]
"""Gives the windows that can be judged, the newest first, and whether each is bad."""


class FigureSweep(Sweep):
    """A monitor's windows and a condition with a place for the number."""

    def __init__(
        self,
        known: Iterable[Known[WindowRecord]],
        spec: MonitorSpec,
        rule: FigureRule,
        template: Template,
        over: Sequence[Night],
    ) -> None:
        super().__init__(spec, over)
        self._rule, self._template = rule, template
        self.template, self.number = template.text, template.number
        self._shown: dict[str, list[_Shown]] = defaultdict(list)
        self._windows: list[Judgeable] = []
        self._times: list[Times] = []
        self._by_object: dict[int, int] = {}
        self._by_content: dict[str, int] = {}
        _, self._start = self.with_number(1.0 if template.number is None else template.number)
        self.is_slow = self._start.names_usual
        self._read(Past(spec.name, known))

    def _read(self, past: Past) -> None:
        for night in self.nights:
            past.look(night.moment)
            for look in self._start.looks(past, self.spec, night.moment):
                if look.judgeable:
                    numbers = tuple(self._number(one) for one in look.judgeable)
                    self._shown[cause(self.rule, self.spec.name, look.part)].append(_Shown(night, numbers))

    def _number(self, one: Judgeable) -> int:
        """The number of a window with its figures; where they are equal, windows of one label have one."""
        # records live as long as the past does, so that no id is given away again
        if id(one.figures) not in self._by_object:
            content = f"{one.window.label} {one.is_measured} {one.figures!r}"
            if content not in self._by_content:
                self._by_content[content] = len(self._windows)
                self._windows.append(one)
                self._times.append((one.window.start.timestamp(), one.window.end.timestamp()))
            self._by_object[id(one.figures)] = self._by_content[content]
        return self._by_object[id(one.figures)]

    @property
    def rule(self) -> FigureRule:
        """The rule."""
        return self._rule

    @property
    def is_empty(self) -> bool:
        """Whether no window could be judged."""
        judge = self._judge(self._start)
        return not any(True for nights in self._shown.values() for shown in nights for _ in judge(shown))

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

    def _judge(self, rule: FigureRule) -> _Judge:
        """What judges a night's windows by a rule."""
        if self.is_slow:
            # what is usual depends on which windows before were bad: each night's row is judged as a whole
            def judge(shown: _Shown) -> Iterator[tuple[int, bool]]:
                windows = [self._windows[number] for number in shown.windows]
                verdicts = [holds for _, holds, _ in rule.verdicts(self.spec, windows)]
                for number, holds in zip(reversed(shown.windows), reversed(verdicts), strict=True):
                    if holds is not None:
                        yield number, holds

            return judge
        by_number = [holds for _, holds, _ in rule.verdicts(self.spec, self._windows)]

        def look_up(shown: _Shown) -> Iterator[tuple[int, bool]]:
            for number in reversed(shown.windows):
                holds = by_number[number]
                if holds is not None:
                    yield number, holds

        return look_up

    def sights(self, threshold: float) -> dict[str, list[Sight]]:
        """What each cause's nights come to with a number: by cause, in the order of time."""
        _, rule = self.with_number(threshold)
        judge, times = self._judge(rule), self._times
        sights: dict[str, list[Sight]] = {}
        for of_cause, nights in self._shown.items():
            seen = (Sight.of(one.night, ((times[n], bad) for n, bad in judge(one))) for one in nights)
            sights[of_cause] = [sight for sight in seen if sight is not None]
        return sights

    def flips(self, within: Days | None = None) -> list[Flip]:
        """The numbers at which windows turn from good to bad, each window as it was judged first."""
        zone, turning, judge = zone_of(self.spec.timezone), Turning(self._template), self._judge(self._start)
        zero = nearest_zero(self.spec)
        flips: dict[tuple[str, float], Flip | None] = {}
        for of_cause, nights in self._shown.items():
            order: dict[int, None] = {}
            for shown in nights:
                judged = [number for number, _ in judge(shown)][::-1]
                if not judged:
                    continue
                order |= dict.fromkeys(judged)
                newest = judged[-1]
                start, end = self._times[newest]
                if (of_cause, end) in flips or not (within is None or within.hold(start, end, zone)):
                    continue
                before = [self._windows[i].figures for i in order if i != newest] if self.is_slow else []
                values = functools.partial(
                    value_of, figures=self._windows[newest].figures, good=before[-USUAL_WINDOWS:], zero=zero
                )
                flips[of_cause, end] = turning.flip(values)
        return [flip for flip in flips.values() if flip is not None]
