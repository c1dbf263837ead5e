"""Metrics by name: how far values are from the truth, and which way is better.

The one definition of each, for gates, monitors and A/B alike: expressions, so that all metrics over all slices
take one pass; and where that can be, a quotient of two sums over cases, so that days can be resampled. What is not
defined (an AUC of one class, a precision where nothing was called positive) has no value, and never a 0 or a 1.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trikk.core.errors import PredictionError, UnknownName, UsageError
from trikk.core.values import JSON
from trikk.models.metrics.confusion import AVERAGES, BY_CLASS
from trikk.models.task import Classes, Task

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_Function = Callable[["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"], float]
_Expressed = Callable[["pl.Expr", "pl.Expr"], "pl.Expr"]
_OF_CLASS = re.compile(rf"({'|'.join(BY_CLASS)})\[(.+)\]", re.DOTALL)
_TOP = re.compile(r"top_([2-9]|[1-9][0-9]+)_accuracy")
_LIKE = {"quantile_0.9": (Task.REGRESSION,), "f1[CLASS]": (Task.MULTICLASS,), "top_2_accuracy": (Task.MULTICLASS,)}
"""Names that stand for many, where metrics are listed."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: a quotient of sums over cases, or another expression, or an author's function.

    Attributes:
        name: the name, or "module:function" for an author's own.
        better: "lower", "higher", or "zero": the nearer to zero.
        above: takes the expressions of truth and value, as `operands` gives them; gives each case's part of the
            sum above the line. None if it is no quotient of sums.
        below: the same for the sum below the line; None for the number of cases.
        root: whether the metric is the quotient's square root.
        whole: where there is no `above`, one expression that aggregates to the metric.
        function: an author's own: takes truths and values, numpy arrays of one length without missing ones.
        numeric: whether it takes numbers and flags only, else texts too.
        tasks: the tasks that it fits; empty for an author's own, which fits any.
        of: the class, of precision[CLASS] and the like.
        top: k, of top_k_accuracy.
    """

    name: str
    better: str
    above: _Expressed | None = None
    below: _Expressed | None = None
    root: bool = False
    whole: _Expressed | None = None
    function: _Function | None = None
    numeric: bool = True
    tasks: tuple[Task, ...] = ()
    of: str = ""
    top: int = 0

    @property
    def single(self) -> str:
        """The name without a class: f1 of f1[leak]."""
        return self.name.removesuffix(f"[{self.of}]")

    def expression(self, truth: pl.Expr, value: pl.Expr) -> pl.Expr:
        """One expression that aggregates to the metric, a Float64; null or NaN where that is not defined.

        Args:
            truth: as `operands` gives it; null where a case does not count.
            value: the same, null in the same places.
        """
        import polars as pl

        if self.whole is not None:
            return self.whole(truth, value)
        if self.function is not None:
            raise TypeError(f"{self.name} is an author's function")
        if self.above is None:
            raise UsageError(
                f"{self.name} needs the classes to be known, and they are not",
                next="register the model with its task, or say task= and positive=",
            )
        part = self.above(truth, value).cast(pl.Float64)
        if self.below is None:
            found = part.mean()
        else:
            total = self.below(truth, value).cast(pl.Float64).sum()
            found = pl.when(total > 0).then(part.sum() / total)
        return found.sqrt() if self.root else found

    def operands(
        self, truth: pl.Expr, value: pl.Expr, kinds: Mapping[str, pl.DataType]
    ) -> tuple[pl.Expr, pl.Expr]:
        """The expressions of truth and value as the metric takes them: Float64, so that no small type overflows.

        For accuracy, whole numbers and texts stay what they are, and a value that is neither a whole number nor
        equal to the truth is a probability, which says 1 from 0.5 on, else 0.

        Args:
            truth: the column of truths.
            value: the column of values.
            kinds: the type of each column that is compared, by what people call it.

        Raises:
            UsageError: if the metric can't be had of such types.
        """
        import polars as pl

        has_numbers = _has_numbers(self, kinds)
        if not self.numeric and (not has_numbers or all(kind.is_integer() for kind in kinds.values())):
            return truth, value
        truth, value = truth.cast(pl.Float64), value.cast(pl.Float64)
        return (truth, value) if self.numeric else (truth, _said(truth, value))


def _has_numbers(metric: Metric, kinds: Mapping[str, pl.DataType]) -> bool:
    """Whether columns are numbers or flags; UsageError if the metric can't compare them."""
    import polars as pl

    others = {name: kind for name, kind in kinds.items() if not (kind.is_numeric() or kind == pl.Boolean)}
    others = {name: kind for name, kind in others.items() if kind != pl.Null}
    for name, kind in others.items():
        if metric.numeric:
            raise UsageError(
                f"{metric.name} takes numbers, and {name!r} is {kind}",
                next="choose another metric, such as accuracy, or give numbers",
            )
        for other, another in kinds.items():
            if another not in (kind, pl.Null):
                raise UsageError(
                    f"{metric.name} compares values of one type, and {name!r} is {kind}, {other!r} is {another}",
                    next="cast one of them",
                )
    return not others


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
    truths, found = truth.filter(known), rows.filter(known)
    dropped = len(truth) - len(truths)
    if not len(truths):
        raise PredictionError(
            f"none of {dropped:,} rows has a truth in {truth.name!r}, so {metric.name} can't be computed",
            next="give rows whose truth is known",
        )
    missing = len(truths) - int(pl.select(pl.all_horizontal(map(_is_there, found))).to_series().sum())
    if missing:
        raise PredictionError(
            f"{missing:,} of {len(truths):,} rows have no value, so {metric.name} can't be computed",
            next="look at these rows' inputs",
        )
    name = predictions.name if isinstance(predictions, pl.Series) else "value"
    value, why = _computed(metric, truths, found, classes, name or "value")
    if value is None or not math.isfinite(value):
        raise PredictionError(
            f"{metric.name} of {len(truths):,} rows is not defined{': ' * bool(why)}{why}",
            next="look at these rows' values",
        )
    return Score(value, len(truths), dropped)


