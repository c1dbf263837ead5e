"""From numbers to a verdict: pure, and the only place where one is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trikk.drift.measure import Measured
from trikk.drift.report import ColumnDrift, Verdict


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a column.

    Attributes:
        column: its name.
        trouble: why it can't be compared; None if it can.
        measured: what was measured of its values; None if there were too few.
        reference_values: how many there are in the reference.
        current_values: how many in the current rows.
        reference_missing: share of rows without a value.
        current_missing: the same of the current rows.
        missing_p: p-value of the change in that share; None where nothing is missing or rows are too few.
    """

    column: str
    trouble: str | None = None
    measured: Measured | None = None
    reference_values: int = 0
    current_values: int = 0
    reference_missing: float = 0.0
    current_missing: float = 0.0
    missing_p: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a verdict asks for.

    Attributes:
        threshold: the least effect that counts.
        missing: the least change in the share of missing values that counts.
        alpha: the level of significance.
        minimum: the least number of values on each side.
    """

    threshold: float
    missing: float
    alpha: float
    minimum: int


def decide(facts: Facts, adjusted: float | None, missing_adjusted: float | None, limits: Limits) -> ColumnDrift:
    """The verdict on a column, with its reason.

    Args:
        facts: what was measured.
        adjusted: the corrected p-value of the measurement; None if there is none.
        missing_adjusted: the corrected p-value of the change in missing values; None if there is none.
        limits: what is asked for.
    """
    verdict, reason = _values_verdict(facts, adjusted, limits)
    change = facts.current_missing - facts.reference_missing
    if (
        facts.trouble is None
        and missing_adjusted is not None
        and missing_adjusted <= limits.alpha
        and abs(change) >= limits.missing
    ):
        missing = f"missing values {facts.reference_missing:.1%} -> {facts.current_missing:.1%}"
        verdict, reason = "drift", f"{missing}; {reason}"
    found = ColumnDrift(
        facts.column,
        verdict,
        reason,
        reference_rows=facts.reference_values,
        current_rows=facts.current_values,
        reference_missing=facts.reference_missing,
        current_missing=facts.current_missing,
    )
    measured = facts.measured
    if measured is None:
        return found
    return replace(
        found,
        method=measured.method,
        statistic=measured.statistic,
        effect=measured.effect,
        threshold=limits.threshold,
        p_value=measured.p_value,
        adjusted=adjusted,
        error=measured.error,
    )


def _values_verdict(facts: Facts, adjusted: float | None, limits: Limits) -> tuple[Verdict, str]:
    if facts.trouble is not None:
        return "not comparable", facts.trouble
    if min(facts.reference_values, facts.current_values) < limits.minimum:
        sizes = f"{facts.reference_values:,} values in the reference, {facts.current_values:,} now"
        return "insufficient data", f"{sizes}; at least {limits.minimum:,} are needed on each side"
    measured = facts.measured
    if measured is None or adjusted is None:
        return "not comparable", "nearly every value occurs once, or they are too large to add up"
    size = f"{measured.method} {measured.effect:.3g}"
    p_value = f"p = {adjusted:.2g}" if adjusted >= 1e-9 else "p < 1e-9"
    change = f"; {measured.change}" if measured.change else ""
    if adjusted > limits.alpha:
        return "no drift", f"{size}, {p_value}: may well be chance{change}"
    if measured.effect < limits.threshold:
        return "no drift", f"{size} is below {limits.threshold:g}{change}"
    return "drift", f"{size} is {limits.threshold:g} or more, {p_value}{change}"
