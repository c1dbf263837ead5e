"""What figures can be said of predictions before their truth is known, as expressions like those of the metrics.

For numbers, from the column of expected errors. For probabilities by their own uncertainty (confidence-based
performance estimation, NannyML's documentation, "How it works: CBPE"): where p is right as a probability, a
prediction of p is a hit with probability p, so that what a metric counts can be replaced by what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trikk.monitoring.cases import EXPECTED, OBSERVED, PREDICTED

if TYPE_CHECKING:
    import polars as pl

    from trikk.monitoring.definition import MonitorSpec

BINS = 10
ECE = "ece"


def estimates(spec: MonitorSpec) -> list[pl.Expr]:
    """Expressions for the estimates over all predictions, `e:NAME`, and over those with a truth, `l:NAME`.

    Args:
        spec: the monitor.

    Returns:
        None for a monitor without `expected_error` and `calibrated`; for one with the latter, `m:ece` too.
    """
    import polars as pl

    predicted = pl.col(PREDICTED).is_not_null()
    both = predicted & pl.col(OBSERVED).is_not_null()
    found = []
    for to, rows in (("e", predicted), ("l", both)):
        value = pl.col(PREDICTED).filter(rows)
        if spec.expected_error:
            found.append(pl.col(EXPECTED).filter(rows).mean().alias(f"{to}:mae"))
        if spec.calibrated:
            found += [EXPECTATIONS[m](value).cast(pl.Float64).alias(f"{to}:{m}") for m in _probable(spec)]
    if spec.calibrated:
        gap = calibration_error(pl.col(OBSERVED).filter(both), pl.col(PREDICTED).filter(both))
        found.append(gap.alias(f"m:{ECE}"))
    return found


def estimated(spec: MonitorSpec, row: Mapping[str, Any], to: str) -> dict[str, Any]:
    """The estimates in a row of aggregates, by metric; of all predictions ("e") or of those with a truth ("l")."""
    return {name: row.get(f"{to}:{name}") for name in estimable(spec)}


def estimable(spec: MonitorSpec) -> list[str]:
    """The metrics that are estimated for a monitor, the one that matters most first."""
    return [*(["mae"] if spec.expected_error else []), *(_probable(spec) if spec.calibrated else [])]


def calibration_error(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """The expected calibration error over ten bins of equal width (Naeini, Cooper, Hauskrecht, AAAI 2015).

    Of few cases it is too high: of 100 cases, some 0.05 by chance alone.
    """
    import polars as pl

    number = (value * BINS).floor().clip(0, BINS - 1)
    gaps = [(value - (truth != 0).cast(pl.Float64)).filter(number == one).sum().abs() for one in range(BINS)]
    return pl.sum_horizontal(gaps) / value.count()


def _probable(spec: MonitorSpec) -> list[str]:
    return [name for name in spec.metrics if name in EXPECTATIONS]


def _true(value: pl.Expr) -> pl.Expr:
    """Expected true positives: the probabilities of what is called positive."""
    return value.filter(value >= 0.5).sum()


def _auc(value: pl.Expr) -> pl.Expr:
    """Expected pairs of a positive above a negative, over expected pairs of a positive and a negative.

    Rows of one probability count half a pair on either side, since in either order the pair weighs the same.
    """
    ordered = value.sort()
    below = (1 - ordered).cum_sum() - (1 - ordered)
    pairs = value.sum() * (1 - value).sum() - (value * (1 - value)).sum()
    return (ordered * below).sum() / pairs


EXPECTATIONS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "precision": lambda p: _true(p) / (p >= 0.5).sum(),
    "recall": lambda p: _true(p) / p.sum(),
    "f1": lambda p: 2 * _true(p) / ((p >= 0.5).sum() + p.sum()),
    "brier": lambda p: (p * (1 - p)).mean(),
    "auc": _auc,
}
"""The metrics that a column of probabilities foretells."""
