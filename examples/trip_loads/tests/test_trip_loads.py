"""The pipelines in memory and the steps as plain functions, on made-up departures; and on the real file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import trip_loads
from threadpoolctl import threadpool_limits

from trikk import PermanentError, quality_gate
from trikk.quality import GateBlocked
from trikk.testing import InlineRun, ManualClock, MemoryJournal, MemoryStore, MemoryTables, run_inline

TODAY = date(2020, 2, 20)
TOMORROW = date(2020, 2, 21)
PEAK, QUIET = 8 * 3600, 20 * 3600
TRIPS = 40


def counts(first: date, days: int) -> pl.DataFrame:
    """Two lines with full departures in the morning and empty ones at night, both ways, every day."""
    random = np.random.default_rng(3)
    rows = []
    for number in range(days):
        day = first + timedelta(days=number)
        for trip in range(TRIPS):
            line, way, start = trip % 2, trip // 2 % 2, (PEAK, QUIET)[trip // 4 % 2] + trip // 8 * 600
            load = (4 if start >= QUIET else 20) * (line + 1) + int(random.integers(-2, 3))
            rows.append((trip, str(day), "49"[line], ("INBOUND", "OUTBOUND")[way], start, load))
    return pl.DataFrame(rows, schema=trip_loads.COLUMNS, orient="row")


class Project:
    """A project in memory, at any night."""

    def __init__(self, file: Path, rows: pl.DataFrame) -> None:
        rows.write_parquet(file)
        self.source = str(file)
        self.kept: dict[str, Any] = {"journal": MemoryJournal(), "store": MemoryStore(), "tables": MemoryTables()}

    def run(self, pipeline: Any, day: date, **more: Any) -> InlineRun:
        """A run on the night of a day."""
        if pipeline is not trip_loads.train:
            more["source"] = self.source
        night = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC).timestamp()
        done = run_inline(pipeline, **self.kept, clock=ManualClock(night), day=day, **more)
        assert done.state == "succeeded", done.error
        return done

    def night(self, day: date) -> InlineRun:
        """Take in the day, train, and predict the next."""
        self.run(trip_loads.ingest, day, days=60)
        self.run(trip_loads.train, day)
        return self.run(trip_loads.nightly, day)

    def watched(self, day: date) -> dict[str, Any]:
        """The monitor's window of a day, as of two days later."""
        now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=3)
        windows = run_inline(trip_loads.loads.pipeline, **self.kept, now=now).output("evaluate")["windows"]
        return next(w for w in windows if (w["kind"], w["label"]) == ("day", str(day)))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So few rows are learnt from in a fraction of the time, as threads do not wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("file") / "loads.parquet", counts(TODAY - timedelta(days=50), 60))


@pytest.fixture(scope="module")
def night(project: Project) -> InlineRun:
    return project.night(TODAY)


def cleaned(days: int) -> pl.DataFrame:
    return trip_loads.clean(counts(TODAY - timedelta(days=days - 1), days))


def test_each_planned_departure_is_predicted_once_and_well(night: InlineRun) -> None:
    made = night.table("predictions")
    assert made["trip"].to_list() == list(range(TRIPS))
    assert made["departs"].min() == datetime(2020, 2, 21, 13, tzinfo=UTC)
    assert made["model_version"].n_unique() == 1
    busy = made.filter(pl.col("departs") < datetime(2020, 2, 21, 20, tzinfo=UTC), line="9")
    assert busy["value"].mean() == pytest.approx(40, abs=2)
    assert made["expected_error"].is_between(0, 4).all()


def test_each_prediction_is_published_and_the_challengers_are_not(night: InlineRun) -> None:
    assert night.output("publish")["messages"] == TRIPS
    shadowed, made = night.table("challengers"), night.table("predictions")
    assert shadowed["trip"].to_list() == made["trip"].to_list()
    assert set(shadowed["model_version"]).isdisjoint(made["model_version"])


