"""Public holidays of Auckland: days on which a city centre is not itself."""

from __future__ import annotations

from datetime import date, timedelta

MATARIKI = [date(2022, 6, 24), date(2023, 7, 14), date(2024, 6, 28), date(2025, 6, 20), date(2026, 7, 10)]
MONDAY = 0


def easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8)."""
    century, rest = divmod(year, 100)
    golden = year % 19
    shift = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - century // 4 - shift + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - moon - rest % 4) % 7
    month, day = divmod(moon + weekday - 7 * ((golden + 11 * moon + 22 * weekday) // 451) + 114, 31)
    return date(year, month, day + 1)


def monday_from(day: date) -> date:
    """The first Monday that is not before a day."""
    return day + timedelta(days=(MONDAY - day.weekday()) % 7)


def on_weekend(day: date) -> bool:
    """Whether a day is a Saturday or Sunday."""
    return day.weekday() >= 5


def single(day: date) -> list[date]:
    """One holiday; if it falls on a weekend, the Monday after it, too."""
    return [day, monday_from(day)] if on_weekend(day) else [day]


def pair(first: date) -> list[date]:
    """Two holidays in a row; for one that falls on a weekend, the Monday or Tuesday after it, too."""
    both = [first, first + timedelta(days=1)]
    return [*both, *(day + timedelta(days=2) for day in both if on_weekend(day))]


def holidays(year: int) -> list[date]:
    """The public holidays in Auckland in a year, days in lieu included, in order."""
    sunday = easter(year)
    found = [
        *pair(date(year, 1, 1)),
        monday_from(date(year, 1, 26)),  # anniversary of the province: the Monday nearest to 29 January
        *single(date(year, 2, 6)),  # Waitangi Day
        sunday - timedelta(days=2),
        sunday + timedelta(days=1),
        *single(date(year, 4, 25)),  # Anzac Day
        monday_from(date(year, 6, 1)),  # the sovereign's birthday
        *(d for d in MATARIKI if d.year == year),
        monday_from(date(year, 10, 22)),  # Labour Day: the fourth Monday of October
        *pair(date(year, 12, 25)),
    ]
    return sorted(found)
