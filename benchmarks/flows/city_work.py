"""The work of a city's day: the rows, the features and the model, the same by hand and in trikk's steps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import lightgbm
import numpy as np
import polars as pl

LINES = 400
FIRST = date(2026, 3, 2)
WEEK = timedelta(days=7)
DAY = FIRST + timedelta(days=8)
"""The day that is predicted. Eight days before it are counted: a model learns from features of a week, too."""

INPUTS = ["hour", "weekday", "capacity", "usual", "usual_of_line", "yesterday", "last_week"]
KEY, SLOT, KEPT = "trip", "slot", "line"


def planned(day: date, count: int) -> pl.DataFrame:
    """The departures that are planned for a day: trip, line, slot (UTC), capacity."""
    trip = pl.int_range(count, dtype=pl.Int64, eager=True)
    line, place = trip % LINES, trip // LINES
    minute = place * 1440 // (count // LINES + 1)
    slot = pl.lit(_midnight(day)) + pl.duration(minutes=minute)
    return pl.select(
        trip.alias("trip"),
        pl.format("line-{}", line).alias("line"),
        slot.cast(pl.Datetime("us", "UTC")).alias("slot"),
        (40 + line % 5 * 25).cast(pl.Int32).alias("capacity"),
    )


def counted(departures: pl.DataFrame, day: date) -> pl.DataFrame:
    """What was counted in a day's departures: trip, slot, load."""
    noise = np.random.default_rng(day.toordinal()).normal(1.0, 0.2, departures.height)
    hour = pl.col("slot").dt.hour()
    rush = 0.3 + 0.5 * (-((hour - 8) ** 2) / 8.0).exp() + 0.4 * (-((hour - 17) ** 2) / 10.0).exp()
    weekly = 0.8 if day.weekday() > 4 else 1.0
    load = (rush * pl.col("capacity") * weekly * pl.Series(noise)).clip(0, None).round(0)
    return departures.select("trip", "slot", load.alias("load"))


def features(departures: pl.LazyFrame, counts: pl.LazyFrame, day: date) -> pl.DataFrame:
    """A day's departures with what a week of counts says of their line, hour and trip."""
    start = _midnight(day)
    plan = departures.filter(pl.col("slot").is_between(start, start + timedelta(days=1), closed="left"))
    week = counts.filter(pl.col("slot").is_between(start - WEEK, start, closed="left"))
    # a trip keeps its number and line from day to day
    of_lines = week.join(plan.select("trip", "line"), on="trip").with_columns(hour=pl.col("slot").dt.hour())
    usual = of_lines.group_by("line", "hour").agg(usual=pl.col("load").mean())
    usual_of_line = of_lines.group_by("line").agg(usual_of_line=pl.col("load").mean())
    rows = plan.with_columns(hour=pl.col("slot").dt.hour(), weekday=pl.col("slot").dt.weekday())
    rows = rows.join(usual, on=["line", "hour"], how="left").join(usual_of_line, on="line", how="left")
    for name, ago in (("yesterday", timedelta(days=1)), ("last_week", WEEK)):
        earlier = week.select("trip", slot=pl.col("slot") + ago, load="load").rename({"load": name})
        rows = rows.join(earlier, on=["trip", "slot"], how="left")
    return rows.select(KEY, SLOT, KEPT, *INPUTS).sort("trip").collect()


def training(departures: pl.LazyFrame, counts: pl.LazyFrame, day: date) -> pl.DataFrame:
    """The features of a day that is counted, with its truth."""
    rows = features(departures, counts, day)
    return rows.join(counts.collect(), on=[KEY, SLOT], how="left", maintain_order="left")


def fitted(rows: pl.DataFrame) -> lightgbm.Booster:
    """A model of 100 trees."""
    data = lightgbm.Dataset(
        rows.select(INPUTS).cast(pl.Float64).to_numpy(), rows["load"].to_numpy(), feature_name=INPUTS
    )
    return lightgbm.train({"objective": "l1", "verbose": -1, "seed": 1}, data, num_boost_round=100)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
