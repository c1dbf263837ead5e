"""Cases by the class that was true and the class that was said, and how sure the model was of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from trikk.core.errors import UnknownName
from trikk.models.metrics.case_labels import Labels, Texts, labels_of
from trikk.models.registry import Registry
from trikk.monitoring.cases.case_columns import PREDICTED, PROBABILITY
from trikk.monitoring.cases.tasks import labels_known
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    import polars as pl

TRUTH, SAID, SURE = "_truth_class", "_predicted_class", "_probability_of_predicted"


def with_classes(spec: MonitorSpec, cases: pl.DataFrame, registry: Registry) -> pl.DataFrame | None:
    """The cases with their classes as texts.

    Args:
        spec: the monitor.
        cases: its cases.
        registry: where the models are that predicted them.

    Returns:
        The cases with `_truth_class`, `_predicted_class` (String, null where there is none) and
        `_probability_of_predicted` (Float64, null where it is not known) instead of the columns of probabilities
        of two classes; None if the monitor's metrics take them as numbers.

    Raises:
        UsageError: if truth and predictions can't be compared.
    """
    labels = _labels(spec, cases, registry)
    if labels is None:
        return None
    texts = Texts(cases.schema, labels)
    marked = cases.with_columns(texts.truths(cases).alias(TRUTH), texts.all_said(cases).alias(SAID))
    return marked.with_columns(_sure(labels).alias(SURE))


def is_of_chances(spec: MonitorSpec, cases: pl.DataFrame, registry: Registry) -> bool:
    """Whether predictions are probabilities, so that they are off by a number; arguments as of `with_classes`."""
    labels = _labels(spec, cases, registry)
    return labels is not None and labels.by_chance and cases.schema[PREDICTED].is_float()


def _labels(spec: MonitorSpec, cases: pl.DataFrame, registry: Registry) -> Labels | None:
    metrics = [spec.metric(name) for name in spec.metrics if name not in spec.own]  # whose code may not be loaded
    labels = labels_of(cases, labels_known(spec, registry, cases), metrics, PROBABILITY)
    return labels if any(metric.of_classes for metric in metrics) else None


def _sure(labels: Labels) -> pl.Expr:
    """The probability of the class that was said; of two classes one has a column."""
    import polars as pl

    sure, said = pl.lit(None, dtype=pl.Float64), pl.col(SAID)
    for name, text in labels.probabilities.items():
        one = pl.col(name).cast(pl.Float64)
        rest = 1 - one if len(labels.probabilities) == 1 else sure
        sure = pl.when(said == text).then(one).when(said.is_not_null()).then(rest)
    return sure


def in_cell(cases: pl.DataFrame, truth: str | None, predicted: str | None, known: Collection[str]) -> pl.DataFrame:
    """The cases of which a class was true, or was said, or both.

    Args:
        cases: as `with_classes` gives them.
        truth: the class as text; None for any.
        predicted: the same.
        known: all classes that there are.

    Raises:
        UnknownName: if there is no such class.
    """
    import polars as pl

    for column, wanted in ((TRUTH, truth), (SAID, predicted)):
        if wanted is not None and wanted not in known:
            raise UnknownName("class in this window", wanted, sorted(known))
        cases = cases if wanted is None else cases.filter(pl.col(column) == wanted)
    return cases


def worst_first(cases: pl.DataFrame) -> pl.DataFrame:
    """The cases, mistakes first, the surest of them first; then right ones, the least sure first; then the others.

    Args:
        cases: as `with_classes` gives them.

    Returns:
        The same with `error`, whether the classes differ (null where one is missing).
    """
    import polars as pl

    is_wrong = pl.col("error")
    by = [is_wrong, pl.when(is_wrong).then(pl.col(SURE)).otherwise(-pl.col(SURE))]
    marked = cases.with_columns(error=pl.col(TRUTH) != pl.col(SAID))
    return marked.sort(by, descending=True, nulls_last=True, maintain_order=True)
