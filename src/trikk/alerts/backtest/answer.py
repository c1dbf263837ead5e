"""What the past answers to a question, and what to know about that beside the numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trikk.alerts.backtest.bounds import Accepted
from trikk.alerts.backtest.columns import ColumnSeen
from trikk.alerts.backtest.night_replay import Episode
from trikk.alerts.backtest.outcomes import Detection, Outcome
from trikk.alerts.backtest.past import Days, Known, Night
from trikk.alerts.backtest.question import Question
from trikk.alerts.backtest.suggestion import Suggestion
from trikk.alerts.backtest.sweep import Sweep
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.core.values import JSON
from trikk.core.zones import zone_of


@dataclass(frozen=True, slots=True)
class Backtest:
    """What the past answers."""

    rule: MonitorRule  # the rule, with the number that was given or is suggested
    shown: str  # what was replayed, in words: the condition, the limits, or the kind; with X if there is no number
    template: str  # what the numbers were tried in, with X; "" if none were
    held: float | None  # the number that the rule has in the place of X; None if it has none
    origin: str  # where the rule comes from, in words
    over: tuple[Night, ...]  # the nights
    good: Days  # the days taken for good
    recorded: int  # windows of which it is known when they were evaluated
    assumed: int  # windows that nobody watched then: taken to be known when their labels were due
    episodes: tuple[Episode, ...] | None  # the incidents with the rule's number; None if there is no number
    detections: tuple[Detection, ...]  # how these met the events
    outcomes: tuple[Outcome, ...]  # what each threshold would have done, the one that alarms most first
    columns: tuple[ColumnSeen, ...]  # of a rule on drift, how large each column's effects were
    suggestion: Suggestion | None  # the threshold to take; None if none was looked for
    write: str  # what to write in Python for it; "" if none is suggested
    accepted: Accepted  # how many false alarms are accepted
    timezone: str  # whose days
    notes: tuple[str, ...] = ()  # what else to know, in sentences

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
            "now": self.held,
            "chosen": self.origin,
            "nights": {**Days(self.over[0].day, self.over[-1].day).to_json(), "count": len(self.over)},
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


def notes_on(
    question: Question, answer: Backtest, sweep: Sweep | None, known: Sequence[Known[Any]]
) -> Iterator[str]:
    """What to know about an answer."""
    if question.good is None:
        yield _good_days(question, answer)
        yield from _blamed(answer)
    if sweep is not None and sweep.is_empty:
        yield _unjudged(sweep, known)
    if answer.rule.starts:
        yield f"each opening starts {answer.rule.starts}: what that would have changed is not in this"


def _good_days(question: Question, answer: Backtest) -> str:
    if question.events:
        return f"days up to {answer.good.last} are taken for good: --known-ok FROM:TO tells better"
    return "all days are taken for good, so that every alarm counts as false: --known-ok FROM:TO tells better"


def _blamed(answer: Backtest) -> Iterator[str]:
    """What to say of an alarm that counts as false and may have been a sign of the event."""
    for met in answer.detections:
        openings = (one for one in answer.episodes or () if one.opened.day == met.night)
        if met.early and any(map(answer.is_false, openings)):
            yield (
                f"the alarm of {met.night}, still open on {met.event}, counts as false: if it was about the same,"
                " name the day on which that began as --event"
            )


def _unjudged(sweep: Sweep, known: Sequence[Known[Any]]) -> str:
    rule = sweep.rule
    if isinstance(rule, DriftRule):
        return "no day could be judged: none was compared and has its labels"
    figures = (one for k in known for one in k.record.figures if one.slice == rule.slice)
    most = max((one.labelled for one in figures), default=0)
    each = f"of one {rule.slice} " if rule.slice else ""
    needed = f"it takes {rule.min_labelled} labelled cases {each}(--min-labelled)"
    return f"no window could be judged: {needed}, and there are {most} at most"
