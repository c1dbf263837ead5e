"""What is asked of the past, and the rule that it is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from msgspec.structs import replace

from trikk.alerts.backtest.bounds import Accepted
from trikk.alerts.backtest.past import Days
from trikk.alerts.backtest.template import without_place
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.kinds import checked
from trikk.alerts.rules.language import written_name
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.alerts.rules.rule import Kind
from trikk.core.errors import UnknownName, UsageError
from trikk.models.metrics.own_metric import Better, short
from trikk.monitoring.monitor_definition import MonitorSpec


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the past."""

    monitor: str
    when: str = ""  # a condition; X stands for the threshold to be found. "" for the alarm's or the metric's
    alarm: str = ""  # the name of one of the monitor's alarms; "" for none
    metric: str = ""  # a metric to find a threshold for; "" for none
    # names of limits of drift to find a number for, or to replay with one, as "wasserstein=0.3"
    limits: tuple[str, ...] = ()
    window: str = ""  # hour, day or week; "" for the rule's
    slice: str = ""  # a column of which each value is a cause of its own; "" for the rule's
    windows: int | None = None  # how many in a row open and resolve; None for the rule's
    min_labelled: int | None = None  # labelled cases below which a window is not judged; None for the rule's
    first: date | None = None  # the first night; None for the first that anything was known on
    last: date | None = None  # the last night; None for the last on which anything became known
    # days that are known to have been good; None for those before the first event, or all
    good: Days | None = None
    events: tuple[date, ...] = ()  # days of events that should have raised an alarm
    # how many false alarms are accepted
    accepted: Accepted = field(default_factory=lambda: Accepted.of("1/month"))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rule that is asked about."""

    rule: MonitorRule
    text: str
    origin: str


def choose(question: Question, spec: MonitorSpec, written: Sequence[MonitorRule]) -> Chosen:
    """The rule that is asked about.

    Raises:
        UnknownName: if the monitor has no such alarm.
        UsageError: if the rule can't work, or what is asked does not go with it.
    """
    if sum(map(bool, (question.when, question.alarm, question.metric))) > 1:
        raise UsageError("a condition, an alarm and a metric are given at once", next="give one of them")
    if question.limits and (question.when or question.metric):
        raise UsageError("--limit is for drift, and a condition or a metric is given", next="give one of them")
    chosen = _existing(question, written) or _new(question, spec)
    rule = chosen.rule
    _check_options(question, rule)
    rule = replace(
        rule,
        monitor=spec.name,
        window=question.window or rule.window,
        slice=question.slice or rule.slice,
        windows=question.windows or rule.windows,
        min_labelled=question.min_labelled or rule.min_labelled,
    )
    # After the options: they may name a slice or window that the rule itself did not.
    rule.check_against(spec)
    if isinstance(rule, DriftRule) and spec.drift is None:
        raise UsageError(f"monitor {spec.name} declares no drift", next="give it drift=Drift()")
    return Chosen(rule, chosen.text, chosen.origin)


def _existing(question: Question, written: Sequence[MonitorRule]) -> Chosen | None:
    """The alarm that is named, or the first of the kind that is asked about; None if there is none."""
    if question.alarm:
        rule = next((rule for rule in written if rule.name == question.alarm), None)
        if rule is None:
            raise UnknownName("alarm", question.alarm, [rule.name for rule in written])
    elif question.when or question.metric:
        return None
    else:
        kind = DriftRule if question.limits else FigureRule
        rule = next((rule for rule in written if isinstance(rule, kind)), None)
        if rule is None:
            return None
    return Chosen(rule, rule.when if isinstance(rule, FigureRule) else "", f"the monitor's alarm {rule.name}")


def _new(question: Question, spec: MonitorSpec) -> Chosen:
    """A rule of the condition, the metric or the limits that were given, or of the monitor's first metric."""
    if question.limits:
        return Chosen(DriftRule(name="backtest", monitor=spec.name), "", "the monitor has no alarm on it")
    text, origin = question.when, "the condition that was given"
    if not text:
        text = _of_metric(question.metric or spec.metrics[0], spec)
        origin = (
            "the metric that was given" if question.metric else "the monitor's first metric, as it has no alarm"
        )
    rule = checked(
        {"name": "backtest", "monitor": spec.name, "when": without_place(text), "windows": question.windows},
        default_minimum=spec.minimum,
    )
    assert isinstance(rule, FigureRule)
    # "for 2 windows" at the end has gone into the rule; what is left is as long with X as with a number
    return Chosen(rule, text[: len(rule.when)], origin)


def _of_metric(metric: str, spec: MonitorSpec) -> str:
    """The condition that a metric suggests: worse than so many times the baseline, or than a number."""
    metric = short(metric)
    if metric not in spec.metrics:
        raise UnknownName("metric", metric, spec.metrics)
    better = spec.better(metric)
    if not better:
        raise UsageError(
            f"it is not known which way {metric} is better",
            next=f'say it: Metric({metric}, better="higher"), or give a condition: --when "{metric} < X"',
        )
    named = written_name(metric)
    if better == Better.ZERO:
        return f"abs({named}) > X"
    return f"{named} {'>' if better == Better.LOWER else '<'} X{' * baseline' if spec.baseline else ''}"


def _check_options(question: Question, rule: MonitorRule) -> None:
    """Refuse what a rule of this kind would pass over."""
    options = (
        ("--limit", bool(question.limits), Kind.DRIFT),
        ("--slice", bool(question.slice), Kind.FIGURES),
        ("--min-labelled", bool(question.min_labelled), Kind.FIGURES),
    )
    for option, is_given, kind in options:
        if is_given and rule.kind != kind:
            raise UsageError(
                f"{option} is for rules on {kind}; {rule.name} is one on {rule.kind}", next="leave it out"
            )
    if question.window and isinstance(rule, DriftRule):
        raise UsageError(f"drift is of days, not of each {question.window}", next="leave out --window")
