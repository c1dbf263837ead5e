"""Metrics of a monitor, as one expression each, so that all of them over all slices take one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName
from trikk.models.metrics import metric_of

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric over rows that have a truth.

    Attributes:
        name: what it is called in figures.
        better: "lower", "higher", or "zero": the nearer to zero.
        expression: takes the expressions of truth and prediction; gives one that aggregates to a number. None for
            an author's own function.
        function: takes numpy arrays of truths and predictions; None where there is an expression.
    """

    name: str
    better: str
    expression: Callable[[pl.Expr, pl.Expr], pl.Expr] | None = None
    function: Callable[[Any, Any], float] | None = None


def measure_of(name: str) -> Measure:
    """A metric by name.

    Args:
        name: mae, rmse, bias, wape, median_error, accuracy, precision, recall, f1, brier, auc, calibration,
            quantile_0.9 (the share of truths at or below the prediction of that quantile is 0.9 ideally, and the
            figure is the pinball loss), or "module:function" of truths and predictions.

    Raises:
        UnknownName: if there is no such metric.
        UsageError: if a function can't be imported.
    """
    if name in MEASURES:
        return MEASURES[name]
    if name.startswith("quantile_"):
        return _pinball(name)
    if ":" in name:
        own = metric_of(name)
        return Measure(name, own.better, function=own.function)
    raise UnknownName("metric", name, [*MEASURES, "quantile_0.9"])


def _pinball(name: str) -> Measure:
    """The pinball loss (Koenker and Bassett, 1978)."""
    try:
        share = float(name.removeprefix("quantile_"))
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise UnknownName("metric", name, ["quantile_0.9"])

    def loss(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
        import polars as pl

        return pl.max_horizontal(share * (truth - value), (share - 1) * (truth - value)).mean()

    return Measure(name, "lower", loss)


def _hit(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    return ((truth != 0) & (value >= 0.5)).sum()


def _auc(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Mann and Whitney's U over the number of pairs; null where one class is missing."""
    import polars as pl

    positive = truth != 0
    hits, misses = positive.sum().cast(pl.Float64), (~positive).sum().cast(pl.Float64)
    ranks = value.rank("average").filter(positive).sum()
    found = (ranks - hits * (hits + 1) / 2) / (hits * misses)
    return pl.when((hits > 0) & (misses > 0)).then(found)


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("mae", "lower", lambda t, p: (p - t).abs().mean()),
        Measure("rmse", "lower", lambda t, p: ((p - t) ** 2).mean().sqrt()),
        Measure("bias", "zero", lambda t, p: (p - t).mean()),
        Measure("wape", "lower", lambda t, p: (p - t).abs().sum() / t.abs().sum()),
        Measure("median_error", "lower", lambda t, p: (p - t).abs().median()),
        Measure("accuracy", "higher", lambda t, p: (p == t).mean()),
        Measure("precision", "higher", lambda t, p: _hit(t, p) / (p >= 0.5).sum()),
        Measure("recall", "higher", lambda t, p: _hit(t, p) / (t != 0).sum()),
        Measure("f1", "higher", lambda t, p: 2 * _hit(t, p) / ((p >= 0.5).sum() + (t != 0).sum())),
        Measure("brier", "lower", lambda t, p: ((p - t) ** 2).mean()),
        Measure("calibration", "zero", lambda t, p: p.mean() - t.mean()),
        Measure("auc", "higher", _auc),
    )
}
