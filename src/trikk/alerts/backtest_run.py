"""Backtest a project's monitor: what its windows have been, the rule, its replay, other thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from trikk.alerts.backtest import Episode, Known, Night, known_of, nights, replay
from trikk.alerts.backtest_bounds import Accepted
from trikk.alerts.backtest_sweep import Days, Sweep
from trikk.alerts.backtest_table import Outcome, Suggestion, candidates, outcome, suggest
from trikk.alerts.backtest_template import Template, has_place, without_place
from trikk.alerts.config import alert_settings
from trikk.alerts.rule import FIGURES, OF_MONITORS, Rule, check_against, checked
from trikk.alerts.sources import rules_of
from trikk.core.errors import UnknownName, UsageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.estimate_figures import estimable
from trikk.monitoring.measures import measure_of
from trikk.monitoring.records import Records, WindowRecord
from trikk.monitoring.windows import zone_of


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the past.

    Attributes:
        monitor: the monitor.
        when: a condition; X stands for the threshold to be found. "" for the alarm's or the metric's.
        alarm: the name of one of the monitor's alarms; "" for none.
        metric: a metric to find a threshold for; "" for none.
        window: hour, day or week; "" for the rule's.
        slice: a column of which each value is a cause of its own; "" for the rule's.
        windows: how many in a row open and resolve; None for the rule's.
        min_labelled: labelled cases below which a window is not judged; None for the rule's.
        first: the first night; None for the first that anything was known on.
        last: the last night; None for the last on which anything became known.
        good: days that are known to have been good; None for those before the first event, or all.
        events: days of events that should have raised an alarm.
        accepted: how many false alarms are accepted.
    """

    monitor: str
    when: str = ""
    alarm: str = ""
    metric: str = ""
    window: str = ""
    slice: str = ""
    windows: int | None = None
    min_labelled: int | None = None
    first: date | None = None
    last: date | None = None
    good: Days | None = None
    events: tuple[date, ...] = ()
    accepted: Accepted = field(default_factory=lambda: Accepted.read("1/month"))


@dataclass(frozen=True, slots=True)
class Backtest:
    """What the past answers.

    Attributes:
        rule: the rule, with the number that was given or is suggested.
        template: the condition with X; "" if no other numbers were tried.
        chosen: where the rule comes from, in words.
        over: the nights.
        good: the days taken for good.
        recorded: windows whose figures are known as of the time when they were made.
        assumed: windows that nobody watched then: taken to be known when their labels were due.
        episodes: the incidents with the rule's number; None if there is no number.
        outcomes: what each threshold would have done, the one that alarms most first.
        suggestion: the threshold to take; None if none was looked for.
        accepted: how many false alarms are accepted.
        notes: what else to know, in sentences.
    """

    rule: Rule
    template: str
    chosen: str
    over: tuple[Night, ...]
    good: Days
    recorded: int
    assumed: int
    episodes: tuple[Episode, ...] | None
    outcomes: tuple[Outcome, ...]
    suggestion: Suggestion | None
    accepted: Accepted
    timezone: str
    notes: tuple[str, ...] = ()

    def is_false(self, episode: Episode) -> bool:
        """Whether an incident was opened by a window of the days taken for good."""
        return self.good.hold(episode.point.start, episode.point.at, zone_of(self.timezone))

    def to_json(self) -> dict[str, JSON]:
        """All of it as JSON."""
        episodes: Any = None
        if self.episodes is not None:
            episodes = [{**one.to_json(), "false_alarm": self.is_false(one)} for one in self.episodes]
        return {
            "monitor": self.rule.monitor,
            "rule": self.rule.to_json(),
            "template": self.template,
            "chosen": self.chosen,
            "nights": Days(self.over[0].day, self.over[-1].day).to_json() if self.over else None,
            "good": self.good.to_json(),
            "windows": {"recorded": self.recorded, "assumed": self.assumed},
            "accepted": {
                "text": self.accepted.text,
                "per_day": self.accepted.per_day,
                "of_nights": self.accepted.of_nights,
            },
            "incidents": episodes,
            "thresholds": [one.to_json() for one in self.outcomes],
            "suggestion": self.suggestion.to_json() if self.suggestion else None,
            "notes": list(self.notes),
        }


def backtest(project: Project, question: Question) -> Backtest:
    """Answer a question from a project's ledger.

    Raises:
        UnknownName: if there is no such monitor or alarm.
        UsageError: if the rule or the period can't be replayed.
    """
    records = Records(project.journal, question.monitor)
    spec = records.spec()
    written = [r for r in rules_of(project, alert_settings(project.settings).rules) if _is_about(r, spec)]
    rule, text, chosen = choose(question, spec, written)
    kind = rule.window or spec.windows[0]
    prefix = f"monitor/{spec.name}"
    entries = project.journal.history(f"{prefix}/window/{kind}/")
    known = known_of((WindowRecord.read(entry.body) for entry in entries), spec)
    evaluated = [entry.at for entry in project.journal.entries(f"{prefix}/cursor")]
    return answer(question, spec, rule, text, chosen, known, evaluated)


