"""Metrics of classes as they are to be expected before the truth is known.

Confidence-based performance estimation (NannyML's documentation, "How it works: CBPE"): where probabilities are
right, a case is of a class with that class's probability. So what a metric counts is replaced by what is expected:
of the cases that are said to be of a class, each class has the sum of its probabilities.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName
from trikk.models.metrics.by_name import metric_of
from trikk.models.metrics.confusion import AVERAGES, BY_CLASS, WHOLE, Confusion, counted, of_class, undefined
from trikk.models.metrics.expressions import clipped
from trikk.models.metrics.metric import RANKED
from trikk.models.metrics.own_metric import is_place

if TYPE_CHECKING:
    import polars as pl

FEWEST = 0.5
"""So many cases of a class must be expected: with fewer most likely none comes, and nothing can be measured."""


class _Unknown(Exception):
    """That a metric can't be estimated, and why."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Cases with what their model says, and how likely each class is."""

    # `group`; `said`, the class that the model says, as text; for the class of number i `score_i`, its probability
    # as the model gives it, and `chance_i`, the probability that is believed. Both sum to 1
    rows: pl.DataFrame
    classes: tuple[str, ...]  # the classes as texts, in order
    positive: int | None = None  # of two, the number of the positive one; None for more


@dataclass(slots=True)
class Expected:
    """The estimates of a group of cases: None where one can't be known, and why."""

    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@functools.cache
def is_expected(metric: str) -> bool:
    """Whether a metric can be estimated from probabilities; an author's own can't, and is not imported."""
    if is_place(metric):
        return False
    try:
        name = metric_of(metric).single
    except UnknownName:
        return False
    single, _, average = name.partition("_")
    return name in (*WHOLE, *_CASES, *RANKED) or (single in BY_CLASS and average in ("", *AVERAGES))


def expected(chances: Chances, metrics: Sequence[str]) -> dict[Any, Expected]:
    """The metrics to expect, for each group of cases.

    Returns:
        By the group's value; of probabilities, areas and shares none outside [0, 1].
    """
    import polars as pl

    sums = [pl.col(f"chance_{number}").sum() for number, _ in enumerate(chances.classes)]
    cells: dict[Any, list[tuple[str, str, float]]] = {}
    for group, said, *counts in chances.rows.group_by("group", "said").agg(sums).iter_rows():
        cells.setdefault(group, []).extend(zip(chances.classes, [said] * len(counts), counts, strict=True))
    parts = _parts(chances, metrics)
    by_group = {}
    for group, rows in cells.items():
        confusion = Confusion.of(rows)  # type: ignore[arg-type]  # what is expected is not a whole number
        by_group[group] = _expected(chances, metrics, confusion, parts[group])
    return by_group


def _expected(chances: Chances, metrics: Sequence[str], counts: Confusion, parts: Mapping[str, float]) -> Expected:
    estimates = Expected()
    # Averages are over classes that are likely to come, as they will be over those that came.
    come = Counter({name: count for name, count in counts.true.items() if count >= FEWEST})
    likely = replace(counts, true=come)
    for name in metrics:
        try:
            value = _value(name, chances, counts, likely, parts)
        except _Unknown as unknown:
            estimates.values[name], estimates.reasons[name] = None, str(unknown)
        else:
            estimates.values[name] = value
    return estimates


def _value(name: str, chances: Chances, counts: Confusion, likely: Confusion, parts: Mapping[str, float]) -> float:
    """A metric from expected counts, all of them and those of classes of which cases are likely to come."""
    if name in _CASES:
        return parts[name]
    if name in RANKED:
        return _ranked(name, chances, likely, parts)
    metric = metric_of(name)
    single, _, average = metric.single.partition("_")
    if single in BY_CLASS and average == "weighted":
        return _share(counted(name, counts))
    if single in BY_CLASS and average:
        values = [of_class(single, counts, one) or 0.0 for one in likely.classes]
        return _share(math.fsum(values) / len(values))
    if single in BY_CLASS:
        return _of_class(single, metric.of, chances, counts, likely)
    if name == "balanced_accuracy":
        return _share(counted(name, likely))
    if name == "mcc" and (len(likely.true) == 1 or len(likely.said) == 1):
        raise _Unknown(undefined(name, likely))
    return max(-1.0, min(1.0, counted(name, counts) or 0.0))