def _is_there(column: pl.Series) -> pl.Series:
    """Whether each value is one: neither null nor NaN."""
    there = column.is_not_null()
    return there & column.is_not_nan() if column.dtype.is_float() else there


def _computed(
    metric: Metric, truths: pl.Series, found: pl.DataFrame, classes: Classes | None, name: str
) -> tuple[float | None, str]:
    """The metric of columns without missing values; None where it is not defined, and why."""
    import polars as pl

    from trikk.models.metrics.class_metrics import Tallies, valued
    from trikk.models.metrics.labels import Labels, labels_of

    if metric.function is not None:
        return float(metric.function(truths.to_numpy(), found["value"].to_numpy())), ""
    rows = found.with_columns(truths.alias("truth"))
    called = {"truth": truths.name or "truth", "value": name}
    labels = labels_of(rows, Labels(None, "truth", "value", classes=classes, called=called), [metric])
    if labels is not None and is_of_classes(metric):
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
        others = numbers.filter(~numbers.is_in([0.0, 1.0]))
        if column is value and metric.name in BY_CLASS:
            others = others.clear() if (others != others.floor()).any() else others
        elif column is value:
            others = others.filter(~others.is_between(0, 1))
        if len(others):
            shown = numbers.unique().sort() if column is truth else others.unique().sort()
            listed = ", ".join(f"{one:g}" for one in shown.head(3)) + ", ..." * (len(shown) > 3)
            raise UsageError(f"{metric.name} is of two classes, 0 and 1, and {name!r} has {listed}", next=instead)


def metric_of(name: str, better: str | None = None) -> Metric:
    """A metric by name, or an author's own function as "module:function".

    Args:
        name: one of `METRICS`; quantile_0.9 (the pinball loss: least if 0.9 of the truths are at or below the
            values); precision[CLASS], recall[CLASS], f1[CLASS]; top_2_accuracy; or "module:function" of truths and
            values.
        better: for an author's own: "lower" (the default), "higher" or "zero".

    Raises:
        UnknownName: if there is no such metric.
        UsageError: if the function can't be imported.
    """
    if name in METRICS:
        return METRICS[name]
    if name.startswith("quantile_"):
        return _pinball(name)
    if found := _OF_CLASS.fullmatch(name):
        return Metric(name, "higher", tasks=_CLASSES, of=found[2], numeric=False)
    if found := _TOP.fullmatch(name):
        return Metric(name, "higher", tasks=(Task.MULTICLASS,), top=int(found[1]), numeric=False)
    module, colon, attribute = name.partition(":")
    if not colon:
        raise UnknownName("metric", name, [*METRICS, *_LIKE])
    try:
        function = importlib.import_module(module)
        for part in attribute.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the metric {name!r} can't be imported: {error}", next="name a function at the top level of a module"
        ) from error
    return Metric(name, better or "lower", function=function, numeric=False)  # type: ignore[arg-type]


