"""How bad a drift is: told again when it has grown, not for noise, and told apart from a reference that slid."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from msgspec import structs

from trikk import Alarm, Drift, Monitor, Table
from trikk.alerts.delivery.message import message
from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.decision import Change
from trikk.alerts.incidents.incident import Incident
from trikk.alerts.incidents.lifecycle import decide
from trikk.alerts.rules import drift as drifts
from trikk.alerts.rules.kinds import read_rule
from trikk.drift import FixedWindow, SlidingWindow, compare
from trikk.monitoring.figures.records import Records
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.testing import MemoryTables, run_inline

START = datetime(2020, 3, 2, tzinfo=UTC)


def rows(day: int, name: str, shift: float) -> pl.DataFrame:
    """Rows of a day, drawn anew, about a mean of 0 with a deviation of 1."""
    draw = random.Random(f"{day} {name}")
    slots = [START + timedelta(days=day, minutes=5 * number) for number in range(150)]
    values = [draw.gauss(shift, 1.0) for _ in slots]
    return pl.DataFrame({"sensor": [str(slot) for slot in slots], "slot": slots, name: values})


class Days:
    """A monitor that is looked at after each day, and its incidents."""

    def __init__(self, drift: Drift) -> None:
        self.monitor = Monitor(
            "people",
            predictions=Table("predictions"),
            truth=Table("counts"),
            key="sensor",
            slot="slot",
            observed="count",
            drift=drift,
            alarms=[Alarm("drift", kind="drift", cooldown=3600)],
        )
        self.rule: Any = read_rule(self.monitor.spec.alarms[0])
        self.journal = MemoryJournal()
        self.tables = MemoryTables()
        self.days = 0

    def add(self, shift: float = 0.0) -> None:
        made = rows(self.days, "value", shift)
        came = made.select("sensor", "slot", count="value")
        for name, frame in (("predictions", made), ("counts", came)):
            self.tables.write(name, Write("append", frame), identity=f"{name}{self.days}", origin={})
        self.days += 1
        now = START + timedelta(days=self.days, hours=1)
        run = run_inline(self.monitor.pipeline, tables=self.tables, journal=self.journal, now=now)
        assert run.state == "succeeded", run.error
        book = Book(self.journal)
        (reading,) = self.rule.judge(Records(self.journal, "people"), self.monitor.spec, now)
        while (decision := decide(book.latest(reading.cause), reading, now.timestamp())) is not None:
            book.apply(book.latest(reading.cause), reading.cause, decision, at=now.timestamp(), channels=["team"])

    @property
    def incident(self) -> Incident:
        (found,) = Book(self.journal).all()
        return found

    def told(self) -> list[str]:
        return [told.kind for told in self.incident.told]


FIRST_WEEK = FixedWindow(START, START + timedelta(days=7))


@pytest.mark.parametrize("methods", [None, "ks", "psi", "wasserstein"])
def test_drift_that_becomes_ten_times_as_large_is_told_again_and_noise_is_not(methods: Any) -> None:
    days = Days(Drift(of=["predictions"], reference=FIRST_WEEK, same_weekday=False, methods=methods))
    for _ in range(7):
        days.add()
    days.add(shift=3.0)
    assert days.told() == [Change.OPENED]
    for _ in range(6):
        days.add(shift=3.0)  # drawn anew each day
    assert days.told() == [Change.OPENED]
    days.add(shift=30.0)
    assert days.told() == [Change.OPENED, Change.UPDATED]
    assert "worse than was told" in days.incident.told[-1].why


def test_an_incident_of_a_build_that_counted_columns_is_not_told_again_since_sizes_are_measured_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    days = Days(Drift(of=["predictions"], reference=FIRST_WEEK, same_weekday=False))
    for _ in range(7):
        days.add()
    measured = drifts._point
    with monkeypatch.context() as earlier:
        count = lambda day: structs.replace(measured(day), badness=float(len(day.drifted)), unit="")  # noqa: E731
        earlier.setattr(drifts, "_point", count)
        days.add(shift=3.0)
    for _ in range(3):
        days.add(shift=3.0)
    assert days.told() == [Change.OPENED]
    assert days.incident.worst_told > 3
    days.add(shift=30.0)
    assert days.told() == [Change.OPENED, Change.UPDATED]


def test_the_worst_column_is_the_one_that_is_farthest_beyond_its_own_limit() -> None:
    def frame(shift: float, missing: float) -> pl.DataFrame:
        draw = random.Random(str(shift))
        return pl.DataFrame(
            {
                "near": [draw.gauss(shift, 1.0) for _ in range(2000)],
                "far": [draw.gauss(2 * shift, 1.0) for _ in range(2000)],
                "gone": [None if draw.random() < missing else draw.gauss(0.0, 1.0) for _ in range(2000)],
            }
        )

    report = compare(frame(0.0, 0.0), frame(0.5, 0.3), thresholds={"near": 0.1, "far": 0.5, "missing": 0.2})
    assert [column.column for column in report.drifted] == ["near", "far", "gone"]
    near, far, gone = (column.size for column in report.drifted)
    assert (near, far, gone) == (pytest.approx(5, rel=0.1), pytest.approx(2, rel=0.1), pytest.approx(1.5, rel=0.1))


@pytest.mark.parametrize("same_weekday", [False, True])
def test_an_incident_whose_reference_has_slid_into_the_crisis_says_so_and_offers_one_that_does_not(
    same_weekday: bool,
) -> None:
    days = Days(Drift(of=["predictions"], reference=SlidingWindow(14), same_weekday=same_weekday))
    for _ in range(21):
        days.add()
    for _ in range(21):
        days.add(shift=3.0)
        if days.incident.state == "resolved":
            break
    told = days.incident.told[-1]
    assert told.kind == Change.RESOLVED
    assert "days that it is compared with drifted themselves" in told.why
    shown = message(days.incident, told, project="city", zone="UTC").text
    assert "it has slid into the change, which may go on" in shown
    assert "Drift(reference=FixedWindow(datetime(2020, 3, 9), datetime(2020, 3, 23)))" in shown


def test_an_incident_that_resolves_since_the_change_is_over_says_nothing_of_that() -> None:
    days = Days(Drift(of=["predictions"], reference=SlidingWindow(14), same_weekday=False))
    for _ in range(14):
        days.add()
    days.add(shift=3.0)
    days.add()
    assert days.incident.state == "resolved"
    assert "drifted themselves" not in days.incident.told[-1].why
