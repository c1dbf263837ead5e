"""Distances between distributions, against their definitions and against scipy."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.quality import like, quality_gate
from trikk.quality.checks.distribution import distance, ks, psi

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12)
VALUES = st.lists(st.integers(-5, 5) | st.floats(-10, 10, width=32), min_size=1, max_size=60)


def column(values: list[Any]) -> pl.LazyFrame:
    return pl.LazyFrame({"value": pl.Series([float(v) for v in values], dtype=pl.Float64)})


def observed(rows: pl.DataFrame, reference: pl.DataFrame, **options: Any) -> dict[str, Any]:
    return quality_gate(rows, [like("x", reference, severity="info", **options)])["checks"][0]


@given(COUNTS.filter(lambda c: all(map(sum, zip(*c, strict=True)))))
def test_psi_is_the_sum_over_the_bins(counts: list[tuple[int, int]]) -> None:
    reference, current = (list(side) for side in zip(*counts, strict=True))
    total = 0.0
    for q, p in counts:
        expected, actual = max(q / sum(reference), 1e-4), max(p / sum(current), 1e-4)
        total += (actual - expected) * math.log(actual / expected)
    assert psi(reference, current) == pytest.approx(total)
    assert psi(reference, current) == pytest.approx(psi(current, reference))
    assert psi(reference, current) >= 0


def test_psi_of_a_textbook_table() -> None:
    assert psi([50, 50], [75, 25]) == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5))


@given(VALUES, VALUES)
def test_ks_is_the_greatest_difference_of_the_distribution_functions(one: list[float], other: list[float]) -> None:
    def below(values: list[float], limit: float) -> float:
        return sum(value <= limit for value in values) / len(values)

    by_hand = max(abs(below(one, limit) - below(other, limit)) for limit in [*one, *other])
    assert ks(column(one), column(other)) == pytest.approx(by_hand)


def test_ks_is_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    one, other = [math.sin(n) for n in range(500)], [math.sin(n) + 0.1 for n in range(700)]
    assert ks(column(one), column(other)) == pytest.approx(stats.ks_2samp(one, other, method="asymp").statistic)


@given(VALUES)
def test_a_column_is_like_itself_by_every_measure(values: list[float]) -> None:
    for measure in ("psi", "ks"):
        assert distance(measure, column(values), "value", column(values), "value") == pytest.approx(0)


def test_psi_of_numbers_uses_the_tenths_of_the_reference() -> None:
    reference = pl.DataFrame({"x": range(100)})
    rows = pl.DataFrame({"x": [*range(50), *range(50)]})
    upper, lower = 0.2 * math.log(0.2 / 0.1) - 0.1 * math.log(0.2 / 0.1), 0.1 * math.log(0.1 / 1e-4)
    found = observed(rows, reference)
    assert found["observed"] == f"PSI {5 * upper + 5 * (lower - 1e-4 * math.log(0.1 / 1e-4)):.4f}"
    assert not found["passed"]


def test_missing_values_are_a_bin_of_their_own() -> None:
    reference = pl.DataFrame({"x": [1.0] * 90 + [None] * 10})
    rows = pl.DataFrame({"x": [1.0] * 45 + [math.nan] * 55})
    assert not observed(rows, reference)["passed"]
    assert observed(rows, reference, measure="ks")["observed"] == "KS 0.0000"


def test_texts_compare_by_their_frequency_and_rare_ones_together() -> None:
    many = [f"line {n}" for n in range(200)]
    reference = pl.DataFrame({"x": many + ["a"] * 200})
    assert observed(reference, reference)["observed"] == "PSI 0.0000"
    assert observed(pl.DataFrame({"x": ["a"] * 400}), reference)["passed"] is False


def test_times_of_different_units_and_zones_compare() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = pl.Series([start + timedelta(hours=n) for n in range(200)])
    rows = pl.DataFrame({"x": times.dt.convert_time_zone("Europe/Oslo")})
    reference = pl.DataFrame({"x": times.dt.replace_time_zone(None).dt.cast_time_unit("ms")})
    assert observed(rows, reference)["observed"] == "PSI 0.0000"
    assert observed(rows, reference, measure="ks")["observed"] == "KS 0.0000"


@pytest.mark.parametrize(
    ("rows", "reference", "options", "why"),
    [
        ({"x": [1]}, {"x": ["a"]}, {}, "numbers, the reference texts"),
        ({"x": [1]}, {"y": [1]}, {}, "no column 'x' in the reference"),
        ({"x": [1]}, {"x": [None, math.nan]}, {}, "the reference has no values"),
        ({"x": [None, math.nan]}, {"x": [1.0]}, {"measure": "ks"}, "no values to compare"),
        ({"x": ["a"]}, {"x": ["a"]}, {"measure": "ks"}, "no order"),
        ({"x": [[1]]}, {"x": [[1]]}, {}, "no distribution to compare"),
    ],
)
def test_what_can_not_be_compared_is_a_failure_with_its_reason(
    rows: dict[str, Any], reference: dict[str, Any], options: dict[str, Any], why: str
) -> None:
    found = observed(pl.DataFrame(rows), pl.DataFrame(reference), **options)
    assert not found["passed"]
    assert not found["ran"]
    assert why in found["observed"]
