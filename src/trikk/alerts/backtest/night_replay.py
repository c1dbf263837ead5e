"""The past as it was known then: which alarms a rule would have raised, night by night. Pure.

Rules and incidents are those of every day (`figures`, `drifts`, `lifecycle`); only what they look at is what was
known at a past moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trikk.alerts.backtest.past import Known, Night, Past, PastDays
from trikk.alerts.incidents.incident import OPENED, Incident
from trikk.alerts.incidents.lifecycle import Decision, decide
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.alerts.rules.rule import Point, Reading
from trikk.core.values import JSON
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.ledger import Entry

_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident that would have been.

    Attributes:
        cause: what it is about.
        part: the slice as (column, value); None for all cases.
        point: the window that opened it, as the rule saw it.
        start: that window's first moment, seconds since 1970.
        end: the moment after its last.
        opened: the night on which it would have been opened.
        resolved: the night on which it would have been resolved; None if it would be open still.
        since: since when it was bad, seconds since 1970.
        why: what opened it, in words.
        why_resolved: what resolved it; "" if nothing did.
        messages: how many messages people would have got.
    """

    cause: str
    part: tuple[str, str] | None
    point: Point
    start: float
    end: float
    opened: Night
    resolved: Night | None
    since: float
    why: str
    why_resolved: str = ""
    messages: int = 1

    @property
    def days(self) -> float | None:
        """How long it was open, in days; None if it is."""
        return None if self.resolved is None else (self.resolved.moment - self.opened.moment) / timedelta(days=1)

    def to_json(self) -> dict[str, JSON]:
        """The incident as JSON."""
        part: Any = list(self.part) if self.part else None
        return {
            "cause": self.cause,
            "part": part,
            "point": self.point.to_json(),
            "opened": self.opened.moment.isoformat(),
            "night": self.opened.day.isoformat(),
            "resolved": self.resolved.moment.isoformat() if self.resolved else None,
            "resolved_night": self.resolved.day.isoformat() if self.resolved else None,
            "days": self.days,
            "since": datetime.fromtimestamp(self.since, UTC).isoformat(),
            "why": self.why,
            "why_resolved": self.why_resolved,
            "messages": self.messages,
        }


def past_of(known: Iterable[Known[Any]], spec: MonitorSpec, rule: MonitorRule) -> Past | PastDays:
    """A monitor's past, ready to be read by a rule."""
    return PastDays(spec, known) if isinstance(rule, DriftRule) else Past(spec.name, known)


def readings(past: Past | PastDays, spec: MonitorSpec, rule: MonitorRule, night: Night) -> list[Reading]:
    """What a rule would have seen on a night."""
    past.look(night.moment)
    if isinstance(past, PastDays):
        assert isinstance(rule, DriftRule)
        return rule.judge_days(past, spec, night.moment)
    return rule.judge(past, spec, night.moment)


def replay(
    known: Iterable[Known[Any]], spec: MonitorSpec, rule: MonitorRule, over: Sequence[Night]
) -> list[Episode]:
    """Which incidents a rule would have opened, in the order of their opening.

    Args:
        known: the monitor's records: of windows, or of days for a rule on drift.
        spec: the monitor; its drift has the limits.
        rule: the rule.
        over: the nights, in order.

    Raises:
        UsageError: if the rule can't be replayed.
    """
    past = past_of(known, spec, rule)
    kind = rule.kind_of_window(spec)
    files: dict[str, _File] = defaultdict(_File)
    for night in over:
        for reading in readings(past, spec, rule, night):
            if not reading.points:
                continue
            newest = past.window(kind, reading.points[-1].mark)
            assert newest is not None
            files[reading.cause].take(reading, newest, night)
    found = (episode for file in files.values() for episode in file.episodes())
    return sorted(found, key=lambda e: (e.opened.moment, e.cause))


class _File:
    """The incidents of one cause, kept as `book.Book` keeps them, but in memory."""

    def __init__(self) -> None:
        self.all: list[tuple[Incident, Night, Point, WindowRecord | DriftRecord]] = []
        self.resolved: dict[str, Night] = {}
        self._seq = 0

    def take(self, reading: Reading, newest: WindowRecord | DriftRecord, night: Night) -> None:
        """Decide until there is nothing left to decide; `newest` is the window of the last point."""
        for _ in range(_ROUNDS):
            latest = self.all[-1][0] if self.all else None
            decision = decide(latest, reading, night.moment.timestamp())
            if decision is None:
                return
            if decision.kind == OPENED:
                number = len(self.all) + 1
                latest = Incident(f"{reading.cause}-{number}", reading.cause, number)
                self.all.append((latest, night, reading.points[-1], newest))
            if latest is None:
                return
            self._apply(latest, decision, night)

    def _apply(self, incident: Incident, decision: Decision, night: Night) -> None:
        self._seq += 1
        body: dict[str, JSON] = {**decision.body, "why": decision.why, **({"tell": []} if decision.tell else {})}
        at = night.moment.timestamp()
        incident.apply(Entry(self._seq, f"incident/{incident.id}", decision.kind, at, body, decision.key))
        if incident.resolved is not None:
            self.resolved.setdefault(incident.id, night)

    def episodes(self) -> list[Episode]:
        """What became of them."""
        return [
            Episode(
                cause=incident.cause,
                part=incident.part,
                point=point,
                start=window.start.timestamp(),
                end=window.end.timestamp(),
                opened=night,
                resolved=self.resolved.get(incident.id),
                since=incident.since,
                why=incident.opened_why,
                why_resolved=incident.resolved_why,
                messages=len(incident.told),
            )
            for incident, night, point, window in self.all
        ]
