"""Scales and ticks: in order, round, within the ends, apart, and by the place's clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.charts import (
    Bar,
    Bin,
    Cell,
    Dot,
    HeatMap,
    Interval,
    Lines,
    Point,
    Series,
    Threshold,
    distribution_chart,
    dot_chart,
    heat_map,
    interval_plot,
    line_chart,
    ranked_bars,
    sparkline,
)
from trikk.charts.drawing.axes import spaced
from trikk.charts.drawing.glyph_widths import fitted, text_width
from trikk.charts.drawing.local_ticks import Times
from trikk.charts.drawing.scales import Linear, Log, is_wide, scale_over, tick_text

ORDINARY = st.floats(-1e12, 1e12, allow_nan=False).map(lambda value: value if abs(value) > 1e-12 else 0.0)
UNITS = st.sampled_from(["", "s", "%", "B", "kWh"])


@given(st.lists(ORDINARY, min_size=1, max_size=20), UNITS, st.booleans(), st.booleans(), st.integers(2, 9))
def test_values_are_drawn_in_order_and_ticks_are_within_few_and_different(
    values: list[float], unit: str, zero: bool, log: bool, most: int
) -> None:
    scale = scale_over(values, 200.0, 10.0, zero=zero, log=log, unit=unit)
    pixels = [scale(value) for value in sorted(values)]
    assert all(10 <= pixel <= 200 for pixel in pixels)
    assert all(left >= right - 1e-6 for left, right in pairwise(pixels)), "upwards"
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    slack = 1e-6 * (scale.high - scale.low)
    assert all(scale.low - slack <= tick.value <= scale.high + slack for tick in ticks)
    assert all(a.value < b.value for a, b in pairwise(ticks))
    assert len({tick.text for tick in ticks}) == len(ticks), "no two ticks read the same"
    if zero and isinstance(scale, Linear):
        assert scale.low <= 0 <= scale.high


@pytest.mark.parametrize(
    ("low", "high", "unit", "texts"),
    [
        (0, 1, "", ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 16_000, "", ["0", "5,000", "10,000", "15,000"]),
        (0, 2_400_000, "", ["0", "500k", "1,000k", "1,500k", "2,000k"]),
        (0, 500, "s", ["0 s", "2 min", "4 min", "6 min", "8 min"]),
        (0, 0.25, "s", ["0 s", "50 ms", "100 ms", "150 ms", "200 ms", "250 ms"]),
        (0.85, 0.99, "%", ["86%", "88%", "90%", "92%", "94%", "96%", "98%"]),
        (-3, 3, "", ["-3", "-2", "-1", "0", "1", "2", "3"]),
        (0, 3e9, "B", ["0 B", "0.5 GB", "1.0 GB", "1.5 GB", "2.0 GB", "2.5 GB", "3.0 GB"]),
    ],
)
def test_ticks_read_as_people_write_them(low: float, high: float, unit: str, texts: list[str]) -> None:
    assert [tick.text for tick in Linear(low, high, 0, 100, unit).ticks(7)] == texts


def test_a_logarithmic_scale_has_powers_of_ten_and_draws_zero_at_its_end() -> None:
    scale = scale_over([0.0, 3.0, 4000.0], 100.0, 0.0, log=True)
    assert isinstance(scale, Log)
    assert scale(0.0) == 100.0
    assert [tick.text for tick in scale.ticks(6)] == ["10", "100", "1,000"]
    assert is_wide([1, 1, 1, 13])
    assert not is_wide([1, 1, 1, 12])
    assert not is_wide([None, 0.0])


def clock(start: datetime, length: timedelta, most: int = 9) -> list[str]:
    scale = Times(start.timestamp(), start.timestamp() + length.total_seconds(), 0, 700, start.tzinfo or UTC)
    return [f"{tick.text}|{tick.context}".rstrip("|") for tick in scale.ticks(most)]


def test_an_hour_that_comes_twice_has_two_ticks_and_one_left_out_has_none() -> None:
    oslo = ZoneInfo("Europe/Oslo")
    autumn = datetime(2026, 10, 24, 23, tzinfo=UTC).astimezone(oslo)
    assert clock(autumn, timedelta(hours=4), 6) == ["01:00|25 Oct 2026", "02:00", "02:00", "03:00", "04:00"]
    spring = datetime(2026, 3, 28, 23, tzinfo=UTC).astimezone(oslo)
    assert clock(spring, timedelta(hours=4), 6) == ["00:00|29 Mar 2026", "01:00", "03:00", "04:00", "05:00"]


@pytest.mark.parametrize(
    ("zone", "first", "days"),
    [
        ("Europe/Oslo", (2026, 3, 27), 6),
        ("America/Sao_Paulo", (2017, 10, 13), 5),  # midnight of the 15th is left out
        ("Pacific/Apia", (2011, 12, 27), 6),  # the 30th is left out
        ("Australia/Lord_Howe", (2026, 4, 3), 5),  # half an hour comes twice
    ],
)
def test_days_begin_when_the_places_days_begin(zone: str, first: tuple[int, int, int], days: int) -> None:
    place = ZoneInfo(zone)
    start = datetime(*first, tzinfo=place)
    end = start + timedelta(days=days)  # by the clock
    scale = Times(start.timestamp(), end.timestamp(), 0, 1, place)
    moments = [datetime.fromtimestamp(tick.value, place) for tick in scale.ticks(8)]
    assert [tick.text for tick in scale.ticks(8)] == [str(moment.day) for moment in moments]
    assert all(moment.hour == 0 or (zone == "America/Sao_Paulo" and moment.day == 15) for moment in moments)
    assert len(moments) == days + (zone != "Pacific/Apia")


def test_labels_say_what_is_new() -> None:
    assert clock(datetime(2025, 12, 29, tzinfo=UTC), timedelta(days=5)) == [
        "29|Dec 2025", "30", "31", "1|Jan 2026", "2", "3",
    ]  # fmt: skip
    assert clock(datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=49)) == [
        "2 Mar|2026", "9 Mar", "16 Mar", "23 Mar", "30 Mar", "6 Apr", "13 Apr",
    ]  # fmt: skip
    months = clock(datetime(2025, 11, 1, tzinfo=UTC), timedelta(days=120), 6)
    assert months == ["Nov|2025", "Dec", "Jan|2026", "Feb", "Mar"]
    assert clock(datetime(2019, 1, 1, tzinfo=UTC), timedelta(days=3000)) == [
        str(year) for year in range(2019, 2028)
    ]


@given(
    st.floats(6e8, 2e9),
    st.floats(0.0, 9.5).map(lambda power: 10**power),
    st.sampled_from(["UTC", "Europe/Oslo", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"]),
    st.integers(3, 10),
)
def test_there_are_some_ticks_of_time_in_order_within_the_ends(
    first: float, length: float, zone: str, most: int
) -> None:
    ticks = Times(first, first + length, 0, 700, ZoneInfo(zone)).ticks(most)
    assert len(ticks) <= most + 2
    assert all(first <= tick.value <= first + length for tick in ticks)
    assert all(a.value < b.value for a, b in pairwise(ticks))
    if ticks:
        assert ticks[0].context or ticks[0].text.isdigit(), "the first says what it is in, unless it is a year"


@given(st.text(min_size=1, max_size=60), st.floats(20, 300))
def test_a_text_is_shortened_to_its_room(text: str, width: float) -> None:
    shown = fitted(text, width)
    assert shown == text if text_width(text) <= width else len(shown) < len(text) + 2
    assert text_width(shown) <= width + 0.5 or len(shown) <= 3


@given(st.lists(st.text("abc 19", min_size=1, max_size=12), min_size=1, max_size=40))
def test_labels_do_not_touch(names: list[str]) -> None:
    from trikk.charts.drawing.scales import Band, Tick

    scale = Band(len(names), 0, 400)
    shown = spaced([Tick(i, name) for i, name in enumerate(names)], scale)
    assert shown
    for left, right in pairwise(shown):
        assert scale(left.value) + text_width(left.text) / 2 < scale(right.value) - text_width(right.text) / 2


def test_zero_is_not_negative() -> None:
    assert tick_text(-0.0, 0.5, 1.0) == "0.0"


def test_values_that_are_all_alike_are_in_the_middle() -> None:
    for value in (0.0, 3.0, -2.0):
        scale = scale_over([value, value], 0, 100, room=0)
        assert 0 < scale(value) < 100


ANY = st.floats() | st.none()


@given(st.lists(ANY, min_size=1, max_size=6), st.booleans(), UNITS)
def test_whatever_numbers_there_are_a_picture_has_none_that_is_not_one(
    values: list[float | None], flag: bool, unit: str
) -> None:
    points = [Point(float(i), v, v, v and v / 2) for i, v in enumerate(values)]
    numbers = [value if value is not None else float("nan") for value in values]
    lines = Lines(
        "a", [Series("a", points)], thresholds=[Threshold(numbers[0], "t")], log=flag, zero=not flag, unit=unit
    )
    pictures = [
        line_chart(lines),
        sparkline(values, "a", baseline=values[::-1]),
        dot_chart([Dot(v, v) for v in numbers], "a"),
        heat_map(HeatMap("a", ["r"], ["c"] * len(values), [[Cell(v) for v in values]])),
        ranked_bars([Bar("a", v) for v in numbers], "a"),
        distribution_chart([Bin("a", v, v) for v in numbers], "a"),
        interval_plot([Interval("a", v, v, v) for v in numbers], "a", unit=unit),
    ]
    for picture in pictures:
        assert not re.search(r"[^a-z](nan|inf)[^a-z]|e[+-]?\d", re.sub(r">[^<]*<", "><", picture))
