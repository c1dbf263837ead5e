"""Bad rows set aside: which rows fail, why, and what is left.

What goes on fails no check that blocks, whatever share a check allows. Of rows that repeat a value, the
first that is good otherwise stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from trikk.quality.check import Check
from trikk.quality.plan import Plan
from trikk.quality.row_frames import is_pandas
from trikk.storage.tables.rejected_rows import SCHEMA, rejected_rows

__all__ = ["SCHEMA", "Sorted", "good_rows", "reason_of", "rejected_rows"]


class Sorted(NamedTuple):
    """What a gate with a quarantine gives."""

    good: Any  # the rows that fail no check that blocks; a frame of the kind that was given
    rejected: Any  # the others, as the quarantine holds them: `at`, `run`, `pipeline`, `gate`, `reason`, `row`
    result: dict[str, Any]  # the gate's result, with `set_aside`, the number of rejected rows


def reason_of(plans: Sequence[tuple[Check, Plan]]) -> pl.Expr:
    """For each row the names of the checks that it fails, joined by "; "; null for a good one."""
    marks = {n: plan.bad.fill_null(value=False) for n, (_, plan) in enumerate(plans) if plan.bad is not None}
    bad = pl.any_horizontal(pl.lit(value=False), *marks.values())
    # keys last: the first row of a key that is good otherwise is the one that stays
    for n, (_, plan) in enumerate(plans):
        if plan.key:
            counts = ~bad & pl.all_horizontal(pl.col(name).is_not_null() for name in plan.key)
            marks[n] = counts & ~pl.when(counts).then(pl.struct(plan.key)).is_first_distinct()
            bad = bad | marks[n]
    if not marks:
        return pl.lit(None, dtype=pl.String)
    names = [pl.when(marks[n]).then(pl.lit(plans[n][0].name)) for n in sorted(marks)]
    text = pl.concat_str(names, separator="; ", ignore_nulls=True)
    return pl.when(text != "").then(text)


def good_rows(rows: pl.LazyFrame, reason: pl.Expr, given: Any) -> Any:
    """The rows without a reason, as the kind of frame that was given; lazy if that was a list or lazy."""
    # chosen by a mask, since a way through polars and back could change types and lose an index
    if is_pandas(given) or type(given).__module__.partition(".")[0] == "pyarrow":
        good = rows.select(reason.is_null()).collect().to_series()
        return given[good.to_numpy()] if is_pandas(given) else given.filter(good.to_arrow())
    left = rows.filter(reason.is_null())
    return left.collect() if isinstance(given, pl.DataFrame) else left
