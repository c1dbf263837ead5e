"""Backtest a project's monitor: what it had found, the rule, its replay, other thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from trikk.alerts.backtest import Episode, replay, window_kind
from trikk.alerts.backtest_bounds import Accepted
from trikk.alerts.backtest_columns import ColumnSeen, columns_seen
from trikk.alerts.backtest_drift import DriftSweep
from trikk.alerts.backtest_figures import FigureSweep
from trikk.alerts.backtest_limits import Limits
from trikk.alerts.backtest_past import Known, Night, compared_now, days_known, known_of, nights
from trikk.alerts.backtest_question import Chosen, Question, choose
from trikk.alerts.backtest_suggest import Suggestion, suggest
from trikk.alerts.backtest_sweep import Days, Sweep
from trikk.alerts.backtest_table import Detection, Outcome, candidates, detection, outcome
from trikk.alerts.backtest_template import Template, has_place
from trikk.alerts.config import alert_settings
from trikk.alerts.rule import DRIFT, FIGURES, OF_MONITORS, Rule
from trikk.alerts.sources import rules_of
from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.drift_definition import Drift
from trikk.monitoring.drift_records import DriftRecord, DriftRecords
from trikk.monitoring.records import Records, WindowRecord
from trikk.monitoring.windows import zone_of


@dataclass(frozen=True, slots=True)
class Backtest:
    """What the past answers.

    Attributes:
        rule: the rule, with the number that was given or is suggested.
        shown: what was replayed, in words: the condition, the limits, or the kind; with X if there is no number.
        template: what the numbers were tried in, with X; "" if none were.
        held: the number that the rule has in the place of X; None if it has none.
        origin: where the rule comes from, in words.
        over: the nights.
        good: the days taken for good.
        recorded: windows of which it is known when they were evaluated.
        assumed: windows that nobody watched then: taken to be known when their labels were due.
        episodes: the incidents with the rule's number; None if there is no number.
        detections: how these met the events.
        outcomes: what each threshold would have done, the one that alarms most first.
        columns: of a rule on drift, how large each column's effects were.
        suggestion: the threshold to take; None if none was looked for.
        write: what to write in Python for it; "" if none is suggested.
        accepted: how many false alarms are accepted.
        timezone: whose days.
        notes: what else to know, in sentences.
    """

    rule: Rule
    shown: str
    template: str
    held: float | None
    origin: str
    over: tuple[Night, ...]
    good: Days
    recorded: int
    assumed: int
    episodes: tuple[Episode, ...] | None
    detections: tuple[Detection, ...]
    outcomes: tuple[Outcome, ...]
    columns: tuple[ColumnSeen, ...]
    suggestion: Suggestion | None
    write: str
    accepted: Accepted
    timezone: str
    notes: tuple[str, ...] = ()

    def is_false(self, episode: Episode) -> bool:
        """Whether an incident was opened by a window of the days taken for good."""
        return self.good.hold(episode.start, episode.end, zone_of(self.timezone))

    def to_json(self) -> dict[str, JSON]:
        """All of it as JSON."""
        episodes: Any = None
        if self.episodes is not None:
            episodes = [{**one.to_json(), "false_alarm": self.is_false(one)} for one in self.episodes]
        return {
            "monitor": self.rule.monitor,
            "rule": self.rule.to_json(),
            "replayed": self.shown,
            "template": self.template,
            "chosen": self.origin,
            "nights": Days(self.over[0].day, self.over[-1].day).to_json() if self.over else None,
            "good": self.good.to_json(),
            "windows": {"recorded": self.recorded, "assumed": self.assumed},
            "accepted": {
                "text": self.accepted.text,
                "per_day": self.accepted.per_day,
                "of_nights": self.accepted.of_nights,
            },
            "incidents": episodes,
            "detections": [one.to_json() for one in self.detections],
            "thresholds": [one.to_json() for one in self.outcomes],
            "columns": [one.to_json() for one in self.columns],
            "suggestion": self.suggestion.to_json() if self.suggestion else None,
            "write": self.write,
            "notes": list(self.notes),
        }


def backtest(project: Project, question: Question) -> Backtest:
    """Answer a question from a project's ledger.

    Raises:
        UnknownName: if there is no such monitor, alarm or limit.
        UsageError: if the rule or the period can't be replayed.
    """
    spec = Records(project.journal, question.monitor).spec()
    rules = rules_of(project, alert_settings(project.settings).rules)
    chosen = choose(question, spec, [r for r in rules if r.kind in OF_MONITORS and r.monitor in ("", spec.name)])
    prefix = f"monitor/{spec.name}"
    evaluated = [entry.at for entry in project.journal.entries(f"{prefix}/cursor")]
    if chosen.rule.kind == DRIFT:
        days = days_known(DriftRecords(project.journal, spec.name).history("day"), spec)
        return answer(question, spec, chosen, days, evaluated)
    entries = project.journal.history(f"{prefix}/window/{window_kind(spec, chosen.rule)}/")
    windows = known_of((WindowRecord.read(entry.body) for entry in entries), spec)
    return answer(question, spec, chosen, windows, evaluated)


def answer(
    question: Question, spec: MonitorSpec, chosen: Chosen, known: Sequence[Known[Any]], evaluated: Sequence[float]
) -> Backtest:
    """Answer a question from records; pure.

    Args:
        question: the question.
        spec: the monitor.
        chosen: the rule to replay.
        known: the monitor's records: of windows, or of days for a rule on drift.
        evaluated: the times as of which it was evaluated, seconds since 1970.

    Raises:
        UsageError: if the rule or the period can't be replayed.
    """
    over = _nights(question, spec, known, evaluated)
    good, notes = _good(question, over)
    sweep, note = _sweep(question, spec, chosen, known, over)
    tried = _Tried() if sweep is None else _tried(question, sweep, good)
    rule, shown = chosen.rule, chosen.rule.kind
    if sweep is not None and tried.number is not None:
        spec, rule = sweep.with_number(tried.number)
        shown = sweep.text(tried.number)
    elif chosen.text:
        shown = chosen.text
    episodes = tuple(replay(known, spec, rule, over)) if sweep is None or tried.number is not None else None
    zone = zone_of(spec.timezone)
    opened = [(one.opened, one.resolved, one.start, one.end) for one in episodes or ()]
    labels = {k.record.label: k.assumed for k in sorted(known, key=lambda k: not k.assumed, reverse=True)}
    found = Backtest(
        rule=rule,
        shown=shown,
        template="" if sweep is None else sweep.template,
        held=None if sweep is None else sweep.number,
        origin=chosen.origin,
        over=tuple(over),
        good=good,
        recorded=sum(not assumed for assumed in labels.values()),
        assumed=sum(labels.values()),
        episodes=episodes,
        detections=() if episodes is None else tuple(detection(opened, day, zone) for day in question.events),
        outcomes=tried.outcomes,
        columns=_columns(question, spec, rule, known, good),
        suggestion=tried.suggestion,
        write=tried.write,
        accepted=question.accepted,
        timezone=spec.timezone,
        notes=tuple(filter(None, (*notes, note, *_unjudged(sweep, known), _started(rule)))),
    )
    return replace(found, notes=(*found.notes, *_blamed(question, found)))


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of trying numbers: the outcomes, the suggestion, how to write it, and the number to replay."""

    outcomes: tuple[Outcome, ...] = ()
    suggestion: Suggestion | None = None
    write: str = ""
    number: float | None = None


