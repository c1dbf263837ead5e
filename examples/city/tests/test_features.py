"""What is known at the end of a day, and above all: nothing that comes after it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from city import features

TODAY = date(2020, 2, 20)
TOMORROW = date(2020, 2, 21)


def counted(first: date, last: date, sensors: tuple[str, ...] = ("A", "B")) -> pl.DataFrame:
    """Counts for each hour from 12:00 UTC (01:00 local in summer), that tell the hour and day of each."""
    slots = pl.datetime_range(
        datetime(first.year, first.month, first.day, 12, tzinfo=UTC),
        datetime(last.year, last.month, last.day, 12, tzinfo=UTC),
        "1h",
        time_unit="us",
        eager=True,
    )
    hour = pl.col("slot").dt.epoch("s") // 3600
    frame = pl.DataFrame({"sensor": sensors}).join(pl.DataFrame({"slot": slots}), how="cross")
    return frame.with_columns((hour * 37 % 997 + 3).cast(pl.Int32).alias("count"))


@pytest.fixture(scope="module")
def counts() -> pl.DataFrame:
    return counted(date(2019, 12, 1), TOMORROW + timedelta(days=5))


def test_what_comes_after_the_day_changes_nothing(counts: pl.DataFrame) -> None:
    end = datetime(2020, 2, 20, 11, tzinfo=UTC)  # midnight in Auckland
    changed = counts.with_columns(pl.when(pl.col("slot") >= end).then(99999).otherwise("count").alias("count"))
    for as_it_was, now in zip(
        features.build(counts.lazy(), TODAY, 4), features.build(changed.lazy(), TODAY, 4), strict=True
    ):
        assert as_it_was.equals(now)


def test_a_rows_features_come_from_the_days_before_it(counts: pl.DataFrame) -> None:
    past, _ = features.build(counts.lazy(), TODAY, 4)
    end = datetime(2020, 2, 19, 11, tzinfo=UTC)
    changed = counts.with_columns(pl.when(pl.col("slot") >= end).then(7).otherwise("count").alias("count"))
    on_the_day = pl.col("day") == TODAY
    again, _ = features.build(changed.lazy(), TODAY, 4)
    columns = ["sensor", "day", *features.FEATURES]
    assert again.filter(on_the_day).select(columns).equals(past.filter(on_the_day).select(columns))


def test_tomorrow_is_described_as_it_will_be_as_a_row_of_the_past(counts: pl.DataFrame) -> None:
    _, tomorrow = features.build(counts.lazy(), TODAY, 4)
    past, _ = features.build(counts.lazy(), TOMORROW, 4)
    columns = ["sensor", *features.FEATURES]
    later = past.filter(pl.col("day") == TOMORROW)
    assert later.select(columns).equals(tomorrow.select(columns), null_equal=True)


def test_lags_are_of_the_same_local_hour(counts: pl.DataFrame) -> None:
    _, tomorrow = features.build(counts.lazy(), TODAY, 4)
    for name, days in features.LAGS.items():
        if name in features.FEATURES:
            lag = counts.with_columns(pl.col("slot") + timedelta(days=days))
            both = tomorrow.join(lag, on=["sensor", "slot"])
            assert both.height == 48
            assert (both[name] == both["count"]).all()


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2020, 2, 21), 24), (date(2020, 4, 5), 25), (date(2019, 9, 29), 23)]
)
def test_a_day_has_the_hours_that_its_clock_gives_it(day: date, hours: int) -> None:
    known = pl.DataFrame({"sensor": ["A"], "day": [day - timedelta(days=1)]})
    ahead = features.ahead(known, day)
    assert ahead.height == ahead["slot"].n_unique() == hours


def test_a_sensor_that_was_silent_for_a_week_is_not_predicted(counts: pl.DataFrame) -> None:
    silent = (pl.col("sensor") == "B") & (pl.col("slot") > datetime(2020, 2, 10, tzinfo=UTC))
    _, tomorrow = features.build(counts.filter(~silent).lazy(), TODAY, 4)
    assert tomorrow["sensor"].unique().to_list() == ["A"]


def test_unbelieved_counts_are_neither_learned_from_nor_seen(counts: pl.DataFrame) -> None:
    dead = counts.with_columns(pl.when(pl.col("sensor") == "A").then("count").alias("count"))
    past, tomorrow = features.build(dead.lazy(), TODAY, 4)
    assert past["sensor"].unique().to_list() == tomorrow["sensor"].unique().to_list() == ["A"]


def test_holidays_are_seen_on_the_day_the_day_after_and_a_week_after() -> None:
    days = [date(2020, 2, d) for d in (5, 6, 7, 13)]
    rows = pl.DataFrame({"day": days})
    found = rows.with_columns(features.calendar(rows))
    assert found["holiday"].to_list() == [False, True, False, False]
    assert found["holiday_yesterday"].to_list() == [False, False, True, False]
    assert found["holiday_last_week"].to_list() == [False, False, False, True]
