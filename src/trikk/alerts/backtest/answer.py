"""What the past answers to a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trikk.alerts.backtest.bounds import Accepted
from trikk.alerts.backtest.columns import ColumnSeen
from trikk.alerts.backtest.night_replay import Episode
from trikk.alerts.backtest.past import Night
from trikk.alerts.backtest.suggestion import Suggestion
from trikk.alerts.backtest.table import Detection, Outcome
from trikk.alerts.backtest.threshold_sweep import Days
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.core.values import JSON
from trikk.monitoring.cases.windows import zone_of


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

    rule: MonitorRule
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
