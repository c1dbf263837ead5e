"""The texts that a version was fitted on, and rows that have others: what a model answers to those is a guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trikk.models.signature import MOST_CATEGORIES
from trikk.models.version import ModelVersion, need_version

if TYPE_CHECKING:
    import polars as pl


def known_categories(version: ModelVersion) -> dict[str, Any]:
    """What is known of a version's categories.

    Returns:
        model, its reference; categories, by input; and why those of other inputs are not known.
    """
    version = need_version(version, "what a model was fitted on")
    if version.signature is None:
        why = "it was registered without inputs="
    else:
        why = (
            f"only inputs of texts with at most {MOST_CATEGORIES:,} different ones have them, of models that were "
            "registered since they are kept; register it anew"
        )
    known = {} if version.signature is None else version.signature.categories
    return {
        "model": version.reference,
        "categories": {name: [*texts] for name, texts in known.items()},
        "why": why,
    }


def unseen(name: str, dtype: pl.DataType, texts: Sequence[str]) -> pl.Expr:
    """Whether a column's value is not one of these; null where it has none."""
    import polars as pl

    column = pl.col(name)
    return ~(column if dtype == pl.String else column.cast(pl.String)).is_in(
        pl.Series(texts, dtype=pl.String).implode()
    )
