"""Metrics by name: how far values are from the truth, and which way is better."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.errors import PredictionError, UnknownName, UsageError
from trikk.core.values import JSON

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

BETTER = ("lower", "higher", "zero")
_Function = Callable[["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: the name, or "module:function" for an author's own.
        function: takes truths and values, numpy arrays of one length without missing truths; gives a number.
        better: "lower", "higher", or "zero": the nearer to zero.
        numeric: whether it takes numbers only, else texts too.
    """

    name: str
    function: _Function
    better: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Score:
    """What a metric gave.

    Attributes:
        value: the metric.
        rows: how many rows have a truth and were scored.
        dropped: how many have none.
    """

    value: float
    rows: int
    dropped: int

    def to_json(self) -> dict[str, JSON]:
        """The score as JSON."""
        return {"value": self.value, "rows": self.rows, "dropped": self.dropped}


def score(metric: Metric, truth: pl.Series, values: pl.Series) -> Score:
    """Score values against the truth, row by row; rows whose truth is null or NaN are left out and counted.

    Args:
        metric: from `metric_of`.
        truth: what happened.
        values: what was predicted, as long.

    Raises:
        PredictionError: if no row has a truth, or the metric is no finite number.
        UsageError: if a metric of numbers gets something else.
    """
    known = truth.is_not_null()
    if truth.dtype.is_float():
        known = known & truth.is_not_nan()
    truths, found = truth.filter(known), values.filter(known)
    dropped = len(truth) - len(truths)
    if not len(truths):
        raise PredictionError(
            f"none of {dropped:,} rows has a truth in {truth.name!r}, so {metric.name} can't be computed",
            next="give rows whose truth is known",
        )
    for column in (truths, found):
        if metric.numeric and not (column.dtype.is_numeric() or str(column.dtype) == "Boolean"):
            raise UsageError(
                f"{metric.name} takes numbers, and {column.name!r} is {column.dtype}",
                next="choose another metric, such as accuracy, or give numbers",
            )
    value = float(metric.function(_array(truths, metric), _array(found, metric)))
    if not math.isfinite(value):
        raise PredictionError(
            f"{metric.name} of {len(truths):,} rows is {value}", next="look at these rows' values"
        )
    return Score(value, len(truths), dropped)


def metric_of(name: str, better: str | None = None) -> Metric:
    """A metric by name, or an author's own function as "module:function".

    Args:
        name: mae, rmse, bias, wape, accuracy, f1, auc, logloss, or "module:function".
        better: for an author's own: "lower" (the default), "higher" or "zero".

    Raises:
        UnknownName: if there is no such metric.
        UsageError: if the function can't be imported.
    """
    if name in METRICS:
        return METRICS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise UnknownName("metric", name, METRICS)
    try:
        function = importlib.import_module(module)
        for part in attribute.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the metric {name!r} can't be imported: {error}", next="name a function at the top level of a module"
        ) from error
    return Metric(name, function, better or "lower", numeric=False)  # type: ignore[arg-type]


def _array(column: pl.Series, metric: Metric) -> np.ndarray[Any, Any]:
    import polars as pl

    return (column.cast(pl.Float64) if metric.numeric else column).to_numpy()


def _mae(truth: Any, value: Any) -> float:
    return float(abs(truth - value).mean())


def _rmse(truth: Any, value: Any) -> float:
    return math.sqrt(float(((truth - value) ** 2).mean()))


def _bias(truth: Any, value: Any) -> float:
    return float((value - truth).mean())


def _wape(truth: Any, value: Any) -> float:
    whole = float(abs(truth).sum())
    return float(abs(truth - value).sum()) / whole if whole else math.nan


def _accuracy(truth: Any, value: Any) -> float:
    if truth.dtype.kind in "biuf" and value.dtype.kind == "f":
        return float(((truth != 0) == (value >= 0.5)).mean()) if _binary(truth) else float((truth == value).mean())
    return float((truth == value).mean())


def _f1(truth: Any, value: Any) -> float:
    positive, said = truth != 0, value >= 0.5
    both = int((positive & said).sum())
    wrong = int((positive != said).sum())
    return 2 * both / (2 * both + wrong) if both + wrong else 1.0


def _auc(truth: Any, value: Any) -> float:
    """The share of pairs of a positive and a negative row that are ranked rightly (Mann and Whitney's U)."""
    import polars as pl

    positive = truth != 0
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return math.nan
    ranks = pl.Series(value).rank("average").to_numpy()
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _logloss(truth: Any, value: Any) -> float:
    import numpy as np

    least = float(np.finfo(np.float64).eps)  # a probability of 0 would cost infinitely much
    likely = np.clip(value, least, 1 - least)
    return float(-np.log(np.where(truth != 0, likely, 1 - likely)).mean())


def _binary(truth: Any) -> bool:
    return bool(((truth == 0) | (truth == 1)).all())


METRICS = {
    metric.name: metric
    for metric in (
        Metric("mae", _mae, "lower"),
        Metric("rmse", _rmse, "lower"),
        Metric("bias", _bias, "zero"),
        Metric("wape", _wape, "lower"),
        Metric("accuracy", _accuracy, "higher", numeric=False),
        Metric("f1", _f1, "higher"),
        Metric("auc", _auc, "higher"),
        Metric("logloss", _logloss, "lower"),
    )
}
