"""Windows by the clock of a place, and what their figures are worth at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import UsageError
from trikk.monitoring.cases.due_windows import batches, due, merged, spans_of
from trikk.monitoring.cases.windows import (
    GAP,
    Window,
    state_of,
    until_gap,
    window_at,
    window_named,
    windows_between,
)
from trikk.monitoring.figures.records import Cursor
from trikk.storage.tables.ranges import FileRange

ZONES = [ZoneInfo(z) for z in ("UTC", "Europe/Oslo", "Pacific/Auckland", "Asia/Kolkata", "America/St_Johns")]
HOURS = st.floats(0, 3 * 366 * 24)
MOMENTS = HOURS.map(lambda hours: datetime(2019, 1, 1, tzinfo=UTC) + timedelta(hours=hours))
OSLO = ZoneInfo("Europe/Oslo")


@given(MOMENTS, st.sampled_from(ZONES), st.sampled_from(["hour", "day", "week"]))
def test_a_moment_lies_in_its_window_and_the_label_leads_back_to_it(
    moment: datetime, zone: ZoneInfo, kind: str
) -> None:
    window = window_at(kind, moment, zone)
    assert window.start <= moment < window.end
    assert window_named(kind, window.label, zone) == window
    assert window_at(kind, window.end, zone).start == window.end
    assert window_at(kind, window.start, zone) == window


@given(MOMENTS, st.integers(0, 40), st.sampled_from(ZONES), st.sampled_from(["hour", "day", "week"]))
def test_windows_follow_each_other_without_a_gap(first: datetime, hours: int, zone: ZoneInfo, kind: str) -> None:
    last = first + timedelta(hours=hours)
    found = list(windows_between(kind, first, last, zone))
    assert found[0].start <= first
    assert found[-1].start <= last < found[-1].end
    assert all(a.end == b.start for a, b in pairwise(found))


def test_days_on_which_clocks_change_have_23_and_25_hours() -> None:
    spring, autumn = (window_named("day", label, OSLO) for label in ("2020-03-29", "2020-10-25"))
    assert [w.end - w.start for w in (spring, autumn)] == [timedelta(hours=23), timedelta(hours=25)]
    doubled = windows_between(
        "hour", datetime(2020, 10, 25, 0, tzinfo=UTC), datetime(2020, 10, 25, 1, tzinfo=UTC), OSLO
    )
    assert [w.label for w in doubled] == ["2020-10-25T02:00+02:00", "2020-10-25T02:00+01:00"]


def test_a_label_that_names_nothing_is_refused() -> None:
    with pytest.raises(UsageError):
        window_named("day", "yesterday", OSLO)


DAY = Window(datetime(2020, 3, 1, tzinfo=UTC), datetime(2020, 3, 2, tzinfo=UTC), "day", "2020-03-01")


@pytest.mark.parametrize(
    ("hours", "predicted", "observed", "labelled", "state"),
    [
        (1, 10, 0, 0, "pending"),
        (1, 10, 10, 10, "partial"),  # the day is not over: more may be predicted
        (25, 10, 3, 3, "partial"),
        (25, 10, 10, 10, "final"),
        (47, 10, 0, 0, "pending"),
        (48, 10, 0, 0, "overdue"),
        (48, 10, 4, 4, "overdue"),
        (48, 10, 5, 5, "final"),
        (48, 0, 5, 0, "final"),
        (48, 0, 0, 0, "empty"),
    ],
)
def test_states(hours: int, predicted: int, observed: int, labelled: int, state: str) -> None:
    now = DAY.start + timedelta(hours=hours)
    assert state_of(DAY, predicted, observed, labelled, delay=timedelta(days=1), now=now, least=0.5) == state


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2020, 3, day, hour, tzinfo=UTC)


def test_the_spans_of_files_are_in_order_and_files_without_a_time_have_none() -> None:
    files = [FileRange("c", at(6), at(7)), FileRange("b", at(3), at(4)), FileRange("nulls", None, None)]
    assert [(a.day, b.day) for a, b in spans_of(files, ZoneInfo("UTC"))] == [(3, 4), (6, 7)]


def test_what_is_due_is_what_is_open_new_or_touched() -> None:
    cursor = Cursor(1.0, {}, {"day": ["2020-03-03"]}, {"day": at(20).isoformat()})
    found = due("day", cursor, [(at(7, 3), at(8, 3))], (at(1), at(21, 5)), at(30), ZoneInfo("UTC"))
    assert [w.label[-2:] for w in found.windows] == ["03", "07", "08", "20", "21"]
    nothing_new = due("day", cursor, [], (at(1), at(19)), at(30), ZoneInfo("UTC"))
    assert [w.label[-2:] for w in nothing_new.windows] == ["03"]
    assert due("day", cursor, [], None, at(30), ZoneInfo("UTC")).windows == ()


def test_windows_that_follow_each_other_are_read_together() -> None:
    windows = [window_named("day", f"2020-03-{d:02}", OSLO) for d in (1, 2, 3, 7, 8)]
    assert [len(batch) for batch in batches(windows, 2)] == [2, 1, 2]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10))))
def test_merged_spans_hold_the_same_hours_and_do_not_overlap(pairs: list[tuple[int, int]]) -> None:
    spans = [(DAY.start + timedelta(hours=a), DAY.start + timedelta(hours=a + b)) for a, b in pairs]
    found = merged(spans)
    assert all(a[1] < b[0] for a, b in pairwise(found))
    for hour in range(62):
        moment = DAY.start + timedelta(hours=hour)
        assert any(a <= moment <= b for a, b in spans) == any(a <= moment <= b for a, b in found)


def test_a_month_is_named_as_reports_name_it_and_ends_where_the_next_begins() -> None:
    zone = ZoneInfo("Europe/Oslo")
    window = window_named("month", "2020-03", zone)
    assert window == window_named("month", "2020-03-26", zone)
    assert (window.label, window.start) == ("2020-03", datetime(2020, 2, 29, 23, tzinfo=UTC))
    assert window.end == datetime(2020, 3, 31, 22, tzinfo=UTC) == window_at("month", window.end, zone).start
    between = windows_between("month", window.start - timedelta(days=40), window.end, zone)
    assert [one.label for one in between] == ["2020-01", "2020-02", "2020-03", "2020-04"]


@pytest.mark.parametrize("silent", [GAP - 1, GAP])
def test_a_gap_of_84_windows_ends_a_search_and_a_shorter_one_does_not(silent: int) -> None:
    windows = ["newest", *[None] * silent, "before the gap"]
    assert list(until_gap(windows)) == ["newest", "before the gap"][: 2 if silent < GAP else 1]
    assert list(until_gap(windows[1:])) == (["before the gap"] if silent < GAP else [])
