"""A classifier's figures, of all cases and of each line: as a monitor makes them, by hand, and by scikit-learn.

Counts of predicted and labelled, accuracy, macro F1, precision, recall and F1 of each class, and the log loss;
from cases in memory, each with what was said, a probability for each class and, of 19 in 20, what was true.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from benchmarks.ways import Ready
from trikk.models.metrics.case_labels import Labels
from trikk.models.metrics.confusion import BY_CLASS
from trikk.models.task import Classes
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED, PROBABILITY
from trikk.monitoring.figures.window_figures import figures
from trikk.monitoring.monitor_definition import MonitorSpec

CLASSES = tuple(3 * n for n in range(10))
LINES = 20
Table = dict[str, dict[str, float]]
"""By line ("" for all cases) and metric; a class that never was said has no precision, which is 0 here."""


def cases(rows: int) -> pl.DataFrame:
    """Cases as a monitor joins them; three of four are said rightly."""
    draw = np.random.default_rng(1)
    truth = draw.integers(0, len(CLASSES), rows)
    chances = draw.exponential(1.0, (rows, len(CLASSES)))
    chances[np.arange(rows), truth] += draw.exponential(6.0, rows)
    chances /= chances.sum(axis=1, keepdims=True)
    values = pl.Series(CLASSES)
    known = pl.int_range(rows, eager=True) % 20 != 0
    frame = pl.DataFrame({OBSERVED: values[truth], PREDICTED: values[chances.argmax(axis=1)]})
    frame = frame.with_columns(pl.when(known).then(OBSERVED).alias(OBSERVED))
    columns = {f"{PROBABILITY}_{c}": chances[:, n] for n, c in enumerate(CLASSES)}
    return frame.with_columns(
        pl.Series("line", draw.integers(0, LINES, rows)),
        pl.lit(datetime(2020, 3, 1, tzinfo=UTC)).alias("slot"),
        *(pl.Series(name, one) for name, one in columns.items()),
    )


def by_monitor(size: int) -> Ready:
    """As a monitor makes them for a window; with its counts, its sums and its reasons."""
    rows, known = cases(size), Classes(CLASSES)
    single = [f"{one}[{text}]" for one in BY_CLASS for text in known.texts]
    given: dict[str, Any] = {"metrics": ("accuracy", "f1_macro", "logloss", *single), "slices": ("line",)}
    spec = MonitorSpec("states", "predictions", "truth", ("pump",), "slot", "state", task=known.task, **given)
    labels = Labels(known.task, OBSERVED, PREDICTED, classes=known)

    def answer(report: Any) -> Table:
        counted = {one.value: {"predicted": one.predicted, "labelled": one.labelled} for one in report}
        return {
            one.value: {**counted[one.value], **{name: value or 0.0 for name, value in one.metrics.items()}}
            for one in report
        }

    return Ready(lambda: figures(spec, rows, labels), answer)


def by_polars(size: int) -> Ready:
    """By hand: one pass counts and sums, the rest is arithmetic on some thousand rows."""
    rows = cases(size)
    return Ready(lambda: queries(rows), lambda table: table)


def queries(rows: pl.DataFrame) -> Table:
    """The queries."""
    chance = pl.lit(None, pl.Float64)
    for c in CLASSES:
        chance = pl.when(pl.col(OBSERVED) == c).then(pl.col(f"{PROBABILITY}_{c}")).otherwise(chance)
    loss = -chance.clip(2.0**-52, 1 - 2.0**-52).log()
    labelled = rows.lazy().filter(pl.col(OBSERVED).is_not_null())
    counting = (pl.len().alias("predicted"), pl.col(OBSERVED).count().alias("labelled"))
    cells, counts = pl.collect_all(
        [
            labelled.group_by("line", OBSERVED, PREDICTED).agg(pl.len().alias("n"), loss.sum().alias("loss")),
            rows.lazy().group_by("line").agg(*counting),
        ]
    )
    every = cells.group_by(OBSERVED, PREDICTED).agg(pl.col("n", "loss").sum())
    cells = pl.concat(
        [cells.with_columns(pl.col("line").cast(pl.String)), every.with_columns(line=pl.lit(""))], how="diagonal"
    )
    hits = pl.col("n").filter(pl.col(OBSERVED) == pl.col(PREDICTED)).sum()
    whole = cells.group_by("line").agg(
        (hits / pl.col("n").sum()).alias("accuracy"), (pl.col("loss").sum() / pl.col("n").sum()).alias("logloss")
    )
    true = cells.group_by("line", pl.col(OBSERVED).alias("class")).agg(
        pl.col("n").sum().alias("true"), hits.alias("hit")
    )
    said = cells.group_by("line", pl.col(PREDICTED).alias("class")).agg(pl.col("n").sum().alias("said"))
    single = (
        true.join(said, on=["line", "class"], how="full", coalesce=True)
        .fill_null(0)
        .with_columns(
            (pl.col("hit") / pl.col("said")).fill_nan(0).alias("precision"),
            (pl.col("hit") / pl.col("true")).fill_nan(0).alias("recall"),
            (2 * pl.col("hit") / (pl.col("true") + pl.col("said"))).alias("f1"),
        )
    )
    macro = single.group_by("line").agg(pl.col("f1").mean().alias("f1_macro"))
    every_count = counts.select(pl.lit("").alias("line"), pl.col("predicted", "labelled").sum())
    counts = pl.concat([counts.with_columns(pl.col("line").cast(pl.String)), every_count])
    whole = whole.join(macro, on="line").join(counts, on="line")
    table: Table = {row.pop("line"): row for row in whole.to_dicts()}
    for line, c, precision, recall, f1 in single.select("line", "class", "precision", "recall", "f1").iter_rows():
        table[line] |= {f"precision[{c}]": precision, f"recall[{c}]": recall, f"f1[{c}]": f1}
    return table


def by_sklearn(size: int) -> Ready:
    """scikit-learn's functions for all cases, and for those of each line."""
    warnings.simplefilter("ignore")
    rows = cases(size)
    known = rows.filter(pl.col(OBSERVED).is_not_null())
    arrays = {name: known[name].to_numpy() for name in ("line", OBSERVED, PREDICTED)}
    chances = known.select(pl.selectors.starts_with(f"{PROBABILITY}_")).to_numpy()
    predicted = {"": rows.height, **{str(line): n for line, n in rows["line"].value_counts().iter_rows()}}

    def run() -> Table:
        table = {}
        for line in (None, *np.unique(arrays["line"])):
            chosen = slice(None) if line is None else arrays["line"] == line
            name = "" if line is None else str(line)
            table[name] = {"predicted": predicted[name]} | scores(
                arrays[OBSERVED][chosen], arrays[PREDICTED][chosen], chances[chosen]
            )
        return table

    return Ready(run)


def scores(truth: Any, said: Any, chances: Any) -> dict[str, float]:
    """The metrics of one slice."""
    from sklearn import metrics

    labels = [*CLASSES]
    metrics.confusion_matrix(truth, said, labels=labels)
    one = {
        "labelled": len(truth),
        "accuracy": metrics.accuracy_score(truth, said),
        "f1_macro": metrics.f1_score(truth, said, average="macro"),
        "logloss": metrics.log_loss(truth, chances, labels=labels),
    }
    parts = metrics.precision_recall_fscore_support(truth, said, labels=labels, zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), parts, strict=False):
        one |= {f"{name}[{c}]": float(value) for c, value in zip(CLASSES, values, strict=True)}
    return one
