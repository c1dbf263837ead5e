"""Metrics by name: how far values are from the truth, and which way is better.

The one definition of each, for gates, monitors and A/B alike. What is not defined (an AUC of one class, a
precision where nothing was called positive) has no value, and never a 0 or a 1.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from trikk.core.errors import UnknownName, UsageError
from trikk.models.metrics.confusion import AVERAGES, BY_CLASS
from trikk.models.metrics.expressions import auc, called, hit, logloss, was, was_and_called
from trikk.models.metrics.metric import Metric
from trikk.models.metrics.own_metric import Better
from trikk.models.task import Classes, Task

if TYPE_CHECKING:
    import polars as pl

OF_CLASS = re.compile(rf"({'|'.join(BY_CLASS)})\[(.+)\]", re.DOTALL)
TOP = re.compile(r"top_([2-9]|[1-9][0-9]+)_accuracy")
"""Names that hold a class or a number: f1[leak] and top_3_accuracy."""
_LIKE = {"quantile_0.9": (Task.REGRESSION,), "f1[CLASS]": (Task.MULTICLASS,), "top_2_accuracy": (Task.MULTICLASS,)}
"""Names that stand for many, where metrics are listed."""


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
    if match := OF_CLASS.fullmatch(name):
        return Metric(name, Better.HIGHER, tasks=_CLASSES, of=match[2], numeric=False)
    if match := TOP.fullmatch(name):
        return Metric(name, Better.HIGHER, tasks=(Task.MULTICLASS,), top=int(match[1]), numeric=False)
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
    return Metric(name, Better(better or Better.LOWER), function=function, numeric=False)  # type: ignore[arg-type]


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

    return Metric(name, Better.LOWER, loss, tasks=_NUMBERS)


_NUMBERS, _TWO, _CLASSES = (Task.REGRESSION,), (Task.BINARY,), (Task.BINARY, Task.MULTICLASS)
_SQUARED = Metric("rmse", Better.LOWER, lambda t, v: (v - t) ** 2, root=True, tasks=_NUMBERS)
_OF_BOTH = [Metric(f"{one}_{average}", Better.HIGHER) for average in AVERAGES for one in BY_CLASS]
METRICS = {
    metric.name: metric
    for metric in (
        Metric("mae", Better.LOWER, lambda t, v: (v - t).abs(), tasks=_NUMBERS),
        _SQUARED,
        Metric("bias", Better.ZERO, lambda t, v: v - t, tasks=_NUMBERS),
        Metric("wape", Better.LOWER, lambda t, v: (v - t).abs(), lambda t, v: t.abs(), tasks=_NUMBERS),  # noqa: ARG005
        Metric("median_error", Better.LOWER, whole=lambda t, v: (v - t).abs().median(), tasks=_NUMBERS),
        Metric("accuracy", Better.HIGHER, lambda t, v: t == v, numeric=False, tasks=_CLASSES),
        Metric("precision", Better.HIGHER, hit, called, tasks=_TWO),
        Metric("recall", Better.HIGHER, hit, was, tasks=_TWO),
        Metric("f1", Better.HIGHER, lambda t, v: 2 * hit(t, v).cast(int), was_and_called, tasks=_TWO),
        Metric("auc", Better.HIGHER, whole=auc, tasks=_CLASSES),
        Metric("logloss", Better.LOWER, logloss, tasks=_CLASSES),
        replace(_SQUARED, name="brier", root=False, tasks=_CLASSES),
        Metric("calibration", Better.ZERO, lambda t, v: v - t, tasks=_TWO),
        Metric("balanced_accuracy", Better.HIGHER, tasks=_CLASSES, numeric=False),
        Metric("mcc", Better.HIGHER, tasks=_CLASSES, numeric=False),
        *(replace(metric, tasks=_CLASSES, numeric=False) for metric in _OF_BOTH),
        Metric("average_precision", Better.HIGHER, tasks=_CLASSES),
        Metric("ece", Better.LOWER, tasks=_CLASSES),
    )
}


def fitting(task: Task) -> list[str]:
    """The names of the metrics that fit a task."""
    return [*(name for name, metric in METRICS.items() if task in metric.tasks), *_like(task)]


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
        misfitting, _, instead = wrong.partition("; ")
        raise UsageError(misfitting, next=instead)


def _smaller(classes: int) -> str:
    return f"top_{classes - 1}_accuracy" if classes > 3 else "top_2_accuracy" if classes > 2 else "accuracy"


_KINDS = {
    Task.REGRESSION: "the task regression",
    Task.BINARY: "two classes (the task binary)",
    Task.MULTICLASS: "many classes (the task multiclass)",
}