def answer(
    question: Question,
    spec: MonitorSpec,
    rule: Rule,
    text: str,
    chosen: str,
    known: Sequence[Known],
    evaluated: Sequence[float],
) -> Backtest:
    """Answer a question from records; pure.

    Args:
        question: the question.
        spec: the monitor.
        rule: the rule to replay.
        text: its condition, with or without X.
        chosen: where it comes from, in words.
        known: the monitor's records.
        evaluated: the times as of which it was evaluated, seconds since 1970.

    Raises:
        UsageError: if the rule or the period can't be replayed.
    """
    over = _nights(question, spec, known, evaluated)
    good, notes = _good(question, over)
    template, note = _template(rule, text)
    outcomes: tuple[Outcome, ...] = ()
    suggestion = None
    number = None if template is None else template.number
    if template is not None:
        sweep = Sweep(known, spec, rule, template, over)
        tried = candidates(sweep, good)
        if not sweep.nights_judged:
            note = (
                f"no window could be judged: none is over with {rule.min_labelled} labelled cases (--min-labelled)"
            )
        outcomes = tuple(outcome(sweep, x, good, question.events, question.accepted) for x in tried)
        suggestion = suggest(outcomes, question.accepted, rule)
        number = suggestion.threshold if number is None else number
        rule = rule if number is None else replace(rule, when=template.at(number))
    is_ready = template is None or number is not None
    labels = {k.record.label: k.assumed for k in sorted(known, key=lambda k: not k.assumed, reverse=True)}
    return Backtest(
        rule=rule,
        template="" if template is None else template.text,
        chosen=chosen,
        over=tuple(over),
        good=good,
        recorded=sum(not assumed for assumed in labels.values()),
        assumed=sum(labels.values()),
        episodes=tuple(replay(known, spec, rule, over)) if is_ready else None,
        outcomes=outcomes,
        suggestion=suggestion,
        accepted=question.accepted,
        timezone=spec.timezone,
        notes=(*notes, *([note] if note else [])),
    )


def choose(question: Question, spec: MonitorSpec, written: Sequence[Rule]) -> tuple[Rule, str, str]:
    """The rule that is asked about, its condition with or without X, and where it comes from, in words.

    Raises:
        UnknownName: if the monitor has no such alarm.
        UsageError: if the rule can't work.
    """
    if sum(map(bool, (question.when, question.alarm, question.metric))) > 1:
        raise UsageError("a condition, an alarm and a metric are given at once", next="give one of them")
    figures = [rule for rule in written if rule.kind == FIGURES]
    text = question.when
    if question.alarm or (figures and not question.metric and not text):
        rule = next((r for r in written if r.name == question.alarm), None) if question.alarm else figures[0]
        if rule is None:
            raise UnknownName("alarm", question.alarm, [r.name for r in written])
        chosen, text = f"the monitor's alarm {rule.name}", rule.when
        rule = replace(rule, monitor=spec.name, windows=question.windows or rule.windows)
    else:
        chosen = "the condition that was given" if text else "the metric that was given"
        if not (text or question.metric):
            chosen = "the monitor's first metric, as it has no alarm"
        text = text or _of_metric(question.metric or spec.metrics[0], spec)
        given = {"name": "backtest", "monitor": spec.name, "when": without_place(text)}
        rule = checked({**given, "windows": question.windows}, default_minimum=spec.minimum)
        text = text[: len(rule.when)]
    rule = replace(
        rule,
        window=question.window or rule.window,
        slice=question.slice or rule.slice,
        min_labelled=question.min_labelled or rule.min_labelled,
    )
    check_against(
        rule,
        metrics=spec.metrics,
        windows=spec.windows,
        slices=spec.slices,
        has_baseline=bool(spec.baseline),
        estimated=estimable(spec),
    )
    return rule, text, chosen


def _is_about(rule: Rule, spec: MonitorSpec) -> bool:
    return rule.kind in OF_MONITORS and rule.monitor in ("", spec.name)


def _of_metric(metric: str, spec: MonitorSpec) -> str:
    """The condition that a metric suggests: worse than so many times the baseline, or than a number."""
    better = measure_of(metric).better
    if better == "zero":
        return f"abs({metric}) > X"
    return f"{metric} {'>' if better == 'lower' else '<'} X{' * baseline' if spec.baseline else ''}"


def _template(rule: Rule, text: str) -> tuple[Template | None, str]:
    """The condition with a place, or in words why no other numbers are tried; UsageError if X is in it twice."""
    if rule.kind != FIGURES:
        return None, f"a rule on {rule.kind} has no threshold to try"
    if has_place(text):
        return Template.of(text), ""
    try:
        return Template.of(text), ""
    except UsageError as error:
        return None, f"no other thresholds were tried: {error.what}; {error.next}"


def _nights(
    question: Question, spec: MonitorSpec, known: Sequence[Known], evaluated: Sequence[float]
) -> list[Night]:
    zone = zone_of(spec.timezone)
    told = [k.since for k in known if k.record.whole.labelled]
    if not told:
        raise UsageError(
            f"no window of {spec.name} has labels yet", next="trikk watch --once evaluates what has come in"
        )
    ends = (datetime.fromtimestamp(at, zone).date() for at in (min(told), max(told)))
    first, last = (asked or end for asked, end in zip((question.first, question.last), ends, strict=True))
    if last < first:
        raise UsageError(f"the nights from {first} to {last} are none", next="give --from and --to in order")
    return nights(first, last, evaluated, zone)


def _good(question: Question, over: Sequence[Night]) -> tuple[Days, list[str]]:
    """The days that are known to be good, and what to say if nobody has told them."""
    if question.good is not None:
        return question.good, []
    earliest = over[0].day - timedelta(days=31)  # windows that the first night shows
    if question.events:
        last = min(question.events) - timedelta(days=1)
        return Days(earliest, last), [f"days up to {last} are taken for good: --known-ok FROM:TO tells better"]
    note = "all days are taken for good, so that every alarm counts as false: --known-ok FROM:TO tells better"
    return Days(earliest, over[-1].day), [note]
