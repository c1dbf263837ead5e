"""A monitor's past, made up of one number for each day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.kinds import checked
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec

FIRST = date(2020, 3, 1)
SPEC = MonitorSpec(
    name="people",
    predictions="predictions",
    truth="counts",
    key=("sensor",),
    slot="slot",
    observed="count",
    metrics=("wape", "mae"),
    slices=("sensor",),
    delay=86400.0,
    baseline="naive",
    expected_error="expected",
)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def evening(number: int) -> float:
    """One minute before a day is over."""
    return (midnight(number + 1) - timedelta(minutes=1)).timestamp()


def midnight(number: int) -> datetime:
    return datetime(2020, 3, 1, tzinfo=UTC) + timedelta(days=number)


def figures(
    wape: float | None, *, labelled: int = 432, slice_: str = "", value: str = "", expected: float | None = None
) -> Figures:
    metrics = {"wape": wape, "mae": None if wape is None else wape * 100}
    baseline = {"wape": 0.2, "mae": 20.0}
    found = Figures(slice_, value, 432, labelled, labelled, metrics, baseline, dict(metrics), labelled)
    return replace(found, estimated={"mae": expected}, estimated_labelled={"mae": expected})


def record(number: int, wape: float | None, at: float, **more: Any) -> WindowRecord:
    parts = more.pop("parts", ())
    labelled, expected = more.pop("labelled", 432), more.pop("expected", None)
    return WindowRecord(
        monitor="people",
        kind="day",
        label=day(number).isoformat(),
        start=midnight(number),
        end=midnight(number + 1),
        state=more.pop("state", "final"),
        figures=(figures(wape, labelled=labelled, expected=expected), *parts),
        at=at,
        **more,
    )


def watched(wapes: Sequence[float | None]) -> list[WindowRecord]:
    """Each day's window, evaluated on its own evening and final on the next."""
    found = []
    for number, wape in enumerate(wapes):
        found += [
            record(number, wape, evening(number), state="partial"),
            record(number, wape, evening(number + 1)),
        ]
    return found


def rule(when: str, **more: Any) -> FigureRule:
    made = checked({"name": "backtest", "monitor": "people", "when": when, **more})
    assert isinstance(made, FigureRule)
    return made
