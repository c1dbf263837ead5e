"""Metrics as quotients of sums over cases: a day is two numbers then, and resampling days costs little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.models.metrics import METRICS, Metric

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_Part = Callable[["pl.Expr", "pl.Expr"], "pl.Expr"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A metric that is a sum over cases divided by another.

    Attributes:
        name: as in `trikk.models.metrics`.
        better: "lower", "higher", or "zero": the nearer to zero.
        above: takes the expressions of truth and prediction; gives each case's part of the sum above the line.
        below: the same for the sum below it.
        root: whether the metric is the quotient's square root.
    """

    name: str
    better: str
    above: _Part
    below: _Part
    root: bool = False

    def of(self, sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The metric from sums.

        Args:
            sums: float64, of shape (..., 2): above and below.

        Returns:
            Of shape (...); NaN where there is nothing below.
        """
        import numpy as np

        above, below = sums[..., 0], sums[..., 1]
        found = np.full(above.shape, np.nan)
        np.divide(above, below, out=found, where=below > 0)
        return np.sqrt(np.maximum(found, 0)) if self.root else found

    def worth(self, sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What is compared: the metric, or its size where the nearest to zero is best."""
        import numpy as np

        found = self.of(sums)
        return np.abs(found) if self.better == "zero" else found


def loss_of(metric: Metric) -> Loss:
    """A metric that two sides can be compared by.

    Args:
        metric: mae, rmse, bias, wape, accuracy, precision, recall, f1, logloss, brier, calibration or a quantile.

    Raises:
        UsageError: if it is no quotient of sums over cases (auc, median_error, an author's own function).
    """
    if metric.above is not None:
        return Loss(metric.name, metric.better, metric.above, metric.below or _one, metric.root)
    raise UsageError(
        f"{metric.name} is no mean over cases, so that days of it can't be resampled",
        next=f"compare by {', '.join(LOSSES)} or quantile_0.9",
    )


def _one(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    return truth.is_not_null()


LOSSES = tuple(name for name, metric in METRICS.items() if metric.above is not None)
"""The metrics by which two sides can be compared, beside quantile_0.9 and its like."""
