"""Predictions beside what then came."""

from __future__ import annotations

from datetime import date

import polars as pl

from trikk import PermanentError


def compare(predictions: pl.LazyFrame, counts: pl.LazyFrame, day: date) -> pl.DataFrame:
    """How far the model and the naive rule were off on one local day.

    Only hours are compared for which both made a prediction and a believable count has come in.

    Returns:
        One row: day, trained_until, hours (how many were compared), people (the mean count of an hour), mae_model
        and mae_naive (mean absolute errors in people; null if no hour could be compared).

    Raises:
        PermanentError: if nothing was predicted for that day.
    """
    made = predictions.filter(pl.col("day_local") == day).collect()
    if made.is_empty():
        raise PermanentError(f"nothing was predicted for {day}", next="run `nightly` for the day before it")
    slots = made.lazy().select("sensor", "slot")
    came = counts.join(slots, on=["sensor", "slot"], how="semi").collect()
    both = made.join(came, on=["sensor", "slot"]).drop_nulls(["count", "naive"])
    return both.select(
        pl.lit(day).alias("day"),
        pl.lit(made["trained_until"].max()).alias("trained_until"),
        pl.len().cast(pl.Int64).alias("hours"),
        pl.col("count").mean().round(2).alias("people"),
        (pl.col("predicted") - pl.col("count")).abs().mean().round(2).alias("mae_model"),
        (pl.col("naive") - pl.col("count")).abs().mean().round(2).alias("mae_naive"),
    )
