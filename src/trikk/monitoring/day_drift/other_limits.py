"""What other limits would have said of a day, from what was recorded of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trikk.drift import ColumnDrift
from trikk.drift.drift_verdict import Limits, decided_anew, missing_changed
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord
from trikk.monitoring.day_drift.judgement import concluded

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Effect:
    """A change that is more than chance, so that the limit decides whether it is a drift.

    Attributes:
        column: of which column.
        limit: what the limit is called in `Drift(thresholds=...)`: a method, a column, or "missing".
        size: how large it is; a drift from this limit downwards.
    """

    column: str
    limit: str
    size: float


def effects_of(record: DriftRecord, drift: Drift) -> tuple[Effect, ...]:
    """The significant changes of a day.

    Args:
        record: what was found of it.
        drift: what names the limits and the level of significance.
    """
    effects = []
    for one in record.columns:
        if is_measured(one) and (one.adjusted or 0.0) <= drift.alpha:
            effects.append(Effect(one.column, drift.limit(one.column, one.method or "")[0], one.effect or 0.0))
        missing = missing_changed(one, drift.alpha)
        if missing is not None:
            effects.append(Effect(one.column, MISSING, missing))
    return tuple(effects)


def is_measured(column: ColumnDrift) -> bool:
    """Whether a column's values were compared, so that with no limit it is without a verdict."""
    return column.method is not None and column.effect is not None and column.adjusted is not None


def judged_anew(record: DriftRecord, drift: Drift) -> DriftRecord:
    """A day with the verdict that these limits give it.

    Args:
        record: what was found of it.
        drift: what has the limits, the level of significance and the least number of values.
    """
    if not record.columns:
        return record
    columns = []
    for one in record.columns:
        limit = drift.limit(one.column, one.method)[1] if one.method else 0.0
        columns.append(decided_anew(one, Limits(limit, drift.missing, drift.alpha, drift.minimum)))
    if columns == list(record.columns):
        return record
    verdict, headline = concluded(columns)
    return replace(record, columns=tuple(columns), verdict=verdict, headline=headline)
