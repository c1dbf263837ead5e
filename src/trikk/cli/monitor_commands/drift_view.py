"""What `trikk monitor NAME --drift` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trikk.cli.printing import echo, number_text, print_json, style, table, when
from trikk.core.errors import UnknownName, UsageError
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.monitoring.cases.windows import WindowKind

if TYPE_CHECKING:
    from trikk.monitoring.day_drift.drift_records import DriftRecord
    from trikk.monitoring.monitor_definition import MonitorSpec

_COLORS = {"drift": "yellow", "no drift": "green"}


def show_drift(project: Project, spec: MonitorSpec, window: str | None, last: int, *, as_json: bool) -> None:
    """Show the last days' verdicts, or one day's columns and everything that was found of it.

    Args:
        project: the project.
        spec: the monitor.
        window: a day's label; None for the last days.
        last: how many days.
        as_json: print JSON.

    Raises:
        UsageError: if the monitor declares no drift.
        UnknownName: if the day was not compared.
    """
    from trikk.monitoring.day_drift.drift_records import DriftRecords

    records = DriftRecords(project.journal, spec.name)
    if window:
        past = records.past(WindowKind.DAY, window)
        if not past:
            known = [day.label for day in records.newest(spec, WindowKind.DAY, 30)]
            raise UnknownName("day", window, known, next=f"trikk monitor {spec.name} --drift")
        if as_json:
            print_json({**past[-1].to_json(), "past": [one.to_json() for one in past]})
        else:
            _day(past)
        return
    days = records.newest(spec, WindowKind.DAY, last)
    # What earlier builds of the project compared is shown though it declares no drift any more.
    if not days and spec.drift is None:
        raise UsageError(f"monitor {spec.name} declares no drift", next="give it drift=Drift()")
    if as_json:
        print_json({"monitor": spec.name, "drift": spec.drift, "windows": [day.to_json() for day in days]})
        return
    rows = [[day.label, _verdict(day.verdict), f"{day.rows:,}", day.headline] for day in days]
    table(["DAY", "VERDICT", "PREDICTED", "WHY"], rows, right=["PREDICTED"])


def _day(past: list[DriftRecord]) -> None:
    record = past[-1]
    echo(f"{record.monitor}, day {record.label}: ", _verdict(record.verdict), f": {record.headline}")
    if record.reference is not None:
        of: Any = record.reference
        echo(
            f"  compared with {counted(of['days'], 'day')} from {of['first']} to {of['last']}, "
            f"{counted(of['rows'], 'prediction')}"
        )
    for earlier in past:
        echo(f"  as of {when(earlier.at)}  {earlier.verdict:18} {earlier.why}".rstrip())
    heads = ["COLUMN", "VERDICT", "METHOD", "EFFECT", "LIMIT", "P", "THEN", "NOW", "WHY"]
    rows = [
        [
            one.column,
            _verdict(one.verdict),
            one.method or "-",
            number_text(one.effect, ".3g"),
            number_text(one.threshold, ".3g"),
            number_text(one.adjusted, ".3g"),
            f"{one.reference_rows:,}",
            f"{one.current_rows:,}",
            one.reason,
        ]
        for one in record.columns
    ]
    table(heads, rows, right=["EFFECT", "LIMIT", "P", "THEN", "NOW"])


def _verdict(verdict: str) -> str:
    return style(verdict, fg=_COLORS.get(verdict, "bright_black"))
