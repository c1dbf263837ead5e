"""The figures of one window: counts and metrics over all its cases and over each slice of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.models.metrics.by_name import metric_of
from trikk.models.metrics.case_labels import Labels, labels_of, of_other
from trikk.models.metrics.class_metrics import Tallies, Tally, about_one, valued
from trikk.models.metrics.confusion import Confusion
from trikk.models.metrics.metric import Metric
from trikk.models.metrics.scoring import check_two
from trikk.monitoring.cases.case_columns import BASELINE, LOWER, OBSERVED, PREDICTED, PROBABILITY, UPPER
from trikk.monitoring.cases.nowcasts import CORRECTIONS, TOO_EARLY, TOO_LATE, judged_otherwise, nowcasts_in_words
from trikk.monitoring.cases.rejected_share import SET_ASIDE, rejected_in_words
from trikk.monitoring.cases.slices import slice_text
from trikk.monitoring.cases.tasks import labels_given
from trikk.monitoring.cases.unseen import UNSEEN, UNSEEN_CLASS, classes_in_words, new_classes
from trikk.monitoring.estimates.classes import Expected
from trikk.monitoring.estimates.estimated_figures import ECE, by_value, estimable, estimates
from trikk.monitoring.figures.metric_names import renewed_figures

if TYPE_CHECKING:
    import polars as pl

    from trikk.monitoring.estimates.calibration import Calibration
    from trikk.monitoring.monitor_definition import MonitorSpec

_DIGITS = 9
_BY_METRIC = ("metrics", "baseline", "own")
_PARTS = ("confusion", "sums", "scores", "reasons", "nowcasts", "unseen_class", "unseen_classes")
SIDES = {"m": "", "b": "baseline:", "o": "own:"}
"""What the names of sums begin with, of the metrics, of the baseline's, and of the prediction's beside it."""
MOST_CLASSES = 200
"""Of more texts no counts are kept, unless a model says that they are classes: they rather name things."""
SCORES = {"m": "metrics", "b": "baseline", "o": "own"}
_LOG = logging.getLogger("trikk.monitor")
_Tallies = Mapping[str, tuple[Labels, Tally]]


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
        scores: by "metrics", "baseline", "own" what else can be added up: `bins`, a histogram of the probabilities
            of each class (`score_bins`), `gaps` (`class_metrics`), `counts` as `confusion`; only what is needed.
            And `of`, of two classes the one that figures are about.
        reasons: by metric, why it has no value.
        nowcasts: of predictions that are made after their slot, how many cases were predicted `too_late` only, or
            `too_early` only, how many `corrected` ones have later predictions, and how many of these would be
            `judged_otherwise`; empty for a monitor of forecasts.
        set_aside: the share, 0 to 1, of the rows that could not be predicted, of these and those that were; None
            if the monitor does not ask.
        unseen_class: how many of the labelled cases are of a class that is new to the version that predicted them;
            None if no version's classes are known.
        unseen_classes: these classes, as texts, with how many cases are of each.
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
    confusion: list[list[Any]] | None = field(default=None, compare=False)
    sums: dict[str, list[float]] = field(default_factory=dict, compare=False)
    scores: dict[str, Any] = field(default_factory=dict, compare=False)
    reasons: dict[str, str] = field(default_factory=dict, compare=False)
    nowcasts: dict[str, int] = field(default_factory=dict)
    unseen_class: int | None = None
    unseen_classes: dict[str, int] = field(default_factory=dict)
    set_aside: float | None = None

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
        """The figures without what is told beside them: later predictions, and rows that have none."""
        sums = {name: pair for name, pair in self.sums.items() if name != "set_aside"}
        return replace(self, nowcasts={}, set_aside=None, sums=sums)

    def to_json(self) -> dict[str, JSON]:
        """The figures as JSON; what they are summed from only where there is something."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value not in (None, {}) or name not in _PARTS}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Figures:
        """The figures that `to_json` wrote."""
        fields = {name: data[name] for name in cls.__slots__ if name in data}
        return cls(**fields | {name: renewed_figures(fields[name]) for name in _BY_METRIC if name in fields})


