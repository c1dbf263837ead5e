"""The past as it was known then: which alarms a rule would have raised, night by night. Pure.

Rules and incidents are those of every day (`trikk.alerts.rules`, `lifecycle`); only what they look at is what was
known at a past moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from trikk.alerts.backtest.past import Known, Night, Past, PastDays
from trikk.alerts.incidents.decision import Change, Decision
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.incidents.lifecycle import decide
from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.alerts.rules.rule import Point, Reading
from trikk.core.values import JSON
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.day_drift.other_limits import judged_anew
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.ledger import Entry

_ROUNDS = 50  # decisions on one cause in one night, as in a look; two is what there should be at most


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident that would have been."""

    cause: str  # what it is about
    part: tuple[str, str] | None  # the slice as (column, value); None for all cases
    point: Point  # the window that opened it, as the rule saw it
    start: float  # that window's first moment, seconds since 1970
    end: float  # the moment after its last
    opened: Night  # the night on which it would have been opened
    resolved: Night | None  # the night on which it would have been resolved; None if it would be open still
    since: float  # since when it was bad, seconds since 1970
    why: str  # what opened it, in words
    why_resolved: str = ""  # what resolved it; "" if nothing did
    messages: int = 1  # how many messages people would have got

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
    """A monitor's past, ready to be read by a rule; days of drift are judged by the monitor's present limits."""
    if not isinstance(rule, DriftRule):
        return Past(spec.name, known)
    drift = Drift.read(spec.drift or {})
    return PastDays(spec.name, [replace(one, record=judged_anew(one.record, drift)) for one in known])


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

    Raises:
        UsageError: if the rule can't be replayed.
    """
    past = past_of(known, spec, rule)
    by_cause: dict[str, _Incidents] = defaultdict(_Incidents)
    for night in over:
        for reading in readings(past, spec, rule, night):
            if reading.points:
                newest = past.window(rule.kind_of_window(spec), reading.points[-1].mark)
                assert newest is not None
                by_cause[reading.cause].take(reading, newest, night)
    episodes = (episode for incidents in by_cause.values() for episode in incidents.episodes())
    return sorted(episodes, key=lambda e: (e.opened.moment, e.cause))


@dataclass(slots=True)
class _Kept:
    """An incident with what opened it, and the night on which it was resolved."""

    incident: Incident
    night: Night
    point: Point
    window: WindowRecord | DriftRecord
    resolved: Night | None = None


class _Incidents:
    """The incidents of one cause, kept as `book.Book` keeps them, but in memory and folded as they go on.

    A book reads an incident's entries again with each look: over a thousand nights, half a million of them.
    """

    def __init__(self) -> None:
        self._all: list[_Kept] = []
        self._seq = 0

    def take(self, reading: Reading, newest: WindowRecord | DriftRecord, night: Night) -> None:
        """Decide until there is nothing left to decide; `newest` is the window of the last point."""
        for _ in range(_ROUNDS):
            latest = self._all[-1].incident if self._all else None
            decision = decide(latest, reading, night.moment.timestamp())
            if decision is None:
                return
            if decision.kind is Change.OPENED:
                number = len(self._all) + 1
                incident = Incident(f"{reading.cause}-{number}", reading.cause, number)
                self._all.append(_Kept(incident, night, reading.points[-1], newest))
            self._apply(self._all[-1], decision, night)

    def _apply(self, kept: _Kept, decision: Decision, night: Night) -> None:
        self._seq += 1
        incident, at = kept.incident, night.moment.timestamp()
        subject = f"incident/{incident.id}"
        incident.apply(Entry(self._seq, subject, decision.kind, at, decision.recorded([]), decision.key))
        if incident.resolved is not None and kept.resolved is None:
            kept.resolved = night

    def episodes(self) -> Iterator[Episode]:
        """What became of them."""
        for kept in self._all:
            incident, window = kept.incident, kept.window
            yield Episode(
                cause=incident.cause,
                part=incident.part,
                point=kept.point,
                start=window.start.timestamp(),
                end=window.end.timestamp(),
                opened=kept.night,
                resolved=kept.resolved,
                since=incident.since,
                why=incident.opened_why,
                why_resolved=incident.resolved_why,
                messages=len(incident.told),
            )
