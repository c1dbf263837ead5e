"""Metrics of classes by day: counts and losses that add up, for any number of resamples at once.

`trikk.models.metrics.confusion` defines what follows from counts; this is the same of arrays,
each resample a row of summed counts. Of AUC, average precision and the calibration error a day adds what they
would be without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from trikk.core.errors import UsageError
from trikk.models.metrics.by_name import METRICS, check_fit
from trikk.models.metrics.case_labels import Labels, labels_of
from trikk.models.metrics.class_metrics import Tallies, Tally, valued
from trikk.models.metrics.comparable import check_comparable
from trikk.models.metrics.confusion import BY_CLASS
from trikk.models.metrics.metric import RANKED, SUMMED, Metric
from trikk.models.metrics.score_bins import Bins, complete, merged, over_classes
from trikk.models.registry import Registry
from trikk.models.task import Classes
from trikk.monitoring.ab.losses import GROUP, NUMBER, OTHER, Extent, LeftOut, Loss, Measure, each_without, quotient
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED, PROBABILITY
from trikk.monitoring.cases.tasks import is_of_flags, labels_known
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_CELL = "_cell"
_INSTEAD = "compare versions of one task that share classes; of two, say in the monitor which is meant: positive="


def labels_of_sides(
    spec: MonitorSpec,
    registry: Registry,
    metric: Metric,
    names: Sequence[str],
    rows: Sequence[pl.DataFrame],
    pairs: pl.DataFrame,
) -> list[Labels] | None:
    """How the columns of both sides are to be read; None if they are not classes.

    Raises:
        UsageError: if the sides tell apart other classes, or the metric does not fit them.
    """
    plain = msgspec.structs.replace(spec, metrics=())
    known = [labels_known(plain, registry, of_side) for of_side in rows]
    sides = {name: (one.task, one.classes) for name, one in zip(names, known, strict=True) if one.task}
    together = check_comparable(metric, sides, _INSTEAD)
    known = [one if one.task or one.classes else replace(counterpart, predicted=one.predicted)
             for one, counterpart in (known, known[::-1])]  # fmt: skip
    readings = []
    for one, name, column in zip(known, names, (PREDICTED, OTHER), strict=True):
        kinds = [pairs.schema[OBSERVED], pairs.schema[column]]
        # Rows of 0 and 1 whose task nobody has said may be compared by anything that takes flags.
        if together is None and not is_of_flags(metric, one.task, kinds):
            check_fit(metric, one.task, one.classes)
        head = PROBABILITY if column == PREDICTED else OTHER + PROBABILITY
        called = {OBSERVED: f"{spec.truth}.{spec.observed}", column: f"the value of {name}"}
        labels = labels_of(pairs, replace(one, predicted=column, called=called), [metric], head)
        readings += [] if labels is None else [labels]
    if not metric.of_classes or len(readings) < 2:
        return None
    return readings


def classes_known(spec: MonitorSpec, registry: Registry, sides: Mapping[str, pl.DataFrame]) -> dict[str, Classes]:
    """The classes of sides whose models' are known, by what people call the sides."""
    plain = msgspec.structs.replace(spec, metrics=())
    by_side = {name: labels_known(plain, registry, rows).classes for name, rows in sides.items()}
    return {name: classes for name, classes in by_side.items() if classes is not None}


def of_classes(metric: Metric, labels: Sequence[Labels], names: Sequence[str]) -> Measure:
    """How days add up to a metric of classes.

    Raises:
        UsageError: if a side has no probabilities, and the metric is one of them.
    """
    for side, name in zip(labels, names, strict=True):
        if metric.of_probabilities and not side.probabilities:
            fit = [one for one in METRICS if side.task in METRICS[one].tasks and not METRICS[one].of_probabilities]
            raise UsageError(
                f"{name} has no probabilities, and {metric.name} is made of them",
                next=f"compare by {', '.join(fit)}, or let it predict with a model that has some",
            )
    if metric.name in SUMMED or metric.top:
        return _Summed(metric, labels)
    if metric.of_probabilities:
        ranked = _Ranked(metric, labels) if metric.name in RANKED else _Whole(metric, labels)
        return LeftOut(metric, ranked.without, partial(why_undefined, metric, labels))
    return _Counted(metric, labels)


