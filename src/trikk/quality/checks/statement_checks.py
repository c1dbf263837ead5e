"""The check of the author's own: an expression, SQL text or a function that says what has to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trikk.core.errors import UsageError
from trikk.pipeline.location import first_argument
from trikk.quality.check import Check, CountedCheck, SeverityName, refused
from trikk.quality.plan import Plan, Scene, Seen, Values
from trikk.quality.result_texts import in_short

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 60  # characters of a condition that its name holds


@dataclass(frozen=True, slots=True)
class Holds(CountedCheck):
    """See `holds`. One of `sql`, `expression` and `function` is given; the latter stand for `what` in graphs."""

    sql: str | None = None  # the condition as SQL text
    expression: str | None = None  # the polars expression as text
    says: str | None = None  # how the author wrote it
    function: str | None = None  # where the function is
    kind: ClassVar[str] = "holds"
    optional: ClassVar[tuple[str, ...]] = ("sql", "expression", "says", "function")

    def _asks(self) -> str:
        return str(self.says or next(iter(self.settings.values())))

    def _plan(self, scene: Scene) -> Plan:
        import polars as pl

        if self.function is not None:
            return self._plan_of_function(scene)
        stated = self._stated()
        scene.check_roots(dict.fromkeys(stated.meta.root_names()))
        dtypes = scene.rows.select(stated).collect_schema()
        wrong = next((dtype for dtype in dtypes.values() if dtype != pl.Boolean), None)
        if wrong is not None or not dtypes:
            raise UsageError(f"it gives {wrong}, neither true nor false")
        good = pl.all_horizontal(stated)
        counts = {"len": good.len(), "nulls": good.null_count(), "failing": (~good).sum()}

        def read(values: Values, rows: int) -> Seen:
            if values["len"] != 1 or (rows == 1 and not _is_of_the_frame(good, scene.rows)):
                return Seen(values["len"], values["failing"])
            if not values["nulls"]:
                return Seen(rows, values["failing"], {"whole": True})
            return Seen(rows, 1, {"whole": True, "null": True}) if rows else Seen()

        return Plan(read, counts, lambda rows, most: rows.filter(~good).head(most), ~good)

    def _stated(self) -> Any:
        import polars as pl

        if self.sql is None:
            return self.what
        try:
            stated = pl.sql_expr(self.sql)
        except pl.exceptions.PolarsError as error:
            raise UsageError(f"it is not an SQL expression: {in_short(str(error))}") from None
        return stated

    def _plan_of_function(self, scene: Scene) -> Plan:
        import polars as pl

        answer = self.what(scene.rows)
        if type(answer).__name__ in ("bool", "bool_"):
            return Plan(lambda _, rows: Seen(rows, int(not answer), {"whole": True}))
        if isinstance(answer, pl.DataFrame | pl.LazyFrame):
            failing = answer.lazy()
            count = failing.select(pl.len()).collect(engine="streaming").item()
            return Plan(lambda _, rows: Seen(rows, count), failing=lambda _, most: failing.head(most))
        raise UsageError(f"it returned {type(answer).__name__}, neither a bool nor a frame of the failing rows")

    def verdict(self, seen: Seen) -> tuple[bool, str]:
        """As of any check of rows; what is said of the whole frame is so, or not."""
        if seen.facts.get("null"):
            return False, "it is null, neither true nor false: there is no value to tell it from"
        if seen.facts.get("whole"):
            return not seen.failing, "it is not so" if seen.failing else "it is so"
        return CountedCheck.verdict(self, seen)


def holds(what: object, *, allow: float = 0.0, severity: SeverityName = "block", name: str = "") -> Check:
    """Something of your own holds.

    Args:
        what: a polars expression that is true for good rows or true for the whole frame
            (`pl.col("arrived") >= pl.col("departed")`); the same as SQL text (`"arrived >= departed"`); or a
            function that is given the rows as a LazyFrame and returns a bool, or a frame of the failing rows. As
            in an SQL CHECK, a null of a row does not fail; one of the whole frame does.
        allow: the share of rows that may fail.
        severity: what a failure means.
        name: how results call it; what is written in the call if not given.

    Raises:
        DefinitionError: if it is not one of these.
    """
    if isinstance(what, str):
        return Holds((), severity, allow, name or f"holds({what})", sql=what)
    if type(what).__module__.partition(".")[0] == "polars" and hasattr(what, "meta"):
        # Polars writes literals so; without it the label is what the author wrote.
        text = str(what).replace("dyn int: ", "").replace("dyn float: ", "")
        columns = ", ".join(dict.fromkeys(what.meta.root_names()))
        written = first_argument()
        says = written or f"a condition on {columns or 'the rows'}"
        short = written if written and len(written) <= _SHOWN else columns
        label = name or f"holds({short})"
        return Holds((), severity, allow, label, expression=text, says=says, what=what)
    if callable(what):
        place = f"{getattr(what, '__module__', '')}:{getattr(what, '__qualname__', type(what).__qualname__)}"
        short = getattr(what, "__name__", "function")
        return Holds((), severity, allow, name or f"holds({short})", function=place, what=what)
    raise refused(f"holds is given {what!r}", "give a polars expression, SQL text or a function of the rows")


def _is_of_the_frame(good: pl.Expr, one_row: pl.LazyFrame) -> bool:
    """Whether an expression says one thing of all rows, which a single row does not show: of two it does."""
    import polars as pl

    from trikk.quality.row_frames import FAILURES

    row = one_row.collect()
    try:
        return pl.concat([row, row]).lazy().select(good).collect().height == 1
    except FAILURES:
        return True  # `item()` and the like: it is for one row only, so that it is of the frame
