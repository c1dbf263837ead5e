"""What a monitor had found, as it was known at a moment of the past. Pure."""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from trikk.core.record import Record
from trikk.core.zones import day_start
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord, DriftRecords
from trikk.monitoring.day_drift.judgement import basis_of, definition_of
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec

LATE = timedelta(days=2)
"""How long after its labels were due a window may be evaluated first and still count as watched at the time."""

R = TypeVar("R", WindowRecord, DriftRecord)


class Days(Record, frozen=True):
    """A period of local days, both ends included."""

    first: date
    last: date

    def hold(self, start: float, end: float, zone: ZoneInfo) -> bool:
        """Whether the time between two moments (seconds since 1970, the end excluded) lies in it."""
        start_day, end_day = _days_of(start, end, zone)
        return self.first <= start_day and end_day <= self.last


@functools.lru_cache(maxsize=100_000)  # a sweep asks for the same windows with every threshold
def _days_of(start: float, end: float, zone: ZoneInfo) -> tuple[date, date]:
    """The local days of the first moment and of the last before the end."""
    last = datetime.fromtimestamp(end - 1e-6, zone)
    return datetime.fromtimestamp(start, zone).date(), last.date()


@dataclass(frozen=True, slots=True)
class Known(Generic[R]):
    """What was found of a window and since when it was known."""

    record: R  # the figures, or what drifts
    since: float  # from this moment on, seconds since 1970
    assumed: bool = False  # nobody watched then: it is taken to be known when its labels were due


@dataclass(frozen=True, slots=True)
class Night:
    """A moment at which the past is looked at: a local day's last evaluation, or its end if there was none."""

    day: date
    moment: datetime


def nights(first: date, last: date, evaluated: Iterable[float], zone: ZoneInfo) -> list[Night]:
    """The moments at which the past is looked at, one for each local day."""
    latest: dict[date, float] = {}  # what a look earlier in the day saw, the last one saw too
    for at in sorted(evaluated):
        latest[datetime.fromtimestamp(at, zone).date()] = at
    over = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day in latest:
            moment = datetime.fromtimestamp(latest[day], UTC)
        else:
            moment = day_start(day + timedelta(days=1), zone)
        over.append(Night(day, moment))
    return over


def known_of(records: Iterable[WindowRecord], spec: MonitorSpec) -> list[Known[WindowRecord]]:
    """When each of a monitor's records was known.

    A record is known from the time as of which it was made. A window whose first record was made more than `LATE`
    after its labels were due was not watched then: that one is taken to be known from when they were due.
    """
    return _known(records, lambda first: first.end + spec.label_delay)


def days_known(records: Iterable[DriftRecord], spec: MonitorSpec) -> list[Known[DriftRecord]]:
    """When each verdict on a day was known, as `known_of`; a day without labels is over when it ends.

    If a day was compared in the way that is declared now, what other ways have found of it is left out; other
    limits are no other way. So a new method is judged on all days that were compared anew by it.
    """
    is_of_now = compared_now(spec)
    by_day: dict[str, list[DriftRecord]] = defaultdict(list)
    for record in records:
        by_day[record.label].append(record)
    chosen: list[DriftRecord] = []
    for versions in by_day.values():
        chosen += [record for record in versions if is_of_now(record)] or versions

    def due(first: DriftRecord) -> datetime:
        waits = any(column.column in ("truth", "error") for column in first.columns)
        return first.end + spec.label_delay if waits else first.end

    return _known(chosen, due)


def compared_now(spec: MonitorSpec) -> Callable[[DriftRecord], bool]:
    """What tells whether a day was compared in the way that is declared now, if perhaps with other limits."""
    drift = Drift.read(spec.drift or {})
    basis, definition = basis_of(spec, drift), definition_of(spec, drift)
    return lambda record: record.basis == basis or record.definition in (definition, basis)


def _known(records: Iterable[R], due: Callable[[R], datetime]) -> list[Known[R]]:
    by_window: dict[tuple[str, str], list[R]] = defaultdict(list)
    for record in records:
        by_window[record.kind, record.label].append(record)
    known: list[Known[R]] = []
    for versions in by_window.values():
        versions.sort(key=lambda r: r.at)
        first = versions[0]
        was_due = due(first).timestamp()
        assumed = first.at > was_due + LATE.total_seconds()
        known.append(Known(first, was_due if assumed else first.at, assumed))
        # only the first can be a history that was loaded at once: what followed was known when it was found
        known.extend(Known(record, record.at) for record in versions[1:])
    return known


class _Versions(Generic[R]):
    """All that was known of windows, and what of it was known at the moment that `look` was given last."""

    def __init__(self, known: Iterable[Known[R]]) -> None:
        self._by_window: dict[tuple[str, str], list[Known[R]]] = defaultdict(list)
        for one in sorted(known, key=lambda k: k.since):
            self._by_window[one.record.kind, one.record.label].append(one)
        self._now = -math.inf

    def look(self, now: datetime) -> None:
        """Take another moment for the present."""
        self._now = now.timestamp()

    def window(self, kind: str, label: str) -> R | None:
        """A window as it was known then; None if it was not."""
        # The last that was known by then: they are in the order in which they became known.
        for one in reversed(self._by_window.get((kind, label), ())):
            if one.since <= self._now:
                return one.record
        return None


class Past(_Versions[WindowRecord], Records):
    """A monitor's windows as they were known at a moment, for rules, which ask `Records` for windows only."""

    def __init__(self, monitor: str, known: Iterable[Known[WindowRecord]]) -> None:
        super().__init__(known)
        self.monitor = monitor


class PastDays(_Versions[DriftRecord], DriftRecords):
    """What a monitor knew of drift at a moment, for rules, which ask `DriftRecords` for days only."""

    def __init__(self, monitor: str, known: Iterable[Known[DriftRecord]]) -> None:
        super().__init__(known)
        self.monitor = monitor