def _of_class(metric: str, label: str, chances: Chances, counts: Confusion, likely: Confusion) -> float:
    """A metric of one class.

    F1 of a class that is never said is not known: it is 0 if a case of it comes, and nothing if none does.
    """
    one = label or (None if chances.positive is None else chances.classes[chances.positive])
    if one is None:
        raise _Unknown("there are more than two classes")
    if one not in chances.classes:
        raise _Unknown(f"there is no probability of {one}")
    if metric == "recall" and not likely.true[one]:
        raise _Unknown(f"no case of {one} is to be expected")
    if metric != "recall" and not counts.said[one]:
        raise _Unknown(f"{one} was never predicted")
    return _share(of_class(metric, counts, one))


def _ranked(name: str, chances: Chances, likely: Confusion, parts: Mapping[str, float]) -> float:
    """What the order of cases makes: of the positive class, or one-versus-rest, averaged over classes."""
    if name == "auc" and len(likely.true) == 1:
        raise _Unknown(f"no case is to be expected but of {next(iter(likely.true))}")
    classes = chances.classes
    numbers = range(len(classes)) if chances.positive is None else (chances.positive,)
    absent = [classes[n] for n in numbers if classes[n] not in likely.true]
    if absent:
        raise _Unknown(f"no case of {', '.join(absent)} is to be expected")
    return _share(math.fsum(parts[f"{name} {n}"] for n in numbers) / len(numbers))


def _share(value: float | None) -> float:
    """A share without what rounding adds."""
    return max(0.0, min(1.0, value or 0.0))


def _parts(chances: Chances, metrics: Sequence[str]) -> dict[Any, dict[str, float]]:
    """What needs every case: by group, means over cases, and for each class what the order of its scores makes."""
    import polars as pl

    ranked = [name for name in RANKED if name in metrics]
    means = [_CASES[name](chances).mean().alias(name) for name in _CASES if name in metrics]
    frames = [chances.rows.group_by("group").agg(pl.len(), *means)]
    numbers = range(len(chances.classes)) if chances.positive is None else (chances.positive,)
    for number in numbers if ranked else ():
        rows = chances.rows.select("group", score=f"score_{number}", chance=f"chance_{number}").sort("score")
        parts = [_ORDERED[name]().alias(f"{name} {number}") for name in ranked]
        frames.append(rows.group_by("group").agg(parts))
    by_group: dict[Any, dict[str, float]] = {}
    for frame in frames:
        for row in frame.iter_rows(named=True):
            by_group.setdefault(row.pop("group"), {}).update(row)
    return by_group


def _logloss(chances: Chances) -> pl.Expr:
    """The cross entropy of what is believed and what the model says, clipped where scikit-learn clips."""
    import polars as pl

    numbers = range(len(chances.classes))
    return -pl.sum_horizontal(pl.col(f"chance_{n}") * clipped(pl.col(f"score_{n}")).log() for n in numbers)


def _brier(chances: Chances) -> pl.Expr:
    """Expected squares, summed over classes; of two classes the positive one's alone, as in scikit-learn."""
    import polars as pl

    numbers = range(len(chances.classes)) if chances.positive is None else (chances.positive,)
    columns = [(pl.col(f"chance_{n}"), pl.col(f"score_{n}")) for n in numbers]
    return pl.sum_horizontal(chance * (1 - s) ** 2 + (1 - chance) * s**2 for chance, s in columns)


_CASES: dict[str, Callable[[Chances], pl.Expr]] = {"logloss": _logloss, "brier": _brier}


def _auc() -> pl.Expr:
    """Of cases by score: expected pairs of one of the class above one of another, over all such pairs.

    A pair of one score counts half, and no case makes a pair with itself.
    """
    import polars as pl

    chance, score = pl.col("chance"), pl.col("score")
    of_rest = 1 - chance
    is_first, is_last = (score.ne_missing(score.shift(by)) for by in (1, -1))
    below = pl.when(is_first).then(of_rest.cum_sum() - of_rest).forward_fill()
    up_to = pl.when(is_last).then(of_rest.cum_sum()).backward_fill()
    itself = (chance * of_rest).sum()
    return ((chance * (below + up_to)).sum() - itself) / 2 / (chance.sum() * of_rest.sum() - itself)


def _average_precision() -> pl.Expr:
    """Of cases by score: the expected precision at each score, weighed by the recall that it adds."""
    import polars as pl

    chance, score = pl.col("chance"), pl.col("score")
    precision = chance.cum_sum(reverse=True) / (pl.len() - pl.int_range(pl.len()))
    at_least = pl.when(score.ne_missing(score.shift(1))).then(precision).forward_fill()
    return (chance * at_least).sum() / chance.sum()


_ORDERED: dict[str, Callable[[], pl.Expr]] = {"auc": _auc, "average_precision": _average_precision}
