"""One column of two samples, asked the same questions whether its rows or only their profiles are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trikk.drift.measures.column_kinds import Kind

FEW = 20
"""A column of at most so many different whole numbers is compared like one of categories: as codes or counts.
Fractions are measures, however few: a mean that is computed anew is another number each day, and no drift."""
BINS = 10


@dataclass(frozen=True, slots=True)
class Gap:
    """How far apart two distribution functions are.

    Attributes:
        ks: the greatest difference, 0 to 1.
        ks_error: how far that may be from the truth.
        area: the area between them: the Wasserstein distance, in the column's units.
        area_error: how far that may be from the truth.
    """

    ks: float
    ks_error: float
    area: float
    area_error: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each category, value or bin occurs.

    Attributes:
        labels: their names.
        reference: counts in the reference, in the same order.
        current: counts in the current rows.
        exact: whether the labels are all that occur, and not bins or hashes.
    """

    labels: list[str]
    reference: list[float]
    current: list[float]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Side:
    """One of the samples.

    Attributes:
        dtype: the column's type as text.
        kind: what that is to drift.
        rows: how many.
        missing: how many of them have no value that can be compared.
    """

    dtype: str
    kind: Kind
    rows: int
    missing: int

    @property
    def values(self) -> int:
        """How many values there are."""
        return self.rows - self.missing

    @property
    def missing_share(self) -> float:
        """The share of rows without a value; 0.0 where there are no rows."""
        return self.missing / self.rows if self.rows else 0.0


class Pair(Protocol):
    """One column in the reference and in the current rows.

    Everything but the sides is asked only where both have values.
    """

    @property
    def reference(self) -> Side:
        """The one side."""

    @property
    def current(self) -> Side:
        """The other."""

    def few(self) -> Counts | None:
        """Each value's counts if the column is of categories, or of at most 20 whole numbers; else None."""

    def bins(self) -> Counts:
        """Counts between the reference's deciles; numeric columns only."""

    def gap(self) -> Gap:
        """The distance of the distribution functions; numeric columns only."""

    def moments(self) -> tuple[float, float, float, float]:
        """Mean and standard deviation of the reference, then of the current values; numeric columns only."""
