"""`python -m benchmarks.monitoring`: a monitor's figures beside the same query written by hand.

Joins predictions with truths and computes five metrics over twenty slices: once as a monitor does it, once as a
polars query, once in DuckDB; in turns, in one process, over the same frames in memory. Then evaluates a monitor
day after day over a history of many days, to show that a day costs a day's work; `--nights` does so with the whole
commands, `trikk watch --once` and those of the morning after.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl

from trikk.monitoring.cases import cases
from trikk.monitoring.changes import Source
from trikk.monitoring.definition import MonitorSpec
from trikk.monitoring.evaluate import evaluate
from trikk.monitoring.figures import figures
from trikk.monitoring.records import Records
from trikk.runs.sqlite import SqliteJournal
from trikk.storage.tables import Tables, Write

START = datetime(2020, 1, 1, tzinfo=UTC)
METRICS = ("mae", "rmse", "bias", "wape", "median_error")
LINES = 20
SHORT = 50


def spec(**more: object) -> MonitorSpec:
    """The monitor that is measured."""
    given: dict[str, object] = {"metrics": METRICS, "slices": ("line",), "observed": "load"}
    return MonitorSpec("loads", "predictions", "truth", ("trip",), "slot", **{**given, **more})  # type: ignore[arg-type]


def rows(count: int, slots: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predictions and truths of `count` departures, five in a hundred without the other."""
    trip = pl.int_range(count, eager=True) // slots
    slot = START + pl.duration(hours=pl.int_range(count) % slots)
    made = pl.DataFrame({"trip": trip}).with_columns(
        slot.cast(pl.Datetime("us", "UTC")).alias("slot"), (pl.col("trip") % LINES).alias("line")
    )
    made = made.with_columns((pl.int_range(pl.len()) * 7919 % 97).cast(pl.Float64).alias("value"))
    truth = made.select("trip", "slot", (pl.col("value") * 0.9 + pl.int_range(pl.len()) * 31 % 11).alias("load"))
    known = pl.int_range(pl.len()) % 20 != 0
    return made, truth.filter(known).sample(fraction=1.0, shuffle=True, seed=1)


def by_monitor(made: pl.DataFrame, truth: pl.DataFrame) -> object:
    """What a monitor does for one window."""
    one = spec()
    joined = cases(one, made.lazy(), truth.lazy(), START, START + timedelta(days=100_000))
    return figures(one, joined)


def by_polars(made: pl.DataFrame, truth: pl.DataFrame) -> object:
    """The same by hand: no states, no counts of what is missing, no check for repeated keys."""
    error = pl.col("value") - pl.col("load")
    wanted = [
        pl.len().alias("predicted"),
        pl.col("load").count().alias("labelled"),
        error.abs().mean().alias("mae"),
        (error**2).mean().sqrt().alias("rmse"),
        error.mean().alias("bias"),
        (error.abs().sum() / pl.col("load").abs().sum()).alias("wape"),
        error.abs().median().alias("median_error"),
    ]
    joined = made.lazy().join(truth.lazy(), on=["trip", "slot"], how="full", coalesce=True).collect().lazy()
    return pl.collect_all([joined.select(wanted), joined.group_by("line").agg(wanted)])


def by_duckdb(made: pl.DataFrame, truth: pl.DataFrame) -> object:  # noqa: ARG001 - DuckDB finds them by name
    """The same in SQL."""
    import duckdb

    return duckdb.sql(
        """
        SELECT line, count(value), count(load), avg(abs(value - load)), sqrt(avg((value - load) ** 2)),
          avg(value - load), sum(abs(value - load)) / sum(abs(load)), median(abs(value - load))
        FROM made FULL JOIN truth USING (trip, slot) GROUP BY GROUPING SETS ((), (line))
        """
    ).fetchall()


def joins(count: int, repeat: int) -> None:
    """Print the join's figures."""
    made, truth = rows(count, 1_000)
    contenders: dict[str, Callable[..., object]] = {
        "monitor": by_monitor,
        "polars": by_polars,
        "duckdb": by_duckdb,
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeat):
        for name, function in contenders.items():
            begun = time.perf_counter()
            function(made, truth)
            taken[name].append(time.perf_counter() - begun)
    floor = statistics.median(taken["polars"])
    print(f"{count:,} predictions with {truth.height:,} truths, {len(METRICS)} metrics, {LINES} slices")
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        print(f"  {name:8} {middle:6.2f} s  {middle / floor:5.2f} of the polars query")


def days(count: int, each: int) -> None:
    """Print what one more day costs after a short and after a long history."""
    with tempfile.TemporaryDirectory() as folder:
        tables, journal = Tables(f"{folder}/tables"), SqliteJournal(f"{folder}/journal.db")
        records, one = Records(journal, "loads"), spec(metrics=("mae", "rmse", "bias", "wape"), delay=86_400.0)
        taken: list[Day] = []
        found: list[Day] = []
        for number in range(count):
            made, truth = rows(each, 24)
            shift = pl.duration(days=number)
            for name, frame in (("predictions", made), ("truth", truth)):
                write = Write("append", frame.with_columns(pl.col("slot") + shift))
                tables.write(name, write, identity=f"{number}", origin={})
            begun = time.process_time()
            versions = {name: tables.version(name) for name in ("predictions", "truth")}
            source = Source(tables.scan("predictions"), tables.scan("truth"), tables, versions)
            now, opened, wall = START + timedelta(days=number + 1), time.process_time(), time.perf_counter()
            evaluate(one, source, records, now=now, run=f"r{number}", identity=f"r{number}")
            ended = time.process_time()
            taken.append(Day(time.perf_counter() - wall, ended - opened, ended - begun))
            if number + 1 in (SHORT, count // 2, count):
                found.append(Day(*(1000 * statistics.median(values) for values in zip(*taken[-20:], strict=True))))
                print(f"  after {number + 1:5} days: {found[-1]} (medians of 20)", flush=True)
        journal.close()
    print(
        f"  late / early, CPU: {found[-1].cpu / found[0].cpu:.2f}, with opening {found[-1].all / found[0].all:.2f}"
    )


class Day(NamedTuple):
    """What one more day cost: an evaluation's wall time, its CPU, and the CPU of opening two tables and of it."""

    wall: float
    cpu: float
    all: float

    def __str__(self) -> str:
        return f"{self.wall:6.1f} ms, CPU {self.cpu:6.1f} ms, with opening the tables {self.all:6.1f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.monitoring", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=1_000)
    parser.add_argument("--each", type=int, default=4_800, help="predictions a day")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--nights", action="store_true", help="whole commands after a short and a long history")
    given = parser.parse_args()
    if given.nights:
        from benchmarks.nights import nights

        nights(given.days, given.each, short=SHORT)
        return
    joins(given.rows, given.repeat)
    print(f"one evaluation for each of {given.days:,} days of {given.each:,} predictions")
    days(given.days, given.each)


if __name__ == "__main__":
    main()
