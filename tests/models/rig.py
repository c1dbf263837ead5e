"""A pipeline over classes of several types, and all that its predictions go to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from sklearn.naive_bayes import GaussianNB

from trikk import FeatureTable, Table, pipeline, predict, publish, register_model, shadow, step

CLASSES: dict[str, list[Any]] = {
    "text": ["leak", "ok"],
    "texts": ["near failure", "ok", "worn_out"],
    "flag": [False, True],
    "wholes": [3, 20, 100],
}
AT = datetime(2020, 3, 1, tzinfo=UTC)


def states(kind: str) -> list[Any]:
    """The true class of each of 60 pumps."""
    classes = CLASSES[kind]
    return [classes[int(one * len(classes) * 0.999)] for one in np.linspace(0, 1, 60)]


@step
def rows(kind: str) -> pl.DataFrame:
    pumps = [f"p{number}" for number in range(60)]
    return pl.DataFrame({"pump": pumps, "slot": [AT] * 60, "x": np.linspace(0, 1, 60), "state": states(kind)})


@step
def fit(given: pl.DataFrame) -> GaussianNB:
    return GaussianNB().fit(given.select("x").to_numpy(), given["state"].to_numpy())


@step
def inputs(given: pl.DataFrame) -> pl.DataFrame:
    return given.select("x")


def nightly_of(kinds: Sequence[str], *, outside: bool = True, **more: Any) -> Any:
    """A pipeline that fits, predicts and hands on; `outside` with streams and feature tables."""

    @pipeline(name="nightly")
    def nightly() -> None:
        for kind in kinds:
            given = rows(kind)
            positive = "leak" if kind == "text" else None
            version = register_model(fit(given), kind, inputs=inputs(given), positive=positive)
            found = predict(version, given, key="pump", slot="slot", keep=["x"], name=f"now_{kind}")
            Table(f"predictions_{kind}").append(found, schema_mode="merge")
            into = Table(f"shadow_{kind}")
            shadow(version, given, into=into, key="pump", slot="slot", name=f"beside_{kind}", **more)
            if outside:
                publish(found, to=f"stream:{kind}", key="pump")
                latest = FeatureTable(f"latest_{kind}", entity="pump", time="predicted_at")
                latest.sync(latest.append(found, schema_mode="merge"))

    return nightly
