"""Local time in every zone of the tz database, around every kind of change of its clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import polars as pl
import pytest

from trikk.alerts.rules.costs import Per, periods
from trikk.core.cron import ticks
from trikk.core.errors import ProjectError, UsageError
from trikk.core.settings import load_settings
from trikk.core.zones import day_of, day_start, hour_of, moment_of, start_of, zone_of
from trikk.drift import SlidingWindow, spans
from trikk.monitoring.cases.case_join import _utc
from trikk.monitoring.cases.windows import moments, window_at, window_named, windows_between
from trikk.monitoring.day_drift.reference_days import compared_with
from trikk.reports.periods import last_complete

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=number) for number in (1, 60, 3600, 86400))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECENT = 2037


def changes() -> list[tuple[str, datetime]]:
    """A zone and a moment for every kind of change: by how much, from which offset, at which time of its clock.

    Every change of every zone that the tz database lists is looked at, back to local mean times.
    """
    from zoneinfo import _zoneinfo  # type: ignore[attr-defined]  # the one in Python says when clocks change

    kinds: dict[Any, tuple[str, datetime]] = {}
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for at in _zoneinfo.ZoneInfo(name)._trans_utc:
            moment = EPOCH + at * SECOND
            before, after = (moment - SECOND).astimezone(zone), moment.astimezone(zone)
            if before.utcoffset() != after.utcoffset():
                is_recent = 1970 <= moment.year <= RECENT
                kinds.setdefault((before.utcoffset(), after.utcoffset(), before.time(), is_recent), (name, moment))
    return list(kinds.values())


CHANGES = changes()
MODERN = [(name, at) for name, at in CHANGES if 1970 <= at.year <= RECENT]


def clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """What a clock shows, without the zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def around(at: datetime, step: timedelta, reach: timedelta) -> list[datetime]:
    steps = int(reach / step)
    return sorted({at - SECOND, at, at + SECOND, *(at + number * step for number in range(-steps, steps + 1))})


def test_the_tz_database_has_the_changes_that_are_hard() -> None:
    assert len(CHANGES) > 500
    zones = {name for name, _ in CHANGES}
    assert {"Australia/LHI", "Australia/Lord_Howe"} & zones
    assert {"Pacific/Apia", "Antarctica/Troll", "Africa/Casablanca", "America/Havana"} & zones


def test_a_window_begins_where_the_last_one_ended_in_every_zone() -> None:
    for name, at in CHANGES:
        zone = ZoneInfo(name)
        for kind, reach in (("hour", 3 * HOUR), ("day", 3 * DAY), ("week", 8 * DAY)):
            windows = list(windows_between(kind, at - reach, at + reach, zone))
            assert windows[0].start <= at - reach
            assert windows[-1].end > at + reach, (name, at, kind)
            assert all(a.end == b.start for a, b in pairwise(windows)), (name, at, kind)
            assert all(window.start < window.end for window in windows), (name, at, kind)
            assert len({window.label for window in windows}) == len(windows)
            for window in windows:
                assert window_named(kind, window.label, zone) == window, (name, at, window)
                assert window_at(kind, window.end - timedelta(microseconds=1), zone) == window


def test_an_hour_is_one_of_the_clock_and_cut_where_the_clock_is_changed() -> None:
    for name, at in CHANGES:
        zone = ZoneInfo(name)
        for moment in around(at, 15 * MINUTE, 2 * HOUR):
            start, end = hour_of(moment, zone)
            assert start <= moment < end
            first, last = start.astimezone(zone), (end - SECOND).astimezone(zone)
            assert (first.hour, first.utcoffset()) == (last.hour, last.utcoffset()), (name, moment)
            shown = clock(moment, zone)
            assert start in (moment - shown.minute * MINUTE - shown.second * SECOND, at), (name, moment)


def test_a_day_begins_when_its_date_is_shown_first() -> None:
    for name, at in CHANGES:
        zone = ZoneInfo(name)
        for back in range(-2, 3):
            day = clock(at, zone).date() + back * DAY
            start, end = day_start(day, zone), day_start(day + DAY, zone)
            assert start <= end
            assert clock(start, zone).date() >= day > clock(start - SECOND, zone).date(), (name, day)
            if start < end:
                assert day_of(start, zone) == day_of(end - SECOND, zone) == day


def test_a_span_begins_when_the_clock_first_shows_its_time_or_a_later_one() -> None:
    for name, at in CHANGES:
        zone = ZoneInfo(name)
        for local in {clock(moment, zone).replace(second=0) for moment in around(at, 30 * MINUTE, 26 * HOUR)}:
            start = start_of(local, zone)
            assert clock(start, zone) >= local > clock(start - SECOND, zone), (name, local)
            shown = clock(start, zone) == local
            assert (moment_of(local, zone) == start) or not shown


