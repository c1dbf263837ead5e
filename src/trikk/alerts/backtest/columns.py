"""How large the effects of a monitor's columns were on good days, and on those of events. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from trikk.alerts.backtest.threshold_sweep import Days
from trikk.core.values import JSON
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.day_drift.other_limits import MISSING, effects_of, is_measured


@dataclass(frozen=True, slots=True)
class ColumnSeen:
    """How large a column's effects were, by one method.

    Attributes:
        column: the column.
        method: the method, or "missing" for the share of missing values.
        limit: its limit.
        good_days: on how many of the good days it was measured.
        good_drifts: on how many of them it drifts.
        largest: the largest significant effect on these days; None if none is.
        largest_day: that day; None likewise.
        events: of each event, its day and the largest significant effect on it; None where there is none.
    """

    column: str
    method: str
    limit: float
    good_days: int
    good_drifts: int
    largest: float | None
    largest_day: date | None
    events: tuple[tuple[date, float | None], ...]

    def to_json(self) -> dict[str, JSON]:
        """The column as JSON."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        found["largest_day"] = self.largest_day.isoformat() if self.largest_day else None
        return found | {"events": [{"event": day.isoformat(), "largest": size} for day, size in self.events]}


def columns_seen(
    records: Iterable[DriftRecord], drift: Drift, good: Days, events: Sequence[date]
) -> tuple[ColumnSeen, ...]:
    """The columns, each day as it was when it was worst; first what comes nearest to its limit on good days.

    Args:
        records: everything that was found of days.
        drift: what has the limits.
        good: the days known to be good.
        events: days of events.
    """
    sizes: dict[tuple[str, str], dict[date, float]] = defaultdict(dict)
    for record in records:
        day = date.fromisoformat(record.label)
        methods: dict[str, str] = {one.column: one.method or "" for one in record.columns if is_measured(one)}
        for column, method in methods.items():
            sizes[column, method].setdefault(day, 0.0)
        for effect in effects_of(record, drift):
            method = MISSING if effect.limit == MISSING else methods[effect.column]
            held = sizes[effect.column, method]
            held[day] = max(effect.size, held.get(day, 0.0))
    found = [_seen(column, method, of, drift, good, events) for (column, method), of in sizes.items()]
    return tuple(sorted(found, key=lambda c: (-(c.largest or 0.0) / (c.limit or 1.0), c.column, c.method)))


def _seen(
    column: str, method: str, sizes: dict[date, float], drift: Drift, good: Days, events: Sequence[date]
) -> ColumnSeen:
    limit = drift.missing if method == MISSING else drift.limit(column, method)[1]
    there = {day: size for day, size in sizes.items() if good.first <= day <= good.last}
    worst = max(there, key=lambda day: there[day], default=None)
    if worst is not None and not there[worst]:
        worst = None
    return ColumnSeen(
        column,
        method,
        limit,
        len(there),
        sum(size >= limit for size in there.values() if size),
        None if worst is None else there[worst],
        worst,
        tuple((event, sizes.get(event) or None) for event in events),
    )
