"""Readings of drift: each day's verdict. It says that something is different, not that predictions are worse."""

from __future__ import annotations

from datetime import datetime

from trikk.alerts.reading import Point, Reading
from trikk.alerts.rule import Rule
from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.drift_records import DriftRecord, DriftRecords, drift_observations
from trikk.monitoring.records import Records


def of_drift(records: Records, spec: MonitorSpec, rule: Rule, now: datetime) -> list[Reading]:
    """A reading of a monitor's days.

    Raises:
        UsageError: if the monitor declares no drift.
    """
    return of_days(DriftRecords(records.ledger, spec.name), spec, rule, now)


def of_days(days: DriftRecords, spec: MonitorSpec, rule: Rule, now: datetime) -> list[Reading]:
    """Bad for a day of which a column drifts, good for one of which none does; other days are left out.

    Raises:
        UsageError: if the monitor declares no drift.
    """
    if spec.drift is None:
        raise UsageError(f"monitor {spec.name} declares no drift", next="give it drift=Drift()")
    found = drift_observations(days, spec, now, most=max(14, 2 * rule.windows + 1))
    return [Reading(rule, spec.name, f"{spec.name}: values drift", tuple(_point(day) for day in found))]


def _point(day: DriftRecord) -> Point:
    facts: dict[str, JSON] = {"window": day.label, "verdict": day.headline}
    facts |= {column.column: column.reason for column in day.drifted}
    return Point(
        mark=day.label,
        start=min(day.start.timestamp(), day.at),
        at=day.end.timestamp(),
        bad=day.verdict == "drift",
        text=f"day {day.label}: {day.verdict}: {day.headline}",
        badness=float(len(day.drifted)),
        facts=facts,
    )
