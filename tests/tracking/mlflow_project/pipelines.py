"""Steps that log by trikk and by MLflow, and register models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from sklearn.linear_model import LinearRegression

import trikk
from trikk import pipeline, step
from trikk.models import register_model

ROWS = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})


@step
def fit(slope: float, fail: bool) -> LinearRegression:
    for epoch in range(1_200):
        trikk.log_metric("loss", 1 / (epoch + 1), index=epoch)
    trikk.log_metrics({"val/nan": math.nan, "inf": math.inf, "odd [name]!": 1})
    trikk.log_param("text", "x" * 7_000)
    trikk.log_figure("plots/dot.png", b"\x89PNG\r\n\x1a\nrest")
    trikk.log_artifact("rows", ROWS)
    trikk.log_artifact("settings", {"slope": slope})
    if fail:
        raise ValueError("asked to fail")
    return LinearRegression().fit(ROWS.to_numpy(), slope * np.arange(4))


@step
def rows() -> pl.DataFrame:
    return ROWS


@pipeline
def train(slope: float = 2.0, fail: bool = False):
    model = fit(slope, fail)
    register_model(model, "line", inputs=rows(), metrics={"mae": 0.5})


@step
def autologged() -> int:
    import mlflow

    mlflow.autolog()
    LinearRegression().fit(ROWS.to_numpy(), np.arange(4))
    with mlflow.start_run(run_name="second"):
        mlflow.log_param("depth", 3)
        mlflow.log_metric("score", 0.25)
        mlflow.log_metric("score", 0.5, step=1)
        mlflow.log_text("<b>hello</b>", "pages/hello.html")
    mlflow.start_run()  # and never ended
    return 1


@step
def logs_and_fails(value: Any) -> int:
    import mlflow

    mlflow.log_metric("before", 1)
    raise ValueError("asked to fail")


@pipeline
def automatic():
    logs_and_fails(autologged())
