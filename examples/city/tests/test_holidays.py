"""The holidays that the calendar of New Zealand's government lists."""

from __future__ import annotations

from datetime import date

import pytest
from city.holidays import easter, holidays


@pytest.mark.parametrize("day", [date(2019, 4, 21), date(2020, 4, 12), date(2024, 3, 31), date(2025, 4, 20)])
def test_easter(day: date) -> None:
    assert easter(day.year) == day


def test_the_holidays_of_2020_with_the_days_in_lieu() -> None:
    days = "01-01 01-02 01-27 02-06 04-10 04-13 04-25 04-27 06-01 10-26 12-25 12-26 12-28"
    assert holidays(2020) == [date.fromisoformat(f"2020-{day}") for day in days.split()]


def test_two_holidays_on_a_weekend_are_kept_on_monday_and_tuesday() -> None:
    assert {date(2022, 1, 3), date(2022, 1, 4), date(2022, 12, 26), date(2022, 12, 27)} <= set(holidays(2022))


def test_matariki_begins_in_2022() -> None:
    assert date(2022, 6, 24) in holidays(2022)
    assert not any(day.month in (6, 7) for day in holidays(2021) if day.day > 7)
