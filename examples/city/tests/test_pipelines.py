"""The steps as plain functions, from counts to scores."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from city import pipelines

from trikk import PermanentError

TODAY = date(2020, 2, 20)
TOMORROW = date(2020, 2, 21)


@pytest.fixture(scope="module")
def counts() -> pl.DataFrame:
    """Three sensors, busy by day and quiet by night, that lose a tenth of their people each week."""
    first = datetime(2019, 12, 1, 11, tzinfo=UTC)
    hours = np.arange(90 * 24)
    shape = 100 + 90 * np.sin((hours - 6) * np.pi / 12)
    people = shape * 0.9 ** (hours / 168) * np.random.default_rng(1).uniform(0.95, 1.05, hours.size)
    return pl.concat(
        pl.DataFrame({"slot": [first + timedelta(hours=int(h)) for h in hours], "count": people * scale})
        .with_columns(pl.lit(sensor).alias("sensor"))
        .select("sensor", pl.col("slot").cast(pl.Datetime("us", "UTC")), pl.col("count").round().cast(pl.Int32))
        for sensor, scale in {"A": 1, "B": 3, "C": 10}.items()
    )


@pytest.fixture(scope="module")
def predicted(counts: pl.DataFrame) -> pl.DataFrame:
    past, tomorrow = pipelines.build_features(counts.lazy(), TODAY, weeks=6)
    return pipelines.predict(pipelines.fit(past, learning_rate=0.1), tomorrow, TODAY)


def test_each_hour_of_each_sensor_is_predicted_once(predicted: pl.DataFrame) -> None:
    assert predicted.height == 3 * 24
    assert predicted.select("sensor", "slot").is_unique().all()
    assert predicted["day_local"].unique().to_list() == [TOMORROW]
    assert predicted["trained_until"].unique().to_list() == [TODAY]
    assert sorted(predicted["hour"].unique()) == list(range(24))
    assert not predicted["predicted"].is_null().any()
    assert (predicted["predicted"] >= 0).all()


def test_the_model_beats_last_week_where_the_city_empties(counts: pl.DataFrame, predicted: pl.DataFrame) -> None:
    score = pipelines.compare(predicted.lazy(), counts.lazy(), TOMORROW).row(0, named=True)
    assert score["hours"] == 72
    assert score["mae_model"] < 0.6 * score["mae_naive"]


def test_the_same_history_gives_the_same_predictions(counts: pl.DataFrame, predicted: pl.DataFrame) -> None:
    past, tomorrow = pipelines.build_features(counts.lazy(), TODAY, weeks=6)
    again = pipelines.predict(pipelines.fit(past, learning_rate=0.1), tomorrow, TODAY)
    assert again.equals(predicted)


def test_scores_are_of_the_hours_that_came_and_are_believed() -> None:
    slots = [datetime(2020, 2, 20, h, tzinfo=UTC) for h in range(11, 15)]
    made = pl.DataFrame({"sensor": "A", "slot": slots, "predicted": [10.0, 20.0, 30.0, 40.0]}).with_columns(
        pl.Series("naive", [11.0, 22.0, 33.0, None]),
        pl.lit(TOMORROW).alias("day_local"),
        pl.lit(TODAY).alias("trained_until"),
    )
    came = pl.DataFrame({"sensor": "A", "slot": slots[:2] + slots[3:], "count": [12, None, 44]})
    score = pipelines.compare(made.lazy(), came.lazy(), TOMORROW).row(0, named=True)
    assert score == {
        "day": TOMORROW, "trained_until": TODAY, "hours": 1, "people": 12.0, "mae_model": 2.0, "mae_naive": 1.0
    }  # fmt: skip


def test_counts_that_have_not_come_make_an_empty_score(predicted: pl.DataFrame, counts: pl.DataFrame) -> None:
    score = pipelines.compare(predicted.lazy(), counts.clear().lazy(), TOMORROW).row(0, named=True)
    assert (score["hours"], score["mae_model"]) == (0, None)


def test_a_day_without_predictions_is_an_error(predicted: pl.DataFrame, counts: pl.DataFrame) -> None:
    with pytest.raises(PermanentError, match="nothing was predicted for 2020-02-22"):
        pipelines.compare(predicted.lazy(), counts.lazy(), TOMORROW + timedelta(days=1))


def test_reporting_is_the_share_of_sensors_that_still_count(counts: pl.DataFrame) -> None:
    gone = counts.filter((pl.col("sensor") != "B") | (pl.col("slot") < datetime(2020, 2, 19, tzinfo=UTC)))
    assert pipelines.reporting(counts.lazy(), TODAY) == 1
    assert pipelines.reporting(gone.lazy(), TODAY) == pytest.approx(2 / 3)
    assert pipelines.reporting(counts.lazy(), date(2018, 1, 1)) == 0


def test_what_arrives_is_the_window_up_to_the_night(tmp_path: Path) -> None:
    hours = [*range(6, 24), *range(6)]
    lines = [f"2020-02-{d:02},{h}:00-{h}:59,2020,{h}" for d in range(1, 11) for h in hours]
    source = tmp_path / "counts.csv"
    source.write_text("\n".join(["date,hour,year,Queen Street", *lines]))
    rows = pipelines.clean(pipelines.arrived(str(source), date(2020, 2, 8), days=3))
    assert rows.height == 72
    assert rows["slot"].max() == datetime(2020, 2, 8, 10, tzinfo=UTC)
    with pytest.raises(PermanentError, match="no hour"):
        pipelines.arrived(str(source), date(2021, 2, 8), days=3)