def test_cancelled_and_unplanned_departures_are_counted_and_are_no_error(tmp_path: Path) -> None:
    rows = counts(TODAY - timedelta(days=50), 60)
    project = Project(tmp_path / "loads.parquet", rows)
    project.night(TODAY)
    was_cancelled = (pl.col("trip_id") == 3) & (pl.col("date") == str(TOMORROW))
    unplanned = rows.filter(pl.col("date") == str(TOMORROW)).head(2).with_columns(pl.col("trip_id") + 1000)
    pl.concat([rows.filter(~was_cancelled), unplanned]).write_parquet(project.source)
    project.run(trip_loads.ingest, TOMORROW)
    day = project.watched(TOMORROW)
    assert (day["predicted"], day["observed"], day["labelled"]) == (TRIPS, TRIPS + 1, TRIPS - 1)
    assert day["metrics"]["mae"] < 3
    assert day["metrics"]["far_off"] == 0
    assert day["metrics"]["mae"] < day["baseline"]["mae"] + 1
    assert day["estimated"]["mae"] == pytest.approx(day["metrics"]["mae"], abs=1)


def test_a_day_without_departures_passes_and_predicts_nothing(tmp_path: Path) -> None:
    no_fridays = counts(TODAY - timedelta(days=50), 60).filter(pl.col("date").str.to_date().dt.weekday() < 5)
    project = Project(tmp_path / "loads.parquet", no_fridays)
    night = project.night(TODAY)
    made = night.table("predictions")
    assert made["departs"].dt.convert_time_zone(trip_loads.ZONE).dt.date().unique().to_list() == [TOMORROW]
    sunday = date(2020, 2, 23)
    seen = project.run(trip_loads.ingest, sunday).output("quality_gate")
    assert (seen["passed"], seen["warned"], seen["rows"]) == (True, False, 0)
    assert project.run(trip_loads.nightly, TOMORROW).output("publish")["messages"] == 0


def test_a_trip_is_planned_between_its_first_and_last_day_of_a_kind(tmp_path: Path) -> None:
    rows = [(7, "2020-02-17"), (7, "2020-02-28"), (8, "2020-02-22"), (8, "2020-02-29"), (9, "2020-02-10")]
    file = pl.DataFrame([(*row, "4", "INBOUND", PEAK, 5) for row in rows], schema=trip_loads.COLUMNS, orient="row")
    file.write_parquet(tmp_path / "file")
    planned = {d: trip_loads.timetable(str(tmp_path / "file"), date(2020, 2, d)) for d in (16, 19, 21, 27, 28)}
    assert {d: p["trip_id"].to_list() for d, p in planned.items()} == {16: [7], 19: [7], 21: [8], 27: [7], 28: [8]}
    assert planned[19].columns == trip_loads.COLUMNS
    assert planned[19].row(0) == (7, "2020-02-20", "4", "INBOUND", PEAK, None)


def test_fewer_than_no_people_are_not_believed_and_odd_seconds_go() -> None:
    rows = counts(TODAY, 1).with_columns(
        pl.when(pl.col("trip_id") == 0).then(-1).otherwise("occupancy").alias("occupancy"),
        pl.col("time_day_seconds") + 1,
    )
    found = trip_loads.clean(rows)
    assert found["load"].null_count() == 1
    assert (found["departs"].dt.second() == 0).all()


def test_a_file_with_a_departure_twice_does_not_pass_the_gate() -> None:
    rows = cleaned(2)
    assert quality_gate(rows, trip_loads.CHECKS)["passed"]
    with pytest.raises(GateBlocked, match="unique"):
        quality_gate(pl.concat([rows, rows.head(1)]), trip_loads.CHECKS)


def test_a_rows_features_come_from_the_days_before_it() -> None:
    rows = cleaned(31)
    other = rows.with_columns(pl.when(pl.col("date") < TODAY).then("load").otherwise(99.0).alias("load"))
    columns = ["trip", "date", *trip_loads.FEATURES]
    found = [
        trip_loads.features(r.lazy(), TODAY, 4)[0].filter(pl.col("date") == TODAY).select(columns)
        for r in (rows, other)
    ]
    assert found[0].height == TRIPS
    assert found[0].equals(found[1])


