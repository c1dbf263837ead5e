"""Pipelines that tests compile, and the sources they are compiled from."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from trikk import Resources, Retry, pipeline, register_model, step, when
from trikk.core.settings import Settings
from trikk.pipeline.pipeline import Pipeline
from trikk.targets.target_port import Source

CODE = "c0de" * 16
ROLE = "arn:aws:iam::111122223333:role/city-main-jobs"
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/city@sha256:" + "0f" * 32
SECTION: dict[str, Any] = {"role": ROLE, "image": IMAGE, "bucket": "city-main"}


def source(traced: Pipeline[Any], section: dict[str, Any] | None = None, **settings: Any) -> Source:
    """A pipeline in a project whose storage all jobs see."""
    there = {"artifacts": "s3://city-main/artifacts", "tables": "s3://city-main/tables"}
    there |= {"journal": "postgresql://db.example.com/city"} | settings
    targets = {"sagemaker": SECTION if section is None else section}
    return Source(traced.graph, Settings(root=Path("/project"), name="city", targets=targets, **there), CODE)


@step(source=True, timeout="10m", retry=Retry(4, delay="30s", factor=2, max_delay="30m"))
def counts(day: date) -> list[float]:
    return [1.0]


@step(resources=Resources(cpus=4, memory="20GB"))
def fit(counts: list[float], rounds: int, depth: int) -> dict[str, float]:
    return {}


@step
def score(model: dict[str, float], counts: list[float]) -> dict[str, float]:
    return {"mae": 1.0}


@step(allow_failure=True)
def risky(score: dict[str, float]) -> int:
    return 1


@step
def tell(score: dict[str, float]) -> None: ...


@pipeline
def nightly(day: date, max_mae: float = 4.0, mode: str = "daily", rounds: int = 20, dry: bool = False) -> None:
    """Fit a model, and register it if it is good."""
    rows = counts(day)
    model = fit(rows, rounds, depth=6)
    quality = score(model, rows)
    with when((quality["mae"] <= max_mae) & (mode == "daily")):
        register_model(model, "people")
    tell(quality, after=risky(quality))
