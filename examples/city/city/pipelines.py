"""The city's three pipelines: take counts in, predict tomorrow every night, and see how good yesterday's were."""

from __future__ import annotations

import logging
from datetime import date

import polars as pl
from sklearn.compose import TransformedTargetRegressor

from city import cleaning, features, model, scoring
from trikk import PermanentError, Retry, Table, pipeline, step, when

log = logging.getLogger(__name__)

counts = Table("counts")  # sensor, slot (UTC), count
predictions = Table("predictions")  # sensor, slot (UTC), day_local, hour, predicted, naive, trained_until
scores = Table("scores")  # day, trained_until, hours, people, mae_model, mae_naive


@step(source=True, retry=Retry(attempts=4, delay="1s", factor=2, max_delay="30s"), timeout="5m")
def arrived(source: str, day: date, days: int) -> pl.DataFrame:
    """The counters' file as far as it had arrived on the night of `day`, each row with its right local hour."""
    file = pl.read_csv(cleaning.locate(source), infer_schema_length=None)
    hours = cleaning.relabelled(cleaning.labelled_hours(file))
    found = cleaning.window(hours, day, days)
    if found.is_empty():
        raise PermanentError(f"the file holds no hour of the {days} days up to {day}")
    return found


@step
def clean(hours: pl.DataFrame) -> pl.DataFrame:
    rows = cleaning.clean(hours)
    log.info("%d counts, %d of them from dead sensors", rows.height, rows["count"].null_count())
    return rows


@step
def reporting(counts: pl.LazyFrame, day: date) -> float:
    """The share of the last four weeks' sensors that still counted on `day`."""
    known = features.history(counts, day, weeks=0)
    lately, today = known["sensor"].n_unique(), known.filter(pl.col("day") == day)["sensor"].n_unique()
    log.info("%d of %d sensors counted on %s", today, lately, day)
    return today / lately if lately else 0.0


@step(timeout="10m")
def build_features(counts: pl.LazyFrame, day: date, weeks: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    return features.build(counts, day, weeks)


@step(timeout="10m")
def fit(rows: pl.DataFrame, learning_rate: float) -> TransformedTargetRegressor:
    return model.train(rows, learning_rate)


@step
def predict(fitted: TransformedTargetRegressor, tomorrow: pl.DataFrame, day: date) -> pl.DataFrame:
    return model.forecast(fitted, tomorrow, trained_until=day)


@step
def compare(predictions: pl.LazyFrame, counts: pl.LazyFrame, day: date) -> pl.DataFrame:
    return scoring.compare(predictions, counts, day)


@pipeline
def ingest(day: date, days: int = 7, source: str = cleaning.PACKAGE):
    """Take in what the counters sent in the days up to `day`; again as often as you like."""
    counts.merge(clean(arrived(source, day=day, days=days)), key=["sensor", "slot"])


@pipeline(retry=Retry(attempts=2))
def nightly(day: date, weeks: int = 16, learning_rate: float = 0.1, min_reporting: float = 0.5):
    """Train on the weeks up to `day` and predict every hour of every sensor for the day after."""
    share = reporting(counts, day=day)
    with when(share >= min_reporting):
        past, tomorrow = build_features(counts, day=day, weeks=weeks)
        fitted = fit(past, learning_rate)
        predictions.merge(predict(fitted, tomorrow, day=day), key=["sensor", "slot"])


@pipeline
def score(day: date):
    """Compare the predictions for `day` with what then came, and with the same hour a week before."""
    scores.merge(compare(predictions, counts, day=day), key="day")
