"""What figures can be said of predictions before their truth is known.

For numbers, from the column of expected errors; for classes, from their probabilities (`estimate_classes`), which
are taken at their word or made right by a reference. A figure that can't be known has no value, and a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.models.task import Task, class_text
from trikk.monitoring.cases import EXPECTED, OBSERVED, PREDICTED, PROBABILITY
from trikk.monitoring.estimate_classes import Chances, Expected, expected, is_expected

if TYPE_CHECKING:
    import polars as pl

    from trikk.monitoring.definition import MonitorSpec
    from trikk.monitoring.estimate_calibration import Calibration

BINS = 10
ECE = "ece"
_NONE = "the predictions have no probabilities"
_USUAL = {"0": "1", "1": "1", "false": "true", "true": "true"}
_ROUNDING = 1e-3  # by how much probabilities of single precision, and rounded ones, may miss 1


def estimable(spec: MonitorSpec) -> list[str]:
    """The metrics that are estimated for a monitor, the one that matters most first."""
    foretold = [name for name in spec.metrics if spec.calibrated and is_expected(name)]
    return [*(["mae"] if spec.expected_error else []), *foretold]


def calibration_error(truth: pl.Expr, value: pl.Expr) -> pl.Expr:
    """The expected calibration error over ten bins of equal width (Naeini, Cooper, Hauskrecht, AAAI 2015).

    Of few cases it is too high: of 100 cases, some 0.05 by chance alone.
    """
    import polars as pl

    number = (value * BINS).floor().clip(0, BINS - 1)
    gaps = [(value - (truth != 0).cast(pl.Float64)).filter(number == one).sum().abs() for one in range(BINS)]
    return pl.sum_horizontal(gaps) / value.count()


def calibrated_gap(spec: MonitorSpec, joined: pl.DataFrame) -> pl.Expr:
    """The calibration error of the positive class's probability, where there is one; else null."""
    import polars as pl

    labels = _labels(spec, joined)
    if isinstance(labels, str) or labels.positive is None:
        return pl.lit(None, pl.Float64)
    value = pl.col(labels.columns[labels.positive])
    both = value.is_not_null() & pl.col(OBSERVED).is_not_null()
    truth = _text(joined.schema[OBSERVED], OBSERVED) == labels.positive
    gap = calibration_error(truth.filter(both).cast(pl.Float64), value.filter(both))
    return pl.when(value.filter(both).is_between(0, 1).all()).then(gap)


