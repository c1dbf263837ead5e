"""Checks of the frame as a whole: its columns, the number of its rows, the newest of its times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from trikk.core.durations import Duration, seconds
from trikk.core.errors import UsageError
from trikk.quality.check import Check, CountedCheck, SeverityName, is_open, refused
from trikk.quality.checks.moment_limits import in_utc, moment_text
from trikk.quality.plan import Plan, Scene, Seen, Values
from trikk.quality.result_texts import age_text


@dataclass(frozen=True, slots=True)
class HasColumns(CountedCheck):
    """See `has_columns`."""

    # the polars types of some of the columns, as text; None where only names are given
    types: Mapping[str, str] | None = None
    only: bool = False  # whether other columns are a failure
    kind: ClassVar[str] = "has_columns"
    needs_rows: ClassVar[bool] = False
    optional: ClassVar[tuple[str, ...]] = ("types",)

    def _asks(self) -> str:
        types = self.types or {}
        listed = ", ".join(f"{name} ({types[name]})" if name in types else name for name in self.columns)
        return f"columns {listed}{' and no other' if self.only else ''}"

    def plan(self, scene: Scene) -> Plan:
        """The schema is all that it needs: columns that are not there are what it finds."""
        return self._plan(scene)

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        dtypes = {name: str(dtype) for name, dtype in scene.schema.items()}
        bases = {name: str(dtype.base_type()) for name, dtype in scene.schema.items()}
        facts = {
            "missing": [name for name in self.columns if name not in dtypes],
            "wrong": {
                name: (dtypes[name], dtype)
                for name, dtype in (self.types or {}).items()
                # A column of nulls has no type yet, and fits any.
                if name in dtypes and dtype not in (dtypes[name], bases[name]) and scene.schema[name] != pl.Null
            },
            "extra": [name for name in dtypes if name not in self.columns],
            "columns": len(dtypes),
        }
        return Plan(lambda _, rows: Seen(rows, facts=facts))

    def verdict(self, seen: Seen) -> tuple[bool, str]:
        """Whether all columns are there, and of the wanted types."""
        facts = seen.facts
        wrong = [f"{name} is {dtype}, not {wanted}" for name, (dtype, wanted) in facts["wrong"].items()]
        parts = [f"no column {', '.join(facts['missing'])}"] if facts["missing"] else []
        parts += [", ".join(wrong)] if wrong else []
        parts += [f"unexpected: {', '.join(facts['extra'])}"] if facts["extra"] and self.only else []
        return not parts, "; ".join(parts) or f"{facts['columns']} columns"


@dataclass(frozen=True, slots=True)
class RowCount(CountedCheck):
    """See `row_count`; a limit that is None is none."""

    at_least: Any = None
    at_most: Any = None
    kind: ClassVar[str] = "row_count"
    needs_rows: ClassVar[bool] = False

    def _asks(self) -> str:
        if self.at_least == self.at_most:
            return f"{self.at_least:,} rows"
        if self.at_least is None:
            return f"at most {self.at_most:,} rows"
        if self.at_most is None:
            return f"at least {self.at_least:,} rows"
        return f"{self.at_least:,} to {self.at_most:,} rows"

    def _plan(self, scene: Scene) -> Plan:  # noqa: ARG002 - it needs no column
        return Plan(lambda _, rows: Seen(rows, facts={"rows": rows}))

    def verdict(self, seen: Seen) -> tuple[bool, str]:
        """Whether the number of rows is within the limits."""
        rows = seen.facts["rows"]
        good = (self.at_least is None or rows >= self.at_least) and (self.at_most is None or rows <= self.at_most)
        return good, f"{rows:,} rows"


@dataclass(frozen=True, slots=True)
class Fresh(CountedCheck):
    """See `fresh`."""

    within: float = 0.0  # how old the newest time may be, in seconds
    now: Any = None  # what to count from; None for the run's moment
    kind: ClassVar[str] = "fresh"

    def _asks(self) -> str:
        return f"newest {self.columns[0]} no older than {age_text(self.within)}"

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        (name,) = self.columns
        dtype = scene.schema[name]
        if not isinstance(dtype, pl.Date | pl.Datetime | pl.Null):
            raise UsageError(f"{name} is {dtype}, not a date or time")
        column = pl.col(name) if isinstance(dtype, pl.Datetime) else pl.col(name).cast(pl.Datetime("us"))
        zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
        # A time without a zone is taken as UTC, whatever machine the run is on.
        column = column.dt.convert_time_zone("UTC") if zone else column.dt.replace_time_zone("UTC")
        now = scene.now if self.now is None else in_utc(self.now)
        past = column <= pl.lit(now)
        counts = {"newest": column.filter(past).max(), "later": (~past).sum()}

        def read(values: Values, rows: int) -> Seen:
            newest = values["newest"]
            age = None if newest is None else (now - newest).total_seconds()
            facts = {
                "age": age,
                "newest": moment_text(newest),
                "now": moment_text(now),
                "later": values["later"] or 0,
            }
            return Seen(rows, facts=facts)

        return Plan(read, counts)

    def verdict(self, seen: Seen) -> tuple[bool, str]:
        """Whether the newest time is recent; times in the future are told."""
        facts = seen.facts
        note = f"; in the future: {facts['later']:,} rows" if facts["later"] else ""
        if facts["age"] is None:
            return False, f"no time up to {facts['now']}{note}"
        shown = f"newest {facts['newest']}, {age_text(facts['age'])} before {facts['now']}{note}"
        return facts["age"] <= self.within, shown


def has_columns(
    columns: Mapping[str, Any] | Iterable[str],
    *,
    only: bool = False,
    severity: SeverityName = "block",
    name: str = "",
) -> Check:
    """The schema: columns that must be there.

    Args:
        columns: names, or names with polars types (`pl.Int64`, `"Int64"`, `pl.Datetime("us", "UTC")`); a type
            without its details, such as `pl.Datetime`, stands for all of its kind.
        only: whether other columns are a failure.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if no columns are given.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    if not names:
        raise refused("has_columns is given no columns", 'name some: has_columns(["id", "at"])')
    types = {str(key): str(dtype) for key, dtype in columns.items()} if isinstance(columns, Mapping) else None
    return HasColumns(tuple(names), severity, name=name or "has_columns", types=types, only=only)