def test_the_later_of_two_days_weighs_more() -> None:
    days = [TODAY - timedelta(days=n) for n in (3, 2, 1, 0)]
    rows = pl.DataFrame({"line": "4", "date": days, "load": [0.0, None, 10.0, None]})
    found = trip_loads.lately(rows, ["line"], 1, "lately")["lately"].to_list()
    assert found[:3] == [None, 0.0, 0.0]
    assert found[3] == pytest.approx(20 / 3)


def test_a_new_timetable_with_other_trip_ids_changes_no_feature() -> None:
    past, plan = cleaned(31), trip_loads.clean(counts(TOMORROW, 1)).with_columns(load=pl.lit(None, pl.Float64))
    renumbered = plan.with_columns(pl.col("trip") + 1000)
    before, after = (trip_loads.features(past.lazy(), TODAY, 4, p)[1] for p in (plan, renumbered))
    assert before.height == TRIPS
    assert after.drop("trip").equals(before.drop("trip"))


def test_no_model_has_learnt_from_what_it_is_judged_on() -> None:
    past, _ = trip_loads.features(cleaned(31).lazy(), TODAY, 12)
    learn, recent = trip_loads.split(past, TODAY)
    assert learn["date"].max() == TODAY - timedelta(days=7)
    assert (recent["date"].min(), recent["date"].max()) == (TODAY - timedelta(days=6), TODAY)


@pytest.mark.parametrize("kind", [pl.UInt8, pl.UInt32, pl.UInt64, pl.Int32])
def test_any_kind_of_integer_may_be_in_the_file(tmp_path: Path, kind: type[pl.DataType]) -> None:
    numbers = pl.col("trip_id", "occupancy").cast(kind), pl.col("time_day_seconds").cast(pl.UInt32)
    rows = counts(TODAY - timedelta(days=1), 3).filter(pl.col("occupancy") >= 0).with_columns(*numbers)
    project = Project(tmp_path / "loads.parquet", rows)
    table = project.run(trip_loads.ingest, TODAY, days=2).table("departures")
    assert table.schema["trip"] == pl.Int64
    assert table["load"].to_list() == rows.filter(pl.col("date") <= str(TODAY))["occupancy"].to_list()
    assert trip_loads.clean(trip_loads.timetable(project.source, day=TODAY))["trip"].dtype == pl.Int64


def test_without_a_past_there_is_nothing_to_learn() -> None:
    with pytest.raises(PermanentError, match="nothing to learn"):
        trip_loads.fit(pl.DataFrame(schema=dict.fromkeys([*trip_loads.FEATURES, "load"], pl.Float64)), "poisson")


def test_far_off_is_more_than_ten_people() -> None:
    assert trip_loads.far_off(np.array([0.0, 0, 30, 5]), np.array([10.0, 11, 10, 5])) == 0.5


@pytest.mark.skipif("TRIKK_TRIP_LOADS" not in os.environ, reason="TRIKK_TRIP_LOADS does not name the file")
def test_the_champion_beats_the_naive_rule_on_the_real_file(tmp_path: Path) -> None:
    day = date(2020, 2, 23)
    project = Project(tmp_path / "loads.parquet", pl.read_parquet(os.environ["TRIKK_TRIP_LOADS"]))
    project.night(day)
    found = []
    for _ in range(5):
        project.run(trip_loads.nightly, day)
        day += timedelta(days=1)
        project.run(trip_loads.ingest, day)
        found.append(project.watched(day))
    labelled = sum(w["labelled"] for w in found)
    own, naive = (sum(w[kind]["mae"] * w["labelled"] for w in found) / labelled for kind in ("own", "baseline"))
    assert own < naive < 2.6
    assert all(w["predicted"] > w["labelled"] > 0.5 * w["predicted"] for w in found)
