"""The past as it was known then: which alarms a rule would have raised, night by night. Pure.

Rules and incidents are those of every day (`figures`, `lifecycle`); only the windows' figures are those that were
known at a past moment.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trikk.alerts.figures import of_figures, of_labels
from trikk.alerts.incident import OPENED, Incident
from trikk.alerts.lifecycle import Decision, decide
from trikk.alerts.reading import Point, Reading
from trikk.alerts.rule import FIGURES, LABELS, Rule
from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.records import Records, WindowRecord
from trikk.runs.ledger import Entry
from trikk.runs.memoryledger import MemoryLedger

LATE = timedelta(days=2)
"""How long after its labels were due a window may be evaluated first and still count as watched at the time."""

_READERS: dict[str, Callable[[Records, MonitorSpec, Rule, datetime], list[Reading]]] = {
    FIGURES: of_figures,
    LABELS: of_labels,
}
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Known:
    """A window's figures and since when they were known.

    Attributes:
        record: the figures.
        since: from this moment on, seconds since 1970.
        assumed: nobody watched then: it is taken to be known when its labels were due.
    """

    record: WindowRecord
    since: float
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Night:
    """A moment at which the past is looked at: a local day's last evaluation, or its end if there was none."""

    day: date
    moment: datetime


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident that would have been.

    Attributes:
        cause: what it is about.
        part: the slice as (column, value); None for all cases.
        point: the window that opened it.
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


def known_of(records: Iterable[WindowRecord], spec: MonitorSpec) -> list[Known]:
    """When each of a monitor's records was known.

    A record is known from the time as of which it was made. A window whose first record was made more than `LATE`
    after its labels were due was not watched then: that one is taken to be known from when they were due.

    Args:
        records: everything that windows' figures have been, in any order.
        spec: the monitor.
    """
    by_window: dict[tuple[str, str], list[WindowRecord]] = defaultdict(list)
    for record in records:
        by_window[record.kind, record.label].append(record)
    found = []
    for past in by_window.values():
        first, *later = sorted(past, key=lambda r: r.at)
        due = (first.end + spec.label_delay).timestamp()
        assumed = first.at > due + LATE.total_seconds()
        found.append(Known(first, due if assumed else first.at, assumed))
        found += [Known(record, record.at) for record in later]
    return found


class Past(Records):
    """A monitor's windows as they were known at a moment, for what reads `Records.window`.

    Args:
        monitor: the monitor's name.
        known: its records; nothing of them is known before `look`.
    """

    def __init__(self, monitor: str, known: Iterable[Known]) -> None:
        super().__init__(MemoryLedger(), monitor)
        self._versions: dict[tuple[str, str], list[Known]] = defaultdict(list)
        for one in sorted(known, key=lambda k: k.since):
            self._versions[one.record.kind, one.record.label].append(one)
        self._now = -math.inf

    def look(self, now: datetime) -> None:
        """Take another moment for the present."""
        self._now = now.timestamp()

    def window(self, kind: str, label: str) -> WindowRecord | None:
        """A window as it was known then; None if it was not."""
        for one in reversed(self._versions.get((kind, label), ())):
            if one.since <= self._now:
                return one.record
        return None


def nights(first: date, last: date, evaluated: Iterable[float], zone: ZoneInfo) -> list[Night]:
    """The moments at which the past is looked at, one for each local day.

    Args:
        first: the first day.
        last: the last, included.
        evaluated: the times as of which the monitor was evaluated, seconds since 1970.
        zone: whose days.
    """
    latest: dict[date, float] = {}
    for at in sorted(evaluated):
        latest[datetime.fromtimestamp(at, zone).date()] = at
    found = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day in latest:
            moment = datetime.fromtimestamp(latest[day], UTC)
        else:
            moment = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        found.append(Night(day, moment))
    return found


def readings(past: Past, spec: MonitorSpec, rule: Rule, night: Night) -> list[Reading]:
    """What a rule would have seen on a night.

    Raises:
        UsageError: if the rule is not about a monitor's windows.
    """
    if rule.kind not in _READERS:
        raise UsageError(
            f"rule {rule.name} ({rule.kind}) can't be replayed",
            next=f"rules on a monitor's windows can: {', '.join(_READERS)}",
        )
    past.look(night.moment)
    return _READERS[rule.kind](past, spec, rule, night.moment)


def replay(known: Iterable[Known], spec: MonitorSpec, rule: Rule, over: Sequence[Night]) -> list[Episode]:
    """Which incidents a rule would have opened, in the order of their opening.

    Args:
        known: the monitor's records.
        spec: the monitor.
        rule: the rule.
        over: the nights, in order.
    """
    past = Past(spec.name, known)
    files: dict[str, _File] = defaultdict(_File)
    for night in over:
        for reading in readings(past, spec, rule, night):
            files[reading.cause].take(reading, night)
    found = (episode for file in files.values() for episode in file.episodes())
    return sorted(found, key=lambda e: (e.opened.moment, e.cause))


class _File:
    """The incidents of one cause, kept as `book.Book` keeps them, but in memory."""

    def __init__(self) -> None:
        self.all: list[tuple[Incident, Night, Point]] = []
        self.resolved: dict[str, Night] = {}
        self._seq = 0

    def take(self, reading: Reading, night: Night) -> None:
        """Decide until there is nothing left to decide."""
        for _ in range(_ROUNDS):
            latest = self.all[-1][0] if self.all else None
            decision = decide(latest, reading, night.moment.timestamp())
            if decision is None:
                return
            if decision.kind == OPENED:
                number = len(self.all) + 1
                latest = Incident(f"{reading.cause}-{number}", reading.cause, number)
                self.all.append((latest, night, reading.points[-1]))
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
                incident.cause,
                incident.part,
                point,
                night,
                self.resolved.get(incident.id),
                incident.since,
                incident.opened_why,
                incident.resolved_why,
                len(incident.told),
            )
            for incident, night, point in self.all
        ]
