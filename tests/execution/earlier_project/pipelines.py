"""A little of everything that a project keeps: made by an earlier build, read by the present one."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from trikk import (
    Alarm,
    FeatureTable,
    Model,
    Monitor,
    Report,
    Table,
    better_by,
    pipeline,
    predict,
    promote_if,
    publish,
    register_model,
    step,
)

counts = Table("counts")
predictions = Table("predictions")
means = FeatureTable("means", entity=["sensor"], time="known_at", features={"mean": pl.Float64})
people = Monitor(
    "people",
    predictions=predictions,
    truth=counts,
    key="sensor",
    slot="slot",
    observed="count",
    metrics=["mae"],
    minimum=2,
    alarms=[Alarm("loss", when="mae > 3 for 2 windows")],
)
monthly = Report("monthly", monitors=[people], models=["people"])


@step
def hours(day: date) -> pl.DataFrame:
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    slots = [first + timedelta(hours=6 * n) for n in range(4)]
    return pl.DataFrame({"sensor": ["a", "b"] * 2, "slot": slots, "hour": [0.0, 6.0, 12.0, 18.0]})


@step
def counted(hours: pl.DataFrame, error: float) -> pl.DataFrame:
    return hours.select("sensor", "slot", count=2 * pl.col("hour") + error)


class Line:
    """A model that is imported in no time."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, rows: pl.DataFrame) -> pl.Series:
        return rows["hour"] * self.factor


@step
def fit(hours: pl.DataFrame) -> Line:
    return Line(2.0 * hours["hour"].len() / len(hours))


@step
def with_truth(hours: pl.DataFrame) -> pl.DataFrame:
    return hours.with_columns(truth=2 * pl.col("hour"))


@pipeline
def train(day: date):
    rows = hours(day)
    version = register_model(fit(rows), "people", inputs=rows)
    promote_if(better_by(0.0, metric="mae"), version, rows=with_truth(rows), target="truth")


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step
def square(n: int) -> int:
    return n * n


@step
def total(squares: list[int]) -> int:
    return sum(squares)


@step
def averages(counts: pl.LazyFrame, day: date) -> pl.DataFrame:
    known = datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
    found = counts.group_by("sensor").agg(mean=pl.col("count").mean()).sort("sensor")
    return found.with_columns(known_at=pl.lit(known)).collect()


@pipeline
def night(day: date, error: float = 0.0):
    total(square.map(numbers(3)))
    rows = hours(day)
    counts.merge(counted(rows, error), key=["sensor", "slot"])
    made = predict(Model("people@champion"), rows, key="sensor", slot="slot")
    predictions.append(made)
    publish(made, to="stream:forecast", key="sensor")
    means.sync(means.append(averages(counts, day)))


@step
def first() -> int:
    return 41


@step
def falls(n: int) -> int:
    if Path("broken").exists():
        raise ValueError("broken")
    return n + 1


@pipeline
def fragile():
    falls(first())


@step
def waits() -> None:
    Path("waiting").touch()
    time.sleep(60)


@pipeline
def slow():
    waits()
