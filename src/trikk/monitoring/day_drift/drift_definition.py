"""`Drift`: what of a monitor's days is compared with which earlier days, as an author declares it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.pipeline.table_reference import Table

if TYPE_CHECKING:
    from trikk.drift import Reference

PARTS = ("features", "predictions", "truth", "error")
OF_A_DAY = {"ks": 0.2, "wasserstein": 0.25, "psi": 0.2}
"""The least effect that counts for one day: more than for independent rows, as those of a day have its weather in
common. Measured on 244 days of counts of people (docs/monitoring.md)."""

OF_ERRORS = 0.35
"""The same for errors, by Kolmogorov and Smirnov: most of an ordinary day's errors lie on one side."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Compare each day of a monitor with days before: `Monitor(..., drift=Drift())`.

    Args:
        columns: the features to compare; None for all columns of the predictions, or of `table`, that are neither
            the key, the slot, the baseline, ids nor times. Beside them stand prediction, truth and error.
        of: features, predictions, truth, error; predictions are always compared.
        reference: `trikk.drift.SlidingWindow`, `FixedWindow`, or `TrainingData`: here the 84 days before the model
            version that made the day's predictions was registered. None for the 28 days before.
        same_weekday: compare a Sunday with Sundays only.
        methods: one for all columns, or by column; else by type and size (docs/drift.md), and ks for errors.
        thresholds: the least effect that counts, by method, by column, or for "missing"; else 0.2 for ks and psi,
            0.25 for wasserstein, 0.1 for the others, and 0.35 for errors by ks.
        alpha: the level of significance, corrected for all columns of a day.
        minimum: values on each side below which data are insufficient.
        table: a table with the features instead of the predictions: it needs the monitor's slot column.

    Raises:
        UsageError: if something in it can't work.
    """

    columns: Sequence[str] | None = None
    of: Sequence[str] = PARTS
    reference: Reference | None = None
    same_weekday: bool = True
    methods: str | Mapping[str, str] | None = None
    thresholds: Mapping[str, float] | None = None
    alpha: float = 0.05
    minimum: int = 100
    table: Table | None = None

    def __post_init__(self) -> None:
        from trikk.drift import Method

        for part in self.of:
            if part not in PARTS:
                raise UsageError(f"drift is of no {part!r}", next=f"use {', '.join(PARTS)}")
        if isinstance(self.columns, str):
            raise UsageError(f"columns={self.columns!r} is not a list", next=f"write columns=[{self.columns!r}]")
        methods = [self.methods] if isinstance(self.methods, str) else list((self.methods or {}).values())
        for method in methods:
            if method not in [*Method]:
                raise UsageError(f"there is no method {method!r} of drift", next=f"use {', '.join([*Method])}")
        for name, limit in (self.thresholds or {}).items():
            if not (math.isfinite(limit) and limit >= 0):
                raise UsageError(f"the threshold of {name} is {limit}", next="give 0 or more")
        if not 0 < self.alpha < 1 or self.minimum < 2:
            raise UsageError(
                f"alpha={self.alpha}, minimum={self.minimum}", next="give alpha between 0 and 1, minimum 2 or more"
            )

    @property
    def matched(self) -> Reference:
        """What a day is compared with, by weekday if that is wanted."""
        from trikk.drift import SlidingWindow, TrainingData

        reference = self.reference or SlidingWindow(days=28)
        if isinstance(reference, TrainingData) or not self.same_weekday:
            return reference
        return replace(reference, matching="weekday")

    def options(self, columns: Sequence[str], *, numeric_error: bool) -> dict[str, Any]:
        """The options of `trikk.drift.column_comparison` for these columns.

        Args:
            columns: those that are compared; methods for others are left out.
            numeric_error: whether the error is a number.
        """
        methods = self.methods
        if not isinstance(methods, str):
            methods = {name: method for name, method in (methods or {}).items() if name in columns}
            if numeric_error and "error" in columns and "error" not in methods:
                methods["error"] = "ks"
        thresholds = self._limits(numeric_error=numeric_error and "error" in columns)
        return {"methods": methods, "thresholds": thresholds, "alpha": self.alpha, "minimum": self.minimum}

    def _limits(self, *, numeric_error: bool) -> dict[str, float]:
        """The limits that hold here and not in `trikk.drift` for all, by method, column, or for "missing"."""
        own = isinstance(self.methods, str) or "error" in (self.methods or {})
        of_error = {"error": OF_ERRORS} if numeric_error and not own else {}
        return {**OF_A_DAY, **of_error, **(self.thresholds or {})}

    def limit(self, column: str, method: str) -> tuple[str, float]:
        """What a column's limit is called in `thresholds`, the column or its method, and how much it is.

        Args:
            column: the column, or "error".
            method: what was measured of it.
        """
        from trikk.drift.measures.methods import OF_NUMBERS, THRESHOLDS

        limits = {**THRESHOLDS, **self._limits(numeric_error=column == "error" and method in OF_NUMBERS)}
        name = column if column in limits else method
        return name, limits[name]

    @property
    def missing(self) -> float:
        """The limit of the change in the share of missing values."""
        from trikk.drift.measures.methods import THRESHOLDS

        return self._limits(numeric_error=False).get("missing", THRESHOLDS["missing"])

    def written(self) -> str:
        """The declaration in Python, without what is left at its default."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default or (isinstance(value, Mapping) and not value):
                continue
            if isinstance(value, Table):
                text = f"Table({json.dumps(value.table_name)})"
            elif isinstance(value, str | Mapping | Sequence):
                text = json.dumps(value, ensure_ascii=False)
            else:
                text = repr(value).replace("datetime.", "")
            parts.append(f"{field.name}={text}")
        return f"Drift({', '.join(parts)})"

    def to_json(self) -> dict[str, JSON]:
        """The definition as JSON."""
        return {
            "columns": None if self.columns is None else list(self.columns),
            "of": list(self.of),
            "reference": None if self.reference is None else _written(self.reference),
            "same_weekday": self.same_weekday,
            "methods": self.methods if isinstance(self.methods, str) else dict(self.methods or {}),
            "thresholds": dict(self.thresholds or {}),
            "alpha": self.alpha,
            "minimum": self.minimum,
            "table": None if self.table is None else self.table.table_name,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Drift:
        """The definition that `to_json` wrote."""
        arguments = {name: data[name] for name in cls.__slots__ if name in data}
        reference, table = arguments.get("reference"), arguments.get("table")
        arguments["reference"] = None if reference is None else _read(reference)
        arguments["table"] = None if table is None else Table(table)
        arguments["of"] = tuple(arguments.get("of", PARTS))
        return cls(**{**arguments, "methods": arguments.get("methods") or None})


def _written(reference: Reference) -> dict[str, JSON]:
    from dataclasses import asdict

    arguments = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(reference).items()
    }
    return {"kind": type(reference).__name__, **arguments}


def _read(data: Mapping[str, Any]) -> Reference:
    from trikk.drift import FixedWindow, SlidingWindow, TrainingData

    given = {name: value for name, value in data.items() if name != "kind"}
    if data["kind"] == "FixedWindow":
        moments = {name: datetime.fromisoformat(given[name]) for name in ("start", "end")}
        return FixedWindow(**{**given, **moments})
    return SlidingWindow(**given) if data["kind"] == "SlidingWindow" else TrainingData()
