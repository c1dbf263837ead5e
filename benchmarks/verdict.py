"""Whether a build is slower than an earlier one: pure arithmetic over samples that were taken in turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LEAST_NOISE = {"cpu": 0.04, "seconds": 0.06, "peak": 0.03}
"""Nothing below this is called a difference, however quiet the run: code layout alone does so much."""

SPREAD = 3.0
"""So many standard errors of the median of the rounds' ratios are noise. Builds that are the same are called
different in about one comparison of a hundred, on a busy machine too (`tests/benchmarks/test_verdict.py`)."""

LEAST_ROUNDS = 5
"""Of fewer rounds nothing is said."""


class Change(StrEnum):
    """What one measure of a case did."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "no difference"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One measure of one case, new over old.

    Attributes:
        change: what can be said.
        median: the median of the rounds' ratios.
        least: ratio of the least.
        noise: by how much a ratio may be off 1 by chance, as this run's own rounds spread.
    """

    change: Change
    median: float = 1.0
    least: float = 1.0
    noise: float = 0.0


def judge(old: Sequence[float], new: Sequence[float], least_noise: float) -> Verdict:
    """Compare two builds' rounds of one case.

    The ratio is taken within each round, where both had the same minute of the machine. It is slower, or faster,
    only when the median of these ratios and the ratio of the least both say so by more than the noise: a busy
    moment moves a median, a lucky one the least, but hardly both the same way.

    Args:
        old: one figure for each round of the earlier build.
        new: the same of the new one.
        least_noise: a difference below this is none.
    """
    rounds = min(len(old), len(new))
    if rounds < LEAST_ROUNDS or min(*old, *new) <= 0:
        return Verdict(Change.UNKNOWN)
    ratios = [late / early for early, late in zip(old, new, strict=False)]
    middle, least = statistics.median(ratios), min(new) / min(old)
    spread = statistics.median(abs(one - middle) for one in ratios) / middle
    # 1.4826 makes a standard deviation of the median absolute deviation, 1.2533 the median's error of the mean's;
    # of a few rounds the deviation itself is hardly known, which the last factor makes up for.
    noise = max(least_noise, SPREAD * 1.4826 * 1.2533 * spread / rounds**0.5 * (1 + 4 / rounds))
    if min(middle, least) > 1 + noise:
        change = Change.SLOWER
    elif max(middle, least) < 1 / (1 + noise):
        change = Change.FASTER
    else:
        change = Change.SAME
    return Verdict(change, middle, least, noise)
