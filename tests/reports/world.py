"""A ledger as monitors, models and incidents leave it, made without their machinery, and reports over it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports import Report
from trikk.reports.collect import collect
from trikk.reports.page.page_content import Content
from trikk.runs.journals.ledger import Ledger
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.stores.memory_store import MemoryStore
from trikk.testing import ManualClock, run_inline
from trikk.testing.inline_run import InlineRun

SPEC = MonitorSpec(
    name="people",
    predictions="predictions",
    truth="counts",
    key=("sensor",),
    slot="slot",
    observed="count",
    delay=86400.0,
    metrics=("mae", "wape", "bias"),
    slices=("sensor", "hour"),
    windows=("day",),
    baseline="last_week",
    minimum=2,
)
DAY = timedelta(days=1)
SENSORS = ("north", "south")


def figures(column: str, value: str, cases: int, mae: float | None, predicted: int | None = None) -> Figures:
    """Figures of `cases` labelled cases; the truth's mean is 100, the baseline's error twice the prediction's."""
    metrics = {"mae": mae, "wape": None if mae is None else mae / 100, "bias": mae}
    double = {name: None if v is None else 2 * v for name, v in metrics.items()}
    return Figures(column, value, predicted or cases, cases, cases, metrics, double, metrics, cases)


def window(
    day: datetime, mae: dict[str, float | None], *, at: datetime, state: str = "final", **more: Any
) -> WindowRecord:
    """A day's record, its sensors with these errors over 24 cases each."""
    parts = [figures("sensor", s, 24 if mae[s] is not None else 0, mae[s], 24) for s in SENSORS]
    known = [f for f in parts if f.labelled]
    total = sum(f.labelled for f in known)
    whole = sum(f.labelled * (f.metrics["mae"] or 0) for f in known) / total if total else None
    hours = [figures("hour", "7", total, whole, 48)]
    return WindowRecord(
        monitor="people",
        kind="day",
        label=f"{day:%Y-%m-%d}",
        start=day,
        end=day + DAY,
        state=state,
        figures=(figures("", "", total, whole, 48), *parts, *hours),
        at=at.timestamp(),
        run="r",
        **more,
    )


def day(number: int, month: int = 3) -> datetime:
    return datetime(2020, month, number, tzinfo=UTC)


class World:
    """A ledger with February and most of March 2020: calm, then a jump; two days restated, the last ones open."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.ledger: Any = ledger or MemoryJournal()
        self.records = Records(self.ledger, "people")
        self.records.define(SPEC, day(1, 2).timestamp())
        self.store = MemoryStore()
        self.count = 0
        for number in range(1, 30):
            self.put(window(day(number, 2), {"north": 8.0, "south": 12.0}, at=day(number, 2) + 2 * DAY))
        for number in range(1, 29):
            jump = 20.0 if number >= 20 else 0.0
            errors: dict[str, float | None] = {"north": 10.0 + jump, "south": 14.0 + number % 3}
            state = "partial" if number == 28 else "final"
            if number == 28:
                errors["south"] = None
            self.put(window(day(number), errors, at=day(number) + 2 * DAY, state=state))
        self.put(window(day(29), {"north": None, "south": None}, at=day(30), state="pending"))
        self.put(
            window(day(5), {"north": 30.0, "south": 14.0}, at=day(31), why="values were corrected", restated=1)
        )

    def put(self, record: WindowRecord) -> None:
        self.count += 1
        self.records.put(record, identity=str(self.count))

    def incident(self, resolved: datetime | None = None) -> None:
        body: dict[str, Any] = {"title": "mae of people is high", "severity": "alarm", "why": "30 > 1.3 * 10"}
        self.ledger.add("incident/people.loss/1", "incident.opened", body, at=day(21).timestamp())
        if resolved is not None:
            self.ledger.add(
                "incident/people.loss/1", "incident.resolved", {"why": "good again"}, at=resolved.timestamp()
            )

    def told(
        self,
        report: Report,
        period: str | None = None,
        *,
        now: datetime | None = None,
        as_known_at: datetime | None = None,
        customer: str = "*",
    ) -> Content:
        """What is on a page, without a run."""
        context: Any = SimpleNamespace(
            journal=self.ledger,
            now=now or day(2, 4),
            time=lambda: (now or day(2, 4)).timestamp(),
            environment="main",
            root=Path("/nowhere/city"),
        )
        (found,) = collect(report.spec, context, period=period, customer=customer, as_known_at=as_known_at)
        return Content.read(found)

    def make(self, report: Report, *, now: datetime | None = None, **parameters: Any) -> InlineRun:
        clock = ManualClock((now or datetime(2020, 4, 2, tzinfo=UTC)).timestamp())
        return run_inline(report.pipeline, journal=self.ledger, store=self.store, clock=clock, **parameters)


def monthly(**options: Any) -> Report:
    given: dict[str, Any] = {
        "monitors": ["people"],
        "title": "People",
        "customer_slice": "sensor",
        "customers": {"acme": ["north"]},
        "recipients": {"*": ["team@city.example"], "acme": ["ops@acme.example"]},
    }
    return Report("monthly", **{**given, **options})


def files(run: InlineRun, place: int = 0) -> dict[str, bytes]:
    """The files of a page."""
    assert run.state == "succeeded", run.error
    folder: Path = run.output("render")[place]
    return {path.name: path.read_bytes() for path in folder.iterdir()}
