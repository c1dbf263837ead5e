"""The model: gradient boosting on the logarithm of counts, since a busy street and a quiet one err by shares."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor

from city.features import FEATURES


def matrix(rows: pl.DataFrame) -> np.ndarray:
    """The features as floats, missing ones as NaN; shape (rows, len(FEATURES))."""
    return rows.select(pl.col(FEATURES).cast(pl.Float32)).to_numpy()


def train(rows: pl.DataFrame, learning_rate: float) -> TransformedTargetRegressor:
    """Fit to rows with `FEATURES` and `count`; the same rows give the same model."""
    boosting = HistGradientBoostingRegressor(learning_rate=learning_rate, random_state=0, early_stopping=False)
    model = TransformedTargetRegressor(boosting, func=np.log1p, inverse_func=np.expm1, check_inverse=False)
    return model.fit(matrix(rows), rows["count"].to_numpy())


def forecast(model: TransformedTargetRegressor, rows: pl.DataFrame, trained_until: date) -> pl.DataFrame:
    """The predictions, as they are published.

    Returns:
        Columns sensor, slot (UTC), day_local, hour (local), predicted (people, one decimal), naive (the count a
        week before; null if there is none) and trained_until.
    """
    people = np.maximum(model.predict(matrix(rows)), 0)
    return rows.select(
        "sensor",
        "slot",
        pl.col("day").alias("day_local"),
        "hour",
        pl.Series("predicted", people, dtype=pl.Float64).round(1),
        pl.col("last_week").cast(pl.Float64).alias("naive"),
        pl.lit(trained_until).alias("trained_until"),
    )
