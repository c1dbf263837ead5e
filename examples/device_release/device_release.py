"""May this model go to the devices? Checks of data, model, exported form and speed, as a pipeline that CI runs.

`candidate` is what a training pipeline leaves behind: reference readings in a table, and a registered model.
`check_release` looks at both, exports the model as devices take it, and looks at that: is it the same model, is it
small and fast enough? Each check is a step, so that an engine such as Airflow shows which one is red.
"""

from __future__ import annotations

import json
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import polars as pl
from device import Forest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import recall_score

from trikk import Model, PermanentError, Table, log_metrics, pipeline, quality_gate, register_model, step
from trikk.quality import between, has_columns, not_null, one_of, row_count
from trikk.triggers import Cron

PACKAGE = "river"
CHANNELS = [f"f{n}" for n in range(1, 10)]
NORMAL, ANOMALY = "normal", "anomaly"

reference = Table("reference")  # f1 ... f9, state: readings whose state is known, from which no model has learnt

REFERENCE = [
    has_columns({**dict.fromkeys(CHANNELS, pl.Float64), "state": pl.String}),
    row_count(at_least=500),
    not_null(*CHANNELS, "state"),
    one_of("state", [NORMAL, ANOMALY]),
    *(between(channel, -10_000, 30_000) for channel in CHANNELS),  # what the sensors can read
]


@step(source=True, timeout="5m")
def readings(source: str, rows: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What to learn from, and as many readings again to check with."""
    path = distribution(PACKAGE).locate_file("river/datasets/shuttle.csv.gz") if source == PACKAGE else source
    file = pl.read_csv(str(path), schema_overrides=dict.fromkeys(CHANNELS, pl.Float64)).head(2 * rows)
    state = pl.when(pl.col("anomaly") == 1).then(pl.lit(ANOMALY)).otherwise(pl.lit(NORMAL)).alias("state")
    known = file.select(*CHANNELS, state)
    return known.head(file.height // 2), known.tail(file.height - file.height // 2)


@step(timeout="10m")
def fit(rows: pl.DataFrame) -> RandomForestClassifier:
    forest = RandomForestClassifier(n_estimators=15, max_depth=8, class_weight="balanced", random_state=0)
    return forest.fit(rows.select(CHANNELS), rows["state"].to_list())


@step
def sample(reference: pl.LazyFrame, rows: int) -> pl.DataFrame:
    """The newest readings."""
    return reference.tail(rows).collect()


@step
def judged(model: RandomForestClassifier, rows: pl.DataFrame, least: float) -> float:
    """The share of anomalies that the model sees; refused if it knows other classes, or sees too few."""
    if sorted(model.classes_) != sorted([NORMAL, ANOMALY]):
        raise PermanentError(f"the model knows the classes {sorted(model.classes_)}")
    said = model.predict(rows.select(CHANNELS))
    recall = float(recall_score(rows["state"].to_list(), said, pos_label=ANOMALY))
    log_metrics({"recall": recall})
    if recall < least:
        raise PermanentError(
            f"the model sees {recall:.1%} of the anomalies, and at least {least:.1%} are asked for"
        )
    return recall


@step
def exported(model: RandomForestClassifier) -> Path:
    """The model as devices take it: a JSON file that `device.Forest` reads."""
    trees = [_tree(each.tree_, 0) for each in model.estimators_]
    document = {"channels": CHANNELS, "classes": model.classes_.tolist(), "trees": trees}
    file = Path(tempfile.mkdtemp(), "forest.json")
    file.write_text(json.dumps(document, separators=(",", ":")))
    return file


def _tree(tree: Any, node: int) -> Any:
    if tree.children_left[node] < 0:
        counts = tree.value[node][0]
        return (counts / counts.sum()).tolist()
    return {
        "channel": int(tree.feature[node]),
        "limit": float(tree.threshold[node]),
        "below": _tree(tree, tree.children_left[node]),
        "above": _tree(tree, tree.children_right[node]),
    }


@step
def small_enough(file: Path, kilobytes: int) -> float:
    """Kilobytes of the exported model."""
    size = file.stat().st_size / 1000
    log_metrics({"kilobytes": size})
    if size > kilobytes:
        raise PermanentError(f"the exported model has {size:.0f} kB, and a device has room for {kilobytes} kB")
    return size


@step
def parity(model: RandomForestClassifier, file: Path, rows: pl.DataFrame, tolerance: float) -> float:
    """How far a probability on a device is from the registered model's, at most."""
    forest = Forest(file)
    here = model.predict_proba(rows.select(CHANNELS))
    there = np.array([forest.probabilities(row) for row in rows.select(CHANNELS).iter_rows()])
    apart = np.abs(here - there).max(axis=1)
    log_metrics({"apart": float(apart.max())})
    if (apart > tolerance).any():
        worst = rows.select(CHANNELS).row(int(apart.argmax()))
        raise PermanentError(
            f"{(apart > tolerance).sum()} of {len(apart)} readings are judged differently on a device, "
            f"by up to {apart.max():.3g}: {worst}"
        )
    return float(apart.max())


@step
def fast_enough(file: Path, rows: pl.DataFrame, milliseconds: float) -> dict[str, float]:
    """How long a reading takes: the median, and what one in a hundred takes longer than."""
    forest = Forest(file)
    taken = []
    for row in rows.select(CHANNELS).iter_rows():
        begun = time.perf_counter()
        forest.probabilities(row)
        taken.append((time.perf_counter() - begun) * 1000)
    figures = {"p50_ms": median(taken), "p99_ms": quantiles(taken, n=100)[-1]}
    log_metrics(figures)
    if figures["p99_ms"] > milliseconds:
        raise PermanentError(
            f"one in a hundred readings takes over {figures['p99_ms']:.1f} ms; {milliseconds:g} ms are allowed"
        )
    return figures


@step
def verdict(recall: float, kilobytes: float, apart: float) -> str:
    return f"recall {recall:.1%}, {kilobytes:.0f} kB, probabilities at most {apart:.1g} apart"


@pipeline
def candidate(rows: int = 6000, source: str = PACKAGE):
    """Leave a model and readings to check it with, as a training pipeline does."""
    learn, known = readings(source, rows)
    reference.overwrite(known)
    register_model(fit(learn), "pumps", inputs=learn, positive=ANOMALY)


@pipeline(triggers=[Cron("0 5 * * *", name="release-check")])
def check_release(
    rows: int = 1000,
    recall: float = 0.9,
    kilobytes: int = 400,
    tolerance: float = 1e-9,
    milliseconds: float = 100.0,
):
    """Check what would go to the devices; a run that has succeeded is the permission."""
    newest = sample(reference, rows)
    quality_gate(newest, REFERENCE)
    model = Model("pumps")  # the newest version
    file = exported(model)
    seen, size = judged(model, newest, recall), small_enough(file, kilobytes)
    apart = parity(model, file, newest, tolerance)
    fast_enough(file, newest, milliseconds)
    verdict(seen, size, apart)