def figures(
    spec: MonitorSpec, joined: pl.DataFrame, given: Labels | None = None, calibration: Calibration | None = None
) -> list[Figures]:
    """All figures of a window: of all cases first, then of each slice's values in order.

    An author's own metric that raises has no value there; why is logged, once for each window.

    Args:
        spec: the monitor.
        joined: as `cases` gives it.
        given: what is known of the models' classes (`monitoring.cases.tasks`); None for what the definition says.
        calibration: what makes probabilities right for estimates; None if they are.

    Raises:
        UsageError: if a metric can't be had of columns of such types, or can't be imported.
    """
    metrics = [spec.metric(name) for name in spec.metrics]
    making = _Making(spec, metrics, joined, given or labels_given(spec), calibration)
    window = [figure for column in (None, *spec.slices) for figure in making.over(column)]
    for name, errors in making.failures.items():
        _LOG.warning(
            "monitor %s, slots %s to %s: %s raised %d times and has no value there: %s",
            spec.name,
            joined[spec.slot].min(),
            joined[spec.slot].max(),
            name,
            len(errors),
            errors[0],
        )
    return window


def agree(before: Sequence[Figures], now: Sequence[Figures]) -> bool:
    """Whether figures are the same; what they are summed from only where both have kept it."""
    if len(before) != len(now):
        return False
    return all(
        earlier == later and _sums_agree(earlier, later) for earlier, later in zip(before, now, strict=True)
    )


def _sums_agree(earlier: Figures, later: Figures) -> bool:
    """Sums are the same up to the order in which they were summed."""
    if earlier.confusion and later.confusion and earlier.confusion != later.confusion:
        return False
    return all(
        math.isclose(first, second, rel_tol=10**-_DIGITS, abs_tol=1e-12)
        for name in earlier.sums.keys() & later.sums.keys()
        for first, second in zip(earlier.sums[name], later.sums[name], strict=True)
    )


def beside_metrics(parts: Sequence[Figures]) -> list[str]:
    """What of several windows is no metric: predictions that don't count, rows that have none, new classes."""
    lines = [*nowcasts_in_words(one.nowcasts for one in parts), *rejected_in_words(one.sums for one in parts)]
    return [*lines, *filter(None, [classes_in_words(one.unseen_classes for one in parts)])]


