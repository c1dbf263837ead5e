"""What is known at the end of a day about every hour of the day after.

Everything is counted in local days and hours, since that is how a city lives. A row's features come from the days
before its own day only; the same expressions make them for the past (to learn from) and for tomorrow (to predict).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars as pl

from city.cleaning import ZONE
from city.holidays import holidays

FEATURES = [
    "hour",
    "weekday",
    "holiday",
    "holiday_yesterday",
    "holiday_last_week",
    "yesterday",
    "last_week",
    "two_weeks_ago",
    "usual",
    "typical",
    "sensor_trend",
    "city_trend",
    "surprise",
]
LAGS = {"yesterday": 1, "last_week": 7, "two_weeks_ago": 14, "three_weeks_ago": 21, "four_weeks_ago": 28}
MAY_BE_MISSING = FEATURES[5:]  # where a counter has not counted on an earlier day
SAME_WEEKDAY = ["last_week", "two_weeks_ago", "three_weeks_ago", "four_weeks_ago"]
SLOT_KEY = ["sensor", "day", "hour"]


def midnight(day: date) -> datetime:
    """The moment at which a local day begins, without its zone."""
    return datetime.combine(day, time())


def history(counts: pl.LazyFrame, day: date, weeks: int) -> pl.DataFrame:
    """The counts of the local days up to and including `day`: columns sensor, day, hour, count.

    Four weeks more than asked for are taken, for the features of the first ones.
    """
    begin, end = midnight(day - timedelta(weeks=weeks + 4)), midnight(day + timedelta(days=1))
    local = pl.col("slot").dt.convert_time_zone(ZONE)
    return (
        counts.filter(local.dt.replace_time_zone(None).is_between(begin, end, closed="left"))
        .select(
            "sensor",
            local.dt.date().alias("day"),
            local.dt.hour().alias("hour"),
            pl.col("count").cast(pl.Float32),
        )
        .drop_nulls("count")
        .sort(SLOT_KEY)
        .collect()
    )


def ahead(known: pl.DataFrame, day: date) -> pl.DataFrame:
    """The hours to predict on `day`, for each sensor that counted in the week before: sensor, slot, day, hour.

    Days on which clocks change have 23 or 25 of them.
    """
    local = pl.datetime_range(
        midnight(day), midnight(day + timedelta(days=1)), "1h", closed="left", time_zone=ZONE, eager=True
    )
    hours = pl.DataFrame({"slot": local}).select(
        pl.col("slot").dt.convert_time_zone("UTC"),
        pl.col("slot").dt.date().alias("day"),
        pl.col("slot").dt.hour().alias("hour"),
    )
    alive = known.filter(pl.col("day") >= day - timedelta(days=7)).select("sensor").unique().sort("sensor")
    return alive.join(hours, how="cross")


def described(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Add the features to rows with columns sensor, day and hour."""
    for name, days in LAGS.items():
        rows = joined(rows, later(known, days, name), SLOT_KEY)
    rows = rows.with_columns(
        pl.mean_horizontal(SAME_WEEKDAY).alias("usual"),
        pl.concat_list(SAME_WEEKDAY).list.median().alias("typical"),
        pl.col("day").dt.weekday().alias("weekday"),
    )
    rows = joined(rows, trend(known, ["sensor"], "sensor_trend"), ["sensor", "day"])
    rows = joined(rows, trend(known, [], "city_trend"), ["day"])
    rows = joined(rows, surprise(rows, known), ["day"])
    return rows.with_columns(calendar(rows)).with_columns(pl.col(FEATURES).cast(pl.Float32))


def joined(rows: pl.DataFrame, more: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """The rows in their order, with the columns of `more` where it has them."""
    return rows.join(more, on=key, how="left", maintain_order="left")


def later(known: pl.DataFrame, days: int, name: str) -> pl.DataFrame:
    """The counts, moved to the day on which they are `days` days old."""
    return known.select("sensor", pl.col("day") + pl.duration(days=days), "hour", pl.col("count").alias(name))


def trend(known: pl.DataFrame, by: list[str], name: str) -> pl.DataFrame:
    """For each day, the logarithm of yesterday's people over those of a week before yesterday."""
    totals = known.group_by(*by, "day").agg((pl.col("count").sum() + 1).alias("people"))
    before = totals.with_columns(pl.col("day") + pl.duration(days=7)).rename({"people": "before"})
    ratio = (pl.col("people") / pl.col("before")).log().alias(name)
    return totals.join(before, on=[*by, "day"]).select(*by, pl.col("day") + pl.duration(days=1), ratio)


def surprise(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """For each day, the logarithm of yesterday's people in the whole city over what was usual for that day."""
    came = rows.select(*SLOT_KEY, "usual").join(known, on=SLOT_KEY, maintain_order="left")
    ratio = ((pl.col("count").sum() + 1) / (pl.col("usual").sum() + 1)).log().alias("surprise")
    return came.drop_nulls("usual").group_by("day").agg(ratio).with_columns(pl.col("day") + pl.duration(days=1))


def calendar(rows: pl.DataFrame) -> list[pl.Expr]:
    """Whether a day, the one before it, and the one a week before it are public holidays."""
    first, last = rows["day"].min(), rows["day"].max()
    if not (isinstance(first, date) and isinstance(last, date)):
        return []
    free = [day for year in range(first.year - 1, last.year + 1) for day in holidays(year)]
    return [
        (pl.col("day") - pl.duration(days=ago)).is_in(free).alias(name)
        for name, ago in {"holiday": 0, "holiday_yesterday": 1, "holiday_last_week": 7}.items()
    ]


def build(counts: pl.LazyFrame, day: date, weeks: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows to learn from, and rows to predict.

    Args:
        counts: columns sensor, slot (UTC), count; rows after `day` are not looked at.
        day: the last day that is known.
        weeks: how many weeks up to `day` to learn from.

    Returns:
        Both with sensor and all `FEATURES` as Float32; the first has day and `count`, the second, for the day
        after `day`, has `slot`.
    """
    known = history(counts, day, weeks)
    tomorrow = ahead(known, day + timedelta(days=1))
    rows = described(pl.concat([known, tomorrow], how="diagonal"), known)
    past = rows.filter(pl.col("day").is_between(day - timedelta(weeks=weeks), day, closed="right"))
    return (
        past.select("sensor", "day", "count", *FEATURES),
        rows.filter(pl.col("day") > day).select("sensor", "slot", *FEATURES),
    )
