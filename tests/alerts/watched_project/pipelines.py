"""A monitor whose figures can be made good or bad, and pipelines that an incident starts."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from trikk import Alarm, Monitor, Table, pipeline, step

predictions = Table("predictions")
counts = Table("counts")
people = Monitor(
    "people",
    predictions=predictions,
    truth=counts,
    key="sensor",
    slot="slot",
    observed="count",
    metrics=["mae"],
    minimum=2,
    alarms=[Alarm("loss", when="mae > 3 for 2 windows", starts="train", parameters={"weeks": 2})],
)


@step
def rows(day: date, days: int, column: str, value: float) -> pl.DataFrame:
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    slots = [first + timedelta(hours=6 * n) for n in range(4 * days)]
    return pl.DataFrame({"sensor": ["a"] * len(slots), "slot": slots, column: [value] * len(slots)})


@pipeline
def fill(day: date, error: float, days: int = 1):
    predictions.append(rows(day, days, "value", 10.0))
    counts.append(rows.options(name="truths")(day, days, "count", error))


@step
def learn(day: date, weeks: int) -> None:
    if weeks > 52:
        raise ValueError("too many weeks")
    with Path("trained.txt").open("a") as file:
        file.write(f"{day} {weeks}\n")
    if os.environ.get("SLOW"):
        Path("learning").touch()
        time.sleep(60)


@pipeline
def train(day: date, weeks: int):
    learn(day, weeks)


@step
def falls(why: str) -> None:
    print("the last words")
    if why:
        raise ValueError(why)


@pipeline
def broken(why: str = ""):
    falls(why)
