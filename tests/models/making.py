"""Small models, rows and registries that several tests use."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.storage.artifact import Artifact

ARTIFACT = Artifact("0" * 64, "pickle", 1, {"type": "sklearn.Ridge"})


class Doubles:
    """A model that gives twice its first input."""

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def predict(self, rows: pl.DataFrame) -> Any:
        return (rows.to_series(0) * self.factor).to_numpy()


def rows_of(count: int = 60) -> pl.DataFrame:
    """Rows with an id, two inputs and the truth, which is twice the first input."""
    random = np.random.default_rng(1)
    first = random.random(count)
    columns = {"id": np.arange(count), "x": first, "n": random.integers(0, 9, count), "truth": 2 * first}
    return pl.DataFrame(columns)


def version(name: str = "people", *, created: float = 0.0, **more: Any) -> ModelVersion:
    """A version to register."""
    return ModelVersion(name, 0, ARTIFACT, created=created, **more)


def with_versions(registry: Registry, count: int, name: str = "people") -> Registry:
    """The registry with so many versions of a model."""
    for number in range(count):
        registry.register(version(name, created=float(number)))
    return registry
