from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from trikk.core.errors import UsageError
from trikk.drift import FixedWindow, SlidingWindow, TrainingData, spans

AUCKLAND = ZoneInfo("Pacific/Auckland")


def day(number: int, month: int = 3, **more: object) -> datetime:
    return datetime.fromisoformat(f"2020-{month:02}-{number:02}").replace(**more)  # type: ignore[arg-type]


def test_training_data_is_no_span_of_time() -> None:
    assert spans(TrainingData(), day(1), day(2)) == []


def test_a_sliding_window_ends_where_the_window_begins_or_a_gap_before() -> None:
    assert spans(SlidingWindow(7), day(20), day(21)) == [(day(13), day(20))]
    assert spans(SlidingWindow(7, gap=2), day(20), day(21)) == [(day(11), day(18))]


def test_matching_weekdays_leaves_the_same_days_of_the_weeks_before() -> None:
    sunday = day(22)
    found = spans(SlidingWindow(28, matching="weekday"), sunday, sunday + timedelta(days=1))
    assert [begin for begin, _ in found] == [sunday - timedelta(days=7 * n) for n in (4, 3, 2, 1)]
    assert all(end - begin == timedelta(days=1) for begin, end in found)


def test_neighbouring_days_are_one_span() -> None:
    weekend = day(21), day(23)
    assert spans(SlidingWindow(14, matching="weekday"), *weekend) == [(day(7), day(9)), (day(14), day(16))]
    week = spans(SlidingWindow(14, matching="weekday"), day(16), day(23))
    assert week == [(day(2), day(16))]


def test_days_are_those_of_the_zone_also_when_clocks_change() -> None:
    sunday = day(5, month=4, tzinfo=AUCKLAND)  # has 25 hours
    found = spans(
        FixedWindow(day(1, tzinfo=UTC), day(8, month=4, tzinfo=UTC), matching="weekday"),
        sunday,
        sunday + timedelta(days=1),
    )
    lengths = [(end.astimezone(UTC) - begin.astimezone(UTC)) / timedelta(hours=1) for begin, end in found]
    assert lengths == [11, 24, 24, 24, 24, 25]
    assert {begin.weekday() for begin, _ in found} == {6}


def test_a_fixed_window_is_the_same_for_every_window() -> None:
    reference = FixedWindow(day(1), day(8))
    assert spans(reference, day(20), day(21)) == spans(reference, day(27), day(28)) == [(day(1), day(8))]
    assert spans(FixedWindow(day(2), day(4), matching="weekday"), day(22), day(23)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FixedWindow(day(2), day(2)),
        lambda: FixedWindow(day(2), day(3, tzinfo=UTC)),
        lambda: SlidingWindow(0),
        lambda: SlidingWindow(7, gap=-1),
        lambda: spans(SlidingWindow(7), day(2), day(2)),
        lambda: spans(FixedWindow(day(1), day(2)), day(3, tzinfo=UTC), day(4, tzinfo=UTC)),
    ],
)
def test_spans_without_time_or_with_mixed_zones_are_refused(wrong: object) -> None:
    with pytest.raises(UsageError):
        wrong()  # type: ignore[operator]
