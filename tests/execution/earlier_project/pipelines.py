"""A little of everything that a project keeps: made by an earlier build, read by the present one."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
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
kinds = Table("kinds")
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
def all_kinds() -> pl.DataFrame:
    at = datetime(2024, 1, 1, 4, tzinfo=UTC)
    frame = pl.DataFrame({
        "day": [date(2024, 1, 31), date(2024, 2, 29)], "at": [at, at], "ok": [True, False], "text": ["a", "b"],
        "price": [Decimal("1.50"), Decimal("2.25")], "days": [[date(2024, 1, 1)], []],
        "n": [1, 2], "x": [0.5, 1.5],
    })  # fmt: skip
    return frame.with_columns(
        local=pl.col("at").dt.replace_time_zone(None), category=pl.col("text").cast(pl.Categorical)
    )


@step
def as_pandas(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


@step
def by_month(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(rows["day"].dt.month)[["n", "x"]].sum().reset_index()


@step
def kinds_of_columns(rows: pd.DataFrame) -> dict[str, list[str]]:
    return {name: [str(rows[name].dtype), repr(rows[name].tolist())] for name in rows}


@step
def in_two() -> tuple[pl.DataFrame, int]:
    return all_kinds.function(), 1


@pipeline
def panda():
    rows = all_kinds()
    kinds.overwrite(rows)
    as_pandas(kinds)
    by_month(kinds)
    kinds_of_columns(kinds)
    as_pandas(rows)
    kinds_of_columns(rows)
    kinds_of_columns(in_two()[0])


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
