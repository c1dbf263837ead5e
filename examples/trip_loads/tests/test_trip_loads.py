"""The steps as plain functions, on made-up departures; and on the real file where it is there."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import trip_loads

from trikk import PermanentError

DAY = date(2020, 2, 20)
PEAK, QUIET = 8 * 3600, 20 * 3600


def departures(first: date, days: int) -> pl.DataFrame:
    """Two lines with a full departure in the morning and an empty one at night, both ways, every day."""
    random = np.random.default_rng(3)
    rows = []
    for number in range(days):
        day = first + timedelta(days=number)
        for trip in range(8):
            line, way, start = trip // 4, trip // 2 % 2, (PEAK, QUIET)[trip % 2]
            load = (20 if start == PEAK else 3) * (line + 1) + int(random.integers(-2, 3))
            rows.append((trip, str(day), "49"[line], ("INBOUND", "OUTBOUND")[way], start, load))
    return pl.DataFrame(rows, schema=trip_loads.COLUMNS, orient="row")


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "loads.parquet"
    departures(DAY - timedelta(days=50), 60).write_parquet(path)
    return str(path)


def predicted(source: str, day: date) -> pl.DataFrame:
    past, planned = trip_loads.features(trip_loads.clean(trip_loads.load(source, day)), day)
    return trip_loads.predict(trip_loads.fit(past), past, planned)


def test_nothing_after_the_day_is_read(source: str) -> None:
    assert trip_loads.load(source, DAY)["date"].max() == str(DAY)


def test_a_day_without_departures_is_an_error(source: str) -> None:
    with pytest.raises(PermanentError, match="no departure is planned"):
        trip_loads.load(source, DAY + timedelta(days=365))


def test_fewer_than_no_people_are_not_believed_and_odd_seconds_go() -> None:
    rows = departures(DAY, 1).with_columns(
        pl.Series("occupancy", [-1, *[4] * 7]), (pl.col("time_day_seconds") + 1).alias("time_day_seconds")
    )
    cleaned = trip_loads.clean(rows)
    assert cleaned["occupancy"].to_list() == [None, *[4.0] * 7]
    assert cleaned["start"].unique().sort().to_list() == [8 * 60, 20 * 60]


def test_the_loads_of_the_day_are_not_looked_at() -> None:
    rows = trip_loads.clean(departures(DAY - timedelta(days=30), 31))
    other = rows.with_columns(pl.when(pl.col("date") < DAY).then("occupancy").otherwise(99.0).alias("occupancy"))
    for as_it_was, now in zip(trip_loads.features(rows, DAY), trip_loads.features(other, DAY), strict=True):
        assert as_it_was.equals(now)


def test_a_rows_features_come_from_the_days_before_it() -> None:
    rows = trip_loads.clean(departures(DAY - timedelta(days=30), 31))
    last = DAY - timedelta(days=1)
    other = rows.with_columns(pl.when(pl.col("date") < last).then("occupancy").otherwise(99.0).alias("occupancy"))
    columns = [*trip_loads.KEY, *trip_loads.FEATURES]
    found = [
        past.filter(pl.col("date") == last).select(columns)
        for past, _ in (trip_loads.features(rows, DAY), trip_loads.features(other, DAY))
    ]
    assert found[0].height == 8
    assert found[0].equals(found[1])


def test_the_later_of_two_days_weighs_more() -> None:
    days = [DAY - timedelta(days=n) for n in (3, 2, 1, 0)]
    rows = pl.DataFrame({"line": "4", "date": days, "occupancy": [0.0, None, 10.0, None]})
    found = trip_loads.lately(rows, ["line"], 1, "lately")["lately"].to_list()
    assert found[:3] == [None, 0.0, 0.0]
    assert found[3] == pytest.approx(20 / 3)


def test_a_new_timetable_with_other_trip_ids_changes_no_prediction(source: str, tmp_path: Path) -> None:
    renumbered = tmp_path / "renumbered.parquet"
    new = pl.when(pl.col("date") >= str(DAY)).then(pl.col("trip_id") + 1000).otherwise("trip_id")
    pl.read_parquet(source).with_columns(new.alias("trip_id")).write_parquet(renumbered)
    before, after = predicted(source, DAY), predicted(str(renumbered), DAY)
    assert after["trip_id"].to_list() == [trip + 1000 for trip in before["trip_id"]]
    assert after.drop("trip_id").equals(before.drop("trip_id"))


def test_each_planned_departure_is_predicted_once_and_well(source: str) -> None:
    made = predicted(source, DAY)
    assert made.select(trip_loads.KEY).rows() == [(trip, DAY) for trip in range(8)]
    assert made["trained_until"].unique().to_list() == [DAY - timedelta(days=1)]
    score = trip_loads.compare(made.lazy(), trip_loads.clean(trip_loads.load(source, DAY)), DAY).row(0, named=True)
    assert score["departures"] == 8
    assert score["mae_model"] < 3 < score["mae_overall_mean"]


def test_without_a_past_there_is_nothing_to_learn(source: str) -> None:
    with pytest.raises(PermanentError, match="nothing to learn"):
        predicted(source, DAY - timedelta(days=50))


@pytest.mark.skipif("TRIKK_TRIP_LOADS" not in os.environ, reason="TRIKK_TRIP_LOADS does not name the file")
def test_the_model_beats_both_rules_on_the_real_file() -> None:
    source, scores = os.environ["TRIKK_TRIP_LOADS"], []
    for day in (date(2020, 2, 24) + timedelta(days=n) for n in range(14)):
        rows = trip_loads.clean(trip_loads.load(source, day))
        scores.append(trip_loads.compare(predicted(source, day).lazy(), rows, day))
    off = pl.concat(scores).select((pl.col("^mae_.*$") * pl.col("departures")).sum() / pl.col("departures").sum())
    model, group_mean, overall_mean = off.row(0)
    assert model < group_mean < overall_mean
