"""`python -m benchmarks.quality`: ten checks of a gate beside one hand-written polars query for the same.

- the query: one `select` of ten aggregates over a lazy frame, and the comparison of their values;
- the gate: `quality_gate` with the ten checks, on rows that all pass, and on rows of which some fail three checks
  (whose failing rows are then looked up);
- a Pandera schema for what it can say of these checks, given to the gate as it is.

All in one process, on the same rows, in turns; once over a frame in memory and once over a Parquet file. A figure
is the median of `--repeat` rounds, ratios are against the query over the same rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import machine
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
CHECKS = [
    has_columns({"id": pl.Int64, "x": pl.Float64, "y": pl.Float64, "line": pl.String, "code": pl.String}),
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


def rows_of(count: int) -> pl.DataFrame:
    """Rows that pass all checks."""
    random = np.random.default_rng(7)
    entered = random.integers(0, 50, count)
    seconds = random.integers(0, 30 * 86_400, count) * 1_000_000
    codes = pl.Series([f"AB-{number}" for number in range(1000, 10_000)])
    return pl.DataFrame(
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


def spoiled(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, with a thousandth of them failing three checks."""
    some = pl.int_range(pl.len()) % 1000 == 0
    return rows.with_columns(
        x=pl.when(some).then(None).otherwise("x"),
        y=pl.when(some).then(-1.0).otherwise("y"),
        line=pl.when(some).then(pl.lit("?")).otherwise("line"),
    )


def by_hand(rows: pl.LazyFrame) -> bool:
    """The ten checks as one would write them without a library."""
    schema = rows.collect_schema()
    wanted = {"id": pl.Int64, "x": pl.Float64, "y": pl.Float64, "line": pl.String, "code": pl.String}
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
        all(schema.get(name) == dtype for name, dtype in wanted.items())
        and answer["rows"] >= 1000
        and answer["ids"] == answer["rows"]
        and bad == 0
        and END - answer["newest"] <= timedelta(days=1)
    )


def by_gate(rows: pl.LazyFrame) -> bool:
    """The ten checks as a gate."""
    try:
        return bool(quality_gate(rows, CHECKS)["passed"])
    except GateBlocked:
        return False


def by_pandera() -> Callable[[pl.LazyFrame], bool] | None:
    """Seven of the ten checks as a Pandera schema; None if it is not installed."""
    try:
        import pandera.polars as pa
    except ImportError:
        return None
    schema = pa.DataFrameSchema(
        {
            "id": pa.Column(pl.Int64, unique=True),
            "x": pa.Column(pl.Float64, pa.Check.in_range(-10, 10), nullable=False),
            "y": pa.Column(pl.Float64, pa.Check.in_range(0, 1)),
            "line": pa.Column(pl.String, pa.Check.isin(LINES)),
            "code": pa.Column(pl.String, pa.Check.str_matches(rf"^{CODE}$")),
        }
    )
    return lambda rows: bool(quality_gate(rows, schema)["passed"])


def measured(contenders: dict[str, tuple[Callable[[pl.LazyFrame], bool], pl.LazyFrame, bool]], rounds: int) -> Any:
    """Seconds by contender, in turns, after one round that does not count."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, (check, rows, passes) in contenders.items():
            started = time.perf_counter()
            if check(rows) is not passes:
                raise AssertionError(f"{name} came to another verdict")
            if number:
                samples[name].append(time.perf_counter() - started)
    return samples


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="how many")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--json", type=Path, help="where the samples go")
    options = parser.parse_args()
    before = machine.state()
    good = rows_of(options.rows)
    bad = spoiled(good)
    samples: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in (("good", good), ("bad", bad)):
            rows.write_parquet(f"{folder}/{name}.parquet", compression="lz4")
        places = {
            "in memory": (good.lazy(), bad.lazy()),
            "from Parquet": (pl.scan_parquet(f"{folder}/good.parquet"), pl.scan_parquet(f"{folder}/bad.parquet")),
        }
        for place, (fine, spoilt) in places.items():
            contenders = {
                "hand-written query": (by_hand, fine, True),
                "gate, all pass": (by_gate, fine, True),
                "gate, three fail": (by_gate, spoilt, False),
            }
            if (pandera := by_pandera()) is not None:
                contenders["Pandera schema in a gate"] = (pandera, fine, True)
            samples[place] = measured(contenders, options.repeat)
    print(f"ten checks, {options.rows:,} rows, load {before['load_at_start']} before and {machine.load()} after\n")
    print("| rows | | seconds | ratio |\n|---|---|---:|---:|")
    for place, by_name in samples.items():
        floor = statistics.median(by_name["hand-written query"])
        for name, seconds in by_name.items():
            median = statistics.median(seconds)
            print(f"| {place} | {name} | {median:.3f} | {median / floor:.2f} |")
    if options.json:
        options.json.write_text(json.dumps({"machine": before, "samples": samples}, indent=1) + "\n")


if __name__ == "__main__":
    main()
