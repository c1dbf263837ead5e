"""How a monitor's days differ from earlier ones, as commands and the server show it."""

from __future__ import annotations

from typing import Any

from trikk.core.errors import UnknownName, UsageError
from trikk.monitoring.cases.windows import WindowKind
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.ledger import Ledger

_NAMED = 30  # days, for whoever names one that there is not


def drift_document(ledger: Ledger, spec: MonitorSpec, last: int) -> dict[str, Any]:
    """The last days' verdicts, with what was found of each column.

    Raises:
        UsageError: if the monitor declares no drift.
    """
    days = DriftRecords(ledger, spec.name).newest(spec, WindowKind.DAY, last)
    # What earlier builds of the project compared is shown though it declares no drift any more.
    if not days and spec.drift is None:
        raise UsageError(f"monitor {spec.name} declares no drift", next="give it drift=Drift()")
    return {"monitor": spec.name, "drift": spec.drift, "windows": [day.to_json() for day in days]}


def drift_of_day(ledger: Ledger, spec: MonitorSpec, day: str) -> dict[str, Any]:
    """What was found of one day, and each time that it was compared.

    Raises:
        UnknownName: if it was not compared.
    """
    records = DriftRecords(ledger, spec.name)
    past = records.past(WindowKind.DAY, day)
    if not past:
        known = [one.label for one in records.newest(spec, WindowKind.DAY, _NAMED)]
        raise UnknownName("day", day, known, next=f"trikk monitor {spec.name} --drift")
    return {**past[-1].to_json(), "past": [one.to_json() for one in past]}
