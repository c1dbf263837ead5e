"""The check of a distribution: whether a column is as it is in a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from trikk.quality.check import Check, CountedCheck, SeverityName, is_number, is_open, reference_rows, refused
from trikk.quality.plan import Plan, Scene, Seen, Values

PSI = 0.2
"""Above it a distribution has changed for good by the usual reading (Siddiqi, Credit Risk Scorecards, 2006)."""


@dataclass(frozen=True, slots=True)
class Like(CountedCheck):
    """See `like`."""

    reference: Any = None
    to: str = ""
    at_most: Any = PSI
    measure: str = "psi"
    kind: ClassVar[str] = "like"

    def _asks(self) -> str:
        distributed = f"{self.columns[0]} distributed as in the reference"
        return f"{distributed}, {self.measure.upper()} at most {self.at_most:g}"

    def _plan(self, scene: Scene) -> Plan:
        from trikk.quality.checks.distribution import distance
        from trikk.quality.row_frames import lazy_of

        reference = lazy_of(self.reference)

        def read(_: Values, rows: int) -> Seen:
            if not rows:
                return Seen(0)
            between = distance(self.measure, scene.rows, self.columns[0], reference, self.to)
            return Seen(rows, facts={"distance": between})

        return Plan(read)

    def verdict(self, seen: Seen) -> tuple[bool, str]:
        """Whether the distance is small enough."""
        distance = seen.facts["distance"]
        return distance <= self.at_most, f"{self.measure.upper()} {distance:.4f}"


def like(
    column: str,
    reference: object,
    at_most: float = PSI,
    *,
    measure: Literal["psi", "ks"] = "psi",
    to: str | None = None,
    severity: SeverityName = "block",
    name: str = "",
) -> Check:
    """The column is distributed as in a reference.

    Args:
        column: numbers, times, texts or booleans (texts and booleans with "psi" only).
        reference: a `Table`, the output of a step, or outside of a pipeline a frame.
        at_most: the greatest distance that passes.
        measure: "psi", the population stability index over ten quantiles of the reference, or over its 20 most
            frequent texts (0.1 is a slight and 0.2 a clear change); "ks", the greatest difference of the two
            distribution functions, 0 to 1 (Kolmogorov and Smirnov).
        to: the column there, if it is called otherwise.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if the measure is unknown or the limit is not a positive number.
    """
    if measure not in ("psi", "ks"):
        raise refused(f"measure={measure!r}", 'use "psi" or "ks"')
    if not is_open(at_most) and not (is_number(at_most) and at_most > 0):
        raise refused(f"at_most={at_most!r}", "give a positive number")
    rows = reference_rows(reference)
    return Like((column,), severity, name=name, reference=rows, to=to or column, at_most=at_most, measure=measure)
