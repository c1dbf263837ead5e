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
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl

from benchmarks.departures import LINES, START, departures
from trikk.monitoring.cases.case_join import cases
from trikk.monitoring.cases.changes import Source
from trikk.monitoring.figures.records import Records
from trikk.monitoring.figures.window_figures import figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.monitoring.window_evaluation import evaluate
from trikk.runs.journals.sqlite_journal import SqliteJournal
from trikk.storage.tables.versioned_tables import Tables, Write

METRICS = ("mae", "rmse", "bias", "wape", "median_error")
SHORT = 50


def spec(**more: object) -> MonitorSpec:
    """The monitor that is measured."""
    given: dict[str, object] = {"metrics": METRICS, "slices": ("line",), "observed": "load"}
    return MonitorSpec("loads", "predictions", "truth", ("trip",), "slot", **{**given, **more})  # type: ignore[arg-type]


def by_monitor(predictions: pl.DataFrame, truth: pl.DataFrame) -> object:
    """What a monitor does for one window."""
    one = spec()
    joined = cases(one, predictions.lazy(), truth.lazy(), START, START + timedelta(days=100_000))
    return figures(one, joined)


def by_polars(predictions: pl.DataFrame, truth: pl.DataFrame) -> object:
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
    joined = predictions.lazy().join(truth.lazy(), on=["trip", "slot"], how="full", coalesce=True).collect().lazy()
    return pl.collect_all([joined.select(wanted), joined.group_by("line").agg(wanted)])


def by_duckdb(predictions: pl.DataFrame, truth: pl.DataFrame) -> object:  # noqa: ARG001 - DuckDB finds them by name
    """The same in SQL."""
    import duckdb

    return duckdb.sql(
        """
        SELECT line, count(value), count(load), avg(abs(value - load)), sqrt(avg((value - load) ** 2)),
          avg(value - load), sum(abs(value - load)) / sum(abs(load)), median(abs(value - load))
        FROM predictions FULL JOIN truth USING (trip, slot) GROUP BY GROUPING SETS ((), (line))
        """
    ).fetchall()


def joins(count: int, repeat: int) -> None:
    """Print the join's figures."""
    predictions, truth = departures(count, 1_000)
    contenders: dict[str, Callable[..., object]] = {
        "monitor": by_monitor,
        "polars": by_polars,
        "duckdb": by_duckdb,
    }
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeat):
        for name, function in contenders.items():
            started = time.perf_counter()
            function(predictions, truth)
            samples[name].append(time.perf_counter() - started)
    floor = statistics.median(samples["polars"])
    print(f"{count:,} predictions with {truth.height:,} truths, {len(METRICS)} metrics, {LINES} slices")
    for name, seconds in samples.items():
        middle = statistics.median(seconds)
        print(f"  {name:8} {middle:6.2f} s  {middle / floor:5.2f} of the polars query")


class Day(NamedTuple):
    """What one more day cost: an evaluation's wall time, its CPU, and the CPU of opening two tables and of it."""

    wall: float
    cpu: float
    all: float


class History:
    """A monitor whose tables get another file each day, and which is evaluated each day."""

    def __init__(self, folder: Path, each: int) -> None:
        self.tables, self.journal, self.each = (
            Tables(f"{folder}/tables"),
            SqliteJournal(folder / "journal.db"),
            each,
        )
        self.spec = spec(metrics=("mae", "rmse", "bias", "wape"), delay=86_400.0)
        self.number = 0

    def one_more(self) -> Day:
        """Another day, with what its evaluation has cost."""
        predictions, truth = departures(self.each, 24)
        slot = pl.col("slot") + pl.duration(days=self.number)
        self.number += 1
        for name, frame in (("predictions", predictions), ("truth", truth)):
            write = Write("append", frame.with_columns(slot))
            self.tables.write(name, write, identity=f"{self.number}", origin={})
        started, tables = time.process_time(), self.tables
        versions = {name: tables.version(name) for name in ("predictions", "truth")}
        source = Source(tables.scan("predictions"), tables.scan("truth"), tables, versions)
        now, run, records = START + timedelta(days=self.number), f"r{self.number}", Records(self.journal, "loads")
        opened, wall = time.process_time(), time.perf_counter()
        evaluate(self.spec, source, records, now=now, run=run, identity=run)
        stopped = time.process_time()
        return Day(time.perf_counter() - wall, stopped - opened, stopped - started)


def days(count: int, each: int) -> None:
    """Print what one more day costs after a short and after a long history.

    The last 20 days of both are taken in turns, so that a slow minute of the machine falls on both.
    """
    with tempfile.TemporaryDirectory() as folder:
        histories = [History(Path(folder, str(until)), each) for until in (SHORT, count)]
        for history, until in zip(histories, (SHORT, count), strict=True):
            while history.number < until - 20:
                history.one_more()
        seconds = [[history.one_more() for history in histories] for _ in range(20)]
        for history in histories:
            history.journal.close()
    early, late = (
        Day(*(1000 * statistics.median(one) for one in zip(*days_, strict=True)))
        for days_ in zip(*seconds, strict=True)
    )
    for until, one in ((SHORT, early), (count, late)):
        print(f"  after {until:5} days: {one.wall:5.1f} ms, CPU {one.cpu:5.1f} ms, with opening {one.all:5.1f} ms")
    print(f"  late / early, CPU: {late.cpu / early.cpu:.2f}, with opening the tables {late.all / early.all:.2f}")


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
