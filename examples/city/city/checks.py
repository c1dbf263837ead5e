"""What counts must be like before anything is learnt from them."""

from __future__ import annotations

import polars as pl

from trikk.quality import between, has_columns, not_null, row_count, unique

COUNTS = [
    has_columns({"sensor": pl.String, "slot": pl.Datetime("us", "UTC"), "count": pl.Int32}),
    row_count(at_least=1),
    not_null("sensor", "slot"),
    not_null("count", allow=0.35, severity="warn", name="dead counters"),
    unique("sensor", "slot"),
    between("count", 0, 20_000, allow=0.0),
]
