"""Tables, a database and a cached step."""

from __future__ import annotations

import os
import random
from pathlib import Path

import helpers
import polars as pl

from trikk import Cache, Table, pipeline, sql, step

KINDS = {"bus", "tram", "ferry", "metro"}

counts = Table("counts")
sums = Table("sums")


@step
def summed(counts: pl.LazyFrame, factor: int) -> pl.DataFrame:
    return counts.group_by("sensor").agg(pl.col("n").sum() * factor).sort("sensor").collect()


@step
def read_back(sums: pl.LazyFrame) -> int:
    return sums.collect().height


@pipeline
def nightly(factor: int = 1):
    sums.append(summed(counts, factor))
    read_back(sums)


@step
def only(counts: pl.LazyFrame) -> int:
    return int(counts.select(pl.col("n").sum()).collect().item())


@pipeline
def reading():
    only(counts)


@step
def noisy(how: str) -> pl.DataFrame:
    rows = pl.DataFrame({"a": [1.0, 2.0, 3.0]})
    if how == "reordered":
        return rows.reverse() if Path("turn").exists() else rows
    if how == "close":
        return rows + (1e-12 if Path("turn").exists() else 0)
    if how == "seeded":
        return rows + random.random()
    return rows + (5 if Path("turn").exists() else 0)


@step
def fails_then(rows: pl.DataFrame) -> int:
    if Path("broken").exists():
        raise ValueError("broken")
    return rows.height


@pipeline
def varying(how: str):
    fails_then(noisy(how))


@step
def loaded(rows: pl.DataFrame) -> int:
    return int(rows["x"].sum())


@pipeline
def from_database():
    loaded(sql("sqlite:///data.db", "SELECT x FROM t ORDER BY x"))


@step(cache=Cache(variables=["TUNING"], packages=["click"]))
def costly(n: int, numbers: list[int]) -> int:
    with Path("ran").open("a") as out:
        out.write("costly\n")
    assert KINDS
    assert os.environ
    return helpers.scaled(n) + sum(numbers)


@step
def listed(n: int) -> list[int]:
    return list(range(n))


@pipeline
def cached(n: int = 1, m: int = 3):
    costly(n, listed(m))
