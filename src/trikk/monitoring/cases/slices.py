"""What a slice's values are called, wherever they are named: in figures, on the command line, in A/B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

NONE = "(none)"
"""What the cases without a value are called."""


def slice_text(value: Any) -> str:
    """A slice's value as text: as Python writes it, such as True, 2020-03-01 or 0.5."""
    return NONE if value is None else str(value)


def slice_texts(column: pl.Series) -> pl.Series:
    """Each value of a column as `slice_text` has it; as many texts, under the column's name."""
    import polars as pl

    values = column.unique()
    texts = pl.Series("_text", [slice_text(value) for value in values], pl.String)
    named = pl.DataFrame([values, texts])
    by = column.name
    found = column.to_frame().join(named, on=by, how="left", nulls_equal=True, maintain_order="left")
    return found["_text"].alias(by)
