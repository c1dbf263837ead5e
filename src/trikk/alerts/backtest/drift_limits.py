"""The place of a number in a monitor's drift: one of its limits, or what all of them are multiplied by. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trikk.core.errors import UnknownName, UsageError
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.day_drift.other_limits import MISSING, effects_of, is_measured


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that X stands for; the others stay as they are.

    Attributes:
        drift: what the monitor declares, with the numbers that were asked for.
        varied: the limits that X stands for, by their names in `thresholds`, as they are.
    """

    drift: Drift
    varied: dict[str, float]

    @classmethod
    def of(cls, drift: Drift, wanted: Sequence[str], days: Iterable[DriftRecord]) -> Limits:
        """Find the limits.

        Args:
            drift: what the monitor declares.
            wanted: names of limits, each perhaps with a number, as "wasserstein=0.3": a method, a column, which
                gets a limit of its own, or "missing"; empty for all that are in use.
            days: what was found of days.

        Raises:
            UnknownName: if there is no such limit.
            UsageError: if a number is none, or no day could be compared.
        """
        used, by_column = _used(drift, days)
        if not used:
            raise UsageError("no day could be compared yet", next="trikk watch --once compares what has come in")
        known = {**by_column, MISSING: drift.missing, **used}
        varied: dict[str, float] = {}
        for text in wanted or sorted(used):
            name, _, number = text.partition("=")
            if name not in known:
                raise UnknownName("limit", name, known)
            varied[name] = _number(text, number) if number else known[name]
        if wanted:
            # written down as it is, so that a limit that a column gets of its own is there for X too
            drift = replace(drift, thresholds={**(drift.thresholds or {}), **varied})
        return cls(drift, varied)

    @property
    def is_one(self) -> bool:
        """Whether X is a limit, and not what several are multiplied by."""
        return len(self.varied) == 1

    @property
    def number(self) -> float:
        """What X is now."""
        return next(iter(self.varied.values())) if self.is_one else 1.0

    @property
    def template(self) -> str:
        """The limits with X."""
        if self.is_one:
            return f"X for {next(iter(self.varied))}"
        return f"X times {self.text(1.0)}"

    def at(self, threshold: float) -> dict[str, float]:
        """The limits with a number, by name."""
        if self.is_one:
            return dict.fromkeys(self.varied, threshold)
        return {name: float(f"{limit * threshold:.4g}") for name, limit in self.varied.items()}

    def reached(self, sizes: Mapping[str, float]) -> float:
        """The largest number at which effects drift, by the names of their limits; 0 if there is none."""
        if self.is_one:
            return max(sizes.values(), default=0.0)
        return max((size / self.varied[name] for name, size in sizes.items() if self.varied[name]), default=0.0)

    def of_drift(self, threshold: float) -> Drift:
        """What the monitor would declare."""
        return replace(self.drift, thresholds={**(self.drift.thresholds or {}), **self.at(threshold)})

    def text(self, threshold: float) -> str:
        """The limits with a number, in words."""
        return ", ".join(f"{name} {limit:.6g}" for name, limit in self.at(threshold).items())


def _used(drift: Drift, days: Iterable[DriftRecord]) -> tuple[dict[str, float], dict[str, float]]:
    """The limits that were used, by name, and that of each column on its newest day."""
    used: dict[str, float] = {}
    by_column: dict[str, float] = {}
    for day in sorted(days, key=lambda d: (d.start, d.at)):
        for one in filter(is_measured, day.columns):
            name, limit = drift.limit(one.column, one.method or "")
            used[name] = by_column[one.column] = limit
        if any(effect.limit == MISSING for effect in effects_of(day, drift)):
            used[MISSING] = drift.missing
    return used, by_column


def _number(text: str, number: str) -> float:
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit > 0):
        raise UsageError(f"{text!r} gives no limit", next="write --limit wasserstein=0.3")
    return limit
