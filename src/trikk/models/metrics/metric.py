"""`Metric`: how one metric is computed of cases, which way is better, and what it is of.

Expressions, so that all metrics over all slices take one pass; and where that can be, a quotient of two sums over
cases, so that days can be resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.models.calling.dtypes import is_number
from trikk.models.metrics.expressions import said
from trikk.models.metrics.own_metric import Better
from trikk.models.task import Task

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_Function = Callable[["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"], float]
_Expressed = Callable[["pl.Expr", "pl.Expr"], "pl.Expr"]
SUMMED = ("logloss", "brier", "calibration")
"""Metrics of probabilities that are quotients of sums over cases."""
RANKED = ("auc", "average_precision")
"""Metrics of the order of the probabilities."""
_OF_PROBABILITIES = frozenset((*SUMMED, *RANKED, "ece"))


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: a quotient of sums over cases, or another expression, or an author's function.

    Attributes:
        name: the name, or "module:function" for an author's own.
        better: which way is better.
        above: takes the expressions of truth and value, as `operands` gives them; gives each case's part of the
            sum above the line. None if it is not a quotient of sums.
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
    better: Better
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

    @property
    def of_classes(self) -> bool:
        """Whether it fits a task of classes; an author's own is not said to."""
        return Task.BINARY in self.tasks or Task.MULTICLASS in self.tasks

    @property
    def of_probabilities(self) -> bool:
        """Whether it is a metric of classes that is made of probabilities, not of the classes that were said."""
        return self.top > 0 or self.name in _OF_PROBABILITIES

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
            quotient = part.mean()
        else:
            total = self.below(truth, value).cast(pl.Float64).sum()
            quotient = pl.when(total > 0).then(part.sum() / total)
        return quotient.sqrt() if self.root else quotient

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

        has_numbers = _are_numbers(self, kinds)
        if not self.numeric and (not has_numbers or all(kind.is_integer() for kind in kinds.values())):
            return truth, value
        truth, value = truth.cast(pl.Float64), value.cast(pl.Float64)
        return (truth, value) if self.numeric else (truth, said(truth, value))


def _are_numbers(metric: Metric, kinds: Mapping[str, pl.DataType]) -> bool:
    """Whether columns are numbers or flags; UsageError if the metric can't compare them."""
    import polars as pl

    no_numbers = {name: kind for name, kind in kinds.items() if not is_number(kind) and kind != pl.Null}
    for name, kind in no_numbers.items():
        if metric.numeric:
            raise UsageError(
                f"{metric.name} takes numbers, and {name!r} is {kind}",
                next="choose another metric, such as accuracy, or give numbers",
            )
        for second, second_kind in kinds.items():
            if second_kind not in (kind, pl.Null):
                raise UsageError(
                    f"{metric.name} compares values of one type, and {name!r} is {kind}, {second!r} is "
                    f"{second_kind}",
                    next="cast one of them",
                )
    return not no_numbers
