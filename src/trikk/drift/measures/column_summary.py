"""One column in a profile: its type, what is missing, and the summary of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.drift.measures.category_summary import Categories
from trikk.drift.measures.column_kinds import NUMERIC, TEXTS, Kind, kind_of, numbers, texts
from trikk.drift.measures.number_summary import Numbers

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A column's summary.

    Attributes:
        dtype: its polars type as text; several with " | " where profiles of different types were merged.
        kind: what the type is to drift; "nested" also where merged types have nothing in common.
        rows: how many rows.
        nulls: how many are null.
        nans: how many are NaN.
        infinite: how many are infinite.
        summary: of the others; None for kinds that have no distribution.
    """

    dtype: str
    kind: Kind
    rows: int
    nulls: int = 0
    nans: int = 0
    infinite: int = 0
    summary: Numbers | Categories | None = None

    @property
    def missing(self) -> int:
        """Rows without a value that can be compared: null, NaN or infinite."""
        return self.nulls + self.nans + self.infinite

    @classmethod
    def of(cls, column: pl.Series) -> ColumnProfile:
        """The summary of a column."""
        dtype, kind, rows, nulls = str(column.dtype), kind_of(column.dtype), len(column), column.null_count()
        if kind in NUMERIC:
            values = numbers(column).drop_nulls()
            nans = int(values.is_nan().sum())
            finite = values.filter(values.is_finite())
            summary = Numbers.of(finite.sort().to_numpy())  # polars sorts some times faster than numpy
            return cls(dtype, kind, rows, nulls, nans, len(values) - nans - len(finite), summary)
        if kind in TEXTS:
            return cls(dtype, kind, rows, nulls, summary=Categories.of(texts(column).drop_nulls()))
        return cls(dtype, kind, rows, nulls)

    def merge(self, *more: ColumnProfile) -> ColumnProfile:
        """The summary of all; what has nothing in common becomes "nested", which is not comparable."""
        parts = (self, *more)
        types = sorted({name for part in parts for name in part.dtype.split(" | ")})
        kinds = {part.kind for part in parts} - {Kind.EMPTY}
        # a column that was empty on one day takes the kind of the others
        kind = Kind.NESTED if len(kinds) > 1 else next(iter(kinds), Kind.EMPTY)
        rows, nulls = sum(part.rows for part in parts), sum(part.nulls for part in parts)
        nans, infinite = sum(part.nans for part in parts), sum(part.infinite for part in parts)
        summary = _merged([part.summary for part in parts if part.kind == kind])
        return ColumnProfile(" | ".join(types), kind, rows, nulls, nans, infinite, summary)

    def to_json(self) -> dict[str, JSON]:
        """The summary as JSON."""
        return {
            "dtype": self.dtype,
            "kind": self.kind.value,
            "rows": self.rows,
            "nulls": self.nulls,
            "nans": self.nans,
            "infinite": self.infinite,
            "summary": None if self.summary is None else self.summary.to_json(),
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> ColumnProfile:
        """The summary that `to_json` wrote; KeyError, TypeError or ValueError if it is none."""
        kind = Kind(data["kind"])
        summary: Numbers | Categories | None = None
        if kind in NUMERIC:
            summary = Numbers.read(data["summary"])
        elif kind in TEXTS:
            summary = Categories.read(data["summary"])
        rows, nulls, nans, infinite = (int(data[name]) for name in ("rows", "nulls", "nans", "infinite"))
        return cls(str(data["dtype"]), kind, rows, nulls, nans, infinite, summary)


def _merged(parts: list[Numbers | Categories | None]) -> Numbers | Categories | None:
    numbers = [part for part in parts if isinstance(part, Numbers)]
    categories = [part for part in parts if isinstance(part, Categories)]
    if numbers:
        return numbers[0].merge(*numbers[1:])
    return categories[0].merge(*categories[1:]) if categories else None
