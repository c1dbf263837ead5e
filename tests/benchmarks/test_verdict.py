from __future__ import annotations

import random

import pytest
from benchmarks.verdict import LEAST_ROUNDS, Change, judge

Rounds = tuple[list[float], list[float]]


def busy_rounds(draw: random.Random, count: int, slower: float, jitter: float) -> Rounds:
    """Two builds in turns on a machine of which every third minute is busy, with outliers of single turns."""
    old: list[float] = []
    new: list[float] = []
    for _ in range(count):
        minute = 1 + (draw.expovariate(2) if draw.random() < 0.3 else 0)
        for build, cost in ((old, 1.0), (new, slower)):
            outlier = 1 + (draw.expovariate(3) if draw.random() < 0.15 else 0)
            build.append(cost * minute * draw.lognormvariate(0, jitter) * outlier)
    return old, new


def share(change: Change, count: int, slower: float, jitter: float) -> float:
    draw = random.Random(1)
    verdicts = [judge(*busy_rounds(draw, count, slower, jitter), 0.04).change for _ in range(500)]
    return verdicts.count(change) / len(verdicts)


@pytest.mark.parametrize("jitter", [0.01, 0.05, 0.15])
@pytest.mark.parametrize("count", [5, 8, 12])
def test_the_same_build_is_hardly_ever_called_different(count: int, jitter: float) -> None:
    assert share(Change.SAME, count, 1.0, jitter) > 0.96


@pytest.mark.parametrize(("slower", "jitter"), [(1.1, 0.01), (1.5, 0.05)])
def test_what_stands_out_of_the_noise_is_seen(slower: float, jitter: float) -> None:
    assert share(Change.SLOWER, 12, slower, jitter) > 0.95
    assert share(Change.FASTER, 12, 1 / slower, jitter) > 0.9


def test_a_minute_that_is_busy_for_both_is_no_difference() -> None:
    old = [1.0, 1.0, 3.0, 1.0, 5.0, 1.0]
    verdict = judge(old, [1.01 * one for one in old], 0.04)
    assert verdict.change == Change.SAME
    assert verdict.noise == 0.04


def test_median_and_least_have_to_agree() -> None:
    assert judge([1.0] * 8, [1.0] + [1.3] * 7, 0.04).change == Change.SAME
    assert judge([1.0] * 8, [1.3] * 8, 0.04).change == Change.SLOWER
    assert judge([1.3] * 8, [1.0] * 8, 0.04).change == Change.FASTER


def test_a_wide_spread_asks_for_a_large_difference() -> None:
    old, new = [1.0] * 6, [1.1, 1.5, 1.2, 1.9, 1.1, 1.6]
    verdict = judge(old, new, 0.04)
    assert (verdict.change, verdict.median) == (Change.SAME, pytest.approx(1.35))
    assert verdict.noise > 0.35


def test_of_few_rounds_nothing_is_said() -> None:
    few = [1.0] * (LEAST_ROUNDS - 1)
    assert judge(few, [9.0] * 20, 0.04).change == Change.UNKNOWN
    assert judge([], [], 0.04).change == Change.UNKNOWN
