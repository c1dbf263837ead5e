"""The model: gradient boosting on the logarithm of counts, since a busy street and a quiet one err by shares."""

from __future__ import annotations

import numpy as np
import polars as pl
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor

from city.features import FEATURES


def people(logarithm: np.ndarray) -> np.ndarray:
    """Counts from what the boosting predicts; never fewer than nobody."""
    return np.maximum(np.expm1(logarithm), 0)


def train(rows: pl.DataFrame, learning_rate: float) -> TransformedTargetRegressor:
    """Fit to rows with `FEATURES` and `count`; the same rows give the same model."""
    boosting = HistGradientBoostingRegressor(learning_rate=learning_rate, random_state=0, early_stopping=False)
    model = TransformedTargetRegressor(boosting, func=np.log1p, inverse_func=people, check_inverse=False)
    return model.fit(rows.select(FEATURES), rows["count"].to_numpy())


def errors(model: TransformedTargetRegressor, rows: pl.DataFrame) -> dict[str, float]:
    """Mean absolute errors on rows with `FEATURES` and `count`: the model's, and "same hour last week"."""
    known = rows.drop_nulls(["count", "last_week"])
    told = model.predict(known.select(FEATURES))
    count = known["count"].to_numpy()
    return {
        "mae": float(np.abs(told - count).mean()),
        "mae_last_week": float(np.abs(known["last_week"].to_numpy() - count).mean()),
    }
