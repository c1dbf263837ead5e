"""Whether models that tell different classes apart can be compared, and by which metrics. Pure.

A model that is fitted anew often knows one class more than its elder. Both are asked about the same rows, and each
is scored as what it is: a truth of a class that a model does not know is wrong for it, and had probability 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trikk.core.errors import UsageError
from trikk.models.metrics.by_name import METRICS, check_fit, fitting, metric_of
from trikk.models.metrics.metric import Metric
from trikk.models.task import Classes, Task, class_text, united

if TYPE_CHECKING:
    import polars as pl

Sides = Mapping[str, tuple[Task | None, Classes | None]]
"""The task and the classes of models, by what people call them; None where they are not known."""


def check_comparable(metric: Metric, sides: Sides, instead: str) -> Classes | None:
    """Refuse to compare what is about other questions.

    Args:
        metric: what the models are compared by.
        sides: the models.
        instead: what to do where they can't be compared at all.

    Returns:
        All classes that any of them knows, which the metric fits; None if they know the same, or none is known.

    Raises:
        UsageError: if they have other tasks, no class in common, classes of other types, or another positive one
            of the same two; or if the metric does not mean the same for both.
    """
    models = " and ".join(f"{name} ({_said(*side)})" for name, side in sides.items())
    if why := _apart(sides):
        raise UsageError(f"{models} can't be compared: {why}", next=instead)
    known = [classes for _, classes in sides.values() if classes is not None]
    together = united(known) if len({frozenset(one.texts) for one in known}) > 1 else None
    if together is None or not metric.tasks:
        return together
    check_fit(metric, Task.MULTICLASS, together)
    has_two = any(one.task is Task.BINARY for one in known)
    if why := _other_meaning(metric, has_two=has_two):
        fit = [one for one in fitting(Task.MULTICLASS) if not _other_meaning(_like(one), has_two=has_two)]
        raise UsageError(f"{metric.name} does not compare {models}: {why}", next=f"compare by {', '.join(fit)}")
    return together


def _like(name: str) -> Metric:
    return METRICS.get(name) or metric_of(name)


def _other_meaning(metric: Metric, *, has_two: bool) -> str:
    """Why a metric is not one figure for models of different classes; "" if it is."""
    if metric.name == "logloss":
        return "a class that a model does not know costs what the least probability is taken to be"
    if has_two and metric.of_probabilities:
        return "of two classes it is about the positive one, of more about all"
    return ""


def _apart(sides: Sides) -> str:
    """Why models are not about the same question; "" if they are."""
    tasks = {task for task, _ in sides.values() if task is not None}
    known = [classes for _, classes in sides.values() if classes is not None]
    if Task.REGRESSION in tasks and len(tasks) > 1:
        return "no metric fits both numbers and classes"
    if len({isinstance(one.values[0], str) for one in known}) > 1:
        return "the classes of one are texts, of the other numbers"
    if known and not set.intersection(*({*one.texts} for one in known)):
        return "they have no class in common"
    if len({frozenset(one.texts) for one in known}) == 1 and len({one.positive_text for one in known}) > 1:
        return "they have another positive class"
    if len(tasks) > 1 and len(known) < len(sides):
        return "not all classes are known"
    return ""


def _said(task: Task | None, classes: Classes | None) -> str:
    """A task and its classes in words, the same for the same classes in another order."""
    if classes is None:
        return str(task or "classes not known")
    positive = f", positive {classes.positive_text}" if classes.positive is not None else ""
    return f"{classes.task}: {', '.join(sorted(classes.texts))}{positive}"


def unseen_classes(truth: pl.Series, classes: Classes) -> dict[str, int]:
    """The classes that the truth has and a model does not know, as texts, and how many rows have each."""
    import polars as pl

    values = truth.cast(pl.String) if isinstance(truth.dtype, pl.Categorical | pl.Enum) else truth
    values = values.drop_nans() if values.dtype.is_float() else values
    counts = values.drop_nulls().value_counts(sort=True, name="count").rows()
    return {
        class_text(value): count
        for value, count in counts
        if value not in classes.values and class_text(value) not in classes.texts
    }


def unseen_by_side(truth: pl.Series, sides: Mapping[str, Classes]) -> tuple[dict[str, int], list[str]]:
    """The classes of the truth that some model does not know, with their rows; and in words, by model."""
    by_side = {name: unseen_classes(truth, classes) for name, classes in sides.items()}
    counts = {text: count for one in by_side.values() for text, count in one.items()}
    nobody = {text: n for text, n in counts.items() if all(text in one for one in by_side.values())}
    words = [f"of classes that no model here knows, and counted as wrong: {_listed(nobody)}"] if nobody else []
    for name, one in by_side.items():
        if own := {text: count for text, count in one.items() if text not in nobody}:
            words.append(f"of classes that {name} does not know, and counted as wrong for it: {_listed(own)}")
    return counts, words


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{text} ({count:,})" for text, count in counts.items())
