"""What a day adds to a metric: a row of numbers, so that resampling days costs little for any number of cases.

A quotient of sums is two numbers, what follows from counts three for each class. Of every other metric, also of an
author's own, a day adds what the metric would be without it (the jackknife).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trikk.models.metrics.metric import Metric
from trikk.models.metrics.own_metric import Better
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

OTHER, NUMBER, GROUP = "_other", "_number", "_group"
"""The second side's value, the number of a case's day, and that of its slice."""
MOST_DAYS = 100
"""Up to which each day is left out by itself; of more, as many stretches of days."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A metric of what days add up to."""

    name: str  # as in `trikk.models.metrics.by_name`
    better: Better  # which way is better
    # the metric of sums: takes float64 of shape (..., numbers), gives shape (...); NaN where there is none
    of: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]

    def worth(self, sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What is compared: the metric, or its size where the nearest to zero is best."""
        import numpy as np

        values = self.of(sums)
        # A bias of -3 is as far off as one of 3.
        return np.abs(values) if self.better is Better.ZERO else values


@dataclass(frozen=True, slots=True)
class Extent:
    """How many days and slices there are."""

    days: int
    groups: int


class Measure(Protocol):
    """A metric, and how days add up to it.

    Attributes:
        loss: the metric of what they add up to.
        by_stretch: whether many days are taken together, since each costs as much as all cases do.
    """

    loss: Loss
    by_stretch: bool

    def why(self, pairs: pl.DataFrame) -> str:
        """Why the metric of all cases has no value on some side; "" if that is not known."""

    def sums(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """What each day adds.

        Args:
            pairs: the cases with the truth and both sides' values, `_number` and `_group`.
            extent: of both numbers.

        Returns:
            float64 of shape (days, groups, 2 sides, numbers).
        """


def quotient(sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The first number of each row divided by the second; NaN where there is nothing below."""
    import numpy as np

    ratio = np.full(sums.shape[:-1], np.nan)
    np.divide(sums[..., 0], sums[..., 1], out=ratio, where=sums[..., 1] > 0)
    return ratio


class Quotient:
    """A metric that is one sum over cases divided by another."""

    by_stretch = False

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.loss = Loss(metric.name, metric.better, self._rooted if metric.root else quotient)

    @staticmethod
    def _rooted(sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        # A mean of squares can be a hair below 0 after days were taken off it.
        root: np.ndarray[Any, Any] = np.sqrt(np.maximum(quotient(sums), 0))
        return root

    def why(self, pairs: pl.DataFrame) -> str:  # noqa: ARG002 - as for `Measure`
        """As for `Measure`."""
        return ""

    def sums(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """As for `Measure`."""
        import polars as pl

        truth = pl.col(OBSERVED)
        parts = []
        for side in (PREDICTED, OTHER):
            assert self.metric.above is not None
            below = truth.is_not_null() if self.metric.below is None else self.metric.below(truth, pl.col(side))
            parts += [self.metric.above(truth, pl.col(side)), below]
        wanted = [part.cast(pl.Float64).sum().alias(f"{place}") for place, part in enumerate(parts)]
        daily = pairs.lazy().group_by(NUMBER, GROUP).agg(wanted).collect()
        return _spread_out(daily, ["0", "1", "2", "3"], extent)


def _spread_out(rows: pl.DataFrame, columns: Sequence[str], extent: Extent) -> np.ndarray[Any, Any]:
    """Rows of day and group as an array of shape (days, groups, 2 sides, numbers)."""
    import numpy as np

    sums = np.zeros((extent.days, extent.groups, len(columns)))
    sums[rows[NUMBER].to_numpy(), rows[GROUP].to_numpy()] = rows.select(columns).to_numpy()
    return sums.reshape(extent.days, extent.groups, 2, -1)


Values = Callable[["pl.DataFrame", Extent], "np.ndarray[Any, Any]"]
"""Takes cases as `Measure.sums` does; gives the metric, float64 of shape (groups, 2 sides), else NaN."""


class LeftOut:
    """Any metric, by what it is without each of the days.

    What a day adds is the jackknife's pseudo-value (J. Tukey, 1958), moved so that their mean is the metric.

    Args:
        metric: for its name, and which way is better.
        without: takes cases and their extent; gives float64 of shape (1 + days, groups, 2 sides): the metric of
            all cases, then that without each day.
        why: why there is no value, from the cases; "" if that is not known.
    """

    by_stretch = True

    def __init__(self, metric: Metric, without: Values, why: Callable[[pl.DataFrame], str] = lambda _: "") -> None:
        self.loss = Loss(metric.name, metric.better, quotient)
        self.without, self.why = without, why

    def sums(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """As for `Measure`."""
        import numpy as np

        values = self.without(pairs, extent)
        present = np.zeros((extent.days, extent.groups), dtype=bool)
        present[pairs[NUMBER].to_numpy(), pairs[GROUP].to_numpy()] = True
        sums = np.zeros((extent.days, extent.groups, 2, 2))
        for group in range(extent.groups):
            days = np.flatnonzero(present[:, group])
            whole, left = values[0, group], values[1:, group][days]
            if not np.isfinite(left).all():
                # Without one of the days it is not defined: there is a value, and no spread.
                days, left = days[:1], whole[None]
            sums[days, group, :, 0] = whole + (len(days) - 1) * (left.mean(axis=0) - left)
            sums[days, group, :, 1] = 1.0
        return sums


def each_without(values: Values, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
    """The metric of all cases, and without each of the days: `LeftOut`'s `without`."""
    import numpy as np
    import polars as pl

    metrics = [values(pairs, extent)]
    metrics += [values(pairs.filter(pl.col(NUMBER) != day), extent) for day in range(extent.days)]
    return np.stack(metrics)


def by_expression(metric: Metric) -> Values:
    """A metric that one expression gives, such as a median."""

    def values(pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        import numpy as np
        import polars as pl

        truth = pl.col(OBSERVED)
        wanted = [
            metric.expression(truth, pl.col(side)).cast(pl.Float64).alias(side) for side in (PREDICTED, OTHER)
        ]
        by_group = pairs.lazy().group_by(GROUP).agg(wanted).collect()
        metrics = np.full((extent.groups, 2), np.nan)
        metrics[by_group[GROUP].to_numpy()] = by_group.select(PREDICTED, OTHER).fill_null(float("nan")).to_numpy()
        return metrics

    return values


def stretches(days: int) -> list[int]:
    """The number of each day's stretch: its own up to `MOST_DAYS` days, else about as many as that."""
    length = math.ceil(days / MOST_DAYS)
    return [day // length for day in range(days)]
