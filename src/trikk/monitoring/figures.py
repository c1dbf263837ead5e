"""The figures of one window: counts and metrics over all its cases and over each slice of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.models.metrics import Metric
from trikk.monitoring.cases import BASELINE, LOWER, OBSERVED, PREDICTED, UPPER
from trikk.monitoring.estimate_classes import Expected
from trikk.monitoring.estimate_figures import ECE, calibrated_gap, estimable, estimates
from trikk.monitoring.metric_names import renewed_figures
from trikk.monitoring.nowcasts import CORRECTIONS, TOO_EARLY, TOO_LATE, judged_otherwise
from trikk.monitoring.slices import slice_text
from trikk.monitoring.unseen import UNSEEN

if TYPE_CHECKING:
    import polars as pl

    from trikk.monitoring.definition import MonitorSpec

_DIGITS = 9
_BY_METRIC = ("metrics", "baseline", "own")
_PARTS = ("confusion", "sums", "scores", "reasons", "nowcasts")
_LOG = logging.getLogger("trikk.monitor")


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and metrics of the cases of one slice.

    Attributes:
        slice: the slice's column; "" for all cases.
        value: the slice's value as text; "" for all cases.
        predicted: cases with a prediction.
        observed: cases with a truth.
        labelled: cases with both, on which the metrics are.
        metrics: by name; None where it is not defined, such as an AUC of one class.
        baseline: metrics of the baseline, and of the prediction on the same cases as `own`; empty without one.
        cases: the labelled cases that have a baseline, too.
        estimated: metrics as they were to be expected before labels, of all predictions; empty if not estimated.
        estimated_labelled: the same of the labelled cases, to be set beside `metrics`.
        unseen: the share, 0 to 1, of the predictions for a category that is new to their model; None if that is
            not known.
        confusion: rows of truth, predicted (both as texts) and count; None where no class was told apart, or the
            record is of before they were kept.
        sums: by metric ("baseline:NAME" of the baseline, "own:NAME" of the prediction beside it) the sums above
            and below the line, with all their digits, that it is the quotient of.
        scores: a mergeable histogram of the probabilities of each class, where a figure needs it.
        reasons: by metric, why it has no value.
        nowcasts: of predictions that are made after their slot, how many cases were predicted `too_late` only, or
            `too_early` only, how many `corrected` ones have later predictions, and how many of these would be
            `judged_otherwise`; empty for a monitor of forecasts.
    """

    slice: str
    value: str
    predicted: int
    observed: int
    labelled: int
    metrics: dict[str, float | None] = field(default_factory=dict)
    baseline: dict[str, float | None] = field(default_factory=dict)
    own: dict[str, float | None] = field(default_factory=dict)
    cases: int = 0
    estimated: dict[str, float | None] = field(default_factory=dict)
    estimated_labelled: dict[str, float | None] = field(default_factory=dict)
    unseen: float | None = None
    confusion: list[list[Any]] | None = None
    sums: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    nowcasts: dict[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Cases that were predicted and have no truth (yet): a late label, or a departure that never was."""
        return self.predicted - self.labelled

    @property
    def unpredicted(self) -> int:
        """Cases with a truth that nobody predicted."""
        return self.observed - self.labelled

    @property
    def coverage(self) -> float | None:
        """The share of predicted cases that have a truth; None if nothing was predicted."""
        return self.labelled / self.predicted if self.predicted else None

    @property
    def judged(self) -> Figures:
        """The figures without what later predictions say, which is told and judges nothing."""
        return replace(self, nowcasts={})

    def to_json(self) -> dict[str, JSON]:
        """The figures as JSON; what they are summed from only where there is something."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value or name not in _PARTS}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Figures:
        """The figures that `to_json` wrote."""
        found = {name: data[name] for name in cls.__slots__ if name in data}
        return cls(**found | {name: renewed_figures(found[name]) for name in _BY_METRIC if name in found})


def figures(spec: MonitorSpec, joined: pl.DataFrame) -> list[Figures]:
    """All figures of a window: of all cases first, then of each slice's values in order.

    An author's own metric that raises has no value there; why is logged, once for each window.

    Args:
        spec: the monitor.
        joined: as `cases` gives it.

    Raises:
        UsageError: if a metric can't be had of columns of such types, or can't be imported.
    """
    made = _Made(spec, [spec.metric(name) for name in spec.metrics], joined)
    found = [figure for column in (None, *spec.slices) for figure in made.over(column)]
    for name, errors in made.failures.items():
        _LOG.warning(
            "monitor %s, slots %s to %s: %s raised %d times and has no value there: %s",
            spec.name,
            joined[spec.slot].min(),
            joined[spec.slot].max(),
            name,
            len(errors),
            errors[0],
        )
    return found


class _Made:
    """The figures of a window in the making.

    Args:
        spec: the monitor.
        metrics: its metrics.
        joined: its cases.
    """

    def __init__(self, spec: MonitorSpec, metrics: Sequence[Metric], joined: pl.DataFrame) -> None:
        self.spec = spec
        self.metrics = metrics
        self.joined = joined
        self.failures: dict[str, list[str]] = {}

    def over(self, column: str | None) -> list[Figures]:
        """The figures of all cases, or of each value of a column."""
        import polars as pl

        wanted = self._aggregates()
        if column is None:
            row = self.joined.lazy().select(wanted).collect().row(0, named=True)
            return [self._figures("", "", row, self.joined, self._foretold(None))]
        by = pl.col(column)
        rows = self.joined.lazy().group_by(by).agg(wanted).sort(column, nulls_last=True).collect()
        own = any(metric.function for metric in self.metrics)
        foretold = self._foretold(column)
        found = []
        for row in rows.iter_rows(named=True):
            members = self.joined.filter(by.eq_missing(row[column])) if own else self.joined
            found.append(self._figures(column, slice_text(row[column]), row, members, foretold, row[column]))
        return found

    def _foretold(self, column: str | None) -> list[dict[Any, Expected]]:
        """The estimates of all predictions and of those with a truth, by the column's value."""
        if not estimable(self.spec):
            return []
        return [estimates(self.spec, self.joined, column, labelled=labelled) for labelled in (False, True)]

    def _aggregates(self) -> list[pl.Expr]:
        import polars as pl

        predicted, observed = pl.col(PREDICTED), pl.col(OBSERVED)
        both = predicted.is_not_null() & observed.is_not_null()
        found = [
            predicted.count().alias("predicted"),
            observed.count().alias("observed"),
            both.sum().alias("labelled"),
        ]
        if UNSEEN in self.joined.columns:
            found.append(pl.col(UNSEEN).filter(predicted.is_not_null()).mean().alias("unseen"))
        if TOO_LATE in self.joined.columns:
            found += self._nowcasts()
        found += self._expressions("m", PREDICTED, both)
        if self.spec.interval:
            within = (observed >= pl.col(LOWER)) & (observed <= pl.col(UPPER))
            found.append(within.mean().alias("m:coverage"))
        if self.spec.baseline:
            paired = both & pl.col(BASELINE).is_not_null()
            found.append(paired.sum().alias("cases"))
            found += self._expressions("b", BASELINE, paired)
            found += self._expressions("o", PREDICTED, paired)
        if self.spec.calibrated:
            found.append(calibrated_gap(self.spec, self.joined).alias(f"m:{ECE}"))
        return found

    def _nowcasts(self) -> list[pl.Expr]:
        """How many cases have predictions that do not count, by what they are."""
        import polars as pl

        is_class = self.spec.task is not None and self.spec.task.has_classes
        otherwise = judged_otherwise(OBSERVED, PREDICTED, self.joined.schema, has_classes=is_class)
        counts = {
            "too_late": pl.col(TOO_LATE),
            "too_early": pl.col(TOO_EARLY),
            "corrected": pl.col(CORRECTIONS) > 0,
            "judged_otherwise": otherwise,
        }
        return [expression.sum().alias(f"n:{name}") for name, expression in counts.items()]

    def _expressions(self, prefix: str, column: str, where: pl.Expr) -> list[pl.Expr]:
        """Each metric of a column of values against the truth, over some cases."""
        import polars as pl

        spec = self.spec
        values = spec.baseline if column == BASELINE else spec.prediction
        kinds = {
            f"{spec.truth}.{spec.observed}": self.joined.schema[OBSERVED],
            f"{spec.predictions}.{values}": self.joined.schema[column],
        }
        truth, value = (pl.when(where).then(pl.col(one)) for one in (OBSERVED, column))
        return [
            metric.expression(*metric.operands(truth, value, kinds))
            .cast(pl.Float64)
            .alias(f"{prefix}:{metric.name}")
            for metric in self.metrics
            if metric.function is None
        ]

    def _figures(
        self,
        column: str,
        value: str,
        row: Mapping[str, Any],
        members: pl.DataFrame,
        foretold: Sequence[Mapping[Any, Expected]],
        key: Any = None,
    ) -> Figures:
        spec = self.spec
        metrics = {m.name: self._one(m, row, "m", members, PREDICTED) for m in self.metrics}
        if spec.interval:
            metrics["coverage"] = _number(row["m:coverage"])
        if spec.calibrated:
            metrics[ECE] = _number(row[f"m:{ECE}"])
        baseline, own = {}, {}
        if spec.baseline:
            baseline = {m.name: self._one(m, row, "b", members, BASELINE) for m in self.metrics}
            own = {m.name: self._one(m, row, "o", members, PREDICTED) for m in self.metrics}
        alone = Expected(dict.fromkeys(estimable(spec)))
        every, labelled = [one.get(key, alone) for one in foretold] or (alone, alone)
        return Figures(
            column,
            value,
            int(row["predicted"]),
            int(row["observed"]),
            int(row["labelled"]),
            metrics,
            baseline,
            own,
            int(row.get("cases") or 0),
            {name: _number(every.values[name]) for name in estimable(spec)},
            {name: _number(labelled.values[name]) for name in estimable(spec)},
            _number(row.get("unseen")),
            nowcasts={name[2:]: int(count) for name, count in row.items() if name.startswith("n:")},
            reasons={f"estimated({name})": why for name, why in every.reasons.items()},
        )

    def _one(
        self, metric: Metric, row: Mapping[str, Any], prefix: str, members: pl.DataFrame, column: str
    ) -> float | None:
        """A metric from a row of aggregates, or an author's own of the members of a group."""
        if metric.function is None:
            return _number(row[f"{prefix}:{metric.name}"])
        known = members.drop_nulls([OBSERVED, PREDICTED, *([] if prefix == "m" else [BASELINE])])
        if not known.height:
            return None
        try:
            return _number(metric.function(known[OBSERVED].to_numpy(), known[column].to_numpy()))
        except Exception as error:  # noqa: BLE001 - an author's function may raise anything
            self.failures.setdefault(metric.name, []).append(f"{type(error).__name__}: {error}")
            return None


def _number(value: Any) -> float | None:
    """A finite number to nine significant digits, so that another order of summation is no restatement."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{float(value):.{_DIGITS}g}")
