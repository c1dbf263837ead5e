"""Bad rows set aside: which rows fail, why, and what is left.

What goes on fails no check that blocks, whatever share a check allows. Of rows that repeat a value, the
first that is good otherwise stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from trikk.quality.check import Check
from trikk.quality.plan import Plan
from trikk.quality.row_json import as_json
from trikk.quality.rows import is_pandas

SCHEMA = {
    "at": pl.Datetime("us", "UTC"),
    "run": pl.String(),
    "pipeline": pl.String(),
    "gate": pl.String(),
    "reason": pl.String(),
    "row": pl.String(),
}
"""The table of rejected rows: one for the rows of all gates, since a row is JSON text whatever its columns."""


class Sorted(NamedTuple):
    """What a gate with a quarantine gives.

    Attributes:
        good: the rows that fail no check that blocks; a frame of the kind that was given.
        rejected: the others, as the quarantine holds them: `at`, `run`, `pipeline`, `gate`, `reason`, `row`.
        result: the gate's result, with `set_aside`, the number of rejected rows.
    """

    good: Any
    rejected: Any
    result: dict[str, Any]


def reason_of(plans: Sequence[tuple[Check, Plan]]) -> pl.Expr:
    """For each row the names of the checks that it fails, joined by "; "; null for a good one."""
    marks = {n: made.bad.fill_null(value=False) for n, (_, made) in enumerate(plans) if made.bad is not None}
    bad = pl.any_horizontal(pl.lit(value=False), *marks.values())
    for n, (_, made) in enumerate(plans):
        if made.key:
            counts = ~bad & pl.all_horizontal(pl.col(name).is_not_null() for name in made.key)
            marks[n] = counts & ~pl.when(counts).then(pl.struct(made.key)).is_first_distinct()
            bad = bad | marks[n]
    if not marks:
        return pl.lit(None, dtype=pl.String)
    names = [pl.when(marks[n]).then(pl.lit(plans[n][0].name)) for n in sorted(marks)]
    text = pl.concat_str(names, separator="; ", ignore_nulls=True)
    return pl.when(text != "").then(text)


def good_rows(rows: pl.LazyFrame, reason: pl.Expr, given: Any) -> Any:
    """The rows without a reason, as the kind of frame that was given; lazy if that was a list or lazy."""
    if is_pandas(given) or type(given).__module__.partition(".")[0] == "pyarrow":
        good = rows.select(reason.is_null()).collect().to_series()
        return given[good.to_numpy()] if is_pandas(given) else given.filter(good.to_arrow())
    left = rows.filter(reason.is_null())
    return left.collect() if isinstance(given, pl.DataFrame) else left


def rejected_rows(rows: pl.LazyFrame, reason: pl.Expr, about: Mapping[str, Any]) -> pl.DataFrame:
    """The rows with a reason, in the form of the quarantine's table.

    Args:
        rows: all rows.
        reason: as `reason_of` gives it.
        about: `at` (UTC), `run`, `pipeline`, `gate`.
    """
    schema = rows.collect_schema()
    marked = rows.select(pl.struct(pl.all()).alias("row"), reason.alias("reason"))
    failing = marked.filter(pl.col("reason").is_not_null())
    found = failing.with_columns(as_json(pl.col("row"), pl.Struct(schema)).alias("row")).collect(
        engine="streaming"
    )
    return found.select(
        pl.lit(about[name], dtype=dtype).alias(name) if name in about else pl.col(name)
        for name, dtype in SCHEMA.items()
    )
