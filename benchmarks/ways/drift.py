"""How far 30 columns of two frames are apart: 25 of numbers (Wasserstein), 5 of categories (Jensen-Shannon)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import environments
from benchmarks.places import FLOWS
from benchmarks.samples import Sample
from benchmarks.ways import Ready, Unavailable
from benchmarks.ways.commands import Command, own_folder
from trikk.drift import DriftReport, compare, profile
from trikk.drift.drift_report import Method

METHODS: dict[str, Method] = {
    **{f"number{i}": "wasserstein" for i in range(25)},
    **{f"category{i}": "jensen-shannon" for i in range(5)},
}


def sides(rows: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two frames of `rows` each, the second one shifted a little."""
    return frame(rows, 1, 0.0), frame(rows, 2, 0.05)


def frame(rows: int, seed: int, shift: float) -> pl.DataFrame:
    """Rows with 25 columns of numbers of several shapes, and 5 of categories."""
    draw = np.random.default_rng(seed)
    shapes: list[Callable[[], np.ndarray]] = [
        lambda: draw.normal(shift, 1, rows),
        lambda: draw.lognormal(shift, 1, rows),
        lambda: draw.poisson(30 * (1 + shift), rows).astype(float),
        lambda: draw.normal(20 + shift, 3, rows).round(1),
        lambda: np.where(draw.random(rows) < 0.7, 0.0, draw.exponential(3 + shift, rows)),
    ]
    numbers = {f"number{i}": shapes[i % 5]() for i in range(25)}
    texts = {f"category{i}": pl.Series(draw.integers(0, 5 + i * 5, rows)).cast(pl.String) for i in range(5)}
    return pl.DataFrame({**numbers, **texts})


def by_trikk(size: int, way: str) -> Ready:
    """`rows` against rows, exactly; by `sketches` of both sides; or with `profiles` that are there already."""
    left, right = sides(size)
    profiles = [profile(side) for side in (left, right)] if way == "profiles" else []
    runs: dict[str, Callable[[], DriftReport]] = {
        "rows": lambda: compare(left, right, methods=METHODS),
        "sketches": lambda: compare(profile(left), profile(right), methods=METHODS),
        "profiles": lambda: compare(*profiles, methods=METHODS),
    }

    def answer(report: DriftReport) -> Any:
        if way != "rows":
            return None  # sketches are near, not equal
        return {
            name: column.effect if column.method == "wasserstein" else column.statistic
            for name in METHODS
            for column in [report[name]]
        }

    return Ready(runs[way], answer)


def by_scipy(size: int) -> Callable[[], dict[str, float]]:
    """By hand: scipy's distances; of numbers in standard deviations of the first side, of categories in bits."""
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import wasserstein_distance

    left, right = sides(size)

    def run() -> dict[str, float]:
        values = {}
        for name, method in METHODS.items():
            if method == "wasserstein":
                early, late = left[name].to_numpy(), right[name].to_numpy()
                values[name] = float(wasserstein_distance(early, late) / early.std())
            else:
                counts = [dict(side[name].value_counts().iter_rows()) for side in (left, right)]
                words = sorted(counts[0].keys() | counts[1].keys())
                values[name] = float(jensenshannon(*([c.get(w, 0) for w in words] for c in counts), base=2))
        return values

    return run


def by_evidently(size: int) -> Callable[[], Sample]:
    """Evidently's report in its own environment, in a fresh process; reading the rows and imports do not count."""
    trouble = environments.make("evidently")
    if trouble is not None:
        raise Unavailable(trouble)
    folder = own_folder()
    for name, side in zip(("reference", "current"), sides(size), strict=True):
        side.write_parquet(folder / f"{name}.parquet")
    names = {name: "jensenshannon" if method == "jensen-shannon" else method for name, method in METHODS.items()}
    python = str(environments.python_of("evidently"))
    command = Command([python, str(FLOWS / "drift_evidently.py"), str(folder), json.dumps(names)], Path(folder))

    def run() -> Sample:
        whole = command.run()
        said = json.loads(command.log.read_text().splitlines()[-1])
        values = {  # of categories it gives the distance by natural logarithms
            name: value if METHODS[name] == "wasserstein" else value / math.sqrt(math.log(2))
            for name, value in said["values"].items()
        }
        return Sample(said["seconds"], said["cpu"], whole.peak).telling(values)

    return run
