"""The city's pipelines: take counts in, train a model, predict tomorrow every night; and what watches them."""

from __future__ import annotations

import logging
from datetime import date, timedelta

import polars as pl
from sklearn.compose import TransformedTargetRegressor

import trikk
from city import checks, cleaning, features, model
from trikk import (
    Alarm,
    Drift,
    Model,
    Monitor,
    PermanentError,
    Report,
    Retry,
    Table,
    better_by,
    pipeline,
    predict,
    promote_if,
    publish,
    quality_gate,
    register_model,
    step,
    when,
)

log = logging.getLogger(__name__)

counts = Table("counts")  # sensor, slot (UTC), count
predictions = Table("predictions")  # prediction_id, sensor, slot (UTC), value, model_version, run ..., last_week

people = Monitor(
    "people",
    predictions=predictions,
    truth=counts,
    key="sensor",
    slot="slot",
    observed="count",
    baseline="last_week",
    label_delay="1d",
    metrics=["mae", "wape", "bias"],
    slices=["sensor", "hour"],
    windows=["day", "week"],
    timezone=cleaning.ZONE,
    drift=Drift(of=["predictions", "truth"]),
    alarms=[
        Alarm("drift", kind="drift"),
        Alarm("loss", when="wape > 2 * usual for 2 windows", starts="train"),
    ],
)

monthly = Report(
    "monthly",
    monitors=[people],
    models=["people"],
    title="How well we know Auckland's streets",
    schedule="0 6 1 * *",
)


@step(source=True, retry=Retry(attempts=4, delay="1s", factor=2, max_delay="30s"), timeout="5m")
def arrived(source: str, day: date, days: int) -> pl.DataFrame:
    """The counters' file as far as it had arrived on the night of `day`, each row with its right local hour."""
    file = cleaning.read(cleaning.locate(source))
    hours = cleaning.relabelled(cleaning.labelled_hours(file))
    found = cleaning.window(hours, day, days)
    if found.is_empty():
        raise PermanentError(f"the file holds no hour of the {days} days up to {day}")
    return found


@step
def clean(hours: pl.DataFrame) -> pl.DataFrame:
    rows = cleaning.clean(hours)
    log.info("%d counts, %d of them from dead counters", rows.height, rows["count"].null_count())
    return rows


@step(timeout="10m")
def build_features(counts: pl.LazyFrame, day: date, weeks: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    return features.build(counts, day, weeks)


@step
def split(rows: pl.DataFrame, day: date, days: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What to learn from, and the last days, on which no model that is compared has been trained."""
    recent = pl.col("day") > day - timedelta(days=days)
    return rows.filter(~recent), rows.filter(recent)


@step(timeout="10m")
def fit(rows: pl.DataFrame, learning_rate: float) -> TransformedTargetRegressor:
    return model.train(rows, learning_rate)


@step
def judge(fitted: TransformedTargetRegressor, recent: pl.DataFrame) -> dict[str, float]:
    found = model.errors(fitted, recent)
    trikk.log_metrics(found)
    return found


@pipeline
def ingest(day: date, days: int = 7, source: str = cleaning.PACKAGE):
    """Take in what the counters sent in the days up to `day`, if it passes the gate."""
    rows = clean(arrived(source, day=day, days=days))
    quality_gate(rows, checks.COUNTS)
    counts.merge(rows, key=["sensor", "slot"])


@step
def is_due(day: date, weekday: int) -> bool:
    return weekday in (0, day.isoweekday())


@pipeline(retry=Retry(attempts=2))
def train(day: date, weeks: int = 16, learning_rate: float = 0.1, holdout: int = 3, weekday: int = 0):
    """Train on the weeks up to `day`, and make the model champion if it beats the present one on the last days.

    A weekday from 1 (Monday) to 7 lets only those days be trained on; 0 any.
    """
    with when(is_due(day, weekday)):
        past, _ = build_features(counts, day=day, weeks=weeks)
        learn, recent = split(past, day=day, days=holdout)
        fitted = fit(learn, learning_rate)
        version = register_model(
            fitted, "people", inputs=learn, nullable=features.MAY_BE_MISSING, metrics=judge(fitted, recent)
        )
        promote_if(better_by(0.0, metric="mae"), version, rows=recent, target="count")


@pipeline(retry=Retry(attempts=2))
def nightly(day: date):
    """Predict every hour of every counter for the day after `day` with the champion, and publish it."""
    _, tomorrow = build_features(counts, day=day, weeks=0)
    made = predict(Model("people@champion"), tomorrow, key="sensor", slot="slot", keep=["last_week"])
    predictions.append(made)
    publish(made, to="stream:predictions", key="sensor")