def _tried(question: Question, sweep: Sweep, good: Days) -> _Tried:
    numbers = candidates(sweep, good)
    outcomes = tuple(outcome(sweep, x, good, question.events, question.accepted) for x in numbers)
    suggestion = suggest(outcomes, question.accepted, sweep.rule)
    number = suggestion.threshold
    write = "" if number is None else sweep.written(number)
    return _Tried(outcomes, suggestion, write, number if sweep.number is None else sweep.number)


def _sweep(
    question: Question, spec: MonitorSpec, chosen: Chosen, known: Sequence[Known[Any]], over: Sequence[Night]
) -> tuple[Sweep | None, str]:
    """What to try numbers in; or None, and in words why there is nothing."""
    rule, text = chosen.rule, chosen.text
    if rule.kind == DRIFT:
        days = [one.record for one in known]
        limits = Limits.of(Drift.read(spec.drift or {}), question.limits, days)
        is_of_now = compared_now(spec)
        other = {day.label for day in days if day.columns and not is_of_now(day)}
        note = f"{len(other)} days were compared in another way than now: methods, columns or reference"
        return DriftSweep(known, spec, rule, limits, over), note if other else ""
    if rule.kind != FIGURES:
        return None, f"a rule on {rule.kind} has no threshold to try"
    try:
        template = Template.of(text)
    except UsageError as error:
        if has_place(text):
            raise
        return None, f"no other thresholds were tried: {error.what}; {error.next}"
    return FigureSweep(known, spec, rule, template, over), ""