class _Making:
    """The figures of a window in the making.

    Args:
        spec: the monitor.
        metrics: its metrics.
        joined: its cases.
        given: what is known of the models' classes.
        calibration: what makes probabilities right for estimates.
    """

    def __init__(
        self,
        spec: MonitorSpec,
        metrics: Sequence[Metric],
        joined: pl.DataFrame,
        given: Labels,
        calibration: Calibration | None = None,
    ) -> None:
        self.spec = spec
        self.metrics = metrics
        self.joined = joined
        self.failures: dict[str, list[str]] = {}
        self.estimated = estimable(spec)
        self.sides = {"m": PREDICTED} | ({"b": BASELINE, "o": PREDICTED} if spec.baseline else {})
        labels = labels_of(joined, given, metrics, PROBABILITY)
        # Whoever says that probabilities are right is shown how far that is so.
        if spec.calibrated and labels is not None and ECE not in spec.metrics:
            self.metrics = metrics = [*metrics, metric_of(ECE)]
        self.labels, self.calibration = labels or by_value(joined), calibration
        self.says_classes = labels is not None and not labels.by_chance
        self.of_classes = [m for m in metrics if labels is not None and m.of_classes]
        names = {m.name for m in self.of_classes}
        self.of_numbers = [m for m in metrics if m.function is None and m.name not in names]
        self.counted = self._counted(labels) if labels is not None and self.of_classes else {}
        self.refused = {m.name: why for m in self.of_numbers if (why := self._refused(m))}

    def _counted(self, labels: Labels) -> dict[str, tuple[Labels, Tallies]]:
        """The classes of the prediction, of the baseline, and of the prediction beside it."""
        import polars as pl

        by_side = {}
        for side, column in self.sides.items():
            rows = self.joined if side == "m" else self.joined.filter(_paired(pl.col(PREDICTED), pl.col(BASELINE)))
            read = labels if column == PREDICTED else of_other(rows, labels, column)
            keep = side == "m" and self.spec.calibrate > 0
            by_side[side] = read, Tallies(rows, read, self.of_classes, self.spec.slices, keep_bins=keep)
        return by_side

    def _refused(self, metric: Metric) -> str:
        """Why a metric of two classes has no value, where the truth has others and nobody says which there are."""
        try:
            both = self.joined.drop_nulls([OBSERVED, PREDICTED])
            called = labels_given(self.spec).called
            check_two(metric, *(both[column].alias(called[column]) for column in (OBSERVED, PREDICTED)))
        except UsageError as error:
            return error.what
        return ""

    def over(self, column: str | None) -> list[Figures]:
        """The figures of all cases, or of each value of a column."""
        import polars as pl

        wanted, new = self._aggregates(), new_classes(self.joined, OBSERVED, column)
        tallies = {side: (labels, tally.over(column)) for side, (labels, tally) in self.counted.items()}
        if column is None:
            row = self.joined.lazy().select(wanted).collect().row(0, named=True) | {"_new": new.get(None, {})}
            return [self._figures("", "", row, self.joined, _at(tallies, None), self._foretold(None))]
        by = pl.col(column)
        rows = self.joined.lazy().group_by(by).agg(wanted).sort(column, nulls_last=True).collect()
        own = any(metric.function for metric in self.metrics)
        foretold = self._foretold(column)
        of_values = []
        for row in rows.iter_rows(named=True):
            members = self.joined.filter(by.eq_missing(row[column])) if own else self.joined
            row |= {"_new": new.get(row[column], {})}
            text, mine = slice_text(row[column]), _at(tallies, row[column])
            of_values.append(self._figures(column, text, row, members, mine, foretold, row[column]))
        return of_values

    def _foretold(self, column: str | None) -> list[dict[Any, Expected]]:
        """The estimates of all predictions and of those with a truth, by the column's value."""
        if not self.estimated:
            return []
        read = (column, self.labels, self.calibration)
        return [estimates(self.spec, self.joined, *read, labelled=labelled) for labelled in (False, True)]

    def _aggregates(self) -> list[pl.Expr]:
        import polars as pl

        predicted, observed = pl.col(PREDICTED), pl.col(OBSERVED)
        both = predicted.is_not_null() & observed.is_not_null()
        wanted = [
            predicted.count().alias("predicted"),
            observed.count().alias("observed"),
            both.sum().alias("labelled"),
        ]
        if UNSEEN in self.joined.columns:
            new = pl.col(UNSEEN).filter(predicted.is_not_null())
            wanted += [new.sum().alias("+unseen"), new.count().alias("#unseen")]
        if UNSEEN_CLASS in self.joined.columns:
            is_new = pl.col(UNSEEN_CLASS)
            wanted.append(pl.when(is_new.count() > 0).then(is_new.sum()).alias("unseen_class"))
        if SET_ASIDE in self.joined.columns:
            wanted += [pl.col(SET_ASIDE).sum().alias("+set_aside"), pl.col(SET_ASIDE).count().alias("#set_aside")]
        if TOO_LATE in self.joined.columns:
            wanted += self._nowcasts()
        wanted += self._expressions("m", PREDICTED, both)
        if self.spec.interval:
            within = (observed >= pl.col(LOWER)) & (observed <= pl.col(UPPER))
            wanted += [within.sum().alias("+coverage"), within.count().alias("#coverage")]
        if self.spec.baseline:
            paired = both & pl.col(BASELINE).is_not_null()
            wanted.append(paired.sum().alias("cases"))
            wanted += self._expressions("b", BASELINE, paired)
            wanted += self._expressions("o", PREDICTED, paired)
        return wanted

    def _nowcasts(self) -> list[pl.Expr]:
        """How many cases have predictions that do not count, by what they are."""
        import polars as pl

        otherwise = judged_otherwise(OBSERVED, PREDICTED, self.joined.schema, has_classes=self.says_classes)
        counts = {
            "too_late": pl.col(TOO_LATE),
            "too_early": pl.col(TOO_EARLY),
            "corrected": pl.col(CORRECTIONS) > 0,
            "judged_otherwise": otherwise,
        }
        return [expression.sum().alias(f"n:{name}") for name, expression in counts.items()]

    def _expressions(self, prefix: str, column: str, where: pl.Expr) -> list[pl.Expr]:
        """What each metric of a column of values against the truth is made of, over some cases."""
        import polars as pl

        spec = self.spec
        values = spec.baseline if column == BASELINE else spec.prediction
        kinds = {
            f"{spec.truth}.{spec.observed}": self.joined.schema[OBSERVED],
            f"{spec.predictions}.{values}": self.joined.schema[column],
        }
        truth, value = (pl.when(where).then(pl.col(one)) for one in (OBSERVED, column))
        expressions = []
        for metric in self.of_numbers:
            if metric.name in self.refused:
                continue
            operands = metric.operands(truth, value, kinds)
            if metric.above is None:
                expressions.append(metric.expression(*operands).cast(pl.Float64).alias(f"{prefix}:{metric.name}"))
                continue
            expressions.append(metric.above(*operands).cast(pl.Float64).sum().alias(f"{prefix}+{metric.name}"))
            if metric.below is not None:
                below = metric.below(*operands).cast(pl.Float64).sum()
                expressions.append(below.alias(f"{prefix}#{metric.name}"))
        return expressions

    def _figures(
        self,
        column: str,
        value: str,
        row: Mapping[str, Any],
        members: pl.DataFrame,
        tallies: _Tallies,
        foretold: Sequence[Mapping[Any, Expected]],
        key: Any = None,
    ) -> Figures:
        spec = self.spec
        sums: dict[str, list[float]] = {}
        reasons: dict[str, str] = {}
        by_side = {
            side: {m.name: self._one(m, row, side, members, tallies, sums, reasons) for m in self.metrics}
            for side in self.sides
        }
        metrics = by_side["m"]
        if spec.interval:
            sums["coverage"] = [row["+coverage"], row["#coverage"]]
            metrics["coverage"] = _number(quotient(sums["coverage"]))
        if spec.calibrated:
            metrics.setdefault(ECE, None)
        alone = Expected(dict.fromkeys(self.estimated))
        every, labelled = [one.get(key, alone) for one in foretold] or (alone, alone)
        reasons |= {f"estimated({name})": why for name, why in every.reasons.items()}
        if "#unseen" in row:
            sums["unseen"] = [row["+unseen"], row["#unseen"]]
        if "#set_aside" in row:
            sums["set_aside"] = [row["+set_aside"], row["#set_aside"]]
        counts = _kept_counts(tallies.get("m"))
        return Figures(
            slice=column,
            value=value,
            predicted=int(row["predicted"]),
            observed=int(row["observed"]),
            labelled=int(row["labelled"]),
            metrics=metrics,
            baseline=by_side.get("b", {}),
            own=by_side.get("o", {}),
            cases=int(row.get("cases") or 0),
            estimated={name: _number(every.values[name]) for name in self.estimated},
            estimated_labelled={name: _number(labelled.values[name]) for name in self.estimated},
            unseen=_number(quotient(sums["unseen"])) if "unseen" in sums else None,
            confusion=None if counts is None else counts.to_json(),
            sums=sums if row["labelled"] else {name: pair for name, pair in sums.items() if pair[1]},
            scores={SCORES[side]: kept for side, one in tallies.items() if (kept := self._scores(side, one))},
            reasons=reasons,
            nowcasts={name[2:]: int(count) for name, count in row.items() if name.startswith("n:")},
            unseen_class=row.get("unseen_class"),
            unseen_classes=row["_new"],
            set_aside=_number(quotient(sums["set_aside"])) if "set_aside" in sums else None,
        )

    def _scores(self, side: str, counted: tuple[Labels, Tally]) -> dict[str, Any]:
        """What else than sums can be added up; and of two classes the one that figures are about."""
        labels, tally = counted
        scores = tally.scores(counts=side != "m" and _kept_counts(counted) is not None)
        is_of_one = labels.of is not None and any(about_one(metric.name) for metric in self.of_classes)
        return scores | ({"of": labels.of} if is_of_one and tally.counts.total else {})

    def _one(
        self,
        metric: Metric,
        row: Mapping[str, Any],
        side: str,
        members: pl.DataFrame,
        tallies: _Tallies,
        sums: dict[str, list[float]],
        reasons: dict[str, str],
    ) -> float | None:
        """A metric from a row of aggregates or from counts, or an author's own of the members of a group."""
        name, head = metric.name, SIDES[side]
        if side in tallies and metric.of_classes:
            labels, tally = tallies[side]
            value, why = valued(metric, tally, labels.of)
            if (pair := tally.sums_of(metric, labels.of)) is not None:
                sums[head + name] = pair
            if why and row["labelled"]:
                reasons[head + name] = why
            return _number(value)
        if metric.function is not None:
            return self._own(metric, side, members)
        if name in self.refused:
            if row["labelled"]:
                reasons[head + name] = self.refused[name]
            return None
        if metric.above is None:
            return _number(row[f"{side}:{name}"])
        cases = row["labelled"] if side == "m" else row["cases"]
        sums[head + name] = [row[f"{side}+{name}"], row.get(f"{side}#{name}", cases)]
        value = quotient(sums[head + name], root=metric.root)
        if value is None and cases:
            reasons[head + name] = "what it is divided by is 0"
        return _number(value)

    def _own(self, metric: Metric, side: str, members: pl.DataFrame) -> float | None:
        """An author's own metric of the members of a group."""
        known = members.drop_nulls([OBSERVED, PREDICTED, *([] if side == "m" else [BASELINE])])
        if not known.height or metric.function is None:
            return None
        try:
            return _number(metric.function(known[OBSERVED].to_numpy(), known[self.sides[side]].to_numpy()))
        except Exception as error:  # noqa: BLE001 - an author's function may raise anything
            self.failures.setdefault(metric.name, []).append(f"{type(error).__name__}: {error}")
            return None


def _kept_counts(counted: tuple[Labels, Tally] | None) -> Confusion | None:
    """The counts to keep; None if there are none, or texts that name things."""
    if counted is None:
        return None
    labels, tally = counted
    return tally.counts if labels.classes is not None or len(tally.counts.true) <= MOST_CLASSES else None


def _paired(*columns: pl.Expr) -> pl.Expr:
    """Whether a case has a value in all columns."""
    import polars as pl

    return pl.all_horizontal(column.is_not_null() for column in columns)


def _at(tallies: Mapping[str, tuple[Labels, dict[Any, Tally]]], key: object) -> _Tallies:
    """The tally of a slice on each side; one of no cases where it has none."""
    return {
        side: (labels, by_value.get(key) or Tally(Confusion())) for side, (labels, by_value) in tallies.items()
    }


def quotient(sums: Sequence[float], *, root: bool = False) -> float | None:
    """A metric from the sums above and below the line; None where it is not defined."""
    above, below = sums
    if not below > 0:
        return None
    return math.sqrt(above / below) if root else above / below


def _number(value: Any) -> float | None:
    """A finite number to nine significant digits, so that another order of summation is no restatement."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{float(value):.{_DIGITS}g}")
