"""Metrics as quotients of sums over cases: a day is two numbers then, and resampling days costs little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName, UsageError
from trikk.monitoring.measures import MEASURES, measure_of

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_Part = Callable[["pl.Expr", "pl.Expr"], "pl.Expr"]


@dataclass(frozen=True, slots=True)
class Loss:
    """A metric that is a sum over cases divided by another.

    Attributes:
        name: as in `trikk.monitoring.measures`.
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


def loss_of(name: str) -> Loss:
    """A metric that two sides can be compared by.

    Args:
        name: mae, rmse, bias, wape, accuracy, precision, recall, f1, brier, calibration or quantile_0.9.

    Raises:
        UnknownName: if there is no such metric.
        UsageError: if it is no quotient of sums over cases (auc, median_error, an author's own function).
    """
    if name in _LOSSES:
        return _LOSSES[name]
    if name.startswith("quantile_"):
        measure_of(name)
        share = float(name.removeprefix("quantile_"))
        return Loss(name, "lower", lambda t, p: _pinball(share, t, p), _one)
    if name in MEASURES or ":" in name:
        raise UsageError(
            f"{name} is no mean over cases, so that days of it can't be resampled",
            next=f"compare by {', '.join(_LOSSES)} or quantile_0.9",
        )
    raise UnknownName("metric", name, [*_LOSSES, "quantile_0.9"])


def _pinball(share: float, truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    import polars as pl

    return pl.max_horizontal(share * (truth - value), (share - 1) * (truth - value))


def _one(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    return truth.is_not_null()


def _said(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    return value >= 0.5


def _was(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    return truth != 0


def _hit(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    return _was(truth, value) & _said(truth, value)


def _said_and_was(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    import polars as pl

    return _said(truth, value).cast(pl.Float64) + _was(truth, value).cast(pl.Float64)


def _squared(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    return (value - truth) ** 2


def _signed(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    return value - truth


def _absolute(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    return (value - truth).abs()


_LOSSES = {
    loss.name: loss
    for loss in (
        Loss("mae", "lower", _absolute, _one),
        Loss("rmse", "lower", _squared, _one, root=True),
        Loss("bias", "zero", _signed, _one),
        Loss("wape", "lower", _absolute, lambda t, p: t.abs()),  # noqa: ARG005
        Loss("accuracy", "higher", lambda t, p: p == t, _one),
        Loss("precision", "higher", _hit, _said),
        Loss("recall", "higher", _hit, _was),
        Loss("f1", "higher", lambda t, p: 2 * _hit(t, p), _said_and_was),
        Loss("brier", "lower", _squared, _one),
        Loss("calibration", "zero", _signed, _one),
    )
}
