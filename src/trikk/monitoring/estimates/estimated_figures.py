"""What figures can be said of predictions before their truth is known.

For numbers, from the column of expected errors; for classes, from their probabilities (`estimate_classes`), which
are taken at their word or made right by a reference. A figure that can't be known has no value, and a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trikk.models.metrics.case_labels import Labels, Texts
from trikk.models.task import Task
from trikk.monitoring.cases.case_columns import EXPECTED, OBSERVED, PREDICTED, PROBABILITY
from trikk.monitoring.estimates.classes import Chances, Expected, expected, is_expected

if TYPE_CHECKING:
    import polars as pl

    from trikk.monitoring.estimates.calibration import Calibration
    from trikk.monitoring.monitor_definition import MonitorSpec

ECE = "ece"
_NONE = "the predictions have no probabilities"
_ROUNDING = 0.01  # by how much the sum of rounded probabilities may miss 1
_SLACK = 1e-6  # by how much one of single precision may miss 0 or 1


def estimable(spec: MonitorSpec) -> list[str]:
    """The metrics that are estimated for a monitor, the one that matters most first."""
    foretold = [name for name in spec.metrics if spec.is_probable and is_expected(name)]
    return [*(["mae"] if spec.expected_error else []), *foretold]


def by_value(joined: pl.DataFrame) -> Labels | None:
    """How to read predictions whose values alone can be probabilities, those of 1; None if they can't be."""
    if not joined.schema[PREDICTED].is_float():
        return None
    return Labels(Task.BINARY, OBSERVED, PREDICTED, {PREDICTED: "1"}, positive=1)


def estimates(
    spec: MonitorSpec,
    joined: pl.DataFrame,
    group: str | None,
    labels: Labels | None,
    calibration: Calibration | None = None,
    *,
    labelled: bool = False,
) -> dict[Any, Expected]:
    """The estimates over all predictions, or over those with a truth.

    Returns:
        By the group's value, None for all cases; what is not there has no predictions.
    """
    import polars as pl

    predicted = pl.col(PREDICTED).is_not_null()
    counted = joined.filter(predicted & pl.col(OBSERVED).is_not_null() if labelled else predicted)
    rows = counted.with_columns((pl.lit(None) if group is None else pl.col(group)).alias("group"))
    groups = rows["group"].unique().to_list()
    by_group: dict[Any, Expected] = {value: Expected() for value in groups}
    if spec.expected_error:
        for value, mean in rows.group_by("group").agg(pl.col(EXPECTED).mean()).iter_rows():
            by_group[value].values["mae"] = mean
    names = [name for name in estimable(spec) if name != "mae"]
    if names:
        _add(by_group, names, labels, rows, calibration)
    return by_group


def _add(
    by_group: dict[Any, Expected],
    names: Sequence[str],
    labels: Labels | None,
    rows: pl.DataFrame,
    calibration: Calibration | None,
) -> None:
    """Add what is to be expected of classes to each group, or why that is not known."""
    import polars as pl

    why = _unreadable(labels, rows) or ("" if calibration is None else calibration.lack)
    lacks = dict.fromkeys(by_group, why) if labels is None or why else _lacks(labels, rows)
    for value, lack in lacks.items():
        if lack:
            by_group[value].values |= dict.fromkeys(names)
            by_group[value].reasons |= dict.fromkeys(names, lack)
    known = pl.DataFrame({"group": [one for one in lacks if not lacks[one]]}, {"group": rows.schema["group"]})
    if labels is None or not known.height:
        return
    chances = _chances(labels, rows.join(known, on="group", how="semi", nulls_equal=True), calibration)
    for value, one in expected(chances, names).items():
        by_group[value].values |= one.values
        by_group[value].reasons |= one.reasons


