"""Scoring predictions against the truth: the one place that gates and promotions ask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trikk.core.errors import PredictionError, UsageError
from trikk.core.record import Record
from trikk.models.metrics.by_name import check_fit
from trikk.models.metrics.case_labels import Labels, labels_of
from trikk.models.metrics.class_metrics import Tallies, valued
from trikk.models.metrics.confusion import BY_CLASS
from trikk.models.metrics.metric import Metric
from trikk.models.task import Classes, Task

if TYPE_CHECKING:
    import polars as pl


class Score(Record, frozen=True):
    """What a metric gave.

    Attributes:
        value: the metric.
        rows: how many rows have a truth and were scored.
        dropped: how many have none.
    """

    value: float
    rows: int
    dropped: int


def score(
    metric: Metric,
    truth: pl.Series,
    predictions: pl.Series | pl.DataFrame,
    classes: Classes | None = None,
    together: Classes | None = None,
) -> Score:
    """Score predictions against the truth, row by row; rows whose truth is null or NaN are left out and counted.

    Args:
        metric: from `metric_of`.
        truth: what happened.
        predictions: what was predicted, as long: the values, or a frame of `value` and the columns of
            probabilities that `classes.columns()` names.
        classes: the model's; None if they are not known, so that of 0/1 truths a value is a probability.
        together: what the metric is to fit, where the model is compared with one of other classes: all of both.

    Raises:
        PredictionError: if no row has a truth, a row that has one has no value, or the metric is not defined.
        UsageError: if the metric does not fit the classes, or the types of truth and predictions.
    """
    import polars as pl

    fits = together or classes
    check_fit(metric, None if fits is None else fits.task, fits)
    rows = predictions.alias("value").to_frame() if isinstance(predictions, pl.Series) else predictions
    known = _is_there(truth)
    truths, scored = truth.filter(known), rows.filter(known)
    dropped = len(truth) - len(truths)
    if not len(truths):
        raise PredictionError(
            f"none of {dropped:,} rows has a truth in {truth.name!r}, so {metric.name} can't be computed",
            next="give rows whose truth is known",
        )
    missing = len(truths) - int(pl.select(pl.all_horizontal(map(_is_there, scored))).to_series().sum())
    if missing:
        raise PredictionError(
            f"{missing:,} of {len(truths):,} rows have no value, so {metric.name} can't be computed",
            next="look at these rows' inputs",
        )
    name = predictions.name if isinstance(predictions, pl.Series) else "value"
    value, why = _computed(metric, truths, scored, classes, name or "value")
    if value is None or not math.isfinite(value):
        raise PredictionError(
            f"{metric.name} of {len(truths):,} rows is not defined{': ' * bool(why)}{why}",
            next="look at these rows' values",
        )
    return Score(value, len(truths), dropped)


def _is_there(column: pl.Series) -> pl.Series:
    """Whether each value is one: neither null nor NaN."""
    is_set = column.is_not_null()
    return is_set & column.is_not_nan() if column.dtype.is_float() else is_set


def _computed(
    metric: Metric, truths: pl.Series, scored: pl.DataFrame, classes: Classes | None, name: str
) -> tuple[float | None, str]:
    """The metric of columns without missing values; None where it is not defined, and why."""
    import polars as pl

    # an author's own gets no classes: it is called on whatever the model gives
    if metric.function is not None:
        return float(metric.function(truths.to_numpy(), scored["value"].to_numpy())), ""
    rows = scored.with_columns(truths.alias("truth"))
    called = {"truth": truths.name or "truth", "value": name}
    labels = labels_of(rows, Labels(None, "truth", "value", classes=classes, called=called), [metric])
    if labels is not None and metric.of_classes:
        return valued(metric, Tallies(rows, labels, [metric]).over(None)[None], labels.of)
    kinds = {called[column]: rows.schema[column] for column in ("truth", "value")}
    operands = metric.operands(pl.col("truth"), pl.col("value"), kinds)
    check_two(metric, truths, rows["value"].alias(name))
    value = rows.select(metric.expression(*operands)).item()
    return (None, "") if value is None else (float(value), "")


def check_two(metric: Metric, truth: pl.Series, value: pl.Series) -> None:
    """Refuse a metric of two classes of numbers that are none of 0 and 1, and no probability from 0 to 1.

    The order alone is what AUC is about, and whatever is 0.5 or more says 1; but other whole numbers are classes.

    Raises:
        UsageError: with the numbers that there are.
    """
    import polars as pl

    if not metric.numeric or Task.BINARY not in metric.tasks:
        return
    instead = "register the model with its task, or choose a metric of numbers, such as mae"
    for column, name in ((truth, truth.name or "the truth"), (value, value.name or "value")):
        if not column.dtype.is_numeric() or (column is value and metric.name in ("auc", "average_precision")):
            continue
        numbers = column.drop_nulls().cast(pl.Float64).drop_nans()
        strange = numbers.filter(~numbers.is_in([0.0, 1.0]))
        if column is value and metric.name in BY_CLASS:
            strange = strange.clear() if (strange != strange.floor()).any() else strange
        elif column is value:
            strange = strange.filter(~strange.is_between(0, 1))
        if len(strange):
            shown = numbers.unique().sort() if column is truth else strange.unique().sort()
            listed = ", ".join(f"{one:g}" for one in shown.head(3)) + ", ..." * (len(shown) > 3)
            raise UsageError(f"{metric.name} is of two classes, 0 and 1, and {name!r} has {listed}", next=instead)
