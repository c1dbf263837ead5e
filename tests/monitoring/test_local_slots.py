"""Slots without a zone are meant in the monitor's, over both changes of its clocks, however they come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk import Drift, Monitor, Table
from trikk.core.errors import UsageError
from trikk.core.zones import zone_of
from trikk.drift import SlidingWindow
from trikk.monitoring.cases.case_join import cases
from trikk.monitoring.cases.changes import Source
from trikk.monitoring.cases.windows import moments
from trikk.monitoring.day_drift.day_comparison import drifting
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.monitoring.window_evaluation import evaluate
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import MemoryTables

OSLO = zone_of("Europe/Oslo")
PLACES = ["Europe/Oslo", "Australia/Lord_Howe", "America/New_York", "Pacific/Apia"]


def clock(*time: int) -> datetime:
    """What clocks show, without a zone."""
    return datetime(*time)  # type: ignore[arg-type]  # noqa: DTZ001


FORWARD, BACK = clock(2024, 3, 30), clock(2024, 10, 26)  # the days before clocks are put forward, and back


def spec(**more: Any) -> MonitorSpec:
    given = {"key": ["place"], "slot": "slot", "observed": "count", "timezone": "Europe/Oslo", "slices": ["hour"]}
    watched = Monitor("m", predictions=Table("p"), truth=Table("t"), **{**given, **more})
    return watched.spec


def quarters(start: datetime, days: int) -> list[datetime]:
    return [start + timedelta(minutes=15 * number) for number in range(96 * days)]


def meant(slots: list[datetime], zone: Any = OSLO) -> list[datetime]:
    return [slot.replace(tzinfo=zone).astimezone(UTC) for slot in slots]


def frames(slots: list[datetime]) -> dict[str, pl.DataFrame]:
    places = [str(slot) for slot in slots]  # each row another place, so that no two are one case
    values = [float(slot.minute + slot.hour) for slot in slots]
    made = pl.DataFrame({"place": places, "slot": slots, "value": values})
    return {"p": made, "t": made.select("place", "slot", count=pl.col("value") + pl.col("value") % 7)}


class World:
    def __init__(self, tables: Any, watched: MonitorSpec) -> None:
        self.tables, self.spec, self.looks = tables, watched, 0
        self.journal = MemoryJournal()

    def add(self, rows: dict[str, pl.DataFrame]) -> None:
        for name, frame in rows.items():
            self.looks += 1
            self.tables.write(name, Write("append", frame), identity=str(self.looks), origin={})

    def look(self, now: datetime) -> None:
        self.looks += 1
        versions = {name: self.tables.version(name) for name in "pt"}
        source = Source(self.tables.scan("p"), self.tables.scan("t"), self.tables, versions)
        how: Any = {"now": now, "run": "r", "identity": str(self.looks)}
        evaluate(self.spec, source, Records(self.journal, "m"), **how)
        if self.spec.drift:
            drifting(self.spec, source, self.tables.scan("p"), DriftRecords(self.journal, "m"), **how)

    def figures(self) -> dict[str, Any]:
        records = Records(self.journal, "m")
        found = [window for kind in self.spec.windows for window in records.windows(kind)]
        return {f"{w.kind} {w.label}": (w.state, w.figures) for w in found}


@pytest.mark.parametrize("start", [FORWARD, BACK], ids=["forward", "back"])
@pytest.mark.parametrize("incremental", [False, True], ids=["at once", "bit by bit"])
def test_they_come_to_the_same_as_slots_in_utc(tmp_path: Path, start: datetime, incremental: bool) -> None:
    slots = quarters(start, 2)
    bits = [slots[i : i + 36] for i in range(0, len(slots), 36)] if incremental else [slots]
    found = []
    for name, of in (("local", lambda bit: bit), ("utc", meant)):
        world = World(Tables(str(tmp_path / name)), spec(windows=["hour", "day"]))
        for bit in bits:
            rows = frames(bit)
            world.add({table: frame.with_columns(slot=pl.Series(of(bit))) for table, frame in rows.items()})
            world.look(meant(bit)[-1] + timedelta(days=2))
        found.append(world.figures())
    local, utc = found
    assert local == utc
    assert sum(f[0].labelled for label, (_, f) in local.items() if label.startswith("day")) == len(slots)
    assert sum(f[0].labelled for label, (_, f) in local.items() if label.startswith("hour")) == len(slots)


def test_an_hour_that_comes_twice_is_the_first_and_one_left_out_is_told_by_the_clock_before() -> None:
    for start, hours in (
        (BACK, {"02:00+02:00": 4, "02:00+01:00": 0}),
        (FORWARD, {"01:00+01:00": 4, "03:00+02:00": 8}),
    ):
        world = World(MemoryTables(), spec(windows=["hour"], slices=["hour", "date"]))
        world.add(frames(quarters(start + timedelta(days=1), 1)))
        world.look(datetime(2025, 1, 1, tzinfo=UTC))
        day = f"{start + timedelta(days=1):%Y-%m-%d}"
        found = {hour: world.figures()[f"hour {day}T{hour}"][1][0].labelled for hour in hours}
        assert found == hours


@pytest.mark.parametrize(
    ("zone", "first", "days"),
    [
        ("Australia/Lord_Howe", clock(2024, 4, 6), 2),
        ("Australia/Lord_Howe", clock(2024, 10, 5), 2),
        ("Asia/Kathmandu", clock(1985, 12, 31), 2),
        ("America/Sao_Paulo", clock(2018, 11, 3), 2),
        ("America/St_Johns", clock(2006, 10, 28), 2),
        ("Pacific/Apia", clock(2011, 12, 29), 3),
        ("Antarctica/Troll", clock(2024, 3, 30), 2),
    ],
)
def test_each_case_is_counted_once_where_clocks_change(zone: str, first: datetime, days: int) -> None:
    place = zone_of(zone)
    start, end = (one.replace(tzinfo=place).astimezone(UTC) for one in (first, first + timedelta(days=days)))
    slots = [
        start + timedelta(minutes=30) * number for number in range(int((end - start) / timedelta(minutes=30)))
    ]
    world = World(MemoryTables(), spec(timezone=zone, windows=["hour", "day", "week"], slices=[]))
    for bit in (slots[: len(slots) // 2], slots[len(slots) // 2 :]):
        world.add({name: frame.with_columns(slot=pl.Series(bit)) for name, frame in frames(bit).items()})
        world.look(end + timedelta(days=9))
    for kind in ("hour", "day", "week"):
        windows = Records(world.journal, "m").windows(kind)
        assert sum(window.whole.labelled for window in windows) == len(slots), kind
        assert all(a.end == b.start for a, b in pairwise(windows)), kind


def test_hours_and_dates_are_those_of_the_clock() -> None:
    slot = clock(2024, 7, 1, 23, 30)
    rows = {name: frame.lazy() for name, frame in frames([slot]).items()}
    day = meant([clock(2024, 7, 1), clock(2024, 7, 2)])
    found = cases(spec(slices=["hour", "date", "weekday"]), rows["p"], rows["t"], *day)
    assert found.select("hour", "weekday").row(0) == (23, 1)
    assert found["date"].to_list() == [slot.date()]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("start", [FORWARD, BACK, clock(2011, 12, 29), clock(2024, 3, 9), clock(2024, 4, 6)])
def test_every_time_is_the_moment_that_python_takes_it_for(place: str, start: datetime) -> None:
    slots, zone = quarters(start - timedelta(days=1), 3), zone_of(place)
    rows = {name: frame.lazy() for name, frame in frames(slots).items()}
    ends = datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    found = cases(spec(timezone=place, slices=[]), rows["p"], rows["t"], *ends)
    by_place = dict(zip(found["place"], found["slot"], strict=True))
    real = meant(slots, zone)
    assert [by_place[str(slot)] for slot in slots] == real
    for first in range(0, len(slots), 7):
        for last in range(first, len(slots), 11):
            begin, end = moments(slots[first], slots[last], zone)
            assert begin <= min(real[first : last + 1])
            assert end >= max(real[first : last + 1])


def test_drift_takes_them_as_figures_do(tmp_path: Path) -> None:
    drift = Drift(reference=SlidingWindow(2), same_weekday=False, table=Table("p"), columns=["value"])
    slots = quarters(BACK - timedelta(days=2), 5)
    world = World(Tables(str(tmp_path)), spec(drift=drift, slices=[]))
    world.add(frames(slots))
    world.look(datetime(2024, 11, 20, tzinfo=UTC))
    found = DriftRecords(world.journal, "m").windows("day")
    assert [record.rows for record in found] == [96] * 5
    assert {record.verdict for record in found[2:]} == {"insufficient data"}


def test_a_slot_that_is_no_time_or_is_not_there_is_an_error_and_not_a_silence() -> None:
    for slot, said in ((pl.lit("noon"), "is String, not a time"), (pl.lit(1), "is Int32, not a time")):
        world = World(MemoryTables(), spec())
        world.add({name: frame.with_columns(slot=slot) for name, frame in frames([BACK]).items()})
        with pytest.raises(UsageError, match=said):
            world.look(datetime(2025, 1, 1, tzinfo=UTC))
    world = World(MemoryTables(), spec(slot="when"))
    world.add(frames([BACK]))
    with pytest.raises(UsageError, match="no column 'when'"):
        world.look(datetime(2025, 1, 1, tzinfo=UTC))


def test_slots_that_a_log_has_no_ranges_of_are_found_bit_by_bit(tmp_path: Path) -> None:
    wide = {f"feature{number}": pl.lit(1.0) for number in range(40)}  # a log has ranges of 32 columns
    world = World(Tables(str(tmp_path)), spec(slices=[]))
    for days in range(2):
        rows = frames(quarters(BACK + timedelta(days=days), 1))
        world.add(
            {name: frame.select(**wide, **{c: pl.col(c) for c in frame.columns}) for name, frame in rows.items()}
        )
        world.look(datetime(2024, 11, 20, tzinfo=UTC))
        found = {label: figures[0].labelled for label, (_, figures) in world.figures().items()}
        assert found == {f"day 2024-10-{26 + number}": 96 for number in range(days + 1)}
