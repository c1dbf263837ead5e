"""From numbers to a verdict: pure, and the only place where one is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trikk.drift.drift_report import ColumnDrift, Method, Verdict
from trikk.drift.measures.methods import Measured

_MISSING = "missing values "
_LEAST = 1e-9  # for a limit of nothing


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
    finding = ColumnDrift(
        facts.column,
        *_values_verdict(facts, adjusted, limits),
        reference_rows=facts.reference_values,
        current_rows=facts.current_values,
        reference_missing=facts.reference_missing,
        current_missing=facts.current_missing,
        missing_adjusted=missing_adjusted if facts.trouble is None else None,
    )
    if (measured := facts.measured) is not None:
        finding = replace(
            finding,
            method=measured.method,
            statistic=measured.statistic,
            effect=measured.effect,
            threshold=limits.threshold,
            p_value=measured.p_value,
            adjusted=adjusted,
            error=measured.error,
            distance=measured.distance,
        )
    return _with_missing(_sized(finding), limits)


def decided_anew(finding: ColumnDrift, limits: Limits) -> ColumnDrift:
    """The verdict that a finding would have with other limits; what could not be measured stays so.

    Findings of before `missing_adjusted` was kept tell by their reason whether missing values had drifted.

    Args:
        finding: what was decided.
        limits: what is asked for now; `minimum` is that of before.
    """
    if finding.reason.startswith(_MISSING):
        tested = 0.0 if finding.missing_adjusted is None else finding.missing_adjusted
        few = min(finding.reference_rows, finding.current_rows) < limits.minimum
        of_values = Verdict.INSUFFICIENT_DATA if few else Verdict.NOT_COMPARABLE
        finding = replace(
            finding, verdict=of_values, reason=finding.reason.partition("; ")[2], missing_adjusted=tested
        )
    if finding.effect is not None and finding.adjusted is not None:
        size, change = f"{finding.method} {finding.effect:.3g}", finding.reason.partition("; ")[2]
        verdict, reason = _judged(size, finding.effect, finding.adjusted, f"; {change}" if change else "", limits)
        finding = replace(finding, verdict=verdict, reason=reason, threshold=limits.threshold)
    return _with_missing(_sized(finding), limits)


def missing_changed(finding: ColumnDrift, alpha: float) -> float | None:
    """By how much the share of missing values has changed, 0 to 1; None if that may be chance."""
    tested = finding.missing_adjusted
    if tested is None and finding.reason.startswith(_MISSING):
        tested = 0.0
    if tested is None or tested > alpha:
        return None
    return abs(finding.current_missing - finding.reference_missing)


def _with_missing(finding: ColumnDrift, limits: Limits) -> ColumnDrift:
    """The finding, which drifts as well if the share of missing values does."""
    change = missing_changed(finding, limits.alpha)
    if change is None or change < limits.missing:
        return finding
    missing = f"{_MISSING}{finding.reference_missing:.1%} -> {finding.current_missing:.1%}"
    size = max(finding.times_limit, change / max(limits.missing, _LEAST))
    return replace(finding, verdict=Verdict.DRIFT, reason=f"{missing}; {finding.reason}", times_limit=size)


def _sized(finding: ColumnDrift) -> ColumnDrift:
    """The finding with the size of its drift; effects up to 1 go on growing with the distance of the numbers."""
    if finding.verdict is not Verdict.DRIFT or finding.effect is None or finding.threshold is None:
        return replace(finding, times_limit=0.0)
    # a distance in standard deviations grows by itself; D and shares end at 1
    far = 1.0 if finding.method == Method.WASSERSTEIN else max(1.0, finding.distance or 0.0)
    return replace(finding, times_limit=far * finding.effect / max(finding.threshold, _LEAST))


def _values_verdict(facts: Facts, adjusted: float | None, limits: Limits) -> tuple[Verdict, str]:
    if facts.trouble is not None:
        return Verdict.NOT_COMPARABLE, facts.trouble
    if min(facts.reference_values, facts.current_values) < limits.minimum:
        sizes = f"{facts.reference_values:,} values in the reference, {facts.current_values:,} now"
        return Verdict.INSUFFICIENT_DATA, f"{sizes}; at least {limits.minimum:,} are needed on each side"
    measured = facts.measured
    if measured is None or adjusted is None:
        return Verdict.NOT_COMPARABLE, "nearly every value occurs once, or they are too large to add up"
    change = f"; {measured.change}" if measured.change else ""
    return _judged(f"{measured.method} {measured.effect:.3g}", measured.effect, adjusted, change, limits)


def _judged(size: str, effect: float, adjusted: float, change: str, limits: Limits) -> tuple[Verdict, str]:
    p_value = f"p = {adjusted:.2g}" if adjusted >= 1e-9 else "p < 1e-9"
    if adjusted > limits.alpha:
        return Verdict.NO_DRIFT, f"{size}, {p_value}: may well be chance{change}"
    if effect < limits.threshold:
        return Verdict.NO_DRIFT, f"{size} is below {limits.threshold:g}{change}"
    return Verdict.DRIFT, f"{size} is {limits.threshold:g} or more, {p_value}{change}"