def _pinball(name: str) -> Metric:
    """The pinball loss (Koenker and Bassett, 1978)."""
    try:
        share = float(name.removeprefix("quantile_"))
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise UnknownName("metric", name, ["quantile_0.9"])

    def loss(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
        import polars as pl

        return pl.max_horizontal(share * (truth - value), (share - 1) * (truth - value))

    return Metric(name, "lower", loss, tasks=_NUMBERS)


def _said(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """The class that a value stands for: itself, or that of a probability."""
    import polars as pl

    is_class = (value == value.floor()) | (value == truth)
    return pl.when(is_class).then(value).otherwise((value >= 0.5).cast(pl.Float64))


def _was(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    return truth != 0


def _called(truth: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG001 - it takes what others take
    return value >= 0.5


def _hit(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    return (truth != 0) & (value >= 0.5)


def _was_and_called(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    import polars as pl

    return (truth != 0).cast(pl.Float64) + (value >= 0.5).cast(pl.Float64)


def clipped(probability: pl.Expr) -> pl.Expr:
    """A probability of which there is a logarithm: 0 would cost infinitely much; scikit-learn clips there, too."""
    least = 2.0**-52
    return probability.clip(least, 1 - least)


def _logloss(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    import polars as pl

    likely = clipped(value)
    return -pl.when(truth != 0).then(likely).otherwise(1 - likely).log()


def _auc(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    return auc_of(truth.drop_nulls() != 0, value.drop_nulls())


def auc_of(own: pl.Expr, score: pl.Expr) -> pl.Expr:
    """The share of pairs of a case of a class and another that are ranked rightly (Mann and Whitney's U).

    Args:
        own: whether a case is of the class; no nulls.
        score: what the cases are ranked by; no nulls.

    Returns:
        Float64 from 0 to 1; null where there is no pair.
    """
    import polars as pl

    hits, misses = own.sum().cast(pl.Float64), (~own).sum().cast(pl.Float64)
    ranks = score.rank("average").filter(own).sum()
    return pl.when((hits > 0) & (misses > 0)).then((ranks - hits * (hits + 1) / 2) / (hits * misses))


_NUMBERS, _TWO, _CLASSES = (Task.REGRESSION,), (Task.BINARY,), (Task.BINARY, Task.MULTICLASS)
_SQUARED = Metric("rmse", "lower", lambda t, v: (v - t) ** 2, root=True, tasks=_NUMBERS)
_OF_BOTH = [Metric(f"{one}_{average}", "higher") for average in AVERAGES for one in BY_CLASS]
METRICS = {
    metric.name: metric
    for metric in (
        Metric("mae", "lower", lambda t, v: (v - t).abs(), tasks=_NUMBERS),
        _SQUARED,
        Metric("bias", "zero", lambda t, v: v - t, tasks=_NUMBERS),
        Metric("wape", "lower", lambda t, v: (v - t).abs(), lambda t, v: t.abs(), tasks=_NUMBERS),  # noqa: ARG005
        Metric("median_error", "lower", whole=lambda t, v: (v - t).abs().median(), tasks=_NUMBERS),
        Metric("accuracy", "higher", lambda t, v: t == v, numeric=False, tasks=_CLASSES),
        Metric("precision", "higher", _hit, _called, tasks=_TWO),
        Metric("recall", "higher", _hit, _was, tasks=_TWO),
        Metric("f1", "higher", lambda t, v: 2 * _hit(t, v).cast(int), _was_and_called, tasks=_TWO),
        Metric("auc", "higher", whole=_auc, tasks=_CLASSES),
        Metric("logloss", "lower", _logloss, tasks=_CLASSES),
        replace(_SQUARED, name="brier", root=False, tasks=_CLASSES),
        Metric("calibration", "zero", lambda t, v: v - t, tasks=_TWO),
        Metric("balanced_accuracy", "higher", tasks=_CLASSES, numeric=False),
        Metric("mcc", "higher", tasks=_CLASSES, numeric=False),
        *(replace(metric, tasks=_CLASSES, numeric=False) for metric in _OF_BOTH),
        Metric("average_precision", "higher", tasks=_CLASSES),
        Metric("ece", "lower", tasks=_CLASSES),
    )
}


def fitting(task: Task) -> list[str]:
    """The names of the metrics that fit a task."""
    return [*(name for name, metric in METRICS.items() if task in metric.tasks), *_like(task)]


def is_of_classes(metric: Metric) -> bool:
    """Whether a metric fits a task of classes; an author's own is not said to."""
    return Task.BINARY in metric.tasks or Task.MULTICLASS in metric.tasks


def _like(task: Task) -> list[str]:
    return [name for name, tasks in _LIKE.items() if task in tasks]


def misfit(metric: Metric, task: Task | None, classes: Classes | None = None) -> str:
    """Why a metric does not fit a task and its classes, and which do; "" if it does, or no task is known."""
    if task is None or not metric.tasks:
        return ""
    if task not in metric.tasks:
        instead = ", ".join(fitting(task))
        if task is Task.MULTICLASS and metric.name in BY_CLASS:
            name = metric.name
            instead = f"{name}_macro, {name}_weighted or {name}[CLASS]"
        return f"{metric.name} does not fit {_KINDS[task]}; choose {instead}"
    if classes is not None and metric.of and metric.of not in classes.texts:
        return f"{metric.name}: there is no such class; choose of {', '.join(classes.texts)}"
    if classes is not None and metric.top >= len(classes.values):
        return (
            f"{metric.name} of {len(classes.values)} classes is always 1; choose {_smaller(len(classes.values))}"
        )
    return ""


def check_fit(metric: Metric, task: Task | None, classes: Classes | None = None) -> None:
    """Refuse a metric that does not fit a task; UsageError that names those that do."""
    if wrong := misfit(metric, task, classes):
        what, _, instead = wrong.partition("; ")
        raise UsageError(what, next=instead)


def _smaller(classes: int) -> str:
    return f"top_{classes - 1}_accuracy" if classes > 3 else "top_2_accuracy" if classes > 2 else "accuracy"


_KINDS = {
    Task.REGRESSION: "the task regression",
    Task.BINARY: "two classes (the task binary)",
    Task.MULTICLASS: "many classes (the task multiclass)",
}
