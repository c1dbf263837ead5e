"""Whether an estimate made before labels is to be trusted: how far off it was where the truth has come. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

from trikk.core.record import Record
from trikk.core.text import counted
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.estimates.estimated_figures import estimable
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec


class TrustState(StrEnum):
    """Whether an estimate is to be trusted."""

    TRUST = "trust"
    DISTRUST = "don't trust"
    OPEN = "not yet known"


class Trust(Record, frozen=True):
    """How an estimate has done."""

    metric: str  # what is estimated
    state: TrustState  # whether it is to be trusted
    reason: str  # why, in a sentence
    windows: int = 0  # how many windows with labels it rests on
    # by how much the estimates were off, as a share of the real values; None without windows
    off: float | None = None
    bias: float | None = None  # the same with its sign: below 0 if they were too low
    # how far off one would have been who takes each window to be as the one before; None without two
    naive: float | None = None


def trusts(
    spec: MonitorSpec, windows: Sequence[WindowRecord], *, last: int = 8, tolerance: float = 0.2
) -> list[Trust]:
    """Judge each estimate of a monitor by its windows whose labels are in; arguments as of `trust`."""
    known = [w.whole for w in windows if w.state is WindowState.FINAL and w.whole.labelled >= spec.minimum]
    judgements = []
    for metric in estimable(spec):
        pairs = [(f.estimated_labelled.get(metric), f.metrics.get(metric)) for f in known]
        whole = [(e, r) for e, r in pairs if e is not None and r is not None]
        judgements.append(trust(metric, whole, last=last, tolerance=tolerance))
    return judgements


def trust(
    metric: str, pairs: Sequence[tuple[float, float]], *, last: int = 8, least: int = 3, tolerance: float = 0.2
) -> Trust:
    """Judge an estimate.

    Args:
        metric: what is estimated.
        pairs: for each window with labels, in order of time, the estimate and the real value on the same cases.
        last: how many windows count, from the end.
        least: how many are needed.
        tolerance: up to which share of the real values estimates may be off.
    """
    judged = pairs[-last:]
    size = sum(abs(real) for _, real in judged)
    if not judged or not size:
        return Trust(metric, TrustState.OPEN, "no window with an estimate has enough labels yet", len(judged))
    off = sum(abs(guess - real) for guess, real in judged) / size
    bias = sum(guess - real for guess, real in judged) / size
    steps = list(pairwise(judged))
    # What an estimate is worth shows beside the cheapest guess there is.
    moved = sum(abs(real) for _, (_, real) in steps)
    naive = sum(abs(now - before) for (_, before), (_, now) in steps) / moved if moved else None
    words = counted(len(judged), "window")
    reason = f"the estimate of {metric} was off by {off:.0%} in the last {words}"
    if off >= 0.01:
        reason += f" ({abs(bias):.0%} too {'low' if bias < 0 else 'high'} on the whole)"
    if naive is not None:
        reason += f"; to expect what was before would have been off by {naive:.0%}"
    state = TrustState.TRUST if off <= tolerance else TrustState.DISTRUST
    state = TrustState.OPEN if len(judged) < least else state
    return Trust(metric, state, reason, len(judged), off, bias, naive)