@dataclass(frozen=True, slots=True)
class Labels:
    """How cases tell classes apart.

    Attributes:
        columns: the column of each class's probability, by the class as text; of two classes the positive one's.
        positive: of two, the positive one; None for more.
        negative: of two, the other one.
    """

    columns: dict[str, str]
    positive: str | None = None
    negative: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, the positive one last."""
        return (*self.columns,) if self.positive is None else (self.negative, self.positive)


def estimates(
    spec: MonitorSpec,
    joined: pl.DataFrame,
    group: str | None,
    calibration: Calibration | None = None,
    *,
    labelled: bool = False,
) -> dict[Any, Expected]:
    """The estimates over all predictions, or over those with a truth.

    Args:
        spec: the monitor.
        joined: its cases.
        group: for each value of this column; None for all cases.
        calibration: what makes probabilities right; None if they are.
        labelled: whether only cases with a truth count.

    Returns:
        By the group's value, None for all cases; what is not there has no predictions.
    """
    import polars as pl

    predicted = pl.col(PREDICTED).is_not_null()
    there = joined.filter(predicted & pl.col(OBSERVED).is_not_null() if labelled else predicted)
    rows = there.with_columns((pl.lit(None) if group is None else pl.col(group)).alias("group"))
    groups = rows["group"].unique().to_list()
    found: dict[Any, Expected] = {value: Expected() for value in groups}
    if spec.expected_error:
        for value, mean in rows.group_by("group").agg(pl.col(EXPECTED).mean()).iter_rows():
            found[value].values["mae"] = mean
    names = [name for name in estimable(spec) if name != "mae"]
    if names:
        _add(found, names, _labels(spec, joined), rows, calibration)
    return found


def _add(
    found: dict[Any, Expected],
    names: Sequence[str],
    labels: Labels | str,
    rows: pl.DataFrame,
    calibration: Calibration | None,
) -> None:
    """Add what is to be expected of classes to each group, or why that is not known."""
    import polars as pl

    why = labels if isinstance(labels, str) else "" if calibration is None else calibration.lack
    lacks = dict.fromkeys(found, why) if isinstance(labels, str) or why else _lacks(labels, rows)
    for value, lack in lacks.items():
        if lack:
            found[value].values |= dict.fromkeys(names)
            found[value].reasons |= dict.fromkeys(names, lack)
    known = pl.DataFrame({"group": [one for one in lacks if not lacks[one]]}, {"group": rows.schema["group"]})
    if isinstance(labels, str) or not known.height:
        return
    chances = _chances(labels, rows.join(known, on="group", how="semi", nulls_equal=True), calibration)
    for value, one in expected(chances, names).items():
        found[value].values |= one.values
        found[value].reasons |= one.reasons


def _labels(spec: MonitorSpec, joined: pl.DataFrame) -> Labels | str:
    """How cases tell classes apart, or why they do not."""
    head = f"{PROBABILITY}_"
    columns = {name.removeprefix(head): name for name in joined.columns if name.startswith(head)}
    has_one = PROBABILITY in joined.columns and joined[PROBABILITY].count() > 0
    if spec.task is Task.MULTICLASS or (spec.task is None and not has_one and len(columns) > 1):
        return Labels(columns) if columns else _NONE
    if not has_one and not joined.schema[PREDICTED].is_float():
        return _NONE
    sides = (PREDICTED, OBSERVED) if has_one else (OBSERVED,)
    seen = {text for name in sides for text in joined.select(_text(joined.schema[name], name).unique())[name]}
    usual = _USUAL.get(max(seen - {None}, default="1"), None if has_one else "1")
    positive = usual if spec.positive is None else class_text(spec.positive)
    if positive is None:
        return "which class is the positive one is not known: give the monitor positive="
    others = seen - {None, positive}
    negative = others.pop() if len(others) == 1 else f"not {positive}"
    return Labels({positive: PROBABILITY if has_one else PREDICTED}, positive, negative)


def _text(dtype: pl.DataType, name: str) -> pl.Expr:
    """A class as text, as `class_text` writes it."""
    import polars as pl

    column = pl.col(name)
    if not dtype.is_float():
        return column.cast(pl.String)
    whole = column.cast(pl.Int64, strict=False)
    return pl.when(whole == column).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))


def _scores(labels: Labels) -> list[pl.Expr]:
    """The probability of each class, as the model gives it; none of a class whose column came later."""
    import polars as pl

    columns = [pl.col(name).cast(pl.Float64) for name in labels.columns.values()]
    return [1 - columns[0], columns[0]] if labels.positive is not None else [one.fill_null(0.0) for one in columns]


def _lacks(labels: Labels, rows: pl.DataFrame) -> dict[Any, str]:
    """By group, why its probabilities can't be relied on; "" if every case has some that can be."""
    import polars as pl

    scores = _scores(labels)
    names = list(labels.columns.values())
    is_there = pl.any_horizontal(pl.col(name).is_not_null() for name in names)
    total = pl.sum_horizontal(scores)
    within = pl.all_horizontal(one.is_between(-_ROUNDING, 1 + _ROUNDING) for one in scores)
    is_right = (within & ((total - 1).abs() <= _ROUNDING)).fill_null(value=False)
    found = {}
    counts = rows.group_by("group").agg(
        pl.len(), (~is_there).sum().alias("none"), (is_there & ~is_right).sum().alias("wrong")
    )
    for group, cases, none, wrong in counts.iter_rows():
        part = f"{none or wrong:,} of {cases:,} predictions"
        why = f"{part} have no probability" if none else f"{part} have none that are between 0 and 1 and sum to 1"
        found[group] = _NONE if none == cases else why if none or wrong else ""
    return found


def _chances(labels: Labels, rows: pl.DataFrame, calibration: Calibration | None) -> Chances:
    """Cases as `expected` takes them."""
    import numpy as np
    import polars as pl

    scores = rows.select(one.clip(0, 1).alias(str(n)) for n, one in enumerate(_scores(labels))).to_numpy()
    right = scores.copy()
    curves = {} if calibration is None else calibration.curves
    for number, name in enumerate(labels.classes):
        if name in curves:
            right[:, number] = curves[name].of(scores[:, number])
    if labels.positive is not None:
        right[:, 0] = 1 - right[:, 1]
    total = right.sum(axis=1, keepdims=True)
    right = np.where(total > 0, right / np.where(total > 0, total, 1), scores)
    if labels.columns == {labels.positive: PREDICTED}:
        said = pl.when(pl.col(PREDICTED) >= 0.5).then(pl.lit(labels.positive)).otherwise(pl.lit(labels.negative))
    elif labels.positive is not None:
        text = _text(rows.schema[PREDICTED], PREDICTED)
        said = pl.when(text == labels.positive).then(text).otherwise(pl.lit(labels.negative))
    else:
        said = _text(rows.schema[PREDICTED], PREDICTED)
    columns = {f"score_{n}": scores[:, n] for n in range(scores.shape[1])}
    columns |= {f"chance_{n}": right[:, n] for n in range(right.shape[1])}
    shown = rows.select("group", said.alias("said")).with_columns(**{k: pl.Series(v) for k, v in columns.items()})
    return Chances(shown, labels.classes, None if labels.positive is None else 1)
