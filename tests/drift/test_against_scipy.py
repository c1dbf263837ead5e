from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import gammaincc
from tests.drift.samples import NUMBERS, numbers

from trikk.drift.measures.correction import adjusted
from trikk.drift.measures.count_distances import chi_square, cramers_v, jensen_shannon, psi
from trikk.drift.measures.row_pair import RowPair
from trikk.drift.measures.survival import chi_square_survival, kolmogorov_survival

FLOATS = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=3, max_size=60)
TIES = st.lists(st.integers(-3, 3), min_size=3, max_size=60)
COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=12)


@given(degrees=st.integers(1, 5000), part=st.floats(0, 5))
def test_the_survival_of_chi_square_is_scipys(degrees: int, part: float) -> None:
    assert chi_square_survival(degrees * part, degrees) == pytest.approx(
        gammaincc(degrees / 2, degrees * part / 2), rel=1e-9, abs=1e-300
    )


@given(sizes=st.tuples(st.integers(100, 100_000), st.integers(100, 100_000)), x=st.floats(0.3, 3))
def test_the_survival_of_kolmogorov_is_near_scipys_for_a_hundred_values_or_more(
    sizes: tuple[int, int], x: float
) -> None:
    n, m = sizes
    effective = n * m / (n + m)
    d = min(1.0, x / math.sqrt(effective))
    expected = stats.kstwo.sf(d, round(effective))
    assert kolmogorov_survival(d, n, m) == pytest.approx(expected, abs=0.003 if expected < 0.1 else 0.02)


@pytest.mark.parametrize("shape", NUMBERS)
@pytest.mark.parametrize("sizes", [(100, 150), (5000, 300), (20_000, 20_000)])
def test_ks_and_wasserstein_are_scipys_on_samples(shape: str, sizes: tuple[int, int]) -> None:
    for seed, shift in enumerate((0.0, 0.05, 0.4)):
        a, b = numbers(shape, sizes[0], seed), numbers(shape, sizes[1], 100 + seed, shift)
        gap = RowPair(pl.Series(a), pl.Series(b)).gap()
        test = stats.ks_2samp(a, b, method="asymp")
        assert gap.ks == pytest.approx(test.statistic, abs=1e-12)
        assert kolmogorov_survival(gap.ks, *sizes) == pytest.approx(test.pvalue, abs=0.02)
        assert gap.area == pytest.approx(stats.wasserstein_distance(a, b), rel=1e-6)


@given(a=FLOATS | TIES, b=FLOATS | TIES)
def test_ks_and_wasserstein_are_scipys_on_any_values(a: list[float], b: list[float]) -> None:
    gap = RowPair(pl.Series(a, dtype=pl.Float64), pl.Series(b, dtype=pl.Float64)).gap()
    assert gap.ks == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert gap.area == pytest.approx(stats.wasserstein_distance(a, b), rel=1e-9, abs=1e-9)


@given(counts=COUNTS)
def test_chi_square_and_jensen_shannon_are_scipys(counts: list[tuple[int, int]]) -> None:
    a, b = (list(side) for side in zip(*counts, strict=True))
    if not sum(a) or not sum(b):
        return
    used = [(x, y) for x, y in counts if x + y]
    expected = stats.chi2_contingency(np.array(used).T, correction=False)
    found = chi_square(a, b)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-8, abs=1e-300)
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2), abs=1e-7)


@given(counts=COUNTS)
def test_psi_is_the_sum_of_both_relative_entropies(counts: list[tuple[int, int]]) -> None:
    a, b = ([x + 1 for x in side] for side in zip(*counts, strict=True))
    expected = stats.entropy(a, b) + stats.entropy(b, a)
    if min(a) / sum(a) >= 1e-4 and min(b) / sum(b) >= 1e-4:
        assert psi(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(shares=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=9))
def test_cramers_v_is_scipys_for_samples_of_equal_size(shares: list[tuple[int, int]]) -> None:
    a, b = (list(side) for side in zip(*shares, strict=True))
    if not sum(a) or not sum(b):
        return
    table = np.array([[x * sum(b) for x in a], [y * sum(a) for y in b]])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] > 1:
        assert cramers_v(a, b) == pytest.approx(stats.contingency.association(table), abs=1e-7)


@given(p_values=st.lists(st.floats(0, 1), max_size=40))
def test_benjamini_hochberg_is_scipys(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values) if p_values else []
    assert adjusted(p_values, "benjamini-hochberg") == pytest.approx(list(expected), abs=1e-12)


def test_holm_steps_down() -> None:
    assert adjusted([0.01, 0.04, 0.03], "holm") == pytest.approx([0.03, 0.06, 0.06])
    assert adjusted([0.5, 0.6], "holm") == [1.0, 1.0]
    assert adjusted([0.5, 0.6], None) == [0.5, 0.6]


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_psi_of_numbers_counts_between_the_deciles_of_the_reference(seed: int) -> None:
    a, b = numbers("normal", 1000, seed), numbers("normal", 700, seed + 1, 0.3)
    edges = np.quantile(a, np.arange(1, 10) / 10, method="lower")
    expected = [np.bincount(np.searchsorted(edges, side, "left"), minlength=10) for side in (a, b)]
    bins = RowPair(pl.Series(a), pl.Series(b)).bins()
    assert sum(bins.reference) == 1000
    assert sum(bins.current) == 700
    for found, wanted in zip((bins.reference, bins.current), expected, strict=True):
        assert np.abs(np.array(found) - wanted).max() <= 1  # 0.3 * 999 may be just above 299.7
