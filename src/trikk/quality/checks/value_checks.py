"""Checks of single values: each row passes or fails by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trikk.core.errors import UsageError
from trikk.quality.check import Check, CountedCheck, SeverityName, is_open, refused, some_columns
from trikk.quality.checks.moment_limits import limit_of
from trikk.quality.plan import Plan, Scene, plan_of_rows

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class NotNull(CountedCheck):
    """See `not_null`."""

    kind: ClassVar[str] = "not_null"

    def _asks(self) -> str:
        return f"no value missing in {', '.join(self.columns)}"

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        bad = {name: _is_missing(name, scene.schema[name]) for name in self.columns}
        return plan_of_rows(pl.any_horizontal(bad.values()), bad if len(bad) > 1 else None)


@dataclass(frozen=True, slots=True)
class Between(CountedCheck):
    """See `between`; a limit that is None is none."""

    low: Any = None
    high: Any = None
    kind: ClassVar[str] = "between"

    def _asks(self) -> str:
        (name,) = self.columns
        if self.low is None:
            return f"{name} at most {self.high}"
        return f"{name} at least {self.low}" if self.high is None else f"{name} from {self.low} to {self.high}"

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        (name,) = self.columns
        column, dtype = pl.col(name), scene.schema[name]
        parts = [] if self.low is None else [column < limit_of(self.low, dtype)]
        parts += [] if self.high is None else [column > limit_of(self.high, dtype)]
        parts += [column.is_nan()] if dtype.is_float() else []  # polars puts NaN above all numbers
        return plan_of_rows(pl.any_horizontal(parts))


@dataclass(frozen=True, slots=True)
class OneOf(CountedCheck):
    """See `one_of`."""

    values: Any = ()
    kind: ClassVar[str] = "one_of"

    def _asks(self) -> str:
        texts = [str(value) for value in self.values]
        more = f", ... ({len(texts)} values)" if len(texts) > 10 else ""
        return f"{self.columns[0]} one of {', '.join(texts[:10])}{more}"

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        (name,) = self.columns
        column, dtype = pl.col(name), scene.schema[name]
        values = [value for value in self.values if value is not None]
        if isinstance(dtype, pl.Categorical | pl.Enum):
            column, dtype = column.cast(pl.String), pl.String()
        if isinstance(dtype, pl.Datetime):
            members = pl.concat([pl.select(limit_of(value, dtype).cast(dtype)).to_series() for value in values])
        elif dtype.is_numeric() and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            column, members = _numbers(column, dtype, values)
        else:
            members = pl.Series(values)
        return plan_of_rows(~column.is_in(members.implode()))


@dataclass(frozen=True, slots=True)
class Matches(CountedCheck):
    """See `matches`."""

    pattern: str = ""
    kind: ClassVar[str] = "matches"

    def _asks(self) -> str:
        return f"{self.columns[0]} like {self.pattern}"

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        (name,) = self.columns
        dtype = scene.schema[name]
        if not isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null):
            raise UsageError(f"{name} is {dtype}, not text")
        return plan_of_rows(~pl.col(name).cast(pl.String).str.contains(rf"\A(?:{self.pattern})\z"))


def not_null(*columns: str, allow: float = 0.0, severity: SeverityName = "block", name: str = "") -> Check:
    """No value is missing in any of these columns; a NaN counts as missing."""
    return NotNull(some_columns("not_null", columns), severity, allow, name)


def between(
    column: str,
    low: object = None,
    high: object = None,
    *,
    allow: float = 0.0,
    severity: SeverityName = "block",
    name: str = "",
) -> Check:
    """Values lie in a range, both ends included; nulls do not count, a NaN fails.

    Args:
        column: numbers, dates, times, durations or texts.
        low: the least value, None for no limit.
        high: the greatest value, None for no limit.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: without any limit, or with the low one above the high one.
    """
    if low is None and high is None:
        raise refused("between has no limit", 'give one: between("speed", 0, 130), or between("speed", low=0)')
    if not (low is None or high is None or is_open(low) or is_open(high)):
        try:
            crossed = bool(low > high)  # type: ignore[operator]
        except TypeError as error:
            raise refused(f"between can't compare {low!r} with {high!r}", "give two values of one kind") from error
        if crossed:
            raise refused(f"between {low!r} and {high!r} there is nothing", "give the lower limit first")
    return Between((column,), severity, allow, name, low, high)


def one_of(
    column: str, values: Iterable[object], *, allow: float = 0.0, severity: SeverityName = "block", name: str = ""
) -> Check:
    """Values are members of a set; nulls do not count.

    Raises:
        DefinitionError: if the set is empty or a text.
    """
    members: object = values
    if not is_open(values):
        members = list(dict.fromkeys(values)) if isinstance(values, Sequence) else sorted(values, key=repr)
        if isinstance(values, str) or not members:
            raise refused(f"one_of is given {values!r}", 'give a list: one_of("line", ["1A", "2"])')
    return OneOf((column,), severity, allow, name, members)


def matches(
    column: str, pattern: str, *, allow: float = 0.0, severity: SeverityName = "block", name: str = ""
) -> Check:
    """Texts match a regular expression as a whole; nulls do not count.

    Args:
        column: texts.
        pattern: in the syntax of polars (https://docs.rs/regex): no look-around, no back-references.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.
    """
    return Matches((column,), severity, allow, name, pattern)


def _is_missing(name: str, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    return column.is_null() | column.is_nan().fill_null(value=False) if dtype.is_float() else column.is_null()


def _numbers(column: pl.Expr, dtype: pl.DataType, values: list[Any]) -> tuple[pl.Expr, pl.Series]:
    """A column and a set of numbers in one type: whole numbers as such if both are, else as floats."""
    import polars as pl

    if dtype.is_integer() and all(isinstance(value, int) for value in values):
        return column, pl.Series(values)
    wide = dtype if dtype.is_float() else pl.Float64()
    return column.cast(wide), pl.Series([float(value) for value in values]).cast(wide)
