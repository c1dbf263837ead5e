from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.drift.measures.count_distances import pooled

COUNTS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=30)


@given(counts=COUNTS)
def test_pooling_loses_nothing(counts: list[tuple[int, int]]) -> None:
    before, after = pooled([a for a, _ in counts], [b for _, b in counts])
    assert sum(before) == sum(a for a, _ in counts)
    assert sum(after) == sum(b for _, b in counts)
    assert len(before) == len(after) <= max(1, len(counts) + 1)


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        ([100, 100], [100, 100], {(100, 100), (100, 100), (0, 0)}),
        ([100, 100, 1, 2], [90, 110, 2, 0], {(100, 110), (103, 92)}),
        ([300, 300, 4, 4, 4], [300, 300, 4, 4, 4], {(300, 300), (12, 12)}),
        ([1000, 0], [0, 50], {(1000, 0), (0, 50)}),
        ([1] * 500, [1] * 500, {(500, 500)}),
    ],
)
def test_rare_categories_go_together(
    before: list[float], after: list[float], pairs: set[tuple[float, float]]
) -> None:
    assert {*zip(*pooled(before, after), strict=True)} - {(0, 0)} == pairs - {(0, 0)}
