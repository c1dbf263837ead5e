"""Accepted rates and exact bounds against scipy, and what a suggestion says."""

from __future__ import annotations

import math

import pytest
from tests.alerts.backtest_past import rule

from trikk.alerts.backtest.bounds import Accepted, rate_bound, share_bound
from trikk.alerts.backtest.outcomes import Outcome
from trikk.alerts.backtest.suggestion import suggest
from trikk.core.errors import UsageError

scipy_stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("count", [0, 1, 2, 7, 40, 300])
def test_the_bound_of_a_rate_is_garwoods(count):
    assert rate_bound(count, 25.0) == pytest.approx(scipy_stats.chi2.ppf(0.95, 2 * (count + 1)) / 2 / 25, rel=1e-9)


@pytest.mark.parametrize(("count", "nights"), [(0, 18), (1, 18), (3, 30), (17, 18), (20, 365), (0, 1)])
def test_the_bound_of_a_share_is_cloppers_and_pearsons(count, nights):
    expected = scipy_stats.beta.ppf(0.95, count + 1, nights - count)
    assert share_bound(count, nights) == pytest.approx(expected, rel=1e-9)


def test_bounds_of_nothing_say_nothing():
    assert rate_bound(0, 0) == math.inf
    assert share_bound(0, 0) == 1.0
    assert share_bound(5, 5) == 1.0


@pytest.mark.parametrize(
    ("text", "per_day", "of_nights"),
    [
        ("1/month", 1 / 30, False),
        ("2 per week", 2 / 7, False),
        ("0.5/year", 0.5 / 365, False),
        ("0.02", 0.02, True),
    ],
)
def test_a_rate_is_read(text, per_day, of_nights):
    found = Accepted.of(text)
    assert (found.per_day, found.of_nights) == (pytest.approx(per_day), of_nights)


@pytest.mark.parametrize("text", ["", "often", "0", "1", "-0.1", "1/decade", "0/month", "nan", "inf"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(UsageError, match="not a rate of false alarms"):
        Accepted.of(text)


def test_as_many_days_as_are_asked_for_are_enough():
    for text in ("1/month", "1/week", "0.02", "0.3"):
        accepted = Accepted.of(text)
        assert accepted.upper(0, accepted.days_needed) <= accepted.per_day
        assert accepted.upper(0, accepted.days_needed - 1) > accepted.per_day


def outcome(
    threshold: float, *, alarms: int, days: int, nights: int | None = None, text: str = "1/month"
) -> Outcome:
    false_nights = alarms if nights is None else nights
    accepted = Accepted.of(text)
    count = false_nights if accepted.of_nights else alarms
    upper = accepted.upper(count, days)
    return Outcome(
        threshold, f"wape > {threshold}", alarms, false_nights, alarms, false_nights, days, days, upper, ()
    )


def suggested(outcomes: list[Outcome], text: str = "1/month") -> tuple[str, float | None]:
    found = suggest(outcomes, Accepted.of(text), rule("wape > 1"))
    assert found.why
    return found.verdict, found.threshold


def test_a_long_quiet_past_supports_a_threshold_and_a_short_one_does_not():
    long = [outcome(0.2, alarms=20, days=300), outcome(0.3, alarms=3, days=300), outcome(0.4, alarms=0, days=300)]
    assert suggested(long) == ("supported", 0.3)
    short = [outcome(0.2, alarms=2, days=20), outcome(0.3, alarms=0, days=20), outcome(0.4, alarms=0, days=20)]
    assert suggested(short) == ("tentative", 0.3)


def test_too_few_days_are_told_and_nothing_is_suggested():
    assert suggested([outcome(0.3, alarms=0, days=13)]) == ("not enough history", None)
    assert suggested([outcome(0.3, alarms=0, days=100)], "1/year") == ("not enough history", None)
    assert suggested([]) == ("not enough history", None)


def test_an_alarm_that_never_ends_is_not_a_rare_one():
    rows = [outcome(0.1, alarms=1, days=60, nights=60), outcome(0.3, alarms=1, days=60)]
    assert suggested(rows) == ("tentative", 0.3)


def test_a_threshold_below_one_that_alarms_too_often_is_not_taken():
    rows = [outcome(0.1, alarms=1, days=60), outcome(0.2, alarms=5, days=60), outcome(0.3, alarms=2, days=60)]
    assert suggested(rows) == ("tentative", 0.3)
    assert suggested([outcome(0.1, alarms=5, days=60)]) == ("none", None)


def test_a_share_counts_nights_and_not_openings():
    rows = [
        outcome(0.2, alarms=1, nights=9, days=100, text="0.05"),
        outcome(0.3, alarms=4, nights=4, days=100, text="0.05"),
    ]
    assert suggested(rows, "0.05") == ("tentative", 0.3)
