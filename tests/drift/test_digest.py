from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drift.samples import NUMBERS, numbers

from trikk.drift.measures.digest import BITS, FINENESS, Digest, key_of, number_of
from trikk.drift.measures.row_pair import RowPair
from trikk.drift.measures.sketch_pair import gap_of

FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)
PARTS = st.lists(st.lists(FLOATS | st.integers(-5, 5).map(float), max_size=300), min_size=1, max_size=6)


def digest(values: object) -> Digest:
    return Digest.of(np.sort(np.asarray(values, dtype=np.float64)))


def holds(found: Digest, values: list[float]) -> None:
    """The digest's promises: right bounds at every key, light nodes, few of them."""
    keys = np.union1d(found.edges(), key_of(np.array(values[:50], dtype=np.float64)))
    ordered = np.sort(key_of(np.array(values, dtype=np.float64)))
    estimates, least, most = found.counts_below(keys)
    below = np.searchsorted(ordered, keys)
    assert (least <= below).all()
    assert (below <= most).all()
    assert (least - 1e-6 <= estimates).all()
    assert (estimates <= most + 1e-6).all()
    assert found.count == len(values)
    nodes = found.nodes
    assert (nodes.counts[nodes.levels < BITS] <= len(values) / FINENESS).all()
    assert len(nodes) <= 3 * FINENESS
    if values:
        assert (found.low, found.high) == (min(values), max(values))


@given(a=FLOATS, b=FLOATS)
def test_keys_are_in_the_order_of_floats_and_come_back(a: float, b: float) -> None:
    assert (key_of(a) < key_of(b)) == (a < b)
    assert number_of(key_of(a)) == a


@settings(max_examples=60)
@given(parts=PARTS)
def test_merged_digests_keep_their_bounds_in_any_order(parts: list[list[float]]) -> None:
    values = [value for part in parts for value in part]
    forwards = backwards = Digest()
    for part in parts:
        forwards = forwards.merge(digest(part))
    for part in reversed(parts):
        backwards = digest(part).merge(backwards)
    for found in (forwards, backwards, digest(values)):
        holds(found, values)


@given(parts=PARTS)
def test_merging_two_digests_is_the_same_both_ways(parts: list[list[float]]) -> None:
    a, b = digest(parts[0]), digest(parts[-1])
    assert a.merge(b) == b.merge(a)
    assert a.merge(Digest()) == a


@pytest.mark.parametrize("shape", NUMBERS)
def test_months_of_daily_digests_keep_their_bounds_and_size(shape: str) -> None:
    days = [numbers(shape, 200 + 3 * day, day, math.sin(day)) for day in range(120)]
    found = Digest()
    for day in days:
        found = found.merge(digest(day))
    values = np.concatenate(days)
    holds(found, values.tolist())
    _, least, most = found.counts_below(found.edges())
    assert (most - least).max() <= 0.02 * len(values)
    for share in (0.01, 0.25, 0.5, 0.9, 0.99):
        place = (np.sort(values) < found.quantile(share)).mean()
        reach = (np.sort(values) <= found.quantile(share)).mean()
        assert place - 0.02 <= share <= reach + 0.02


@pytest.mark.parametrize("shape", NUMBERS)
@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
def test_distances_of_digests_are_those_of_the_rows_within_their_bounds(shape: str, shift: float) -> None:
    a, b = numbers(shape, 30_000, 1), numbers(shape, 8000, 2, shift)
    sketched = digest(a).merge(digest(a[:500])), digest(b[:4000]).merge(digest(b[4000:]))
    exact = RowPair(pl.Series(np.concatenate([a, a[:500]])), pl.Series(b)).gap()
    found = gap_of(*sketched)
    assert abs(found.ks - exact.ks) <= found.ks_error + 1e-9
    assert abs(found.area - exact.area) <= found.area_error * (1 + 1e-6) + 1e-9
    assert found.ks_error <= 0.02
    assert abs(found.area - exact.area) <= 0.03 * np.std(a)
    if shape not in ("lognormal", "sales"):  # a long tail is known less exactly
        assert found.area_error <= 0.05 * np.std(a)


@settings(max_examples=60)
@given(parts=PARTS, other=st.lists(FLOATS, min_size=1, max_size=200))
def test_distances_of_any_digests_are_within_their_bounds(parts: list[list[float]], other: list[float]) -> None:
    values = [value for part in parts for value in part]
    if not values:
        return
    merged = Digest()
    for part in parts:
        merged = merged.merge(digest(part))
    exact = RowPair(pl.Series(values, dtype=pl.Float64), pl.Series(other, dtype=pl.Float64)).gap()
    found = gap_of(merged, digest(other))
    assert abs(found.ks - exact.ks) <= found.ks_error + 1e-9
    if math.isfinite(exact.area) and math.isfinite(found.area + found.area_error):
        allowed = found.area_error * (1 + 1e-6) + 1e-6 * exact.area + 1e-300  # half of the least float is 0
        assert abs(found.area - exact.area) <= allowed


@given(parts=PARTS)
def test_a_digest_comes_back_from_json(parts: list[list[float]]) -> None:
    found = digest([value for part in parts for value in part])
    assert Digest.read(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("damage", ["levels", "counts", "odds"])
def test_a_damaged_digest_is_refused(damage: str) -> None:
    data = digest([1.0, 2.0, 2.0]).to_json()
    data[damage] = [-5, *data[damage][1:]]  # type: ignore[index]
    with pytest.raises(ValueError, match="none"):
        Digest.read(data)


def test_a_few_values_near_the_greatest_float_leave_the_distance_finite() -> None:
    draw = np.random.default_rng(3)
    rows = np.concatenate([draw.normal(size=5000), draw.uniform(0.9, 1.7, 25) * 1e308])
    other = np.concatenate([draw.normal(size=5000), draw.uniform(0.9, 1.7, 400) * 1e308])
    gap = gap_of(digest(rows), digest(other))
    exact = RowPair(pl.Series(rows), pl.Series(other)).gap()
    assert abs(gap.ks - exact.ks) <= gap.ks_error <= 0.05
