"""Periods by name, and figures of many windows taken together."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import UsageError
from trikk.monitoring.figures.pooling import pooled
from trikk.monitoring.figures.window_figures import Figures
from trikk.reports.periods import PeriodKind, containing, last_complete, period_named

OSLO = ZoneInfo("Europe/Oslo")


@pytest.mark.parametrize(
    ("kind", "text", "label", "title", "short", "before"),
    [
        ("month", "2020-03", "2020-03", "March 2020", "March 2020", "2020-02"),
        ("month", "2020-03-26", "2020-03", "March 2020", "March 2020", "2020-02"),
        ("week", "2020-W13", "2020-W13", "Week 13, 23 to 29 March 2020", "week 13", "2020-W12"),
        ("week", "2021-01-01", "2020-W53", "Week 53, 28 December 2020 to 3 January 2021", "week 53", "2020-W52"),
        ("day", "2020-03-01", "2020-03-01", "Sunday, 1 March 2020", "1 March", "2020-02-29"),
    ],
)
def test_a_period_has_the_names_that_people_use(
    kind: str, text: str, label: str, title: str, short: str, before: str
) -> None:
    found = period_named(kind, text, OSLO)
    assert (found.label, found.title, found.short, found.before.label) == (label, title, short, before)


@pytest.mark.parametrize(
    "text", ["2020", "2020-13", "March", "", "2020-W60", "2020-02-30", "0001-01-01", "9999-12-31", "2020-03-26\n"]
)
@pytest.mark.parametrize("kind", PeriodKind)
def test_what_names_no_period_is_refused(kind: str, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        period_named(kind, text, OSLO)
    assert refused.value.next


def test_a_month_has_the_hours_of_its_clock() -> None:
    march = period_named("month", "2020-03", OSLO)
    assert march.end - march.start == timedelta(days=31, hours=-1)


@given(st.sampled_from(PeriodKind), st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_periods_follow_each_other_without_a_gap(kind: str, day: date) -> None:
    found = containing(kind, day, OSLO)
    assert found.first <= day < found.next_first
    assert found.before.end == found.start
    assert period_named(kind, found.label, OSLO) == found


def test_the_last_complete_period_is_over_by_the_report_s_clock() -> None:
    first_of_april = datetime(2020, 3, 31, 22, 30, tzinfo=UTC)
    assert last_complete("month", first_of_april, OSLO).label == "2020-03"
    assert last_complete("month", first_of_april, ZoneInfo("UTC")).label == "2020-02"


def of(cases: list[tuple[float, float]]) -> Figures:
    """The figures of cases of truth and prediction."""
    n, errors = len(cases), [p - t for t, p in cases]
    total = sum(abs(t) for t, _ in cases)
    metrics: dict[str, float | None] = dict.fromkeys(("mae", "bias", "rmse", "wape", "median_error"))
    if n:
        metrics["mae"] = sum(map(abs, errors)) / n
        metrics["bias"] = sum(errors) / n
        metrics["rmse"] = math.sqrt(sum(e * e for e in errors) / n)
        metrics["wape"] = sum(map(abs, errors)) / total if total else None
        metrics["median_error"] = sorted(map(abs, errors))[n // 2]
    return Figures("", "", n, n, n, metrics)


number = st.integers(1, 1000).map(float)
parts = st.lists(st.lists(st.tuples(number, number), max_size=5), min_size=1, max_size=6)


@given(parts)
def test_pooled_figures_are_those_of_all_cases_or_say_that_they_are_not(
    windows: list[list[tuple[float, float]]],
) -> None:
    found, whole = pooled(map(of, windows)), of([case for window in windows for case in window])
    assert (found.labelled, found.predicted) == (whole.labelled, whole.predicted)
    some = [w for w in windows if w]
    for name, value in whole.metrics.items():
        mine: Any = found.metrics[name]
        if value is None or (name == "median_error" and len(some) > 1):
            assert mine is None
        elif name not in found.rough:  # the wape of an older record that is 0 does not say how much it is of
            assert mine == pytest.approx(value, rel=1e-6, abs=1e-6)
    assert ("median_error" in found.reasons) == (len(some) > 1)
    assert set(found.rough) <= {"wape"}


def test_coverage_of_intervals_that_not_every_case_has_is_marked() -> None:
    days = [Figures("", "", 4, 4, 4, {"mae": 1.0, "coverage": share}) for share in (0.5, 1.0)]
    assert pooled(days).rough == ("coverage",)
    assert pooled(days[:1]).rough == ()
