"""The figures of one window: counts and metrics over all its cases and over each slice of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.monitoring.cases import BASELINE, LOWER, OBSERVED, PREDICTED, UPPER
from trikk.monitoring.estimate_figures import ECE, estimated, estimates
from trikk.monitoring.measures import Measure, measure_of
from trikk.monitoring.slices import slice_text

if TYPE_CHECKING:
    import polars as pl

    from trikk.monitoring.definition import MonitorSpec

_DIGITS = 9


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

    def to_json(self) -> dict[str, JSON]:
        """The figures as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Figures:
        """The figures that `to_json` wrote."""
        return cls(**{name: data[name] for name in cls.__slots__ if name in data})


def figures(spec: MonitorSpec, joined: pl.DataFrame) -> list[Figures]:
    """All figures of a window: of all cases first, then of each slice's values in order.

    Args:
        spec: the monitor.
        joined: as `cases` gives it.
    """
    measures = [measure_of(name) for name in spec.metrics]
    found = _over(spec, joined, measures, None)
    for column in spec.slices:
        found += _over(spec, joined, measures, column)
    return found


def _over(
    spec: MonitorSpec, joined: pl.DataFrame, measures: Sequence[Measure], column: str | None
) -> list[Figures]:
    import polars as pl

    wanted = _aggregates(spec, measures)
    own = any(measure.function for measure in measures)
    if column is None:
        row = joined.lazy().select(wanted).collect().row(0, named=True)
        return [_figures("", "", row, spec, measures, joined)]
    by = pl.col(column)
    rows = joined.lazy().group_by(by).agg(wanted).sort(column, nulls_last=True).collect()
    found = []
    for row in rows.iter_rows(named=True):
        members = joined.filter(by.eq_missing(row[column])) if own else joined
        found.append(_figures(column, slice_text(row[column]), row, spec, measures, members))
    return found


def _aggregates(spec: MonitorSpec, measures: Sequence[Measure]) -> list[pl.Expr]:
    import polars as pl

    predicted, observed = pl.col(PREDICTED), pl.col(OBSERVED)
    both = predicted.is_not_null() & observed.is_not_null()
    found = [
        predicted.count().alias("predicted"),
        observed.count().alias("observed"),
        both.sum().alias("labelled"),
    ]
    found += _metrics("m", measures, observed, predicted, both)
    if spec.interval:
        within = (observed >= pl.col(LOWER)) & (observed <= pl.col(UPPER))
        found.append(within.mean().alias("m:coverage"))
    if spec.baseline:
        paired = both & pl.col(BASELINE).is_not_null()
        found.append(paired.sum().alias("cases"))
        found += _metrics("b", measures, observed, pl.col(BASELINE), paired)
        found += _metrics("o", measures, observed, predicted, paired)
    return found + estimates(spec)


def _metrics(
    prefix: str, measures: Sequence[Measure], truth: pl.Expr, value: pl.Expr, where: pl.Expr
) -> list[pl.Expr]:
    import polars as pl

    found = []
    for measure in measures:
        if measure.expression is not None:
            known = (pl.when(where).then(part) for part in (truth, value))
            made = measure.expression(*(part.drop_nulls() if measure.name == "auc" else part for part in known))
            found.append(made.cast(pl.Float64).alias(f"{prefix}:{measure.name}"))
    return found


def _figures(
    column: str,
    value: str,
    row: Mapping[str, Any],
    spec: MonitorSpec,
    measures: Sequence[Measure],
    members: pl.DataFrame,
) -> Figures:
    metrics = {m.name: _number(row.get(f"m:{m.name}")) for m in measures}
    if spec.interval:
        metrics["coverage"] = _number(row["m:coverage"])
    if spec.calibrated:
        metrics[ECE] = _number(row[f"m:{ECE}"])
    baseline, own = {}, {}
    if spec.baseline:
        baseline = {m.name: _number(row.get(f"b:{m.name}")) for m in measures}
        own = {m.name: _number(row.get(f"o:{m.name}")) for m in measures}
    for measure in measures:
        if measure.function is not None:
            metrics[measure.name] = _called(measure, members, PREDICTED)
            if spec.baseline:
                baseline[measure.name] = _called(measure, members, BASELINE)
                own[measure.name] = _called(measure, members, PREDICTED, also=BASELINE)
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
        {name: _number(value) for name, value in estimated(spec, row, "e").items()},
        {name: _number(value) for name, value in estimated(spec, row, "l").items()},
    )


def _called(measure: Measure, members: pl.DataFrame, column: str, also: str | None = None) -> float | None:
    known = members.drop_nulls([OBSERVED, column, *([also] if also else [])])
    if not known.height or measure.function is None:
        return None
    return _number(measure.function(known[OBSERVED].to_numpy(), known[column].to_numpy()))


def _number(value: Any) -> float | None:
    """A finite number to nine significant digits, so that another order of summation is no restatement."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{float(value):.{_DIGITS}g}")