def test_polars_means_the_same_moments_by_times_without_a_zone() -> None:
    for name, at in MODERN:
        zone = ZoneInfo(name)
        local = [clock(moment, zone) for moment in around(at, 15 * MINUTE, 26 * HOUR)]
        local += [local[0] + number * 15 * MINUTE for number in range(4 * 26)]
        got = pl.DataFrame({"slot": local}).select(_utc(pl.col("slot"), name)).to_series().to_list()
        assert got == [moment_of(one, zone) for one in local], (name, at)


def test_the_moments_between_two_times_without_a_zone_are_all_in_between() -> None:
    for name, at in MODERN:
        zone = ZoneInfo(name)
        for hours in range(-25, 26, 5):
            first = clock(at, zone) + hours * HOUR
            times = [first + number * 15 * MINUTE for number in range(100)]
            for last in times[::20]:
                begin, end = moments(first, last, zone)
                assert all(begin <= moment_of(one, zone) <= end for one in times if one <= last), (
                    name,
                    first,
                    last,
                )


def test_periods_of_costs_and_reports_follow_each_other_in_every_zone() -> None:
    for name, at in MODERN:
        zone = ZoneInfo(name)
        for now in (at - SECOND, at, at + 12 * HOUR, at + 30 * HOUR):
            for per in ("day", "month"):
                found = periods(Per(per), now, zone, 3)
                assert all(a.end == b.start for a, b in pairwise(found)), (name, now)
                assert found[-1].start <= now < found[-1].end
                complete = last_complete(per, now, zone)
                assert (complete.label, complete.start, complete.end) == (
                    found[-2].label,
                    found[-2].start,
                    found[-2].end,
                ), (name, now)


def test_a_cron_line_with_a_time_comes_once_a_day_when_that_time_is_reached() -> None:
    for name, at in MODERN:
        if at.second:  # cron knows whole minutes; the last clock with seconds was Liberia's, until 1972
            continue
        zone = ZoneInfo(name)
        shown, missed = clock(at, zone), clock(at - SECOND, zone) + SECOND
        for minute in {
            min(shown, missed),
            min(shown, missed) + 10 * MINUTE,
            datetime.combine(shown.date(), time()),
        }:
            days = [minute.date() + back * DAY for back in range(-1, 3)]
            wanted = {start_of(datetime.combine(day, minute.time()), zone) for day in days}
            line = f"{minute.minute} {minute.hour} * * *"
            found = list(ticks(line, zone, min(wanted) - SECOND, max(wanted)))
            assert found == sorted(wanted), (name, at, line)


def test_a_day_is_compared_with_the_same_days_whatever_clocks_did() -> None:
    for name, at in MODERN:
        zone = ZoneInfo(name)
        day = window_at("day", at + 3 * DAY, zone)
        this = date.fromisoformat(day.label)
        labels = tuple((this - back * DAY).isoformat() for back in range(7, 0, -1))
        assert compared_with(SlidingWindow(7), day, zone, None, same_weekday=False).days == labels
        ((first, last),) = spans(SlidingWindow(7), day.start.astimezone(zone), day.end.astimezone(zone))
        assert (first.astimezone(UTC), last.astimezone(UTC)) == (day_start(this - 7 * DAY, zone), day.start)


@pytest.mark.parametrize(
    ("zone", "label", "hours"),
    [
        ("Australia/Lord_Howe", "2024-10-06", 23.5),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("America/Sao_Paulo", "2018-11-04", 23.0),  # has no midnight
        ("Pacific/Apia", "2011-12-29", 24.0),
        ("Antarctica/Troll", "2024-03-31", 22.0),
        ("Asia/Kathmandu", "1986-01-01", 23.75),
        ("America/St_Johns", "2006-10-29", 25.0),  # shows the end of the 28th again after its first minute
    ],
)
def test_days_are_as_long_as_their_clocks_make_them(zone: str, label: str, hours: float) -> None:
    window = window_named("day", label, ZoneInfo(zone))
    assert (window.end - window.start) / HOUR == hours


@pytest.mark.parametrize("name", ["Europe/Osl", "Europe", "", "../UTC", "a\0b", 5, None])
def test_a_zone_that_there_is_not_is_refused_wherever_it_is_written(tmp_path: Path, name: object) -> None:
    with pytest.raises(UsageError, match="there is no time zone"):
        zone_of(name)
    if isinstance(name, str) and "\0" not in name:
        (tmp_path / "trikk.toml").write_text(f'timezone = "{name}"\n')
        with pytest.raises(ProjectError, match="timezone = "):
            load_settings(tmp_path)
