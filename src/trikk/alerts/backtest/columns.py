"""How large the effects of a monitor's columns were on good days, and on those of events. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from trikk.alerts.backtest.past import Days
from trikk.core.record import Record
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.day_drift.other_limits import MISSING, effects_of, is_measured


class OnEvent(Record, frozen=True):
    """The largest significant effect on the day of an event; None if there is none."""

    event: date
    largest: float | None


class ColumnSeen(Record, frozen=True):
    """How large a column's effects were, by one method."""

    column: str
    method: str  # the method, or "missing" for the share of missing values
    limit: float
    good_days: int  # on how many of the good days it was measured
    good_drifts: int  # on how many of them it drifts
    largest: float | None  # the largest significant effect on these days; None if none is
    largest_day: date | None  # that day; None likewise
    events: tuple[OnEvent, ...]  # the same of each event


def columns_seen(
    records: Iterable[DriftRecord], drift: Drift, good: Days, events: Sequence[date]
) -> tuple[ColumnSeen, ...]:
    """The columns, each day as it was when it was worst; first what comes nearest to its limit on good days."""
    sizes: dict[tuple[str, str], dict[date, float]] = defaultdict(dict)
    for record in records:
        day = date.fromisoformat(record.label)
        methods: dict[str, str] = {one.column: one.method or "" for one in record.columns if is_measured(one)}
        for column, method in methods.items():
            # Measured without an effect is 0, which is not the same as not measured.
            sizes[column, method].setdefault(day, 0.0)
        for effect in effects_of(record, drift):
            method = MISSING if effect.limit == MISSING else methods[effect.column]
            by_day = sizes[effect.column, method]
            by_day[day] = max(effect.size, by_day.get(day, 0.0))
    columns = [_seen(column, method, by_day, drift, good, events) for (column, method), by_day in sizes.items()]
    return tuple(sorted(columns, key=lambda c: (-(c.largest or 0.0) / (c.limit or 1.0), c.column, c.method)))


def _seen(
    column: str, method: str, sizes: dict[date, float], drift: Drift, good: Days, events: Sequence[date]
) -> ColumnSeen:
    limit = drift.missing if method == MISSING else drift.limit(column, method)[1]
    on_good_days = {day: size for day, size in sizes.items() if good.first <= day <= good.last}
    worst = max(on_good_days, key=lambda day: on_good_days[day], default=None)
    if worst is not None and not on_good_days[worst]:
        worst = None  # it was measured, and no effect was more than chance
    return ColumnSeen(
        column,
        method,
        limit,
        len(on_good_days),
        sum(size >= limit for size in on_good_days.values() if size),
        None if worst is None else on_good_days[worst],
        worst,
        tuple(OnEvent(event, sizes.get(event) or None) for event in events),
    )
