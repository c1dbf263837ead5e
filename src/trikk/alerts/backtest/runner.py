"""Backtest a project's monitor: what it had found, the rule, its replay, other thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from trikk.alerts.backtest.answer import Backtest, notes_on
from trikk.alerts.backtest.columns import ColumnSeen, columns_seen
from trikk.alerts.backtest.drift_sweep import DriftSweep, Limits
from trikk.alerts.backtest.figure_sweep import FigureSweep
from trikk.alerts.backtest.night_replay import replay
from trikk.alerts.backtest.outcomes import Outcome, candidates, detection, outcome
from trikk.alerts.backtest.past import Days, Known, Night, compared_now, days_known, known_of, nights
from trikk.alerts.backtest.question import Chosen, Question, choose
from trikk.alerts.backtest.suggestion import Suggestion, suggest
from trikk.alerts.backtest.sweep import Sweep
from trikk.alerts.backtest.template import Template, has_place
from trikk.alerts.config import alert_settings
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.alerts.rules.rule_condition import Source
from trikk.alerts.rules.sources import rules_of
from trikk.core.errors import UsageError
from trikk.core.zones import zone_of
from trikk.drift import Verdict
from trikk.execution.project import Project
from trikk.monitoring.cases.windows import WindowKind
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord, DriftRecords
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec

_MOST_NIGHTS = 3000  # beyond what is known: each is looked at anew


def backtest(project: Project, question: Question) -> Backtest:
    """Answer a question from a project's ledger.

    Raises:
        UnknownName: if there is no such monitor, alarm or limit.
        UsageError: if the rule or the period can't be replayed.
    """
    spec = Records(project.journal, question.monitor).spec()
    rules = rules_of(project, alert_settings(project.settings).rules)
    chosen = choose(
        question, spec, [r for r in rules if isinstance(r, MonitorRule) and r.monitor in ("", spec.name)]
    )
    prefix = f"monitor/{spec.name}"
    evaluated = [entry.at for entry in project.journal.entries(f"{prefix}/cursor")]
    if isinstance(chosen.rule, DriftRule):
        days = days_known(DriftRecords(project.journal, spec.name).history(WindowKind.DAY), spec)
        return answer(question, spec, chosen, days, evaluated)
    entries = project.journal.history(f"{prefix}/window/{chosen.rule.kind_of_window(spec)}/")
    windows = known_of((WindowRecord.read(entry.body) for entry in entries), spec)
    return answer(question, spec, chosen, windows, evaluated)


def answer(
    question: Question, spec: MonitorSpec, chosen: Chosen, known: Sequence[Known[Any]], evaluated: Sequence[float]
) -> Backtest:
    """Answer a question from records; pure.

    Raises:
        UsageError: if the rule or the period can't be replayed.
    """
    over = _nights(question, spec, chosen.rule, known, evaluated)
    # what became known after the last night must not change what is said of those before: not even by its figures
    # being among the numbers that are tried
    known = [one for one in known if one.since <= over[-1].moment.timestamp()]
    good = _good(question, over)
    sweep, note = _sweep(question, spec, chosen, known, over)
    trial = _Trial() if sweep is None else _try(question, sweep, good)
    rule, shown = chosen.rule, chosen.text or chosen.rule.kind
    # without a number (X, and none to suggest) there is no rule to replay
    # The rule is replayed with the number that it has, or, where X stands, with the suggested one.
    if sweep is not None and trial.number is not None:
        spec, rule = sweep.with_number(trial.number)
        shown = sweep.text(trial.number)
    episodes = tuple(replay(known, spec, rule, over)) if sweep is None or trial.number is not None else None
    zone = zone_of(spec.timezone)
    opened = [(one.opened, one.resolved, one.start, one.end) for one in episodes or ()]
    assumed = {one.record.label for one in known if one.assumed}
    backtested = Backtest(
        rule=rule,
        shown=shown,
        template="" if sweep is None else sweep.template,
        held=None if sweep is None else sweep.number,
        origin=chosen.origin,
        over=tuple(over),
        good=good,
        recorded=len({one.record.label for one in known} - assumed),
        assumed=len(assumed),
        episodes=episodes,
        detections=() if episodes is None else tuple(detection(opened, day, zone) for day in question.events),
        outcomes=trial.outcomes,
        columns=_columns(question, spec, rule, known, good),
        suggestion=trial.suggestion,
        write=trial.write,
        accepted=question.accepted,
        timezone=spec.timezone,
        notes=(note,) if note else (),
    )
    return replace(backtested, notes=(*notes_on(question, backtested, sweep, known), *backtested.notes))


@dataclass(frozen=True, slots=True)
class _Trial:
    """What came of trying numbers: the outcomes, the suggestion, how to write it, and the number to replay."""

    outcomes: tuple[Outcome, ...] = ()
    suggestion: Suggestion | None = None
    write: str = ""
    number: float | None = None


def _try(question: Question, sweep: Sweep, good: Days) -> _Trial:
    numbers = candidates(sweep, good)
    outcomes = tuple(outcome(sweep, x, good, question.events, question.accepted) for x in numbers)
    suggestion = suggest(outcomes, question.accepted, sweep.rule)
    number = suggestion.threshold
    write = "" if number is None else sweep.written(number)
    return _Trial(outcomes, suggestion, write, number if sweep.number is None else sweep.number)


def _sweep(
    question: Question, spec: MonitorSpec, chosen: Chosen, known: Sequence[Known[Any]], over: Sequence[Night]
) -> tuple[Sweep | None, str]:
    """What to try numbers in; or None, and in words why there is nothing."""
    rule, text = chosen.rule, chosen.text
    if isinstance(rule, DriftRule):
        days = [one.record for one in known]
        limits = Limits.of(Drift.read(spec.drift or {}), question.limits, days)
        is_of_now = compared_now(spec)
        otherwise = {day.label for day in days if day.columns and not is_of_now(day)}
        note = f"{len(otherwise)} days were compared in another way than now: methods, columns or reference"
        return DriftSweep(known, spec, rule, limits, over), note if otherwise else ""
    if not isinstance(rule, FigureRule):
        return None, f"a rule on {rule.kind} has no threshold to try"
    try:
        template = Template.of(text)
    except UsageError as error:
        if has_place(text):
            raise  # a number was asked for; a rule as it stands can be replayed without one
        return None, f"no other thresholds were tried: {error.what}; {error.next}"
    return FigureSweep(known, spec, rule, template, over), ""


def _columns(
    question: Question, spec: MonitorSpec, rule: MonitorRule, known: Sequence[Known[Any]], good: Days
) -> tuple[ColumnSeen, ...]:
    if not isinstance(rule, DriftRule):
        return ()
    drift = Drift.read(spec.drift or {})
    return columns_seen((one.record for one in known), drift, good, question.events)


def _nights(
    question: Question,
    spec: MonitorSpec,
    rule: MonitorRule,
    known: Sequence[Known[Any]],
    evaluated: Sequence[float],
) -> list[Night]:
    zone = zone_of(spec.timezone)
    moments = [one.since for one in known if _says_something(one.record, rule)]
    if not moments:
        raise UsageError(
            f"no window of {spec.name} could be judged yet: none has labels",
            next="trikk watch --once evaluates what has come in",
        )
    earliest, latest = (datetime.fromtimestamp(at, zone).date() for at in (min(moments), max(moments)))
    first, last = question.first or earliest, question.last or latest
    if last < first:
        raise UsageError(f"the nights from {first} to {last} are none", next="give --from and --to in order")
    if (last - first).days > max(_MOST_NIGHTS, (latest - earliest).days):
        raise UsageError(
            f"there are more than {_MOST_NIGHTS:,} nights from {first} to {last}",
            next=f"windows became known from {earliest} to {latest}: give days near these",
        )
    return nights(first, last, evaluated, zone)


def _says_something(record: WindowRecord | DriftRecord, rule: MonitorRule) -> bool:
    if isinstance(record, DriftRecord):
        return record.verdict in (Verdict.DRIFT, Verdict.NO_DRIFT)
    foretells = isinstance(rule, FigureRule) and any(n.kind == Source.ESTIMATED for n in rule.condition.names())
    return record.whole.labelled > 0 or (foretells and bool(record.whole.estimated))


def _good(question: Question, over: Sequence[Night]) -> Days:
    """The days that are known to be good; those before the events, or all, if nobody has told them."""
    if question.good is not None:
        return question.good
    earliest = over[0].day - timedelta(days=31)  # windows that the first night shows
    return Days(earliest, min(question.events) - timedelta(days=1) if question.events else over[-1].day)
