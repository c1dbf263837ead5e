"""`python -m benchmarks.classes`: a classifier's figures beside the same ones by hand, and by scikit-learn.

Cases in memory, each with what was said, a probability for each class and, of 19 in 20, what was true; 20 slices.
Of all cases and of each slice: how many are predicted and how many labelled, the confusion counts, accuracy, macro
F1, precision, recall and F1 of each class, and the log loss. Once as a monitor makes them, once as polars queries,
once with scikit-learn's functions called for each slice; in turns, in one process. That all three agree is checked
in every round. By wall time, and by the processor's, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import machine
from trikk.models.metrics.case_labels import Labels
from trikk.models.metrics.confusion import BY_CLASS
from trikk.models.task import Classes
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED, PROBABILITY
from trikk.monitoring.figures.window_figures import figures
from trikk.monitoring.monitor_definition import MonitorSpec

Table = dict[str, dict[str, float]]
"""By slice ("" for all cases) and metric; a class that never was said has no precision, which is 0 here."""


def names(classes: int, *, texts: bool) -> tuple[Any, ...]:
    """The classes, whole numbers or texts, in their order."""
    return tuple(f"state {n:02}" for n in range(classes)) if texts else tuple(3 * n for n in range(classes))


def cases(rows: int, classes: tuple[Any, ...], slices: int) -> pl.DataFrame:
    """Cases as a monitor joins them; three of four are said rightly."""
    draw = np.random.default_rng(1)
    truth = draw.integers(0, len(classes), rows)
    chances = draw.exponential(1.0, (rows, len(classes)))
    chances[np.arange(rows), truth] += draw.exponential(6.0, rows)
    chances /= chances.sum(axis=1, keepdims=True)
    values = pl.Series(classes)
    known = pl.int_range(rows, eager=True) % 20 != 0
    frame = pl.DataFrame({OBSERVED: values[truth], PREDICTED: values[chances.argmax(axis=1)]})
    frame = frame.with_columns(pl.when(known).then(OBSERVED).alias(OBSERVED))
    columns = {f"{PROBABILITY}_{c}": chances[:, n] for n, c in enumerate(classes)}
    return frame.with_columns(
        pl.Series("line", draw.integers(0, slices, rows)),
        pl.lit(datetime(2020, 3, 1, tzinfo=UTC)).alias("slot"),
        *(pl.Series(name, one) for name, one in columns.items()),
    )


def by_monitor(rows: pl.DataFrame, classes: tuple[Any, ...]) -> Table:
    """As a monitor makes them for a window; with its counts, its sums and its reasons."""
    known = Classes(classes)
    single = [f"{one}[{text}]" for one in BY_CLASS for text in known.texts]
    spec = MonitorSpec(
        "states",
        "predictions",
        "truth",
        ("pump",),
        "slot",
        "state",
        metrics=("accuracy", "f1_macro", "logloss", *single),
        slices=("line",),
        task=known.task,
    )
    report = figures(spec, rows, Labels(known.task, OBSERVED, PREDICTED, classes=known))
    return {
        one.value: {name: value or 0.0 for name, value in one.metrics.items()}
        | {"predicted": one.predicted, "labelled": one.labelled}
        for one in report
    }


def by_polars(rows: pl.DataFrame, classes: tuple[Any, ...]) -> Table:
    """By hand: one pass counts and sums, the rest is arithmetic on some thousand rows."""
    chance = pl.lit(None, pl.Float64)
    for c in classes:
        chance = pl.when(pl.col(OBSERVED) == c).then(pl.col(f"{PROBABILITY}_{c}")).otherwise(chance)
    loss = -chance.clip(2.0**-52, 1 - 2.0**-52).log()
    keys = ["line", OBSERVED, PREDICTED]
    labelled = rows.lazy().filter(pl.col(OBSERVED).is_not_null())
    cells, counts = pl.collect_all(
        [
            labelled.group_by(keys).agg(pl.len().alias("n"), loss.sum().alias("loss")),
            rows.lazy()
            .group_by("line")
            .agg(pl.len().alias("predicted"), pl.col(OBSERVED).count().alias("labelled")),
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


def by_sklearn(arrays: dict[str, Any], classes: tuple[Any, ...]) -> Table:
    """scikit-learn's functions for all cases, and for those of each slice."""
    from sklearn import metrics

    table: Table = {}
    labels = [*classes]
    for line in (None, *np.unique(arrays["line"])):
        chosen = slice(None) if line is None else arrays["line"] == line
        truth, said, chances = (arrays[name][chosen] for name in ("truth", "said", "chances"))
        metrics.confusion_matrix(truth, said, labels=labels)
        one = {
            "accuracy": metrics.accuracy_score(truth, said),
            "f1_macro": metrics.f1_score(truth, said, average="macro"),
            "logloss": metrics.log_loss(truth, chances, labels=labels),
        }
        parts = metrics.precision_recall_fscore_support(truth, said, labels=labels, zero_division=0)
        for name, values in zip(("precision", "recall", "f1"), parts, strict=False):
            one |= {f"{name}[{c}]": value for c, value in zip(classes, values, strict=True)}
        table["" if line is None else str(line)] = one
    return table


def agree(one: Table, second: Table, who: str) -> None:
    """Raise AssertionError unless two tables have the same figures."""
    for line, metrics in second.items():
        for name, value in metrics.items():
            if not math.isclose(value, one[line][name], rel_tol=1e-7, abs_tol=1e-9):
                raise AssertionError(f"{line or 'all'}, {name}: {one[line][name]} here, {value} {who}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classes", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--texts", action="store_true", help="classes that are texts, not whole numbers")
    parser.add_argument("--repeat", type=int, default=7, help="rounds; scikit-learn has the first three only")
    parser.add_argument("--json", type=Path, help="where the samples go")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    before = machine.state()
    classes = names(options.classes, texts=options.texts)
    rows = cases(options.rows, classes, options.slices)
    known = rows.filter(pl.col(OBSERVED).is_not_null())
    arrays = {
        "line": known["line"].to_numpy(),
        "truth": known[OBSERVED].to_numpy(),
        "said": known[PREDICTED].to_numpy(),
    }
    arrays["chances"] = known.select(pl.selectors.starts_with(f"{PROBABILITY}_")).to_numpy()
    ways: dict[str, Callable[[], Table]] = {
        "monitor": lambda: by_monitor(rows, classes),
        "polars": lambda: by_polars(rows, classes),
        "scikit-learn": lambda: by_sklearn(arrays, classes),
    }
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(options.repeat):
        tables = {}
        for name, run in ways.items():
            if name == "scikit-learn" and number > 2:
                continue
            started = time.perf_counter(), time.process_time()
            tables[name] = run()
            samples[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
        for name, table in tables.items():
            agree(tables["monitor"], table, f"by {name}")
    print(f"{options.rows:,} cases, {options.classes} classes, {options.slices} slices")
    for place, kind in enumerate(("wall", "CPU")):
        middle = {name: statistics.median(one[place] for one in pairs) for name, pairs in samples.items()}
        shown = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in middle.items())
        ours, by_hand, by_peer = (middle[name] for name in ("monitor", "polars", "scikit-learn"))
        print(f"  {kind}: {shown}")
        print(f"    of the polars queries' {ours / by_hand:.2f}, at most 1.5")
        print(f"    faster than scikit-learn {by_peer / ours:.0f} times, at least 20")
    if options.json:
        options.json.write_text(json.dumps({"machine": before, "samples": samples}, indent=1) + "\n")


if __name__ == "__main__":
    main()