class _Whole:
    """A metric of some cases, by slice and side."""

    def __init__(self, metric: Metric, labels: Sequence[Labels]) -> None:
        self.metric, self.labels = metric, labels

    def without(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """As for `LeftOut`."""
        return each_without(self._values, pairs, extent)

    def _values(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        import numpy as np

        values = np.full((extent.groups, 2), np.nan)
        for side, labels in enumerate(self.labels):
            for group, tally in Tallies(pairs, labels, [self.metric], [GROUP]).over(GROUP).items():
                value, _ = valued(self.metric, tally, labels.of)
                values[group, side] = np.nan if value is None else value
        return values


class _Ranked(_Whole):
    """AUC or average precision: that of all cases exactly, and what each day makes of it from histograms.

    To put the cases in order anew without each day would take minutes for half a million cases of ten classes.
    """

    def without(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """As for `LeftOut`."""
        import numpy as np

        # Histograms are off by a little; what days change in them is added to what is exact.
        exact = self._values(pairs, extent)
        values = np.repeat(exact[None], extent.days + 1, axis=0)
        for side, labels in enumerate(self.labels):
            cells = _cells(pairs, labels, self.metric, extent)
            for group in range(extent.groups):
                days = {cell // extent.groups: tally.bins for cell, tally in cells.items()
                        if cell % extent.groups == group}  # fmt: skip
                for day, change in self._changes(days).items():
                    values[1 + day, group, side] += change
        return values

    def _changes(self, days: Mapping[int, Mapping[str, Bins]]) -> dict[int, float]:
        """By day how much the metric of all of them changes without it; NaN where it has no value then."""
        classes = dict.fromkeys(text for bins in days.values() for text in bins)
        parts = {day: {text: complete(bins, text) for text in classes} for day, bins in days.items()}
        whole = {text: merged(bins[text] for bins in parts.values()) for text in classes}
        value = self._of(whole)
        return {day: self._of({text: _less(whole[text], bins[text]) for text in classes}) - value
                for day, bins in parts.items()}  # fmt: skip

    def _of(self, bins: Mapping[str, Bins]) -> float:
        measured = over_classes(self.metric.name, bins)
        return math.nan if measured is None else measured.value


def _less(whole: Bins, part: Bins) -> Bins:
    nothing = (0, 0)
    return {n: (rest - part.get(n, nothing)[0], own - part.get(n, nothing)[1]) for n, (rest, own) in whole.items()}


def why_undefined(metric: Metric, labels: Sequence[Labels], pairs: pl.DataFrame) -> str:
    """Why a metric of all cases has no value on a side; "" if it has one on both."""
    for one in labels:
        _, why = valued(metric, Tallies(pairs, one, [metric]).over(None)[None], one.of)
        if why:
            return why
    return ""


def _cells(pairs: pl.DataFrame, labels: Labels, metric: Metric, extent: Extent) -> Mapping[Any, Tally]:
    """A tally for each day and slice with cases, by day * slices + slice."""
    import polars as pl

    rows = pairs.with_columns((pl.col(NUMBER).cast(pl.Int64) * extent.groups + pl.col(GROUP)).alias(_CELL))
    return Tallies(rows, labels, [metric], [_CELL]).over(_CELL)


class _Summed:
    """A loss of probabilities: a sum over cases, and how many there are."""

    by_stretch = False

    def __init__(self, metric: Metric, labels: Sequence[Labels]) -> None:
        self.metric, self.labels = metric, labels
        self.why = partial(why_undefined, metric, labels)
        self.loss = Loss(metric.name, metric.better, quotient)

    def sums(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """As for `Measure`."""
        import numpy as np

        sums = np.zeros((extent.days * extent.groups, 2, 2))
        for side, labels in enumerate(self.labels):
            for cell, tally in _cells(pairs, labels, self.metric, extent).items():
                if tally.flaw:
                    raise UsageError(
                        f"{self.metric.name} can't be compared: {tally.flaw}", next="mend the predictions"
                    )
                sums[cell, side] = tally.sums[self.metric.name]
        return sums.reshape(extent.days, extent.groups, 2, 2)


class _Counted:
    """A metric that follows from counts: of each class how many were hit, were true and were said."""

    by_stretch = False

    def __init__(self, metric: Metric, labels: Sequence[Labels]) -> None:
        self.metric, self.labels = metric, labels
        self.why = partial(why_undefined, metric, labels)
        self.classes: list[str] = []
        self.loss = Loss(metric.name, metric.better, self._of)

    def sums(self, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """As for `Measure`."""
        import numpy as np

        sides = [_cells(pairs, labels, self.metric, extent) for labels in self.labels]
        counts = [tally.counts for cells in sides for tally in cells.values()]
        # Of all days and both sides, so that each array has a place for each class.
        self.classes = sorted({name for one in counts for name in (*one.true, *one.said)})
        place = {name: number for number, name in enumerate(self.classes)}
        sums = np.zeros((extent.days * extent.groups, 2, 3, len(place)))
        for side, cells in enumerate(sides):
            for cell, tally in cells.items():
                for (truth, said), count in tally.counts.cells.items():
                    sums[cell, side, 0, place[truth]] += count * (truth == said)
                    sums[cell, side, 1, place[truth]] += count
                    sums[cell, side, 2, place[said]] += count
        return sums.reshape(extent.days, extent.groups, 2, -1)

    def _of(self, sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        count = len(self.classes)
        hits, true, said = (sums[..., place * count : (place + 1) * count] for place in range(3))
        name = self.metric.single
        single, _, average = name.partition("_")
        if name == "accuracy":
            return _divided(hits.sum(axis=-1), true.sum(axis=-1))
        if name == "balanced_accuracy":
            return _mean(_divided(hits, true), true > 0)
        if name == "mcc":
            return _mcc(hits, true, said)
        values = _divided(*BY_CLASS[single](hits, true, said))
        if not average:
            of = self.metric.of or self.labels[0].of
            return values[..., self.classes.index(of)] if of in self.classes else _divided(values[..., 0] * 0, 0)
        return _averaged(values, true, said, average)


def _divided(above: Any, below: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    ratio = np.full(above.shape, np.nan)
    # No warning for 0 / 0: it stays NaN, which is told as "not defined".
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def _mean(values: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The mean over the classes that are there, of which what is not defined counts 0."""
    import numpy as np

    return _divided(np.where(counts, np.nan_to_num(values), 0.0).sum(axis=-1), counts.sum(axis=-1))


def _averaged(
    values: np.ndarray[Any, Any], true: np.ndarray[Any, Any], said: np.ndarray[Any, Any], average: str
) -> np.ndarray[Any, Any]:
    import numpy as np

    if average == "macro":
        return _mean(values, true + said > 0)
    return _divided((np.nan_to_num(values) * true).sum(axis=-1), true.sum(axis=-1))


def _mcc(
    hits: np.ndarray[Any, Any], true: np.ndarray[Any, Any], said: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    import numpy as np

    total = true.sum(axis=-1)
    agreed = hits.sum(axis=-1) * total - (true * said).sum(axis=-1)
    both = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (said**2).sum(axis=-1))
    return _divided(agreed, np.sqrt(both))
