"""Predictions and truths of departures, as the benchmarks of monitoring have them."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

START = datetime(2020, 1, 1, tzinfo=UTC)
LINES = 20


def departures(count: int, slots: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predictions and truths of `count` departures, five in a hundred without the other."""
    trip = pl.int_range(count, eager=True) // slots
    slot = START + pl.duration(hours=pl.int_range(count) % slots)
    predictions = pl.DataFrame({"trip": trip}).with_columns(
        slot.cast(pl.Datetime("us", "UTC")).alias("slot"), (pl.col("trip") % LINES).alias("line")
    )
    predictions = predictions.with_columns((pl.int_range(pl.len()) * 7919 % 97).cast(pl.Float64).alias("value"))
    truth = predictions.select(
        "trip", "slot", (pl.col("value") * 0.9 + pl.int_range(pl.len()) * 31 % 11).alias("load")
    )
    known = pl.int_range(pl.len()) % 20 != 0
    return predictions, truth.filter(known).sample(fraction=1.0, shuffle=True, seed=1)
