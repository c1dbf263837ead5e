"""Which predictions were made for categories that their model never saw: a figure that needs no labels."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from trikk.core.errors import UnknownName
from trikk.models.categories import unseen
from trikk.models.registry import Registry
from trikk.monitoring.definition import MonitorSpec
from trikk.runs.ledger import Ledger

if TYPE_CHECKING:
    import polars as pl

UNSEEN = "_unseen"
_MADE_BY = ("model", "model_version")


class Unseen:
    """What says of a row of predictions whether one of its inputs has a category that is new to its model.

    Args:
        ledger: where models are registered.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._registry = Registry(ledger)
        self._known: dict[tuple[str, int], dict[str, tuple[str, ...]]] = {}

    def expression(self, made: pl.LazyFrame, have: pl.Schema) -> pl.Expr | None:
        """True, false, or null where nothing is known of the model's categories; None if that is so of all rows.

        Args:
            made: the rows.
            have: their columns, with all inputs that were kept beside the predictions.
        """
        import polars as pl

        if not set(_MADE_BY) <= set(have) or not self._registry.names():
            return None
        model, version = (pl.col(name) for name in _MADE_BY)
        found: list[tuple[pl.Expr, pl.Expr]] = []
        pairs = made.select(model.cast(pl.String), version.cast(pl.Int64)).drop_nulls().unique().collect()
        for name, number in pairs.iter_rows():
            known = {c: texts for c, texts in self._categories(name, number).items() if c in have}
            if known:
                own = (model.cast(pl.String) == name) & (version == number)
                bad = pl.any_horizontal(unseen(c, have[c], t).fill_null(value=False) for c, t in known.items())
                found.append((own, bad))
        nothing = pl.lit(None, dtype=pl.Boolean)
        return (
            reduce(lambda rest, one: pl.when(one[0]).then(one[1]).otherwise(rest), found, nothing)
            if found
            else None
        )

    def _categories(self, model: str, version: int) -> dict[str, tuple[str, ...]]:
        if (model, version) not in self._known:
            try:
                signature = self._registry.get(model, version).signature
            except UnknownName:
                signature = None
            self._known[model, version] = {} if signature is None else signature.categories
        return self._known[model, version]


def why_unknown(spec: MonitorSpec, ledger: Ledger, columns: list[str]) -> str:
    """Why no window of a monitor says how many categories are new.

    Args:
        spec: the monitor.
        ledger: where models are registered.
        columns: those of the predictions.
    """
    if not set(_MADE_BY) <= set(columns):
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
