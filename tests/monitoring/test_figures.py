"""Figures of a window: one metric in monitors, gates and A/B, whatever the columns' types; and what raises."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as peer

from trikk.core.errors import PredictionError, UsageError
from trikk.models.metrics.by_name import METRICS, metric_of
from trikk.models.metrics.scoring import score
from trikk.monitoring.ab.ab_comparison import compare
from trikk.monitoring.cases.case_columns import BASELINE, OBSERVED, PREDICTED
from trikk.monitoring.figures.window_figures import Figures, figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.testing import MemoryTables

DRAW = np.random.default_rng(5)
CHANCE, HAPPENED = DRAW.random(300).round(2), DRAW.random(300) < 0.4
COUNTED, GUESSED = DRAW.integers(0, 4, 300), DRAW.integers(0, 4, 300)
OF_TWO = ("precision", "recall", "f1", "auc", "logloss", "brier", "calibration")
EVERY = (*(name for name, one in METRICS.items() if one.above or one.whole), "quantile_0.9")


def found(predicted: Any, observed: Any, *metrics: str, **more: Any) -> Figures:
    return made(pl.Series(predicted), pl.Series(observed), *metrics, **more)[0]


def made(predicted: pl.Series, observed: pl.Series, *metrics: str, **more: Any) -> list[Figures]:
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=metrics or EVERY, **more)
    joined = pl.DataFrame({PREDICTED: predicted, OBSERVED: observed, "part": np.arange(len(observed)) % 3})
    slots = pl.lit(datetime(2020, 3, 1, tzinfo=UTC)).alias("slot")
    return figures(spec, joined.with_columns(slots, pl.col(PREDICTED).alias(BASELINE)))


@pytest.mark.parametrize(
    ("predicted", "observed"),
    [
        (CHANCE, HAPPENED),
        (CHANCE, HAPPENED.astype(int)),
        (GUESSED, COUNTED),
        (GUESSED.astype(float), COUNTED),
        (HAPPENED, CHANCE > 0.3),
        (pl.Series(CHANCE, dtype=pl.Float32), pl.Series(HAPPENED, dtype=pl.Int8)),
    ],
    ids=["chance", "chance of 0 or 1", "counts", "counts as floats", "flags", "narrow"],
)
@pytest.mark.parametrize("name", EVERY)
def test_monitors_gates_and_comparisons_have_one_definition(name: str, predicted: Any, observed: Any) -> None:
    values, truths = pl.Series("v", predicted), pl.Series("t", observed)
    if observed is COUNTED and name in OF_TWO:
        with pytest.raises(UsageError, match=f"{name} is of two classes, 0 and 1, and 't' has 0, 1, 2"):
            score(metric_of(name), truths, values)
        figure = found(values, truths, name, baseline="b")
        assert (figure.metrics[name], figure.baseline[name]) == (None, None)
        assert "two classes" in figure.reasons[name]
        return
    gate = score(metric_of(name), truths, values).value
    whole = found(values, truths, name, baseline="b").metrics[name]
    assert whole == pytest.approx(gate, rel=1e-8)
    assert found(values, truths, name, baseline="b").baseline[name] == whole
    if metric_of(name).above is not None:
        frame = pl.DataFrame({"k": range(len(truths)), "value": values, "other": values, "y": truths})
        frame = frame.with_columns(slot=pl.lit(datetime(2020, 3, 1, tzinfo=UTC)))
        tables = MemoryTables({"p": frame.drop("y"), "t": frame.select("k", "slot", "y")})
        spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=(name,))
        sides = compare(spec, tables, None, "column:value", "column:other").whole  # type: ignore[arg-type]
        assert (sides.first, sides.second) == (pytest.approx(gate), pytest.approx(gate))
        assert sides.spread.difference == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", peer.accuracy_score(HAPPENED, CHANCE >= 0.5)),
        ("precision", peer.precision_score(HAPPENED, CHANCE >= 0.5)),
        ("recall", peer.recall_score(HAPPENED, CHANCE >= 0.5)),
        ("f1", peer.f1_score(HAPPENED, CHANCE >= 0.5)),
        ("auc", peer.roc_auc_score(HAPPENED, CHANCE)),
        ("brier", peer.brier_score_loss(HAPPENED, CHANCE)),
        ("logloss", peer.log_loss(HAPPENED, CHANCE)),
        ("median_error", peer.median_absolute_error(HAPPENED, CHANCE)),
        ("quantile_0.9", peer.mean_pinball_loss(HAPPENED, CHANCE, alpha=0.9)),
        ("rmse", math.sqrt(peer.mean_squared_error(HAPPENED, CHANCE))),
    ],
)
def test_figures_are_those_of_scikit_learn(name: str, expected: float) -> None:
    assert found(CHANCE, HAPPENED, name).metrics[name] == pytest.approx(expected)


def test_accuracy_compares_classes_as_they_are_and_probabilities_with_a_half() -> None:
    classes = peer.accuracy_score(COUNTED, GUESSED)
    for truths in (COUNTED, COUNTED.astype(float)):
        for values in (GUESSED, GUESSED.astype(float)):
            assert found(values, truths, "accuracy").metrics["accuracy"] == pytest.approx(classes)
    assert found([0.5, 0.49, 1.02, -0.1], [1, 1, 1, 0], "accuracy").metrics["accuracy"] == 0.75
    assert found([2.0, 1.0, 0.0], [1, 1, 0], "accuracy").metrics["accuracy"] == pytest.approx(2 / 3)
    assert found([2.5, 0.5], [2.5, 2.5], "accuracy").metrics["accuracy"] == 0.5
    large = 2**60
    assert found([large, large], [large, large + 1], "accuracy").metrics["accuracy"] == 0.5
    assert found(["a", "b"], ["a", "c"], "accuracy").metrics["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("name", "predicted", "observed"),
    [
        ("f1", [0.1, 0.2], [0, 0]),
        ("precision", [0.1, 0.2], [1, 0]),
        ("recall", [0.1, 0.9], [0, 0]),
        ("auc", [0.1, 0.9], [1, 1]),
        ("wape", [1.0, 2.0], [0.0, 0.0]),
    ],
)
def test_what_is_not_defined_has_no_value_anywhere(name: str, predicted: list[float], observed: list[Any]) -> None:
    assert found(predicted, observed, name).metrics[name] is None
    with pytest.raises(PredictionError, match=f"{name} of 2 rows is not defined"):
        score(metric_of(name), pl.Series(observed), pl.Series(predicted))


@pytest.mark.parametrize(
    ("kind", "most"),
    [(pl.Int8, 100), (pl.Int16, 30000), (pl.Int32, 2_000_000_000), (pl.Decimal(12, 2), Decimal(9))],
)
def test_no_type_of_numbers_overflows(kind: Any, most: Any) -> None:
    one, other = pl.Series([most, -most], dtype=kind), pl.Series([-most, most], dtype=kind)
    metrics = found(one, other, "mae", "rmse", "bias", "wape", "quantile_0.9").metrics
    assert [metrics[name] for name in ("mae", "rmse", "bias", "wape")] == [2 * most, 2 * most, 0, 2]
    unsigned = found(pl.Series([1], dtype=pl.UInt8), pl.Series([3], dtype=pl.UInt8), "bias", "mae").metrics
    assert unsigned == {"bias": -2.0, "mae": 2.0}


def test_what_can_not_be_compared_is_named() -> None:
    with pytest.raises(UsageError, match=r"mae takes numbers, and 't.y' is String"):
        found([1.0], ["a"], "mae")
    with pytest.raises(UsageError, match=r"compared as values of one type, and 't.y' is String, and 'p.value'"):
        found([1.0], ["a"], "accuracy")
    assert found(pl.Series([None, None]), ["a", "b"], "accuracy").metrics["accuracy"] is None


def area(truth: Any, value: Any) -> float:
    if len(set(truth)) < 2:
        raise ValueError("Only one class present in y_true")
    return float(peer.roc_auc_score(truth, value))


def nothing(truth: Any, value: Any) -> Any:
    return "much"


def test_a_metric_of_an_author_s_that_raises_has_no_value_there_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = [f"{__name__}:{function.__name__}" for function in (area, nothing)]
    happened = pl.Series([1, 1, 1, 0, 1, 0] * 50)
    with caplog.at_level(logging.WARNING):
        whole, *parts = made(pl.Series(CHANCE), happened, "mae", *own, slices=("part",), baseline="b")
    assert whole.metrics[own[0]] == pytest.approx(peer.roc_auc_score(happened, CHANCE))
    assert [part.metrics[own[0]] is None for part in parts] == [False, True, False]
    assert [part.own[own[0]] is None for part in parts] == [False, True, False]
    assert all(figure.metrics["mae"] is not None and figure.metrics[own[1]] is None for figure in (whole, *parts))
    told = sorted(record.getMessage().partition(f"{__name__}:")[2] for record in caplog.records)
    assert told == [
        "area raised 3 times and has no value there: ValueError: Only one class present in y_true",
        "nothing raised 12 times and has no value there: TypeError: must be real number, not str",
    ]


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("f1", [3, 3, 3], "3"),
        ("precision", [1.0, 2.0, 2.0], "2"),
        ("brier", [0.4, 1.5, 0.2], "1.5"),
        ("logloss", [0.4, -3.0, 2.0], "-3, 2"),
        ("calibration", [0.4, -3.0, 2.0], "-3, 2"),
    ],
)
def test_classes_are_no_probabilities_even_where_all_truths_are_0_or_1(name: str, values: Any, shown: str) -> None:
    """A day of a model of 1, 2 and 3 whose truths are all 1: as numbers, 3 would say 1."""
    why = f"{name} is of two classes, 0 and 1, and 'v' has {shown}"
    with pytest.raises(UsageError, match=why):
        score(metric_of(name), pl.Series("t", [1, 1, 1]), pl.Series("v", values))
    figure = found(values, [1, 1, 1], name)
    assert figure.metrics == {name: None}
    assert figure.reasons[name] == f"{name} is of two classes, 0 and 1, and 'p.value' has {shown}"


def test_a_score_of_another_scale_still_ranks_and_says_one_from_a_half_on() -> None:
    values, truths = pl.Series("v", [1.25, -0.3, 0.6]), pl.Series("t", [1, 0, 1])
    assert score(metric_of("f1"), truths, values).value == 1.0
    assert score(metric_of("auc"), truths, values).value == 1.0
