"""How full will each planned departure be? A whole project in one module.

`train_and_predict` learns from everything that was counted before a day, and predicts the load of each departure
that is planned for it; `score` compares this with what was counted, and with two rules that need no model.
"""

from __future__ import annotations

import logging
from datetime import date

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor

from trikk import PermanentError, Retry, Table, pipeline, step

log = logging.getLogger(__name__)

predictions = Table("predictions")  # a row for each trip_id and date
scores = Table("scores")  # date, trained_until, departures, mae_model, mae_group_mean, mae_overall_mean

COLUMNS = ["trip_id", "date", "route_id", "direction_desc", "time_day_seconds", "occupancy"]
GROUP = ["line", "direction", "hour", "weekend"]
DEPARTURE = ["line", "direction", "start", "weekend"]
FEATURES = ["start", "weekday", "outbound", "lately_departure", "lately_group", "lately_line"]
KEY = ["trip_id", "date"]


@step(source=True, retry=Retry(attempts=4, delay="1s", factor=2, max_delay="30s"), timeout="5m")
def load(source: str, day: date) -> pl.DataFrame:
    """The file's departures up to and including `day`, as they are."""
    file = pl.scan_parquet(source).select(COLUMNS)
    found = file.filter(pl.col("date") <= day.isoformat()).sort("date", "trip_id").collect()
    if found.filter(pl.col("date") == day.isoformat()).is_empty():
        raise PermanentError(f"no departure is planned for {day}")
    return found


@step
def clean(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each departure: trip_id, date, line, direction, start, hour, weekday, weekend, occupancy.

    A bus can't carry fewer than no people: such counts become null. Planned starts lose their odd seconds, and the
    weekday comes from the date, since the file's own period is wrong on some days. Days on which few departures
    were recorded need no care: each departure counts for itself.
    """
    minute = pl.col("time_day_seconds") // 60
    weekday = pl.col("date").str.to_date().dt.weekday()
    cleaned = rows.select(
        "trip_id",
        pl.col("date").str.to_date(),
        pl.col("route_id").alias("line"),
        pl.col("direction_desc").alias("direction"),
        minute.cast(pl.Int32).alias("start"),
        (minute // 60).cast(pl.Int32).alias("hour"),
        weekday.alias("weekday"),
        (weekday >= 6).alias("weekend"),
        pl.when(pl.col("occupancy") >= 0).then("occupancy").cast(pl.Float64).alias("occupancy"),
    )
    log.info("%d departures, %d without a load", cleaned.height, cleaned["occupancy"].null_count())
    return cleaned


@step
def features(rows: pl.DataFrame, day: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows to learn from (with `occupancy`), and the departures of `day` (whose loads are not looked at).

    Departures are known by line, direction and start, not by trip_id: a new timetable changes all of these ids.
    """
    load = pl.when(pl.col("date") < day).then("occupancy").alias("occupancy")
    known = rows.with_columns(load, (pl.col("direction") == "OUTBOUND").alias("outbound"))
    for name, by, half_life in (
        ("departure", DEPARTURE, 10),
        ("group", GROUP, 5),
        ("line", ["line", "weekend"], 3),
    ):
        known = known.join(lately(known, by, half_life, f"lately_{name}"), on=[*by, "date"], how="left")
    known = known.sort(KEY)
    past = known.filter((pl.col("date") < day) & pl.col("occupancy").is_not_null())
    return past, known.filter(pl.col("date") == day).drop("occupancy")


def lately(rows: pl.DataFrame, by: list[str], half_life: int, name: str) -> pl.DataFrame:
    """For each day, the mean load of the days before it; of two of these, the later one weighs more.

    Args:
        rows: departures, with null for loads that are not known.
        by: the columns of a group.
        half_life: after how many days with departures a load weighs half as much.
        name: of the new column.
    """
    daily = rows.group_by(*by, "date").agg(pl.col("occupancy").mean()).sort("date")
    before = pl.col("occupancy").ewm_mean(half_life=half_life, ignore_nulls=True).forward_fill().shift(1).over(by)
    return daily.select(*by, "date", before.alias(name))


@step(timeout="10m")
def fit(past: pl.DataFrame) -> HistGradientBoostingRegressor:
    """Learn the median load, which is what an absolute error asks for."""
    if past.is_empty():
        raise PermanentError("there is nothing to learn from before this day")
    model = HistGradientBoostingRegressor(loss="absolute_error", random_state=0, early_stopping=False)
    return model.fit(matrix(past), past["occupancy"].to_numpy())


def matrix(rows: pl.DataFrame) -> np.ndarray:
    """The features as floats, missing ones as NaN; shape (rows, len(FEATURES))."""
    return rows.select(pl.col(FEATURES).cast(pl.Float64)).to_numpy()


@step
def predict(model: HistGradientBoostingRegressor, past: pl.DataFrame, planned: pl.DataFrame) -> pl.DataFrame:
    """The model's load for each planned departure, beside the mean of its group and of all departures."""
    overall = pl.lit(past["occupancy"].mean())
    by_group = past.group_by(GROUP).agg(pl.col("occupancy").mean().alias("group_mean"))
    return planned.join(by_group, on=GROUP, how="left", maintain_order="left").select(
        *KEY,
        "line",
        "direction",
        "start",
        pl.Series("predicted", np.maximum(model.predict(matrix(planned)), 0)).round(1),
        pl.col("group_mean").fill_null(overall),
        overall.alias("overall_mean"),
        pl.lit(past["date"].max()).alias("trained_until"),
    )


@step
def compare(predictions: pl.LazyFrame, rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """One row: how far the model and the two rules were off on `day`, in people (mean absolute errors)."""
    made = predictions.filter(pl.col("date") == day).collect()
    if made.is_empty():
        raise PermanentError(f"nothing was predicted for {day}", next="run `train_and_predict` for it first")
    both = made.join(rows.select(*KEY, "occupancy"), on=KEY).drop_nulls("occupancy")
    off = {"mae_model": "predicted", "mae_group_mean": "group_mean", "mae_overall_mean": "overall_mean"}
    return both.select(
        pl.lit(day).alias("date"),
        pl.lit(made["trained_until"].max()).alias("trained_until"),
        pl.len().cast(pl.Int64).alias("departures"),
        *((pl.col(c) - pl.col("occupancy")).abs().mean().round(3).alias(name) for name, c in off.items()),
    )


@pipeline(retry=Retry(attempts=2))
def train_and_predict(source: str, day: date):
    """Learn from the counts before `day` and predict the load of each departure of that day."""
    past, planned = features(clean(load(source, day=day)), day=day)
    predictions.merge(predict(fit(past), past, planned), key=KEY)


@pipeline
def score(source: str, day: date):
    """Compare the predictions for `day` with what was counted."""
    scores.merge(compare(predictions, clean(load(source, day=day)), day=day), key="date")
