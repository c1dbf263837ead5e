"""Cron lines by the clocks of Oslo and Auckland, days of 23 and 25 hours included."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.core.cron import checked_cron, last_tick, ticks
from trikk.core.errors import UsageError

OSLO, AUCKLAND = ZoneInfo("Europe/Oslo"), ZoneInfo("Pacific/Auckland")


def shown(line: str, zone: ZoneInfo, first: str, last: str) -> list[str]:
    """Ticks from midnight of one day to midnight of another, as the clock and its offset show them."""
    begin, end = (datetime.fromisoformat(day).replace(tzinfo=zone) for day in (first, last))
    found = ticks(checked_cron(line), zone, begin - timedelta(seconds=1), end - timedelta(seconds=1))
    return [tick.astimezone(zone).isoformat(timespec="minutes") for tick in found]


@pytest.mark.parametrize(
    "wrong",
    [
        "", "monthly", "@daily", "0 6 1 *", "0 0 6 1 * *", "60 6 * * *", "0 24 * * *", "0 6 0 * *", "0 6 32 * *",
        "0 6 * 13 *", "0 6 * * 8", "*/0 * * * *", "5-1 * * * *", "0 6 1 * ?", "0 6 30 2 *", "0 6 31 2,4,6 *",
        "0 6 */8 2 MON#5", "1,,2 * * * *", "٣ 6 * * *", "9" * 5000 + " * * * *", None, 7,
    ],
)  # fmt: skip
def test_a_line_that_is_none_or_never_comes_due_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError) as refused:
        checked_cron(wrong)
    assert refused.value.next
    assert len(refused.value.what) < 150


@given(st.text("0123456789*/,-#LWMONJAN \t\n²", max_size=20) | st.text(max_size=20))
def test_any_text_is_a_line_or_refused(text: str) -> None:
    try:
        line = checked_cron(text)
    except UsageError:
        return
    assert next(ticks(line, AUCKLAND, datetime(2020, 1, 1, tzinfo=UTC))) > datetime(2020, 1, 1, tzinfo=UTC)


def test_blanks_between_fields_do_not_matter() -> None:
    assert checked_cron("  0\t6  1 * *\n") == "0 6 1 * *"


@pytest.mark.parametrize(
    ("line", "zone", "days", "expected"),
    [
        ("30 2 * * *", OSLO, ("2020-03-28", "2020-03-31"),
         ["2020-03-28T02:30+01:00", "2020-03-29T03:00+02:00", "2020-03-30T02:30+02:00"]),
        ("0,30 2,3 * * *", OSLO, ("2020-03-29", "2020-03-30"),
         ["2020-03-29T03:00+02:00", "2020-03-29T03:30+02:00"]),
        ("30 2 * * *", OSLO, ("2020-10-24", "2020-10-27"),
         ["2020-10-24T02:30+02:00", "2020-10-25T02:30+02:00", "2020-10-26T02:30+01:00"]),
        ("*/30 2 * * *", OSLO, ("2020-03-29", "2020-03-30"), []),
        ("*/30 2 * * *", OSLO, ("2020-10-25", "2020-10-26"),
         ["2020-10-25T02:00+02:00", "2020-10-25T02:30+02:00", "2020-10-25T02:00+01:00", "2020-10-25T02:30+01:00"]),
        ("30 2 * * *", AUCKLAND, ("2020-04-04", "2020-04-07"),
         ["2020-04-04T02:30+13:00", "2020-04-05T02:30+13:00", "2020-04-06T02:30+12:00"]),
        ("30 2 * * *", AUCKLAND, ("2020-09-27", "2020-09-29"),
         ["2020-09-27T03:00+13:00", "2020-09-28T02:30+13:00"]),
        ("0 6 1 * *", AUCKLAND, ("2020-03-15", "2020-06-15"),
         ["2020-04-01T06:00+13:00", "2020-05-01T06:00+12:00", "2020-06-01T06:00+12:00"]),
        ("0 0 29 2 *", OSLO, ("2020-01-01", "2025-01-01"), ["2020-02-29T00:00+01:00", "2024-02-29T00:00+01:00"]),
        ("0 12 L * *", OSLO, ("2020-02-01", "2020-04-01"), ["2020-02-29T12:00+01:00", "2020-03-31T12:00+02:00"]),
        ("0 12 13 3 FRI", OSLO, ("2020-03-10", "2020-03-21"),
         ["2020-03-13T12:00+01:00", "2020-03-20T12:00+01:00"]),
    ],
)  # fmt: skip
def test_a_line_comes_due_by_the_clock_of_the_place(
    line: str, zone: ZoneInfo, days: tuple[str, str], expected: list[str]
) -> None:
    assert shown(line, zone, *days) == expected


@pytest.mark.parametrize(
    ("zone", "day", "after", "hours"),
    [(OSLO, "2020-03-29", "2020-03-30", 23), (OSLO, "2020-10-25", "2020-10-26", 25),
     (AUCKLAND, "2020-04-05", "2020-04-06", 25), (AUCKLAND, "2020-03-29", "2020-03-30", 24)],
)  # fmt: skip
def test_every_hour_comes_as_often_as_the_day_has_hours(zone: ZoneInfo, day: str, after: str, hours: int) -> None:
    assert len(shown("0 * * * *", zone, day, after)) == hours


def test_a_tick_at_the_end_counts_and_one_at_the_beginning_does_not() -> None:
    first, second = datetime(2020, 3, 1, 5, tzinfo=UTC), datetime(2020, 4, 1, 4, tzinfo=UTC)
    assert list(ticks("0 6 1 * *", OSLO, first, second)) == [second]
    assert last_tick("0 6 1 * *", OSLO, first, second) == second
    assert last_tick("0 6 1 * *", OSLO, second, second) is None
    assert last_tick("0 6 1 * *", OSLO, second, first) is None
    almost = second - timedelta(microseconds=1)
    assert last_tick("0 6 1 * *", OSLO, first, almost) is None
    assert list(ticks("0 6 1 * *", OSLO, almost, second)) == [second]


def test_in_the_hour_that_comes_twice_a_moment_of_the_first_is_over_in_the_second() -> None:
    second_quarter_past = datetime(2020, 10, 25, 1, 15, tzinfo=UTC)
    assert next(ticks("30 2 * * *", OSLO, second_quarter_past)) == datetime(2020, 10, 26, 1, 30, tzinfo=UTC)
    long_before = datetime(2020, 10, 1, tzinfo=UTC)
    assert last_tick("30 2 * * *", OSLO, long_before, second_quarter_past) == datetime(
        2020, 10, 25, 0, 30, tzinfo=UTC
    )


def test_ticks_end_with_the_calendar() -> None:
    assert list(ticks("0 6 1 1 *", OSLO, datetime(9998, 6, 1, tzinfo=UTC))) == [
        datetime(9999, 1, 1, 5, tzinfo=UTC)
    ]


LINES = ["30 2 * * *", "*/20 * * * *", "0 1,2,3 * * *", "15 */2 * * *", "*/30 2 * * *", "0 6 1 * *", "0 2 * * SUN"]
CHANGES = [datetime(2020, m, d, tzinfo=UTC) for m, d in ((3, 29), (10, 25), (4, 4), (9, 26), (7, 1))]


@given(
    st.sampled_from(LINES),
    st.sampled_from([OSLO, AUCKLAND, ZoneInfo("UTC")]),
    st.sampled_from(CHANGES),
    st.integers(-2 * 86400, 2 * 86400) | st.integers(-3 * 3600, 3 * 3600),
    st.integers(0, 4 * 86400),
)
@settings(max_examples=40)
def test_where_one_begins_to_look_changes_nothing(
    line: str, zone: ZoneInfo, change: datetime, shift: int, length: int
) -> None:
    after = change + timedelta(seconds=shift)
    until = after + timedelta(seconds=length)
    long_before = list(ticks(line, zone, change - timedelta(days=6), until))
    assert all(a < b for a, b in pairwise(long_before))
    inside = [tick for tick in long_before if tick > after]
    assert list(ticks(line, zone, after, until)) == inside
    assert last_tick(line, zone, after, until) == (inside[-1] if inside else None)


def test_the_last_of_very_many_ticks_is_found_from_the_end() -> None:
    first, last = datetime(1970, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, 0, 0, 30, tzinfo=UTC)
    assert last_tick("* * * * *", OSLO, first, last) == last.replace(second=0)
    assert len(list(islice(ticks("* * * * *", OSLO, first, last), 100))) == 100


def test_the_library_is_loaded_when_a_line_is_checked_and_not_before() -> None:
    code = "import sys, trikk, trikk.core.cron; assert 'cronsim' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
