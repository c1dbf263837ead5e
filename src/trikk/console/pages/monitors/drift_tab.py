"""What drifts: each day's columns against their limits, and of one of them the two distributions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from trikk.charts import Bin, Cell, HeatMap, Svg, distribution_chart, heat_map
from trikk.console.page_view import Sheet
from trikk.console.pages.monitors.monitor_choice import Choice, TabView
from trikk.core.errors import UnknownName
from trikk.drift import ColumnDrift, Verdict
from trikk.monitoring.cases.windows import WindowKind
from trikk.monitoring.day_drift.day_distributions import Distributions, distributions
from trikk.monitoring.day_drift.drift_records import DriftRecord, DriftRecords
from trikk.monitoring.drilldown.drift_days import drift_document, drift_of_day

_DAYS = 21
_COLUMNS = 24
_FIELDS = ("column", "verdict", "method", "effect", "threshold", "adjusted", "reference_rows", "current_rows")


def drift_tab(choice: Choice) -> TabView:
    """The last days' verdicts, one day's columns, and one column's distributions.

    Raises:
        UsageError: if the monitor declares no drift.
        UnknownName: if the day or the column was not compared.
    """
    spec, ledger = choice.spec, choice.records.ledger
    records = DriftRecords(ledger, spec.name)
    document: dict[str, Any] = drift_document(ledger, spec, _DAYS)
    days = records.newest(spec, WindowKind.DAY, _DAYS)
    if not days and choice.query.day is None:
        return TabView({"days": []}, {"days": [], "picture": "", "day": None})
    label = choice.query.day or _telling(days).label
    day = drift_of_day(ledger, spec, label)
    record = records.window(WindowKind.DAY, label)
    columns = sorted(record.columns if record else (), key=lambda one: -_size(one))
    column = choice.query.column or (columns[0].column if columns else "")
    if columns and column not in {one.column for one in columns}:
        raise UnknownName("column", column, [one.column for one in columns])
    both = distributions(records, spec, label, column) if column else Distributions()
    document = {"days": document["windows"], "day": day, "column": column}
    document |= {"shares": [share.to_json() for share in both.shares], "shares_unknown": both.why}
    context = {
        "days": days[::-1],
        "day": day,
        "columns": [one.to_json() for one in columns],
        "column": column,
        "picture": _heat(choice, days),
        "shares_picture": _shares(column, both, label) if both.shares else "",
        "shares_unknown": both.why,
    }
    rows = [[getattr(one, name) for name in _FIELDS] for one in columns]
    command = f"trikk monitor {spec.name} --drift"
    commands = [("Show the days:", command), ("Show this day:", f"{command} --window {label}")]
    return TabView(document, context, {"drift": lambda: Sheet(_FIELDS, rows)}, commands)


def _telling(days: list[DriftRecord]) -> DriftRecord:
    """The newest day of which something could be compared; the newest if there is none."""
    return next((day for day in reversed(days) if day.columns), days[-1])


def _size(one: ColumnDrift) -> float:
    """How large an effect is in units of its limit; 0 where it is not known."""
    if one.verdict == Verdict.DRIFT:
        return one.size
    return one.effect / one.threshold if one.effect is not None and one.threshold else 0.0


def _heat(choice: Choice, days: list[DriftRecord]) -> Svg:
    largest: dict[str, float] = {}
    for day in days:
        for one in day.columns:
            largest[one.column] = max(largest.get(one.column, 0.0), _size(one))
    names = sorted(largest, key=lambda name: -largest[name])[:_COLUMNS]
    cells = []
    for name in names:
        line = []
        for day in days:
            finding = day.of(name)
            if finding is None or finding.effect is None:
                why = "not compared" if finding is None else finding.reason
                line.append(Cell(None, title=f"{name}, {day.label}: {why}"))
                continue
            wanted = urlencode({"tab": "drift", "day": day.label, "column": name})
            title = f"{name}, {day.label}: {finding.verdict}; {finding.reason}"
            is_drift = finding.verdict == Verdict.DRIFT
            href = f"{choice.address}?{wanted}"
            size = _size(finding)
            line.append(
                Cell(size, f"{size:.1f}", "miss" if is_drift else "some", strong=is_drift, href=href, title=title)
            )
        cells.append(line)
    drifting = sum(day.verdict == Verdict.DRIFT for day in days)
    heat = HeatMap(
        f"drift of {choice.spec.name}: {drifting} of {len(days)} days drift",
        names,
        [day.label for day in days],
        cells,
        row_title="column",
        span=(0.0, 3.0),
    )
    return heat_map(heat, width=960)


def _shares(column: str, both: Distributions, label: str) -> Svg:
    bins = [Bin(one.name, one.reference, one.current) for one in both.shares]
    apart = max(both.shares, key=lambda one: abs(one.current - one.reference))
    words = f"most apart at {apart.name}, {apart.reference:.0%} before and {apart.current:.0%} that day"
    return distribution_chart(bins, f"values of {column}: {words}", names=("days before", label), width=720)
