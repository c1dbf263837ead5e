"""`Slice`, and what the values of slices are called: in figures, on the command line, in A/B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from trikk.core.names import check_title
from trikk.pipeline.location import defining

if TYPE_CHECKING:
    import polars as pl

NONE = "(none)"
"""What the cases without a value are called."""


@dataclass(frozen=True, eq=False)
class Slice:
    """A column to slice by, and what people call it: `Monitor(..., slices=[Slice("pump", title="Pump")])`.

    Args:
        column: of either table; or hour, weekday, month or date of the slot's local time.
        title: what reports call the column.
        customer_name: by the column's value, what a customer's page calls it: {"pump_7": "Pump 7, north basin"}.
            Pages on everything show both.

    Raises:
        DefinitionError: if a title is no line of text.
    """

    column: str
    _: KW_ONLY
    title: str = ""
    customer_name: Mapping[Any, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        with defining():
            check_title("title", self.title)
            for name in (self.customer_name or {}).values():
                check_title("customer_name", name)

    @property
    def titles(self) -> dict[str, Any]:
        """What is said of the column, values as texts; nothing where nothing is said."""
        names = {slice_text(value): name for value, name in (self.customer_name or {}).items()}
        return ({"title": self.title} if self.title else {}) | ({"customer_name": names} if names else {})


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
    joined = column.to_frame().join(named, on=by, how="left", nulls_equal=True, maintain_order="left")
    return joined["_text"].alias(by)
