"""A pipeline whose tables and artifacts depend on nothing but its parameters, however often it is killed."""

from __future__ import annotations

import os
import time

import polars as pl

from trikk import Retry, Table, pipeline, step, when

ledger = Table("ledger")
totals = Table("totals")
newest = Table("newest")

_LUCK = 64  # of 256: how often an attempt of an unreliable step fails


@step
def numbers(night: int, width: int) -> list[int]:
    return [night * 100 + i for i in range(width)]


@step
def readings(night: int, sensor: str) -> pl.DataFrame:
    time.sleep(0.01)
    slots = list(range(40))
    return pl.DataFrame(
        {"night": night, "sensor": sensor, "slot": slots, "count": [(night * 31 + s * 7) % 97 for s in slots]}
    )


@step(retry=Retry(50, delay="2ms", max_delay="10ms"))
def squared(number: int) -> int:
    """Fails by chance, but what it returns does not depend on chance."""
    if os.urandom(1)[0] < _LUCK:
        raise ConnectionError("bad luck")
    return number * number


@step
def summed(rows: pl.LazyFrame, squares: list[int]) -> pl.DataFrame:
    return (
        rows.group_by("sensor", "slot")
        .agg(pl.col("count").sum(), pl.len().cast(pl.Int64).alias("rows"))
        .with_columns(pl.lit(sum(squares), pl.Int64).alias("squares"))
        .sort("sensor", "slot")
        .collect()
    )


@step
def as_rows(night: int, squares: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"night": night, "item": list(range(len(squares))), "square": squares})


@step
def audited(ledger: pl.LazyFrame, totals: pl.LazyFrame) -> dict[str, int]:
    rows = ledger.select(pl.len(), pl.col("count").sum()).collect()
    return {
        "rows": rows["len"].item(),
        "count": rows["count"].item(),
        "totals": totals.select(pl.col("count").sum()).collect().item(),
    }


@step
def praised(found: dict[str, int]) -> str:
    return f"{found['rows']} rows"


@pipeline(retry=Retry(50, delay="2ms", max_delay="10ms"))
def night(night: int, width: int = 4) -> None:
    """Parallel steps, a map, retries, and three kinds of writes."""
    squares = squared.map(numbers(night, width))
    for sensor in ("north", "south"):
        ledger.append(readings.options(name=f"read_{sensor}")(night, sensor))
    rows = as_rows(night, squares)
    newest.overwrite(rows)
    totals.merge(summed(ledger, squares), key=["sensor", "slot"])
    found = audited(ledger, totals)
    with when(found["rows"] > 0):
        praised(found)
