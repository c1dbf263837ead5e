"""How one check is done: what to count in the one pass over the rows, and how to find the rows that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

Values = Mapping[str, Any]
TIMES = "times"
"""The column of a sample of repeated values that says how often each is there."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a check is planned against: the rows, their schema, and the moment that counts as now (UTC)."""

    rows: pl.LazyFrame
    schema: Mapping[str, pl.DataType]
    now: datetime

    def check_columns(self, columns: Iterable[str]) -> None:
        """Refuse columns that are not there, and names that polars would take for many.

        Raises:
            UsageError: that names them.
        """
        names = list(columns)
        pattern = next((n for n in names if n == "*" or (n.startswith("^") and n.endswith("$"))), None)
        if pattern is not None:
            raise UsageError(f"polars takes the name {pattern} for a pattern: rename the column")
        self.check_roots(names)

    def check_roots(self, columns: Iterable[str]) -> None:
        """Refuse columns of an expression that are not there; a pattern stands for those that it fits.

        Raises:
            UsageError: that names them.
        """
        missing = [name for name in columns if name not in self.schema and not name.startswith("^")]
        if missing:
            existing = ", ".join(list(self.schema)[:12]) + (", ..." if len(self.schema) > 12 else "")
            raise UsageError(f"there is no column {', '.join(missing)}; there are: {existing or 'none'}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was counted for one check."""

    rows: int = 0  # the rows that were looked at
    failing: int | None = None  # how many of them fail; None for a check of the whole frame
    facts: Mapping[str, Any] = field(default_factory=dict)  # what was measured, by the kind of check
    problem: str | None = None  # why the check could not run; None if it ran


@dataclass(frozen=True, slots=True)
class Plan:
    """How one check is done."""

    read: Callable[[Values, int], Seen]  # from their values and the number of rows to what was seen
    # aggregates by name, for the pass that all checks share
    counts: Mapping[str, pl.Expr] = field(default_factory=dict)
    failing: Callable[[pl.LazyFrame, int], pl.LazyFrame] | None = None  # the failing rows, lazily, at most so many
    bad: pl.Expr | None = None  # true for a row that fails, where the check is one of single rows
    key: tuple[str, ...] = ()  # the columns of which no two rows may have the same values


def plan_of_rows(bad: pl.Expr, parts: Mapping[str, pl.Expr] | None = None) -> Plan:
    """The plan of a check of each row; `bad` is null where there is nothing to check, `parts` say which column."""
    parts = parts or {}

    def read(values: Values, rows: int) -> Seen:
        counts = {name: values[f"part {name}"] for name in parts}
        detail = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        return Seen(rows, values["failing"], {"detail": detail})

    counts = {f"part {name}": part.sum() for name, part in parts.items()}
    return Plan(read, {"failing": bad.sum(), **counts}, lambda rows, most: rows.filter(bad).head(most), bad)
