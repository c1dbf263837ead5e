"""Rows that are set aside, as a table has them: when and where, why, and the row itself as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from trikk.storage.row_json import as_json

SCHEMA = {
    "at": pl.Datetime("us", "UTC"),
    "run": pl.String(),
    "pipeline": pl.String(),
    "gate": pl.String(),
    "reason": pl.String(),
    "row": pl.String(),
}
"""The table of rejected rows: one for all gates and models, since a row is JSON text whatever its columns."""


def rejected_rows(
    rows: pl.LazyFrame, reason: pl.Expr, about: Mapping[str, Any], beside: Sequence[str] = ()
) -> pl.DataFrame:
    """The rows with a reason, in the form of the quarantine's table.

    Args:
        rows: all rows.
        reason: why each is rejected; null for a good one.
        about: `at` (UTC), `run`, `pipeline`, `gate`.
        beside: more columns to keep in their own types, behind the others. A column of the table that is called
            like one of them has `set_aside_` before its name.
    """
    schema = rows.collect_schema()
    own = [pl.col(name).alias(f"_{name}") for name in beside]
    marked = rows.select(pl.struct(pl.all()).alias("row"), reason.alias("reason"), *own)
    failing = marked.filter(pl.col("reason").is_not_null())
    written = failing.with_columns(as_json(pl.col("row"), pl.Struct(schema)).alias("row")).collect(
        engine="streaming"
    )
    return written.select(
        *(
            (pl.lit(about[name], dtype=dtype) if name in about else pl.col(name)).alias(
                f"set_aside_{name}" if name in beside else name
            )
            for name, dtype in SCHEMA.items()
        ),
        *(pl.col(f"_{name}").alias(name) for name in beside),
    )
