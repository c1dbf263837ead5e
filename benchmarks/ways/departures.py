"""A monitor over departures: predictions joined with truths, figures of all and of each line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from benchmarks.ways import Ready
from trikk.monitoring.cases.case_join import cases
from trikk.monitoring.figures.window_figures import figures
from trikk.monitoring.monitor_definition import MonitorSpec

START = datetime(2020, 1, 1, tzinfo=UTC)
LINES = 20
METRICS = ("mae", "rmse", "bias", "wape", "median_error")
SLOTS = 1_000
Figures = dict[str, dict[str, float]]
"""By line ("" for all of them) and metric."""


def departures(rows: int, slots: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predictions and truths of `rows` departures, five in a hundred without the other."""
    trip = pl.int_range(rows, eager=True) // slots
    slot = START + pl.duration(hours=pl.int_range(rows) % slots)
    predictions = pl.DataFrame({"trip": trip}).with_columns(
        slot.cast(pl.Datetime("us", "UTC")).alias("slot"), (pl.col("trip") % LINES).alias("line")
    )
    predictions = predictions.with_columns((pl.int_range(pl.len()) * 7919 % 97).cast(pl.Float64).alias("value"))
    truth = predictions.select(
        "trip", "slot", (pl.col("value") * 0.9 + pl.int_range(pl.len()) * 31 % 11).alias("load")
    )
    known = pl.int_range(pl.len()) % 20 != 0
    return predictions, truth.filter(known).sample(fraction=1.0, shuffle=True, seed=1)


def spec(**more: object) -> MonitorSpec:
    """The monitor that is measured."""
    given: dict[str, object] = {"metrics": METRICS, "slices": ("line",), "observed": "load"}
    return MonitorSpec("loads", "predictions", "truth", ("trip",), "slot", **{**given, **more})  # type: ignore[arg-type]


def by_monitor(size: int) -> Ready:
    """What a monitor does for one window."""
    predictions, truth = departures(size, SLOTS)

    def run() -> Any:
        joined = cases(spec(), predictions.lazy(), truth.lazy(), START, START + timedelta(days=100_000))
        return figures(spec(), joined)

    def answer(report: Any) -> Figures:
        return {one.value: {"predicted": one.predicted, "labelled": one.labelled, **one.metrics} for one in report}

    return Ready(run, answer)


def by_polars(size: int) -> Ready:
    """The same by hand: no states, no counts of what is missing, no check for repeated keys."""
    predictions, truth = departures(size, SLOTS)
    error = pl.col("value") - pl.col("load")
    wanted = [
        pl.col("value").count().alias("predicted"),
        pl.col("load").count().alias("labelled"),
        error.abs().mean().alias("mae"),
        (error**2).mean().sqrt().alias("rmse"),
        error.mean().alias("bias"),
        (error.abs().sum() / pl.col("load").filter(pl.col("value").is_not_null()).abs().sum()).alias("wape"),
        error.abs().median().alias("median_error"),
    ]

    def run() -> Any:
        joined = predictions.lazy().join(truth.lazy(), on=["trip", "slot"], how="full", coalesce=True)
        joined = joined.collect().lazy()
        return pl.collect_all([joined.select(wanted), joined.group_by("line").agg(wanted)])

    def answer(result: Any) -> Figures:
        whole, lines = result
        return {str(row.pop("line")): row for row in [{"line": "", **whole.row(0, named=True)}, *lines.to_dicts()]}

    return Ready(run, answer)


def by_duckdb(size: int) -> Ready:
    """The same in SQL."""
    import duckdb

    predictions, truth = departures(size, SLOTS)
    link = duckdb.connect()
    link.register("predictions", predictions)
    link.register("truth", truth)
    query = """
        SELECT line, count(value), count(load), avg(abs(value - load)), sqrt(avg((value - load) ** 2)),
          avg(value - load), sum(abs(value - load)) / sum(abs(load)), median(abs(value - load))
        FROM predictions FULL JOIN truth USING (trip, slot) GROUP BY GROUPING SETS ((), (line))
        """

    def answer(rows: Any) -> Figures:
        names = ("predicted", "labelled", *METRICS)
        return {"" if line is None else str(line): dict(zip(names, r, strict=True)) for line, *r in rows}

    return Ready(lambda: link.sql(query).fetchall(), answer)