def row_count(
    at_least: int | None = 1, at_most: int | None = None, *, severity: SeverityName = "block", name: str = ""
) -> Check:
    """The number of rows lies in a range, both ends included; at least one unless told otherwise.

    Raises:
        DefinitionError: without any limit, or with the low one above the high one.
    """
    if at_least is None and at_most is None:
        raise refused("row_count has no limit", "give one: row_count(at_least=1000)")
    limits = [v for v in (at_least, at_most) if v is not None and not is_open(v)]
    if not all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in limits) or limits != sorted(
        limits
    ):
        raise refused(f"row_count({at_least!r}, {at_most!r})", "give whole numbers from 0, the lower one first")
    return RowCount((), severity, name=name or "row_count", at_least=at_least, at_most=at_most)


def fresh(
    column: str, within: Duration, *, now: object = None, severity: SeverityName = "block", name: str = ""
) -> Check:
    """The newest time in a column is recent; times that lie in the future do not count.

    Args:
        column: dates or times; times without a zone are taken as UTC, a date as its first moment.
        within: how old the newest may be: "90m", "36h", seconds or a timedelta.
        now: the time to count from, a date or datetime or what will be one in the run; the moment at which the
            run was created if not given, so that a replay comes to the same verdict.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if `within` is not a duration.
    """
    try:
        age = seconds(within, what="within")
    except UsageError as error:
        raise refused(error.what, error.next or "") from error
    return Fresh((column,), severity, name=name, within=age, now=now)
