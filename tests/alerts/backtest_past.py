"""A monitor's past, made up of one number for each day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trikk.alerts.backtest.night_replay import Episode
from trikk.alerts.backtest.outcomes import Detection, Outcome, detection
from trikk.alerts.backtest.past import Days, Night
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.kinds import checked
from trikk.monitoring.cases.windows import WindowState
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
        state=WindowState(more.pop("state", "final")),
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


Row = tuple[int, int, int, tuple[Detection, ...]]


def row(one: Outcome) -> Row:
    """What a row of the table says of incidents."""
    return one.alarms, one.alarm_nights, one.false_alarms, one.detections


def row_of(episodes: Sequence[Episode], over: Sequence[Night], good: Days, events: Sequence[date]) -> Row:
    """The same, counted from the incidents of the life-cycle itself."""
    zone = ZoneInfo("UTC")
    nights = {
        night.day
        for one in episodes
        for night in over
        if one.opened.moment <= night.moment and (one.resolved is None or night.moment < one.resolved.moment)
    }
    false_alarms = sum(good.hold(one.start, one.end, zone) for one in episodes)
    opened = [(one.opened, one.resolved, one.start, one.end) for one in episodes]
    return len(episodes), len(nights), false_alarms, tuple(detection(opened, event, zone) for event in events)