def _columns(
    question: Question, spec: MonitorSpec, rule: Rule, known: Sequence[Known[Any]], good: Days
) -> tuple[ColumnSeen, ...]:
    if rule.kind != DRIFT:
        return ()
    drift = Drift.read(spec.drift or {})
    return columns_seen((one.record for one in known), drift, good, question.events)


def _unjudged(sweep: Sweep | None, known: Sequence[Known[Any]]) -> Iterator[str]:
    """What to say if there was nothing to judge."""
    if sweep is None or not sweep.is_empty:
        return
    rule = sweep.rule
    if rule.kind == DRIFT:
        yield "no day could be judged: none was compared and has its labels"
        return
    figures = (one for k in known for one in k.record.figures if one.slice == rule.slice)
    most = max((one.labelled for one in figures), default=0)
    of = f"of one {rule.slice} " if rule.slice else ""
    yield (
        f"no window could be judged: it takes {rule.min_labelled} labelled cases {of}(--min-labelled),"
        f" and there are {most} at most"
    )


def _started(rule: Rule) -> str:
    """What to say if the alarm is no mere observer."""
    if not rule.starts:
        return ""
    return f"each opening starts {rule.starts}: what that would have changed on another night is not in this"


def _blamed(question: Question, found: Backtest) -> Iterator[str]:
    """What to say if nobody told the good days, and an alarm that counts as false may be a sign of the event."""
    for met in found.detections if question.good is None else ():
        if met.early and any(one.opened.day == met.night and found.is_false(one) for one in found.episodes or ()):
            yield (
                f"the alarm of {met.night}, still open on {met.event}, counts as false: if it was about the same,"
                " name the day on which that began as --event"
            )


def _nights(
    question: Question, spec: MonitorSpec, known: Sequence[Known[Any]], evaluated: Sequence[float]
) -> list[Night]:
    zone = zone_of(spec.timezone)
    told = [one.since for one in known if _says_something(one.record)]
    if not told:
        raise UsageError(
            f"no window of {spec.name} could be judged yet: none has labels",
            next="trikk watch --once evaluates what has come in",
        )
    ends = (datetime.fromtimestamp(at, zone).date() for at in (min(told), max(told)))
    first, last = (asked or end for asked, end in zip((question.first, question.last), ends, strict=True))
    if last < first:
        raise UsageError(f"the nights from {first} to {last} are none", next="give --from and --to in order")
    return nights(first, last, evaluated, zone)


def _says_something(record: WindowRecord | DriftRecord) -> bool:
    if isinstance(record, DriftRecord):
        return record.verdict in ("drift", "no drift")
    return record.whole.labelled > 0


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
