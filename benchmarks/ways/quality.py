"""Ten checks of a gate, and one polars query for the same: on rows that pass, and where some fail three."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from benchmarks.ways.commands import own_folder
from trikk.quality import (
    GateBlocked,
    between,
    fresh,
    has_columns,
    holds,
    matches,
    not_null,
    one_of,
    quality_gate,
    row_count,
    unique,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(days=30)
LINES = ["1A", "2", "3", "14"]
CODE = r"[A-Z]{2}-\d{4}"
SCHEMA = {"id": pl.Int64, "x": pl.Float64, "y": pl.Float64, "line": pl.String, "code": pl.String}
CHECKS = [
    has_columns(SCHEMA),
    row_count(1000),
    not_null("x"),
    unique("id"),
    between("x", -10, 10),
    between("y", 0, 1),
    one_of("line", LINES),
    matches("code", CODE),
    fresh("at", "1d", now=END),
    holds(pl.col("left") >= pl.col("entered")),
]


def rows_of(count: int, kind: str) -> pl.LazyFrame:
    """Rows that pass all checks, in memory or from Parquet; `bad`: a thousandth of them fails three."""
    random = np.random.default_rng(7)
    entered = random.integers(0, 50, count)
    seconds = random.integers(0, 30 * 86_400, count) * 1_000_000
    codes = pl.Series([f"AB-{number}" for number in range(1000, 10_000)])
    rows = pl.DataFrame(
        {
            "id": random.permutation(count),
            "x": random.normal(size=count).clip(-9, 9),
            "y": random.random(count),
            "line": pl.Series(LINES)[random.integers(0, len(LINES), count)],
            "code": codes[random.integers(0, len(codes), count)],
            "at": pl.Series(seconds + int(START.timestamp()) * 1_000_000).cast(pl.Datetime("us", "UTC")),
            "entered": entered,
            "left": entered + random.integers(0, 9, count),
        }
    )
    if kind == "bad":
        some = pl.int_range(pl.len()) % 1000 == 0
        rows = rows.with_columns(
            x=pl.when(some).then(None).otherwise("x"),
            y=pl.when(some).then(-1.0).otherwise("y"),
            line=pl.when(some).then(pl.lit("?")).otherwise("line"),
        )
    if kind != "parquet":
        return rows.lazy()
    rows.write_parquet(own_folder() / "rows.parquet", compression="lz4")
    return pl.scan_parquet(own_folder() / "rows.parquet")


def by_hand(size: int, kind: str) -> Callable[[], bool]:
    """The ten checks as one would write them without a library."""
    rows = rows_of(size, kind)

    def run() -> bool:
        schema = rows.collect_schema()
        answer = (
            rows.select(
                rows=pl.len(),
                nulls=pl.col("x").null_count() + pl.col("x").is_nan().sum(),
                ids=pl.col("id").n_unique(),
                x=(~pl.col("x").is_between(-10, 10)).sum(),
                y=(~pl.col("y").is_between(0, 1)).sum(),
                line=(~pl.col("line").is_in(LINES)).sum(),
                code=(~pl.col("code").str.contains(rf"^{CODE}$")).sum(),
                newest=pl.col("at").filter(pl.col("at") <= END).max(),
                order=(pl.col("left") < pl.col("entered")).sum(),
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )
        bad = sum(answer[name] for name in ("nulls", "x", "y", "line", "code", "order"))
        return (
            all(schema.get(name) == dtype for name, dtype in SCHEMA.items())
            and answer["rows"] >= 1000
            and answer["ids"] == answer["rows"]
            and bad == 0
            and END - answer["newest"] <= timedelta(days=1)
        )

    return run


def by_gate(size: int, kind: str) -> Callable[[], bool]:
    """The ten checks as a gate."""
    rows = rows_of(size, kind)

    def run() -> bool:
        try:
            return bool(quality_gate(rows, CHECKS)["passed"])
        except GateBlocked:
            return False

    return run


def by_pandera(size: int, kind: str) -> Callable[[], bool]:
    """Seven of the ten checks as a Pandera schema in a gate."""
    import pandera.polars as pa

    schema = pa.DataFrameSchema(
        {
            "id": pa.Column(pl.Int64, unique=True),
            "x": pa.Column(pl.Float64, pa.Check.in_range(-10, 10), nullable=False),
            "y": pa.Column(pl.Float64, pa.Check.in_range(0, 1)),
            "line": pa.Column(pl.String, pa.Check.isin(LINES)),
            "code": pa.Column(pl.String, pa.Check.str_matches(rf"^{CODE}$")),
        }
    )
    rows = rows_of(size, kind)
    return lambda: bool(quality_gate(rows, schema)["passed"])
