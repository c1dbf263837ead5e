"""What says a monitor's task and classes: its definition, else its models' signatures, else its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trikk.core.errors import UnknownName, UsageError
from trikk.models.metrics.by_name import misfit
from trikk.models.metrics.case_labels import Labels
from trikk.models.metrics.metric import Metric
from trikk.models.registry import Registry
from trikk.models.signature import Signature
from trikk.models.task import PROBABILITY as COLUMN
from trikk.models.task import Classes, ClassValue, Task, class_text, united
from trikk.monitoring.cases.case_columns import MADE_BY, OBSERVED, PREDICTED, PROBABILITY
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import polars as pl


def labels_given(spec: MonitorSpec) -> Labels:
    """What a monitor's definition says of its classes."""
    called = {
        OBSERVED: f"{spec.truth}.{spec.observed}",
        PREDICTED: f"{spec.predictions}.{spec.prediction}",
    }
    return Labels(spec.task, OBSERVED, PREDICTED, positive=spec.positive, called=called)


def labels_known(spec: MonitorSpec, registry: Registry, rows: pl.DataFrame) -> Labels:
    """What a monitor's definition and the models that made its rows say of its classes.

    Args:
        spec: the monitor.
        registry: where the models are.
        rows: cases, with `model` and `model_version` where the predictions have them.

    Returns:
        How to read the rows; without task and classes where neither says them, so that the rows have to.

    Raises:
        UsageError: if a metric does not fit the models' task.
    """
    given = labels_given(spec)
    made_by = _signatures(registry, rows)
    signatures = [*made_by.values()]
    tasks = {one.task for one in signatures if one.task is not None}
    classes = _classes([one.classes for one in signatures if one.classes is not None], spec.positive)
    task = spec.task or _common_task(tasks, classes)
    if task is None or (not task.has_classes and spec.task is not None):
        return given
    # The author's word on the task wins over the models'; their classes are then of something else.
    if classes is not None and classes.task is not task:
        classes = None
    versions = [one.signature for name in {name for name, _ in made_by} for one in registry.versions(name)]
    _check(spec, [one for one in versions if one is not None], rows)
    return replace(given, task=task, classes=classes)


def _common_task(tasks: Collection[Task], classes: Classes | None) -> Task | None:
    """The task of versions together: one of two classes and one of three tell three apart."""
    if Task.REGRESSION in tasks:
        return Task.REGRESSION if len(tasks) == 1 else None
    if classes is not None:
        return classes.task
    return next(iter(tasks)) if len(tasks) == 1 else None


def of_positive(spec: MonitorSpec, registry: Registry, rows: pl.DataFrame) -> pl.DataFrame:
    """Cases with the probability of the monitor's positive class, also where a version gave the other class's.

    A monitor may name another positive class than the model, and a later version another than an earlier one.
    Where a later version knows a third class, there is a probability of each class for the rows of all.

    Args:
        spec: the monitor; a column of probabilities that its author names is of its own positive class.
        registry: where the models are.
        rows: cases with `_probability`.
    """
    import polars as pl

    signatures = _signatures(registry, rows)
    known = {made_by: one.classes for made_by, one in signatures.items() if one.classes and one.probabilities}
    classes = _classes([*known.values()], spec.positive) if spec.probability == COLUMN else None
    if classes is None:
        return rows
    if classes.positive is None:
        return _of_each(rows, classes, known)
    inverted = [m for m, one in known.items() if one.positive_text not in (None, classes.positive_text)]
    model, version = _made_by()
    theirs = [(model == name) & (version == number) for name, number in inverted]
    if not theirs:
        return rows
    likely = pl.col(PROBABILITY)
    return rows.with_columns(
        pl.when(pl.any_horizontal(theirs)).then(1 - likely).otherwise(likely).alias(PROBABILITY)
    )


def _of_each(rows: pl.DataFrame, classes: Classes, known: Mapping[tuple[str, int], Classes]) -> pl.DataFrame:
    """Cases with a probability of each class, also of versions that know two; that of the positive one stays."""
    import polars as pl

    model, version = _made_by()
    shares = []
    for name, one in classes.columns(PROBABILITY).items():
        share = pl.col(name) if name in rows.columns else pl.lit(None, dtype=pl.Float64)
        for (made_by, number), own in known.items():
            if own.positive is not None and class_text(one) in own.texts:
                likely = pl.col(PROBABILITY)
                likely = likely if class_text(one) == own.positive_text else 1 - likely
                share = pl.when((model == made_by) & (version == number)).then(likely).otherwise(share)
        shares.append(share.alias(name))
    return rows.with_columns(shares)


def _made_by() -> tuple[pl.Expr, pl.Expr]:
    import polars as pl

    model, version = (pl.col(name) for name in MADE_BY)
    return model.cast(pl.String), version.cast(pl.Int64)


def _signatures(registry: Registry, rows: pl.DataFrame) -> dict[tuple[str, int], Signature]:
    """The signatures of the versions that made rows, by name and version, in their order."""
    import polars as pl

    if not set(MADE_BY) <= set(rows.columns) or not registry.names():
        return {}
    pairs = rows.select(_made_by()).drop_nulls().unique().sort(pl.all())
    signatures = {}
    for name, number in pairs.iter_rows():
        try:
            signature = registry.get(name, number).signature
        except UnknownName:
            continue
        if signature is not None:
            signatures[name, number] = signature
    return signatures


def _classes(by_version: Sequence[Classes], positive: ClassValue | None) -> Classes | None:
    """The classes of all versions, those of the newest first; None if there are none."""
    if len({isinstance(value, str) for classes in by_version for value in classes.values}) > 1:
        return by_version[-1]
    return united(by_version, positive) if by_version else None


def _check(spec: MonitorSpec, versions: Sequence[Signature], rows: pl.DataFrame) -> None:
    """Refuse metrics that fit no version of the models.

    One that fits a later version only has no value where an earlier one predicted.
    """
    tasks = {one.task for one in versions if one.task is not None}
    if len(tasks) != 1:
        return
    task = tasks.pop()
    classes = _classes([one.classes for one in versions if one.classes is not None], spec.positive)
    kinds = [rows.schema[OBSERVED], rows.schema[PREDICTED]]
    for name in spec.metrics:
        if name in spec.own:
            continue
        metric = spec.metric(name)
        wrong = misfit(metric, task, classes)
        if wrong and not is_of_flags(metric, task, kinds):
            problem, _, instead = wrong.partition("; ")
            raise UsageError(f"monitor {spec.name}: {problem}", next=f"{instead}: Monitor(metrics=[...])")


def is_of_flags(metric: Metric, task: Task | None, kinds: Iterable[pl.DataType]) -> bool:
    """Whether a metric of numbers is of 0/1 classes, which it always could be.

    Args:
        metric: the metric.
        task: the models'.
        kinds: the types of truth and predictions.
    """
    numbers = all(kind.is_numeric() or str(kind) in ("Boolean", "Null") for kind in kinds)
    return task is Task.BINARY and numbers and Task.REGRESSION in metric.tasks
