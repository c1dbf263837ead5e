from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.serving.http.batching import Batching, Limits

SIZES = st.lists(st.integers(0, 2_000), min_size=1, max_size=50)


def test_one_client_at_a_time_never_waits() -> None:
    batching = Batching()
    for _ in range(3):
        assert batching.due(1, 100, oldest=5.0, now=5.0) == 0
        assert batching.take([100]) == 1


def test_company_is_waited_for_where_it_came_lately_and_only_for_a_while() -> None:
    batching = Batching(Limits(wait=0.002))
    assert batching.take([10] * 8) == 8
    assert batching.due(3, 30, oldest=1.0, now=1.0) == pytest.approx(0.002)
    assert batching.due(3, 30, oldest=1.0, now=1.0015) < 0.001
    assert batching.due(3, 30, oldest=1.0, now=1.0021) == 0
    assert batching.due(8, 80, oldest=1.0, now=1.0) == 0


def test_a_client_that_is_left_alone_waits_once() -> None:
    batching = Batching(Limits(wait=0.002))
    batching.take([10] * 8)
    assert batching.due(1, 10, oldest=1.0, now=1.0) > 0
    batching.take([10])
    assert batching.due(1, 10, oldest=2.0, now=2.0) == 0


def test_enough_bytes_are_reason_enough() -> None:
    batching = Batching(Limits(size=1000), expected=50)
    assert batching.due(2, 1000, oldest=1.0, now=1.0) == 0


@given(sizes=SIZES)
def test_a_batch_is_never_empty_and_keeps_the_limits(sizes: list[int]) -> None:
    limits = Limits(requests=7, size=3000)
    count = Batching(limits).take(sizes)
    assert 1 <= count <= min(len(sizes), 7)
    assert count == 1 or sum(sizes[:count]) <= 3000
    full = count == 7 or count == len(sizes) or sum(sizes[: count + 1]) > 3000
    assert full
