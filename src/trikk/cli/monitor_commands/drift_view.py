"""What `trikk monitor NAME --drift` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.cli.printing import echo, number_text, print_json, style, table, when
from trikk.core.text import counted
from trikk.monitoring.day_drift.drift_records import DriftRecord

_COLORS = {"drift": "yellow", "no drift": "green"}


def print_days(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the last days' verdicts (`trikk.monitoring.drilldown.drift_days`)."""
    if as_json:
        print_json(document)
        return
    days = [DriftRecord.read(day) for day in document["windows"]]
    rows = [[day.label, _verdict(day.verdict), f"{day.rows:,}", day.headline] for day in days]
    table(["DAY", "VERDICT", "PREDICTED", "WHY"], rows, right=["PREDICTED"])


def print_day(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one day's columns and everything that was found of it."""
    if as_json:
        print_json(document)
    else:
        _day([DriftRecord.read(one) for one in document["past"]])


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
