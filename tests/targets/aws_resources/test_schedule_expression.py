"""Cron lines as Scheduler's expressions, evaluated here on their own: both come due at the same times."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trikk.core.cron import checked_cron, ticks
from trikk.core.errors import UsageError
from trikk.targets.aws_resources.schedule_expression import clock_notes, longest_gap, schedule_expression

WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
START = datetime(2027, 12, 1, tzinfo=UTC)  # a leap day lies in the time looked at
DAYS, MOST = 120, 300


@pytest.mark.parametrize(
    ("line", "expression"),
    [
        ("0 4 * * *", "cron(0 4 * * ? *)"),
        ("*/15 * * * *", "cron(0/15 * * * ? *)"),
        ("*/7 * * * *", "cron(0/7 * * * ? *)"),
        ("5 8-17 * * MON-FRI", "cron(5 8-17 ? * MON-FRI *)"),
        ("0 0 1 */3 *", "cron(0 0 1 1/3 ? *)"),
        ("30 2 L * *", "cron(30 2 L * ? *)"),
        ("0 6 * * 5L", "cron(0 6 ? * 6L *)"),
        ("0 6 * * FRI#2", "cron(0 6 ? * 6#2 *)"),
        ("0 6 * * SUN,0,7", "cron(0 6 ? * SUN *)"),
        ("0,1,30 6 * * 0-7", "cron(0,1,30 6 * * ? *)"),
        ("0 6 1-31 * MON", "cron(0 6 * * ? *)"),
    ],
)
def test_known_lines(line: str, expression: str) -> None:
    assert schedule_expression(checked_cron(line)) == expression


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 6 1 * MON", "either of them is enough"),
        ("0 6 */2 * MON", "both have to fit"),
        ("0 6 LW * *", "last working day"),
        ("0 6 15,L * *", "only by itself"),
        ("0 6 * * 5L,1", "only by themselves"),
        ("0 6 * * 1#1,1#3", "only by themselves"),
    ],
)
def test_what_it_cannot_say_is_refused_with_the_reason(line: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        schedule_expression(checked_cron(line))
    assert why in refused.value.what
    assert refused.value.next


def field(low: int, high: int, *special: str) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.integers(1, high)
    single = st.one_of(number.map(str), span)
    stepped = st.one_of(
        st.tuples(st.just("*"), step), st.tuples(number.map(str), step), st.tuples(span, step)
    ).map(lambda parts: f"{parts[0]}/{parts[1]}")
    listed = st.lists(st.one_of(single, stepped), min_size=1, max_size=4).map(",".join)
    return st.one_of(st.just("*"), listed, *(st.just(word) for word in special))


days = field(1, 31, "L")
weekdays = field(0, 7, "5L", "0L", "2#1", "7#3", "MON-FRI", "TUE,SAT")
lines = st.tuples(
    field(0, 59),
    field(0, 23),
    st.one_of(st.tuples(days, field(1, 12), st.just("*")), st.tuples(st.just("*"), field(1, 12), weekdays)),
).map(lambda parts: " ".join([parts[0], parts[1], *parts[2]]))


@given(lines)
@settings(max_examples=80)
def test_both_come_due_at_the_same_times(line: str) -> None:
    try:
        line = checked_cron(line)
    except UsageError:
        assume(False)
    end = START + timedelta(days=DAYS)
    by_cron = ticks(line, ZoneInfo("UTC"), START - timedelta(minutes=1), end)
    assert list(islice(due(schedule_expression(line), START, end), MOST)) == list(islice(by_cron, MOST))


def due(expression: str, start: datetime, end: datetime):
    """The times at which an expression comes due, by the rules of Scheduler's documentation."""
    minutes, hours, days, months, weekdays, year = expression.removeprefix("cron(").removesuffix(")").split()
    assert year == "*"
    assert [days, weekdays].count("?") == 1
    day = start
    while day <= end:
        if fits(day.month, months, range(1, 13)) and day_fits(day, days) and weekday_fits(day, weekdays):
            for hour in (h for h in range(24) if fits(h, hours, range(24))):
                for minute in (m for m in range(60) if fits(m, minutes, range(60))):
                    at = day.replace(hour=hour, minute=minute)
                    if at <= end:
                        yield at
        day += timedelta(days=1)


def fits(number: int, text: str, all_of: range) -> bool:
    for part in text.split(","):
        first, slash, step = part.partition("/")
        low, _, high = first.partition("-")
        if first == "*":
            span = all_of
        elif slash:
            span = range(int(low), all_of.stop)
        else:
            span = range(int(low), int(high or low) + 1)
        if number in span and (number - span[0]) % int(step or 1) == 0:
            return True
    return False


def day_fits(day: datetime, text: str) -> bool:
    if text in ("*", "?"):
        return True
    if text == "L":
        return day.day == calendar.monthrange(day.year, day.month)[1]
    return fits(day.day, text, range(1, 32))


def weekday_fits(day: datetime, text: str) -> bool:
    if text in ("*", "?"):
        return True
    number = (day.weekday() + 1) % 7 + 1
    if text.endswith("L"):
        return number == int(text[:-1]) and (day + timedelta(days=7)).month != day.month
    if "#" in text:
        wanted, _, which = text.partition("#")
        return number == int(wanted) and (day.day - 1) // 7 + 1 == int(which)
    for part in text.split(","):
        low, _, high = part.partition("-")
        if WEEKDAYS.index(low) <= number - 1 <= WEEKDAYS.index(high or low):
            return True
    return False


def test_what_changes_of_clocks_do_differently_is_said() -> None:
    oslo = ZoneInfo("Europe/Oslo")
    assert clock_notes("0 4 * * *", oslo) == []
    assert "over 02:30" in clock_notes("30 2 * * *", oslo)[0]
    assert "twice" in clock_notes("*/15 * * * *", oslo)[0]
    assert clock_notes("*/15 * * * *", ZoneInfo("UTC")) == []


@pytest.mark.parametrize(
    ("line", "hours"),
    [("* * * * *", 2), ("30 4 * * *", 25), ("0 6-18 * * MON-FRI", 61), ("0 0 1 * *", 31 * 24 + 1)],
)
def test_the_longest_gap_between_two_ticks(line: str, hours: int) -> None:
    assert longest_gap(line) == hours


def test_a_line_of_leap_days_has_a_gap() -> None:
    assert longest_gap("0 0 29 2 *") > 365 * 24
