"""A monitor's days of drift, made up of one effect for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from tests.alerts.backtest_past import SPEC, day, evening, midnight

from trikk.alerts.rules.drift import DriftRule
from trikk.alerts.rules.kinds import checked
from trikk.drift import ColumnDrift
from trikk.drift.drift_verdict import Facts, Limits, decide
from trikk.drift.measures.methods import Measured
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.day_drift.judgement import basis_of, concluded, definition_of
from trikk.monitoring.monitor_definition import MonitorSpec


def declared(drift: Drift | None = None) -> MonitorSpec:
    return replace(SPEC, drift=(drift or Drift()).to_json())


def column(
    name: str,
    effect: float | None,
    drift: Drift,
    *,
    p_value: float = 0.0,
    missing: float = 0.0,
    missing_p: float | None = None,
    method: Any = "",
) -> ColumnDrift:
    """What `trikk.drift.column_comparison` would find; no effect: too few values."""
    method = method or ("ks" if name == "error" else "wasserstein")
    measured = None if effect is None else Measured(method, effect, effect, p_value, 0.0, "mean 1 -> 2; new: a")
    values = 10 if effect is None else 400
    facts = Facts(name, None, measured, values, values, 0.0, missing, missing_p)
    limits = Limits(drift.limit(name, method)[1], drift.missing, drift.alpha, drift.minimum)
    return decide(facts, None if effect is None else p_value, missing_p, limits)


def compared(
    number: int,
    columns: Mapping[str, float | None] | Sequence[ColumnDrift],
    at: float,
    *,
    settled: bool = True,
    drift: Drift | None = None,
    **more: Any,
) -> DriftRecord:
    drift = drift or Drift()
    spec = declared(drift)
    if isinstance(columns, Mapping):
        columns = [column(name, effect, drift) for name, effect in columns.items()]
    verdict, headline = concluded(columns)
    given: dict[str, Any] = {"definition": definition_of(spec, drift), "basis": basis_of(spec, drift), **more}
    return DriftRecord(
        monitor="people",
        kind="day",
        label=day(number).isoformat(),
        start=midnight(number),
        end=midnight(number + 1),
        verdict=verdict,
        headline=headline,
        columns=tuple(columns),
        rows=400,
        settled=settled,
        at=at,
        **given,
    )


def watched_days(effects: Sequence[tuple[float, float]], drift: Drift | None = None) -> list[DriftRecord]:
    """Each day's predictions compared on the evening before, its truths on the evening after."""
    found = []
    for number, (prediction, truth) in enumerate(effects):
        before = {"prediction": prediction, "truth": None}
        found += [
            compared(number, before, evening(number - 1), settled=False, drift=drift),
            compared(number, {"prediction": prediction, "truth": truth}, evening(number + 1), drift=drift),
        ]
    return found


def drift_rule(**more: Any) -> DriftRule:
    made = checked({"name": "drift", "kind": "drift", "monitor": "people", **more})
    assert isinstance(made, DriftRule)
    return made
