"""Checks of keys: that they are unique, and that they are found in another table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from trikk.core.errors import UsageError
from trikk.quality.check import Check, CountedCheck, SeverityName, reference_rows, refused, some_columns
from trikk.quality.plan import TIMES, Plan, Scene, Seen, Values, plan_of_rows

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Unique(CountedCheck):
    """See `unique`."""

    kind: ClassVar[str] = "unique"

    def _asks(self) -> str:
        return f"{', '.join(self.columns)} unique{' together' if len(self.columns) > 1 else ''}"

    def _plan(self, scene: Scene) -> Plan:  # noqa: ARG002 - any type will do
        import polars as pl

        key = pl.col(self.columns[0]) if len(self.columns) == 1 else pl.struct(self.columns)
        partial = pl.any_horizontal(pl.col(name).is_null() for name in self.columns)
        counts = {
            "len": pl.len(),
            "values": key.n_unique(),
            "partial": partial.sum(),
            # A null in a key compares to nothing, as in SQL: such rows are taken off both sides.
            "partial_values": key.filter(partial).n_unique(),
        }

        def read(values: Values, rows: int) -> Seen:
            whole = values["len"] - values["partial"]
            return Seen(rows, whole - (values["values"] - values["partial_values"]))

        def failing(rows: pl.LazyFrame, most: int) -> pl.LazyFrame:
            keys = rows.filter(~partial).group_by(self.columns).agg(pl.len().alias(TIMES))
            order = [True, *(False for _ in self.columns)]
            return keys.filter(pl.col(TIMES) > 1).sort([TIMES, *self.columns], descending=order).head(most)

        return Plan(read, counts, failing, key=self.columns)


@dataclass(frozen=True, slots=True)
class RefersTo(CountedCheck):
    """See `refers_to`."""

    reference: Any = None
    to: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "refers_to"

    def _asks(self) -> str:
        return f"{', '.join(self.columns)} found in the reference's {', '.join(self.to)}"

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        from trikk.quality.row_frames import lazy_of

        reference = lazy_of(self.reference)
        schema = reference.collect_schema()
        absent = [name for name in self.to if name not in schema]
        if absent:
            raise UsageError(f"the reference has no column {', '.join(absent)}; it has: {', '.join(schema)}")
        pairs = list(zip(self.columns, self.to, strict=True))
        keys = reference.select(
            _alike(pl.col(to), schema[to], scene.schema[name]).alias(name) for name, to in pairs
        )
        # The reference alone is held in memory, each key once; the rows stream past it.
        known = keys.drop_nulls().unique().collect(engine="streaming")
        is_single = len(pairs) == 1
        key = pl.col(self.columns[0]) if is_single else pl.struct(self.columns)
        members = known.to_series() if is_single else known.to_struct()
        whole = pl.all_horizontal(pl.col(name).is_not_null() for name in self.columns)
        return plan_of_rows(whole & ~key.is_in(members.implode()))


def unique(*columns: str, allow: float = 0.0, severity: SeverityName = "block", name: str = "") -> Check:
    """No two rows have the same values in these columns together; rows with a null among them do not count.

    Failing are the rows beyond the first of each value.
    """
    return Unique(some_columns("unique", columns), severity, allow, name)


def refers_to(
    columns: str | Sequence[str],
    reference: object,
    to: str | Sequence[str] | None = None,
    *,
    allow: float = 0.0,
    severity: SeverityName = "block",
    name: str = "",
) -> Check:
    """Every value is found in another table; rows with a null among the columns do not count.

    Args:
        columns: one column, or several that are looked up together.
        reference: a `Table`, the output of a step, or outside of a pipeline a frame.
        to: the columns there, if they are called otherwise.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: instead of the check's own.

    Raises:
        DefinitionError: if there are not as many columns there as here.
    """
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    referred = names if to is None else (to,) if isinstance(to, str) else tuple(to)
    if not names or len(names) != len(referred):
        raise refused(
            f"refers_to compares {list(names)} with {list(referred)}", "name as many columns there as here"
        )
    return RefersTo(names, severity, allow, name, reference_rows(reference), list(referred))


def _alike(column: pl.Expr, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """A reference's column in the type of the column that is looked up in it.

    What that type can't say (a number that does not fit, or is not whole) is null, and never looked for.
    """
    import polars as pl

    if dtype.is_float() and wanted.is_integer():
        return pl.when(column == column.floor()).then(column).cast(wanted, strict=False)
    numbers = dtype.is_integer() and (wanted.is_integer() or wanted.is_float())
    texts = (pl.String, pl.Categorical, pl.Enum)
    times = (
        isinstance(dtype, pl.Datetime) and isinstance(wanted, pl.Datetime) and dtype.time_zone == wanted.time_zone
    )
    if numbers or times or (isinstance(dtype, texts) and isinstance(wanted, texts)):
        return column.cast(wanted, strict=False)
    return column
