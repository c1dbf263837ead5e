"""Drift: each day's verdict. It says that something is different, not that predictions are worse."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from trikk.alerts.rules.monitor_rule import MonitorRule
from trikk.alerts.rules.rule import Kind, Point, Reading, Severity
from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.monitoring.cases.windows import WindowKind, window_named
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    from trikk.monitoring.day_drift.drift_records import DriftRecord, DriftRecords
    from trikk.monitoring.figures.records import Records

_UNIT = "limits"  # an earlier build counted columns
_CRISIS = 0.1
"""The share of a reference's days from which on it has slid into a drift."""


class DriftRule(MonitorRule, frozen=True, kw_only=True):
    """Bad is a day of which a column drifts, good one of which none does; other days are left out."""

    kind: ClassVar[Kind] = Kind.DRIFT
    # one day's rows are a sample, and its distance varies by more than a tenth by chance
    clearly_worse: ClassVar[float] = 1.5
    severity: Severity = Severity.INFO

    def kind_of_window(self, spec: MonitorSpec) -> str:  # noqa: ARG002 - whatever windows the monitor makes
        """Drift is of days."""
        return WindowKind.DAY

    def judge(self, records: Records, spec: MonitorSpec, now: datetime) -> list[Reading]:
        """A reading of a monitor's days; UsageError if it declares no drift."""
        from trikk.monitoring.day_drift.drift_records import DriftRecords

        return self.judge_days(DriftRecords(records.ledger, spec.name), spec, now)

    def judge_days(self, days: DriftRecords, spec: MonitorSpec, now: datetime) -> list[Reading]:
        """A reading of days; UsageError if the monitor declares no drift."""
        from trikk.monitoring.day_drift.drift_records import drift_observations

        if spec.drift is None:
            raise UsageError(f"monitor {spec.name} declares no drift", next="give it drift=Drift()")
        observed = drift_observations(days, spec, now, most=self.least)
        points = [_point(day) for day in observed]
        # Only of a good day: on a bad one nobody takes silence for an end.
        if observed and not points[-1].bad:
            points[-1] = _with_crisis(points[-1], observed[-1], days, spec)
        return [Reading(self, spec.name, f"{spec.name}: values drift", tuple(points))]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """The day's drift."""
        return [] if point is None else [f"{self._monitor_command(subject)} --drift --window {point.mark}"]


def _point(day: DriftRecord) -> Point:
    from trikk.drift import Verdict

    facts: dict[str, JSON] = {"window": day.label, "verdict": day.headline}
    facts |= {column.column: column.reason for column in day.drifted}
    return Point(
        mark=day.label,
        start=min(day.start.timestamp(), day.at),
        at=day.end.timestamp(),
        bad=day.verdict == Verdict.DRIFT,
        text=f"day {day.label}: {day.verdict}: {day.headline}",
        badness=max((column.size for column in day.drifted), default=0.0),
        facts=facts,
        unit=_UNIT,
    )


def _with_crisis(point: Point, day: DriftRecord, days: DriftRecords, spec: MonitorSpec) -> Point:
    """A good day; if its reference has slid into days that drifted, that is said, with one that does not slide."""
    from trikk.drift import SlidingWindow, Verdict
    from trikk.monitoring.day_drift.reference_days import compared_with

    reference, zone = Drift.read(spec.drift or {}).matched, zone_of(spec.timezone)
    if not isinstance(reference, SlidingWindow):
        return point
    window = window_named(WindowKind.DAY, day.label, zone)
    every, mine = (
        compared_with(one, window, zone, None, same_weekday=False).days
        for one in (changed(reference, matching=None), reference)
    )
    known = {
        label: record.verdict for label in every if (record := days.window(WindowKind.DAY, label)) is not None
    }
    compared = [known[label] for label in mine if label in known]
    drifted = compared.count(Verdict.DRIFT)
    if not drifted or drifted < _CRISIS * len(compared):
        return point
    said = f"{drifted} of the {len(compared)} days that it is compared with drifted themselves"
    # The fixed reference ends where the first drift began, so that it holds none of it.
    until = date.fromisoformat(next(label for label, verdict in known.items() if verdict == Verdict.DRIFT))
    since = until - timedelta(days=reference.days)
    start, end = (f"datetime({d.year}, {d.month}, {d.day})" for d in (since, until))
    facts: dict[str, JSON] = {
        "its reference": f"{said}: it has slid into the change, which may go on",
        "one that does not slide": f"Drift(reference=FixedWindow({start}, {end}))",
    }
    return replace(point, text=f"{point.text}; {said}", facts={**point.facts, **facts})
