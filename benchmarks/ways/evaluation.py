"""One more day of a city's departures is evaluated: five metrics over all of them, 400 lines and 24 hours.

Its tables have three days before it, which were evaluated then. With drift, the day's predictions and truths are
compared with those of the three days, by what was kept of them: trikk's profiles, or 1,000 quantiles by hand.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.ways import Ready, commands
from benchmarks.ways.departures import START
from trikk.drift import SlidingWindow
from trikk.monitoring.cases.changes import Source
from trikk.monitoring.day_drift.day_comparison import drifting
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.monitoring.window_evaluation import evaluate
from trikk.runs.journals.sqlite_journal import SqliteJournal
from trikk.storage.tables.versioned_tables import Tables, Write

METRICS = ("mae", "rmse", "bias", "wape", "median_error")
LINES, DAYS = 400, 3
NAMES = ("predictions", "truth")
DRIFT = Drift(of=["predictions", "truth"], reference=SlidingWindow(days=DAYS), same_weekday=False)
SHARES = (np.arange(1000) + 0.5) / 1000


def a_day(number: int, size: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A day's predictions and truths."""
    draw = np.random.default_rng(number)
    expected = draw.gamma(2, 20, size)
    seconds = pl.Series(draw.integers(0, 24, size) * 3600 + number * 86_400)
    rows = pl.DataFrame({"trip": np.arange(size), "line": draw.integers(0, LINES, size).astype(np.int32)})
    rows = rows.with_columns(
        (pl.lit(START) + pl.duration(seconds=seconds)).cast(pl.Datetime("us", "UTC")).alias("slot")
    )
    truth = rows.select("trip", "slot", load=pl.Series(draw.poisson(expected).astype(float)))
    return rows.with_columns(value=pl.Series(expected)), truth.sample(fraction=1.0, shuffle=True, seed=number)


def watched(drift: bool) -> MonitorSpec:
    """The monitor."""
    declared = DRIFT.to_json() if drift else None
    slices = ("line", "hour")
    given: dict[str, Any] = {"metrics": METRICS, "slices": slices, "observed": "load", "drift": declared}
    return MonitorSpec("loads", *NAMES, ("trip",), "slot", **given)


def look(folder: Path, journal: SqliteJournal, days: int, drift: bool) -> None:
    """Evaluate when so many days are over, as the step of a monitor does."""
    tables, spec, now, run = (
        Tables(f"{folder}/tables"),
        watched(drift),
        START + timedelta(days=days),
        f"run-{days}",
    )
    versions = dict.fromkeys(NAMES, days - 1)
    source = Source(*(tables.scan(name, version) for name, version in versions.items()), tables, versions)
    evaluate(spec, source, Records(journal, spec.name), now=now, run=run, identity=run)
    if drift:
        kept = DriftRecords(journal, spec.name)
        drifting(spec, source, None, kept, now=now, run=run, identity=run)


def prepare(folder: Path, size: int, drift: bool) -> None:
    """Write the tables, evaluate the days before, and keep what is compared by hand."""
    journal, tables = SqliteJournal(folder / "before.db"), Tables(f"{folder}/tables")
    earlier: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    for number in range(DAYS + 1):
        for name, column, rows in zip(NAMES, ("value", "load"), a_day(number, size), strict=True):
            tables.write(name, Write("append", rows), identity=f"{name}/{number}", origin={})
            earlier[name] += [rows[column].to_numpy()] if number < DAYS else []
        if number < DAYS:
            look(folder, journal, number + 1, drift)
    journal.close()
    for name, values in earlier.items():
        together = np.concatenate(values)
        np.save(folder / f"{name}.npy", np.append(np.quantile(together, SHARES), together.std()))


@contextmanager
def prepared(size: int, drift: bool) -> Iterator[Path]:
    """A folder with all that; made by another process, whose memory is not counted."""
    folder = commands.fresh()
    other = multiprocessing.get_context("spawn").Process(target=prepare, args=(folder, size, drift))
    other.start()
    other.join()
    yield folder
    shutil.rmtree(folder)


@contextmanager
def trikk(size: int, drift: bool) -> Iterator[Ready]:
    """What the step of a monitor does."""
    with prepared(size, drift) as folder:

        def run() -> None:
            shutil.copy(folder / "before.db", folder / "journal.db")
            journal = SqliteJournal(folder / "journal.db")
            look(folder, journal, DAYS + 1, drift)
            journal.close()

        def answer(_: None) -> list[float | None]:
            journal = SqliteJournal(folder / "journal.db")
            record = Records(journal, "loads").window("day", f"{START + timedelta(days=DAYS):%Y-%m-%d}")
            journal.close()
            return [] if record is None else [len(record.figures), *record.whole.metrics.values()]

        yield Ready(run, answer)


@contextmanager
def by_hand(size: int, drift: bool) -> Iterator[Ready]:
    """The same in polars: the day of both tables, a join, one query of all figures; drift in numpy."""
    with prepared(size, drift) as folder:
        yield Ready(lambda: _figures(folder, START + timedelta(days=DAYS), drift), _answer)


def _figures(folder: Path, day: datetime, drift: bool) -> list[pl.DataFrame]:
    slot, error = pl.col("slot"), pl.col("value") - pl.col("load")
    predictions, truth = (
        pl.scan_delta(f"{folder}/tables/{name}").filter((slot >= day) & (slot < day + timedelta(days=1)))
        for name in NAMES
    )
    wanted = [
        pl.len().alias("predicted"),
        pl.col("load").count().alias("labelled"),
        error.abs().mean().alias("mae"),
        (error**2).mean().sqrt().alias("rmse"),
        error.mean().alias("bias"),
        (error.abs().sum() / pl.col("load").abs().sum()).alias("wape"),
        error.abs().median().alias("median_error"),
    ]
    rows = predictions.join(truth, on=["trip", "slot"], how="full", coalesce=True)
    joined = rows.with_columns(hour=slot.dt.hour()).select("line", "hour", "value", "load").collect()
    queries = [joined.lazy().select(wanted), *(joined.lazy().group_by(by).agg(wanted) for by in ("line", "hour"))]
    if drift:
        for name, column in zip(NAMES, ("value", "load"), strict=True):
            _distances(np.load(folder / f"{name}.npy"), joined[column].drop_nulls().sort().to_numpy())
    return pl.collect_all(queries)


def _distances(before: np.ndarray, ordered: np.ndarray) -> tuple[float, float]:
    """Wasserstein's distance in standard deviations, and the greatest difference of the distribution functions."""
    now = ordered[(SHARES * len(ordered)).astype(int)]
    below = np.searchsorted(ordered, before[:-1], side="right") / len(ordered)
    return float(np.abs(now - before[:-1]).mean() / before[-1]), float(np.abs(below - SHARES).max())


def _answer(frames: list[pl.DataFrame]) -> list[float]:
    return [sum(frame.height for frame in frames), *map(float, frames[0].row(0)[2:])]
