"""Which predictions were made for categories that their model never saw, and which truths are of such a class.

The first needs no labels. The second counts, and names, what a model could not say: a state of a pump that was not
among those that it was fitted on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName
from trikk.models.calling.trained_categories import unseen
from trikk.models.registry import Registry
from trikk.models.task import class_text
from trikk.monitoring.cases.case_columns import MADE_BY
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.ledger import Ledger

if TYPE_CHECKING:
    import polars as pl

    from trikk.models.signature import Signature

UNSEEN, UNSEEN_CLASS = "_unseen", "_unseen_class"


class Unseen:
    """What says of a row of predictions whether one of its inputs has a category that is new to its model.

    Args:
        ledger: where models are registered.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._registry = Registry(ledger)
        self._known: dict[tuple[str, int], Signature | None] = {}

    def expression(self, rows: pl.LazyFrame, have: pl.Schema) -> pl.Expr | None:
        """True, false, or null where nothing is known of the model's categories; None if that is so of all rows.

        Args:
            rows: predictions.
            have: their columns, with all inputs that were kept beside the predictions.
        """
        import polars as pl

        by_version: list[tuple[pl.Expr, pl.Expr]] = []
        for own, signature in self._makers(rows):
            known = {c: texts for c, texts in signature.categories.items() if c in have}
            if known:
                bad = pl.any_horizontal(unseen(c, have[c], t).fill_null(value=False) for c, t in known.items())
                by_version.append((own, bad))
        return _chosen(by_version)

    def with_classes(self, cases: pl.DataFrame, predicted: str, observed: str) -> pl.DataFrame:
        """The cases with `_unseen_class`: whether the truth is a class that is new to the version that predicted.

        Null where nothing was predicted, or nothing is known of the version's classes; if that is so of all cases,
        there is no such column.

        Args:
            cases: the cases.
            predicted: their column of predictions.
            observed: their column of truths; a case without one is of no class that is new.
        """
        import polars as pl

        truth = pl.col(observed)
        if isinstance(cases.schema[observed], pl.Categorical | pl.Enum):
            truth = truth.cast(pl.String)
        by_version: list[tuple[pl.Expr, pl.Expr]] = []
        for own, signature in self._makers(cases.lazy()):
            if signature.classes is not None:
                values = cases.filter(own).select(truth.unique().drop_nulls()).to_series()
                known = signature.classes.values  # 1, 1.0 and True are one
                new = pl.Series([value not in known for value in values], dtype=pl.Boolean)
                by_version.append((own, truth.is_in(values.filter(new).implode()).fill_null(value=False)))
        is_new = _chosen(by_version)
        if is_new is None:
            return cases
        return cases.with_columns(pl.when(pl.col(predicted).is_not_null()).then(is_new).alias(UNSEEN_CLASS))

    def _makers(self, rows: pl.LazyFrame) -> Iterator[tuple[pl.Expr, Signature]]:
        """Which rows are of which version, as far as it has a signature; the newest versions first."""
        import polars as pl

        if not set(MADE_BY) <= set(rows.collect_schema()) or not self._registry.names():
            return
        model, version = (pl.col(name) for name in MADE_BY)
        pairs = rows.select(model.cast(pl.String), version.cast(pl.Int64)).drop_nulls().unique().collect()
        for name, number in sorted(pairs.iter_rows(), key=lambda pair: (-pair[1], pair[0])):
            signature = self._signature(name, number)
            if signature is not None:
                yield (model.cast(pl.String) == name) & (version == number), signature

    def _signature(self, model: str, version: int) -> Signature | None:
        if (model, version) not in self._known:
            try:
                self._known[model, version] = self._registry.get(model, version).signature
            except UnknownName:
                self._known[model, version] = None
        return self._known[model, version]


def _chosen(by_version: Sequence[tuple[pl.Expr, pl.Expr]]) -> pl.Expr | None:
    """What is said of each row by the version that it is of; null for other rows, None if nothing is said."""
    import polars as pl

    nothing = pl.lit(None, dtype=pl.Boolean)
    if not by_version:
        return None
    return reduce(lambda rest, one: pl.when(one[0]).then(one[1]).otherwise(rest), by_version, nothing)


def new_classes(cases: pl.DataFrame, observed: str, column: str | None) -> dict[Any, dict[str, int]]:
    """The classes that are new to their model and how many truths are of each, by the value of a slice.

    Args:
        cases: the cases, with or without `_unseen_class`.
        observed: their column of truths.
        column: the slice; None for all cases, which are under None then.

    Returns:
        A value of the slice that is not in it has no truth of a new class.
    """
    import polars as pl

    if UNSEEN_CLASS not in cases.columns:
        return {}
    by = pl.lit(None).alias("_by") if column is None else pl.col(column).alias("_by")
    counts = cases.filter(UNSEEN_CLASS).group_by(by, pl.col(observed).alias("_class")).len().sort("len", "_class")
    by_value: dict[Any, dict[str, int]] = {}
    for value, label, count in reversed(list(counts.iter_rows())):
        by_value.setdefault(value, {})[class_text(label)] = count
    return by_value


def why_unknown(spec: MonitorSpec, ledger: Ledger, columns: list[str]) -> str:
    """Why no window of a monitor says how many categories are new.

    Args:
        spec: the monitor.
        ledger: where models are registered.
        columns: those of the predictions.
    """
    if not set(MADE_BY) <= set(columns):
        return f"table {spec.predictions} does not say which model made a row"
    registry = Registry(ledger)
    versions = [version for name in registry.names() for version in registry.versions(name)]
    known = {name for v in versions if v.signature is not None for name in v.signature.categories}
    if not known:
        return "no model was registered with inputs= that are texts since trikk keeps their categories"
    if not known & set(columns):
        inputs = ", ".join(sorted(known)[:5])
        return f"table {spec.predictions} has none of the inputs {inputs}: keep them, predict(..., keep=[...])"
    return "its predictions are of models whose categories are not known, or of before they were kept"


def why_class_unknown(spec: MonitorSpec, ledger: Ledger, columns: Sequence[str]) -> str:
    """Why no window says how many truths are of a class that is new; arguments as of `why_unknown`."""
    if not set(MADE_BY) <= set(columns):
        return f"table {spec.predictions} does not say which model made a row"
    registry = Registry(ledger)
    versions = [version for name in registry.names() for version in registry.versions(name)]
    if not any(v.signature is not None and v.signature.classes is not None for v in versions):
        return "no model was registered with its classes: register_model(..., inputs=, task=)"
    return "its predictions are of models whose classes are not known"


def classes_in_words(parts: Iterable[Mapping[str, int]]) -> str:
    """In words, which classes are new to the model in figures taken together, and how often; "" if none is."""
    counts: Counter[str] = Counter()
    for classes in parts:
        counts.update(classes)
    named = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    return f"of a class that the model was not fitted on: {named}" if named else ""
