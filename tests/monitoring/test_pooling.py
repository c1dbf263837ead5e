"""Figures of days, slices and customers taken together are those of all their cases, or say what they are."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from trikk.models.metrics.case_labels import Labels
from trikk.models.task import Classes, Task
from trikk.monitoring.cases.case_columns import BASELINE, LOWER, OBSERVED, PREDICTED, UPPER
from trikk.monitoring.figures.pooling import NOT_ADDABLE, pooled
from trikk.monitoring.figures.window_figures import Figures, figures
from trikk.monitoring.monitor_definition import MonitorSpec

NUMBERS = ("mae", "rmse", "bias", "wape", "quantile_0.9")
OF_BOTH = ("accuracy", "balanced_accuracy", "mcc", "f1_macro", "precision_weighted", "recall_macro")
OF_TWO = (*OF_BOTH, "precision", "recall", "f1", "f1[ok]", "logloss", "brier", "calibration", "ece")
OF_MANY = (*OF_BOTH, "f1[3]", "logloss", "brier", "ece", "top_2_accuracy")
RANKED = ("auc", "average_precision")
SLOT = pl.lit(datetime(2020, 3, 1, tzinfo=UTC)).alias("slot")


def of(spec: MonitorSpec, rows: pl.DataFrame, classes: Classes | None) -> list[Figures]:
    labels = Labels(classes.task if classes else None, OBSERVED, PREDICTED, classes=classes)
    return [Figures.read(one.to_json()) for one in figures(spec, rows, labels)]


def taken_together(spec: MonitorSpec, rows: pl.DataFrame, classes: Classes | None) -> tuple[Any, Any, Figures]:
    """Parts taken together as windows, and as slices, beside the figures of all cases."""
    (whole, *slices) = of(spec, rows, classes)
    windows = [of(spec, part, classes)[0] for part in rows.partition_by("part")]
    return pooled(windows), pooled(slices), whole


def check(found: Any, whole: Figures, names: tuple[str, ...]) -> None:
    assert (found.labelled, found.predicted, found.cases) == (whole.labelled, whole.predicted, whole.cases)
    for side in ("metrics", "baseline", "own"):
        for name in names if side == "metrics" or whole.baseline else ():
            mine, all_cases = getattr(found, side)[name], getattr(whole, side)[name]
            if name in RANKED:
                assert (mine is None) == (all_cases is None), (side, name)
                if side == "metrics" and mine is not None:
                    assert abs(mine - all_cases) <= found.errors.get(name, 0.0) + 2e-9
            else:
                # The ninth digit may be rounded the other way; a bias is what is left of errors that cancel out.
                left = max(1e-12, 1e-14 * (getattr(whole, side).get("mae") or 0.0))
                near = None if all_cases is None else pytest.approx(all_cases, rel=1.01e-8, abs=left)
                assert mine == near, (side, name)
    assert found.rough == ()
    assert set(found.errors) <= {*RANKED}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 40, 300]))
def test_figures_of_numbers(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.where(random.random(rows) < 0.3, 0.0, random.lognormal(0, 8, rows))
    made = pl.DataFrame({OBSERVED: truth, PREDICTED: truth * random.random(rows) * 2, BASELINE: truth[::-1]})
    made = made.with_columns(
        SLOT,
        pl.Series("part", random.integers(0, 4, rows)),
        *(pl.when(pl.lit(pl.Series(random.random(rows) < 0.8))).then(pl.col(n)).alias(n) for n in made.columns),
    ).with_columns((pl.col(PREDICTED) * 0.5).alias(LOWER), (pl.col(PREDICTED) * 1.5).alias(UPPER))
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=NUMBERS, slices=("part",))
    spec = MonitorSpec(
        **{**{n: getattr(spec, n) for n in spec.__slots__}, "baseline": "b", "interval": ("l", "u")}
    )
    for found, whole in ((one, all_[2]) for all_ in [taken_together(spec, made, None)] for one in all_[:2]):
        check(found, whole, NUMBERS)
        assert found.metrics["coverage"] == whole.metrics["coverage"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 40, 300]), st.booleans())
def test_figures_of_classes(seed: int, rows: int, two: bool) -> None:
    random = np.random.default_rng(seed)
    classes = Classes(("leak", "ok"), "leak") if two else Classes((3, 20, 100))
    values = np.array(classes.values)
    part = random.integers(0, 4, rows)
    place = np.where(random.random(rows) < 0.5, part % len(values), random.integers(0, len(values), rows))
    chances = random.dirichlet([0.3] * len(values), rows).round(int(random.integers(1, 9)))
    chances[np.arange(rows), place] += random.random()
    chances /= chances.sum(axis=1, keepdims=True)
    made = pl.DataFrame({OBSERVED: values[place], PREDICTED: values[chances.argmax(axis=1)], "part": part})
    columns = {"_probability": chances[:, 0]}
    if not two:
        columns = {f"_probability_{value}": chances[:, number] for number, value in enumerate(values)}
    made = made.with_columns(SLOT, *(pl.Series(name, one) for name, one in columns.items()))
    made = made.with_columns(pl.col(OBSERVED).shift(1).alias(BASELINE))
    names = OF_TWO if two else OF_MANY
    spec = MonitorSpec(
        "m", "p", "t", ("k",), "slot", "y", metrics=(*names, *RANKED), slices=("part",), baseline="b"
    )
    windows, slices, whole = taken_together(spec, made, classes)
    for found in (windows, slices):
        check(found, whole, (*names, *RANKED))
        assert found.confusion == whole.confusion


def months(spec: MonitorSpec, days: list[tuple[list[Any], list[Any]]]) -> Any:
    rows = [pl.DataFrame({OBSERVED: t, PREDICTED: p}).with_columns(SLOT) for t, p in days]
    return pooled(figures(spec, one)[0] for one in rows)


def test_a_months_f1_is_that_of_its_cases_and_no_mean_of_days() -> None:
    """Days with one case each way have an F1 of 0, of 1, or none; their mean says nothing."""
    days = [([1, 0, 0, 0], [1, 0, 0, 0])] * 2 + [([1, 1, 0, 0], [0, 0, 0, 1])] * 4 + [([1] * 9, [1] * 8 + [0])]
    truth, said = [y for day in days for y in day[0]], [p for day in days for p in day[1]]
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=("f1", "precision", "mcc"))
    found = months(spec, days)
    assert found.metrics["f1"] == pytest.approx(peer.f1_score(truth, said))
    assert found.metrics["precision"] == pytest.approx(peer.precision_score(truth, said))
    assert found.metrics["mcc"] == pytest.approx(peer.matthews_corrcoef(truth, said))
    assert found.rough == ()


def test_sums_keep_digits_that_figures_lose() -> None:
    """A day with huge truths and a day with tiny errors: nine digits of a wape would lose the latter."""
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=("wape", "rmse", "bias"))
    days = [([1e12] * 3, [1e12] * 3), ([1.0, 2.0, 4.0], [1.0000001, 2.0, 4.0])]
    found = months(spec, days)
    assert found.metrics["wape"] == pytest.approx(1e-7 / (3e12 + 7), rel=1e-6)
    assert found.metrics["bias"] == pytest.approx(1e-7 / 6, rel=1e-6)


def test_days_on_which_a_figure_is_not_defined_still_count() -> None:
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=("wape", "mae"))
    found = months(spec, [([0.0, 0.0], [1.0, 2.0]), ([10.0], [8.0])])
    assert found.metrics["wape"] == pytest.approx(5 / 10)
    old = [
        Figures("", "", n, n, n, m) for n, m in ((2, {"mae": 1.5, "wape": None}), (1, {"mae": 2.0, "wape": 0.2}))
    ]
    assert pooled(old).metrics["wape"] == pytest.approx(5 / 10)


def test_what_can_not_be_added_up_has_no_value_and_says_why() -> None:
    own: Any = {"half": {"function": f"{__name__}:half", "better": "lower"}}
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=("mae", "median_error", "half"), own=own)
    found = months(spec, [([1.0, 2.0], [2.0, 2.0]), ([3.0], [5.0])])
    assert (found.metrics["median_error"], found.metrics["half"]) == (None, None)
    assert found.reasons == {"median_error": NOT_ADDABLE, "half": NOT_ADDABLE}
    assert months(spec, [([1.0, 2.0], [2.0, 2.0])]).metrics == {"mae": 0.5, "median_error": 0.5, "half": 0.5}


def half(truth: Any, value: Any) -> float:
    return float(abs(truth - value).sum() / 2)


def test_a_class_that_comes_on_one_day_only_is_one_of_the_month() -> None:
    classes = Classes((3, 20, 100))
    first = pl.DataFrame({OBSERVED: [3, 20, 100, 3], PREDICTED: [3, 20, 3, 3]})
    second = pl.DataFrame({OBSERVED: [3, 20, 7, 100], PREDICTED: [3, 3, 3, 100]})
    chances = pl.DataFrame({"_probability_3": [0.8, 0.1, 0.5, 0.6], "_probability_20": [0.1, 0.7, 0.2, 0.3]})
    chances = chances.with_columns((1 - pl.sum_horizontal(pl.all())).alias("_probability_100"))
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=("auc", "average_precision", "f1_macro"))
    rows = [pl.concat([one, chances], how="horizontal").with_columns(SLOT) for one in (first, second)]
    found, whole = pooled(of(spec, one, classes)[0] for one in rows), of(spec, pl.concat(rows), classes)[0]
    assert found.metrics["f1_macro"] == whole.metrics["f1_macro"]
    for name in ("auc", "average_precision"):
        assert abs(found.metrics[name] - (whole.metrics[name] or math.nan)) <= found.errors.get(name, 0) + 1e-9


def test_records_of_older_builds_are_marked_where_they_are_but_means() -> None:
    days = [Figures("", "", 4, 4, 4, {"mae": 1.0, "f1": share, "brier": share}) for share in (0.5, 1.0)]
    found = pooled(days)
    assert found.rough == ("f1",)
    assert found.metrics == {"mae": 1.0, "f1": 0.75, "brier": 0.75}
    rows = pl.DataFrame({OBSERVED: [1, 0, 1], PREDICTED: [0.9, 0.2, 0.3]}).with_columns(SLOT)
    spec = MonitorSpec("m", "p", "t", ("k",), "slot", "y", metrics=("f1", "brier"), task=Task.BINARY)
    mixed = pooled([*days, figures(spec, rows)[0]])
    assert mixed.rough == ("f1",)
    assert mixed.metrics["brier"] == pytest.approx((8 * 0.75 + 0.01 + 0.04 + 0.49) / 11)