def _unreadable(labels: Labels | None, rows: pl.DataFrame) -> str:
    """Why cases do not say how probable which class is; "" if they do."""
    if labels is not None and labels.task is Task.BINARY and labels.of is None and PROBABILITY in rows.columns:
        return "which class is the positive one is not known: give the monitor positive="
    if labels is None or not labels.probabilities:
        return _NONE
    values = rows[PREDICTED]
    if labels.by_chance and (not values.dtype.is_float() or values.is_in([0.0, 1.0]).all()):
        return _NONE  # they are classes, called 0 and 1
    return ""


def _scores(labels: Labels) -> list[pl.Expr]:
    """The probability of each class, as the model gives it; none of a class whose column came later."""
    import polars as pl

    columns = [pl.col(name).cast(pl.Float64) for name in labels.probabilities]
    if labels.task is Task.BINARY:
        return [1 - columns[0], columns[0]]
    return [one.fill_null(0.0) for one in columns]


def _lacks(labels: Labels, rows: pl.DataFrame) -> dict[Any, str]:
    """By group, why its probabilities can't be relied on; "" if every case has some that can be."""
    import polars as pl

    scores = _scores(labels)
    is_there = pl.any_horizontal(pl.col(name).is_not_null() for name in labels.probabilities)
    total = pl.sum_horizontal(scores)
    within = pl.all_horizontal(one.is_between(-_SLACK, 1 + _SLACK) for one in scores)
    is_right = (within & ((total - 1).abs() <= _ROUNDING)).fill_null(value=False)
    lacks = {}
    counts = rows.group_by("group").agg(
        pl.len(), (~is_there).sum().alias("none"), (is_there & ~is_right).sum().alias("wrong")
    )
    for group, cases, none, wrong in counts.iter_rows():
        part = f"{none or wrong:,} of {cases:,} predictions"
        why = f"{part} have no probability" if none else f"{part} have none that are between 0 and 1 and sum to 1"
        lacks[group] = _NONE if none == cases else why if none or wrong else ""
    return lacks


def _chances(labels: Labels, rows: pl.DataFrame, calibration: Calibration | None) -> Chances:
    """Cases as `expected` takes them."""
    import numpy as np
    import polars as pl

    is_binary = labels.task is Task.BINARY
    said, classes = _said(labels, rows)
    scores = rows.select(one.clip(0, 1).alias(str(n)) for n, one in enumerate(_scores(labels))).to_numpy()
    right = scores.copy()
    curves = {} if calibration is None else calibration.curves
    for number, name in enumerate(classes):
        if name in curves:
            right[:, number] = curves[name].of(scores[:, number])
    if is_binary:
        right[:, 0] = 1 - right[:, 1]
    total = right.sum(axis=1, keepdims=True)
    # Each class has a curve of its own, so that their sum is not 1 any more; where all say 0, the model's
    # word stands.
    right = np.divide(right, total, out=scores / scores.sum(axis=1, keepdims=True), where=total > 0)
    columns = {f"score_{n}": scores[:, n] for n in range(len(classes))}
    columns |= {f"chance_{n}": right[:, n] for n in range(len(classes))}
    shown = rows.select("group").with_columns(said, **{name: pl.Series(one) for name, one in columns.items()})
    return Chances(shown, classes, 1 if is_binary else None)


def _said(labels: Labels, rows: pl.DataFrame) -> tuple[pl.Series, tuple[str, ...]]:
    """The class of each prediction, as text; and all classes, of two the positive one last."""
    texts = Texts(rows.schema, labels)
    said = texts.all_said(rows).alias("said")
    named = {*said.unique()}
    if labels.task is not Task.BINARY:
        return said, (*labels.probabilities.values(),)
    positive = str(labels.of)
    known = [] if labels.classes is None else labels.classes.texts
    came = [texts.truth(value) for value in rows[OBSERVED].drop_nulls().unique().to_list()]
    rest = {one for one in (*known, *named, *came) if one != positive}
    negative = rest.pop() if len(rest) == 1 else texts.said(False) if labels.by_chance else f"not {positive}"
    return said.replace(dict.fromkeys(named - {positive}, negative)), (negative, positive)
