"""One column in a profile: its type, what is missing, and the summary of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

from trikk.core.values import JSON
from trikk.drift.categories import Categories
from trikk.drift.kinds import NUMERIC, Kind, kind_of, numbers, texts
from trikk.drift.numbers import Numbers

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
            there = numbers(column).drop_nulls()
            nans = int(there.is_nan().sum())
            finite = there.filter(there.is_finite())
            return cls(dtype, kind, rows, nulls, nans, len(there) - nans - len(finite), Numbers.of(finite))
        if kind in ("category", "flag"):
            return cls(dtype, kind, rows, nulls, summary=Categories.of(texts(column).drop_nulls()))
        return cls(dtype, kind, rows, nulls)

    def merge(self, other: ColumnProfile) -> ColumnProfile:
        """The summary of both; what has nothing in common becomes "nested", which is not comparable."""
        types = sorted({*self.dtype.split(" | "), *other.dtype.split(" | ")})
        rows, nulls = self.rows + other.rows, self.nulls + other.nulls
        nans, infinite = self.nans + other.nans, self.infinite + other.infinite
        kind, summary = self.kind, self.summary
        if self.kind == "empty":
            kind, summary = other.kind, other.summary
        elif other.kind not in ("empty", self.kind):
            kind, summary = "nested", None
        else:
            summary = _merged(summary, other.summary)
        return ColumnProfile(" | ".join(types), kind, rows, nulls, nans, infinite, summary)

    def to_json(self) -> dict[str, JSON]:
        """The summary as JSON."""
        return {
            "dtype": self.dtype,
            "kind": self.kind,
            "rows": self.rows,
            "nulls": self.nulls,
            "nans": self.nans,
            "infinite": self.infinite,
            "summary": None if self.summary is None else self.summary.to_json(),
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> ColumnProfile:
        """The summary that `to_json` wrote; KeyError, TypeError or ValueError if it is none."""
        kind = data["kind"]
        if kind not in get_args(Kind):
            raise ValueError(f"an unknown kind {kind!r}")
        summary: Numbers | Categories | None = None
        if kind in NUMERIC:
            summary = Numbers.read(data["summary"])
        elif kind in ("category", "flag"):
            summary = Categories.read(data["summary"])
        rows, nulls, nans, infinite = (int(data[name]) for name in ("rows", "nulls", "nans", "infinite"))
        return cls(str(data["dtype"]), cast("Kind", kind), rows, nulls, nans, infinite, summary)


def _merged(one: Numbers | Categories | None, other: Numbers | Categories | None) -> Numbers | Categories | None:
    if isinstance(one, Numbers) and isinstance(other, Numbers):
        return one.merge(other)
    if isinstance(one, Categories) and isinstance(other, Categories):
        return one.merge(other)
    return one or other
