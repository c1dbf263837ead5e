"""What a comparison of two sets of rows found, as values that go to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal, TypeAlias, cast

from trikk.core.errors import StorageError
from trikk.core.values import JSON, decode, encode

VERSION = 1


class Method(StrEnum):
    """How two samples of a column are measured."""

    KS = "ks"
    """the greatest difference of the distribution functions, 0 to 1 (Kolmogorov and Smirnov)."""
    WASSERSTEIN = "wasserstein"
    """the area between them, in the column's units."""
    JENSEN_SHANNON = "jensen-shannon"
    """the distance of the shares of categories, or of bins, base 2, 0 to 1."""
    CHI_SQUARE = "chi-square"
    """Pearson's test of their counts."""
    PSI = "psi"
    """the population stability index of their shares."""


MethodName: TypeAlias = Method | Literal["ks", "wasserstein", "jensen-shannon", "chi-square", "psi"]
"""How an author writes a method."""


class Verdict(StrEnum):
    """What a comparison of a column comes to."""

    DRIFT = "drift"
    """the effect is large, and significant after the correction; or the share of missing values has changed so."""
    NO_DRIFT = "no drift"
    INSUFFICIENT_DATA = "insufficient data"
    """there are fewer than `minimum` values on a side."""
    NOT_COMPARABLE = "not comparable"
    """the column is missing on a side, has changed its type, or holds nested values."""


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column, then and now.

    Attributes:
        column: its name.
        verdict: "drift" needs an effect of at least `threshold` that is also significant after the correction, or
            the like in the share of missing values.
        reason: why, in words.
        method: what was measured; None where nothing could be.
        statistic: what the method gives, in its own units: D, distance in the column's units, chi-square, PSI.
        effect: the size of the difference, without units: D; distance in standard deviations of the reference;
            Jensen-Shannon distance (base 2, 0 to 1), Cramer's V (0 to 1) or PSI of the categories that are not
            rare, less what chance alone gives on average.
        threshold: the least effect that counts.
        p_value: of the test that goes with the method, before the correction for many columns.
        adjusted: the p-value after that correction.
        error: how far `effect` may be from that of the full rows, where sketches were compared and a bound is
            known; 0 where rows were compared; None where no bound is known.
        reference_rows: values that are there (not missing) in the reference.
        current_rows: the same of the current rows.
        reference_missing: share of rows that are null, NaN or infinite in the reference, 0 to 1.
        current_missing: the same of the current rows.
        missing_adjusted: the corrected p-value of the change in that share; None where it was not tested.
        distance: of numbers, however measured, how far apart they are in standard deviations of the reference;
            None for categories, and in findings of before it was kept.
        times_limit: how large a drift is, in units of the limit that it is beyond; 0 where there is none. Where an
            effect can't exceed 1, a distance of several standard deviations counts as many times.
    """

    column: str
    verdict: Verdict
    reason: str
    method: MethodName | None = None
    statistic: float | None = None
    effect: float | None = None
    threshold: float | None = None
    p_value: float | None = None
    adjusted: float | None = None
    error: float | None = None
    reference_rows: int = 0
    current_rows: int = 0
    reference_missing: float = 0.0
    current_missing: float = 0.0
    missing_adjusted: float | None = None
    distance: float | None = None
    times_limit: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", Verdict(self.verdict))  # records have it as text

    @property
    def size(self) -> float:
        """The size of a drift in units of its limit, at least 1; 0 for none. Older findings have it, too."""
        if self.verdict is not Verdict.DRIFT:
            return 0.0
        return self.times_limit or max(1.0, (self.effect or 0.0) / (self.threshold or 1.0))

    def to_json(self) -> dict[str, JSON]:
        """All attributes as JSON."""
        data = asdict(self) | {"verdict": self.verdict.value, "method": self.method and str(self.method)}
        return cast("dict[str, JSON]", encode(data))


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Every column that was compared, in the order of the reference.

    Attributes:
        columns: what was found for each.
        reference_rows: rows in the reference.
        current_rows: rows that were compared with it.
        alpha: the level of significance, after the correction.
        correction: "benjamini-hochberg", "holm" or None.
        minimum: the least number of values on each side.
        exact: whether full rows were compared, and not sketches of them.
    """

    columns: tuple[ColumnDrift, ...]
    reference_rows: int
    current_rows: int
    alpha: float
    correction: str | None
    minimum: int
    exact: bool

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns with the verdict "drift", the largest (in units of its limit) first."""
        drifted = [column for column in self.columns if column.verdict is Verdict.DRIFT]
        return tuple(sorted(drifted, key=lambda c: -c.size))

    def of(self, verdict: Verdict | str) -> tuple[ColumnDrift, ...]:
        """The columns with this verdict."""
        return tuple(column for column in self.columns if column.verdict == verdict)

    def __getitem__(self, column: str) -> ColumnDrift:
        """The finding of one column; KeyError if it was not compared."""
        for finding in self.columns:
            if finding.column == column:
                return finding
        raise KeyError(column)

    def to_json(self) -> dict[str, JSON]:
        """The report as JSON."""
        return {
            "version": VERSION,
            "columns": [column.to_json() for column in self.columns],
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            "alpha": self.alpha,
            "correction": self.correction,
            "minimum": self.minimum,
            "exact": self.exact,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> DriftReport:
        """The report that `to_json` wrote.

        Raises:
            StorageError: if it is none, or of a later version.
        """
        try:
            rest = {key: value for key, value in data.items() if key not in ("version", "columns")}
            if data["version"] != VERSION:
                raise StorageError(f"a drift report of version {data['version']}", next="update trikk")
            return cls(tuple(ColumnDrift(**decode(column)) for column in data["columns"]), **rest)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StorageError("this is not a drift report", next="compare the rows again") from error
