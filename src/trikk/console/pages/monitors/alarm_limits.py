"""Which figures a monitor's alarms allow: a line where that is a number, a course where windows differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trikk.alerts.rules.figures import FigureRule, Judgeable
from trikk.alerts.rules.kinds import read_rule
from trikk.alerts.rules.rule_condition import Condition, Source
from trikk.charts import Point, Series, Threshold
from trikk.console.pages.monitors.monitor_choice import Choice
from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.figures.figure_course import CourseWindow
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec

_JUDGED = 3000  # windows, from the end: what is usual is a median of the windows before each


@dataclass(frozen=True, slots=True)
class Limits:
    """The limit of one comparison of an alarm.

    Attributes:
        alarm: the alarm's name.
        text: the comparison as it was written.
        limits: (moment in seconds since 1970, limit) of each window in which it is known.
    """

    alarm: str
    text: str
    limits: tuple[tuple[float, float], ...]

    @property
    def varies(self) -> bool:
        """Whether it is another from window to window."""
        return len({limit for _, limit in self.limits}) > 1

    def threshold(self) -> Threshold:
        """It as a line across."""
        return Threshold(self.limits[-1][1], f"{self.alarm}: {self.text}")

    def series(self) -> Series:
        """It as a course."""
        points = [Point(at, limit) for at, limit in self.limits]
        return Series(f"{self.alarm}: {self.text}", points, "threshold", dashed=True)

    def to_json(self) -> dict[str, JSON]:
        """As JSON, with the newest limit."""
        return {"alarm": self.alarm, "comparison": self.text, "newest": self.limits[-1][1], "varies": self.varies}


def limits_of(choice: Choice, windows: Sequence[CourseWindow]) -> list[Limits]:
    """What the alarms allow of the figure that is shown, in the windows that are."""
    drawn: list[Limits] = []
    for rule in figure_rules(choice.spec):
        is_of = rule.kind_of_window(choice.spec) == choice.kind
        is_of = is_of and (rule.slice or None) == (choice.part[0] if choice.part else None)
        if is_of and choice.metric in _compared_metrics(rule.condition):
            drawn += _of_rule(rule, choice.spec, choice.metric, windows[-_JUDGED:])
    return drawn


def figure_rules(spec: MonitorSpec) -> list[FigureRule]:
    """A monitor's alarms on figures; those that this build can't read are left out."""
    rules = []
    for alarm in spec.alarms:
        try:
            rule = read_rule(alarm)
        except TrikkError:
            continue
        if isinstance(rule, FigureRule):
            rules.append(rule)
    return rules


def _of_rule(rule: FigureRule, spec: MonitorSpec, metric: str, windows: Sequence[CourseWindow]) -> list[Limits]:
    by_text: dict[str, list[tuple[float, float]]] = {}
    judgeable = (Judgeable(one, _figures(one, metric), True) for one in windows if _is_judged(rule, spec, one))  # type: ignore[arg-type]
    left_sides = _compared_metrics(rule.condition)[metric]
    for one, _, compared in rule.verdicts(spec, judgeable):
        window: Any = one.window
        for comparison in compared:
            if comparison.text in left_sides and comparison.limit is not None:
                at = (window.start + window.end) / 2
                by_text.setdefault(comparison.text, []).append((at, comparison.limit))
    return [Limits(rule.name, text, tuple(limits)) for text, limits in by_text.items()]


def _compared_metrics(condition: Condition) -> dict[str, list[str]]:
    """By metric, the comparisons that have it alone on their left side: of others no limit can be drawn."""
    metrics: dict[str, list[str]] = {}
    if condition.sides is not None:
        name = condition.sides[0].name
        if name is not None and name.kind == Source.METRIC:
            metrics.setdefault(name.name, []).append(condition.text)
    for part in condition.parts:
        for metric, texts in _compared_metrics(part).items():
            metrics.setdefault(metric, []).extend(texts)
    return metrics


def _figures(one: CourseWindow, metric: str) -> Figures:
    """The window's figures as far as a course has them; of other metrics nothing is known."""
    return Figures(
        "",
        "",
        one.predicted,
        one.observed,
        one.labelled,
        metrics={metric: one.value},
        baseline={metric: one.baseline},
        own={metric: one.own},
        estimated={metric: one.estimated},
    )


def _is_judged(rule: FigureRule, spec: MonitorSpec, one: CourseWindow) -> bool:
    """Whether enough labels came, as the rule has it."""
    enough = one.state == WindowState.FINAL or (one.coverage or 0.0) >= spec.least
    return enough and one.labelled >= rule.min_labelled
