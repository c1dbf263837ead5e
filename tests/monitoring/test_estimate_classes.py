"""What is to be expected of classes: scikit-learn's metrics where the truth is sure, else in range or unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trikk.models.metrics.case_labels import labels_of
from trikk.monitoring.cases.tasks import labels_given
from trikk.monitoring.estimates.calibration import Calibration, Curve, curve, helps
from trikk.monitoring.estimates.classes import Chances, Expected, expected, is_expected
from trikk.monitoring.estimates.estimated_figures import by_value, estimates
from trikk.monitoring.monitor_definition import MonitorSpec

NAMES = ("ok", "leak", "worn", "stuck")
OF_ALL = ["accuracy", "balanced_accuracy", "mcc", "logloss", "brier", "auc", "average_precision"]
OF_ALL += [f"{one}_{average}" for one in ("precision", "recall", "f1") for average in ("macro", "weighted")]
OF_ALL += [f"{one}[{name}]" for one in ("precision", "recall", "f1") for name in NAMES[:2]]
OF_TWO = ["precision", "recall", "f1"]


def chances(scores: Any, right: Any, said: Any, group: Any = "") -> Chances:
    """Cases of as many classes as the arrays have columns; of two, the second is positive."""
    columns: dict[str, Any] = {}
    for number in range(scores.shape[1]):
        columns |= {f"score_{number}": scores[:, number], f"chance_{number}": right[:, number]}
    names = NAMES[: scores.shape[1]]
    rows = pl.DataFrame(columns).with_columns(said=pl.Series([names[one] for one in said], dtype=pl.String))
    rows = rows.with_columns(group=group if isinstance(group, pl.Series) else pl.lit(group))
    return Chances(rows, names, 1 if len(names) == 2 else None)


def metrics_of(classes: int) -> list[str]:
    return OF_ALL + (OF_TWO if classes == 2 else [])


def drawn(seed: int, rows: int, classes: int, digits: int = 6) -> tuple[Any, Any, Any]:
    """Scores, the class that is said, and a truth that follows the scores."""
    generator = np.random.default_rng(seed)
    scores = generator.dirichlet(np.linspace(0.4, 1.2, classes), rows).round(digits)
    scores /= scores.sum(axis=1, keepdims=True)
    truth = (generator.random((rows, 1)) > scores.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return scores, scores.argmax(axis=1), truth


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize(("rows", "digits"), [(12, 1), (60, 1), (60, 6), (1500, 2)])
def test_where_the_truth_is_sure_the_estimate_is_the_metric(classes: int, rows: int, digits: int) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    scores, said, truth = drawn(rows + classes, rows, classes, digits)
    truth[:classes] = range(classes)
    sure = np.eye(classes)[truth]
    found = expected(chances(scores, sure, said), metrics_of(classes))[""].values
    labels, score = list(range(classes)), scores[:, 1] if classes == 2 else scores
    real = {
        "accuracy": sk.accuracy_score(truth, said),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
        "mcc": sk.matthews_corrcoef(truth, said),
        "auc": sk.roc_auc_score(truth, score, multi_class="ovr"),
        "average_precision": sk.average_precision_score(truth if classes == 2 else sure, score),
        "logloss": sk.log_loss(truth, scores, labels=labels),
        "brier": sk.brier_score_loss(truth, score),
    }
    for name in ("precision", "recall", "f1"):
        score_of = getattr(sk, f"{name}_score")
        for average in ("macro", "weighted"):
            real[f"{name}_{average}"] = score_of(truth, said, average=average, zero_division=0)
        of_each = score_of(truth, said, average=None, labels=labels, zero_division=0)
        real |= {f"{name}[{NAMES[number]}]": of_each[number] for number in (0, 1)}
        real |= {name: of_each[1]} if classes == 2 else {}
    known = {name: value for name, value in found.items() if value is not None}
    assert known == pytest.approx({name: real[name] for name in known}, abs=1e-9)
    unsaid = {f"{one}[{name}]" for one in ("precision", "f1") for n, name in enumerate(NAMES) if n not in said}
    assert set(real) - set(known) <= unsaid | ({"precision", "f1"} if 1 not in said else set()) | {"mcc"}


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_an_estimate_is_in_its_range_or_unknown_for_a_reason(data: st.DataObject) -> None:
    classes, rows = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 12))
    share = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 1e-12, 5e-324])
    arrays = []
    for _ in ("score", "chance"):
        drawn_ = np.array(data.draw(st.lists(share, min_size=classes * rows, max_size=classes * rows)))
        parts = drawn_.reshape(rows, classes) + 1e-300
        arrays.append(parts / parts.sum(axis=1, keepdims=True))
    said = data.draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    found = expected(chances(*arrays, said), metrics_of(classes))[""]
    for name, value in found.values.items():
        assert (value is None) == (name in found.reasons)
        least, most = {"mcc": (-1, 1), "logloss": (0, 37), "brier": (0, 1 if classes == 2 else 2)}.get(
            name, (0, 1)
        )
        assert value is None or least <= value <= most * (1 + 1e-12), name


def test_the_expected_area_counts_each_pair_whatever_the_ties() -> None:
    score = np.array([0.1, 0.3, 0.3, 0.8, 0.8, 0.9])
    right = np.array([0.2, 0.1, 0.4, 0.8, 0.6, 0.7])
    above = pairs = 0.0
    for i in range(6):
        for j in set(range(6)) - {i}:
            pairs += right[i] * (1 - right[j])
            above += right[i] * (1 - right[j]) * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    for order in ([0, 1, 2, 3, 4, 5], [2, 5, 0, 4, 3, 1]):
        rows = np.column_stack([1 - score, score])[order], np.column_stack([1 - right, right])[order]
        found = expected(chances(*rows, [1] * 6), ["auc"])[""].values["auc"]
        assert found == pytest.approx(above / pairs, abs=1e-12)


def test_probabilities_that_are_right_foretell_every_metric() -> None:
    scores, said, truth = drawn(7, 60_000, 3)
    estimate = expected(chances(scores, scores, said), OF_ALL)[""].values
    real = expected(chances(scores, np.eye(3)[truth], said), OF_ALL)[""].values
    assert estimate == pytest.approx(real, abs=0.01)


def of(right: list[float], said: list[int], *metrics: str) -> Expected:
    score = np.array(right)
    both = np.column_stack([1 - score, score])
    return expected(chances(both, both, said), metrics or metrics_of(2))[""]


def test_where_nothing_positive_is_said_precision_is_unknown_and_so_is_f1() -> None:
    found = of([0.4] * 100, [0] * 100)
    assert {name: found.reasons[name] for name in ("precision", "f1")} == dict.fromkeys(
        ("precision", "f1"), "leak was never predicted"
    )
    assert (found.values["recall"], found.values["accuracy"]) == (0.0, pytest.approx(0.6))


def test_where_one_class_only_is_to_be_expected_nothing_that_needs_both_is_known() -> None:
    found = of([0.0001] * 100, [0] * 100)
    unknown = {name for name, value in found.values.items() if value is None}
    named = {"precision[leak]", "recall[leak]", "f1[leak]"}
    assert unknown == {"precision", "recall", "f1", "auc", "average_precision", "mcc", *named}
    assert found.reasons["recall"] == "no case of leak is to be expected"
    assert found.reasons["auc"] == "no case is to be expected but of ok"
    assert found.values["balanced_accuracy"] == pytest.approx(1.0)


def test_groups_are_apart() -> None:
    scores, said, _ = drawn(3, 400, 3)
    group = pl.Series("group", ["a", None] * 200)
    both = expected(chances(scores, scores, said, group), OF_ALL)
    for part, value in ((0, "a"), (1, None)):
        alone = expected(chances(scores[part::2], scores[part::2], said[part::2]), OF_ALL)[""]
        assert both[value].values == pytest.approx(alone.values, nan_ok=True)


@pytest.mark.parametrize(
    "name", ["mae", "ece", "calibration", "top_2_accuracy", "precision_micro", "f1[]", "coverage"]
)
def test_other_metrics_are_not_estimated(name: str) -> None:
    assert not is_expected(name)


@pytest.mark.parametrize(("rows", "digits"), [(5, 6), (300, 2), (4000, 3)])
def test_the_curve_is_the_isotonic_regression_of_scikit_learn(rows: int, digits: int) -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    generator = np.random.default_rng(rows)
    score = generator.beta(0.4, 1.0, rows).round(digits)
    truth = (generator.random(rows) < score**1.7).astype(float)
    said, place = np.unique(score, return_inverse=True)
    ours = curve(np.column_stack([said, said]), np.bincount(place).astype(float), np.bincount(place, truth))
    theirs = isotonic.IsotonicRegression(out_of_bounds="clip").fit(score, truth)
    grid = np.linspace(0, 1, 999)
    assert ours.of(grid) == pytest.approx(theirs.predict(grid), abs=1e-9)


@pytest.mark.parametrize(("power", "wanted"), [(2.0, True), (0.5, True), (1.0, False)])
def test_a_curve_is_used_only_where_it_helps(power: float, wanted: bool) -> None:
    said = np.arange(1, 10) / 10
    cases = np.full(9, 1000.0)
    assert helps(np.column_stack([said, said]), [(cases, np.round(said**power * 1000))] * 10) is wanted


def spec(*metrics: str, **more: Any) -> MonitorSpec:
    return MonitorSpec("m", "p", "t", ("k",), "slot", "o", metrics=metrics, calibrated=True, **more)


def joined(said: list[Any], truth: list[Any] | None = None, **probabilities: Any) -> pl.DataFrame:
    observed = truth or [said[0], *[None] * (len(said) - 1)]
    return pl.DataFrame({"_predicted": said, "_observed": observed, **probabilities}, strict=False)


def foretold(spec: MonitorSpec, rows: pl.DataFrame, group: str | None, *more: Any) -> dict[Any, Expected]:
    """The estimates as a window's figures have them."""
    metrics = [spec.metric(name) for name in spec.metrics]
    labels = labels_of(rows, labels_given(spec), metrics, "_probability") or by_value(rows)
    return estimates(spec, rows, group, labels, *more)


def value(rows: pl.DataFrame, metric: str, **more: Any) -> float | str | None:
    """The estimate, or why it is not known."""
    found = foretold(spec(metric, **more), rows, None)[None]
    return found.values[metric] if metric not in found.reasons else found.reasons[metric]


TWO = {"_probability": [0.9, 0.2, 0.6, 0.3]}
MANY = {"_probability_3": [0.7, 0.2, 0.1], "_probability_20": [0.2, 0.7, 0.3], "_probability_100": [0.1, 0.1, 0.6]}


@pytest.mark.parametrize(
    ("positive", "said"),
    [
        ("leak", ["leak", "ok", "leak", "ok"]),
        (None, [True, False, True, False]),
        (None, [1, 0, 1, 0]),
        (None, [1.0, 0.0, 1.0, 0.0]),
        (20, [20, 3, 20, 3]),
    ],
    ids=str,
)
def test_two_classes_are_what_they_are_called(positive: Any, said: list[Any]) -> None:
    rows = joined(said, **TWO)
    assert value(rows, "precision", positive=positive) == pytest.approx(1.5 / 2)
    assert value(rows, "recall", positive=positive) == pytest.approx(1.5 / 2.0)
    assert value(rows, "accuracy", positive=positive) == pytest.approx((0.9 + 0.8 + 0.6 + 0.7) / 4)


def test_many_classes_are_no_numbers() -> None:
    rows = joined([3, 20, 100], **MANY)
    assert value(rows, "accuracy") == pytest.approx(2.0 / 3)
    assert value(rows, "precision[100]") == pytest.approx(0.6)
    assert value(rows, "recall[3]") == pytest.approx(0.7)
    auc = value(rows, "auc")
    assert isinstance(auc, float)
    assert 0.5 < auc <= 1


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (joined(["leak", "ok"]), "the predictions have no probabilities"),
        (joined([3, 20, 100]), "the predictions have no probabilities"),
        (joined([True, False]), "the predictions have no probabilities"),
        (joined(["leak", "ok"], _probability=[0.3, 0.4]), "which class is the positive one is not known"),
        (joined([1.0, 0.0, 1.0]), "the predictions have no probabilities"),
        (joined([1, 0, 1], [1, 0, 1]), "the predictions have no probabilities"),
        (joined([3.0, 20.0, 100.0]), "3 of 3 predictions have none that are between 0 and 1 and sum to 1"),
        (joined([1.7, -0.2, 0.5]), "2 of 3 predictions have none that are between 0 and 1 and sum to 1"),
        (joined([1, 0, 1], _probability=[0.9, None, 0.6]), "1 of 3 predictions have no probability"),
        (joined([1, 0, 1], _probability=[0.9, float("nan"), 0.6]), "1 of 3 predictions have none that are"),
        (
            joined([3, 20, 100], **MANY | {"_probability_3": [0.1, 0.2, 0.1]}),
            "1 of 3 predictions have none that are",
        ),
        (joined([3, 20], **{name: [None, None] for name in MANY}), "the predictions have no probabilities"),
        (
            joined([3, 20], **{name: [None, one[1]] for name, one in MANY.items()}),
            "1 of 2 predictions have no prob",
        ),
    ],
    ids=lambda one: one[:30] if isinstance(one, str) else "",
)
def test_an_estimate_is_unknown_where_probabilities_are_not_to_be_relied_on(rows: pl.DataFrame, why: str) -> None:
    for metric in ("accuracy", "auc", "brier"):
        assert str(value(rows, metric)).startswith(why)


def test_a_class_that_a_newer_model_brought_was_impossible_before() -> None:
    columns = {"_probability_a": [0.6, 0.5], "_probability_b": [0.4, 0.2], "_probability_c": [None, 0.3]}
    assert value(joined(["a", "a"], **columns), "accuracy") == pytest.approx(0.55)


def test_probabilities_as_older_projects_have_them_are_the_value_itself() -> None:
    rows = joined([0.9, 0.2, 0.6, 0.3], [1.0, 0.0, None, None])
    assert value(rows, "f1") == pytest.approx(2 * 1.5 / 4)
    assert value(rows, "brier") == pytest.approx((0.09 + 0.16 + 0.24 + 0.21) / 4)


def test_a_calibration_counts_for_what_is_expected_and_not_for_what_is_said() -> None:
    halved = Calibration({"leak": Curve((0.0, 1.0), (0.0, 0.5))}, cases=300)
    rows = joined(["leak", "ok", "leak", "ok"], **TWO)
    found = foretold(spec("precision", "auc", positive="leak"), rows, None, halved)[None].values
    assert found["precision"] == pytest.approx(0.75 / 2)
    few = foretold(spec("precision", positive="leak"), rows, None, Calibration(cases=12))[None]
    assert few.values == {"precision": None}
    assert few.reasons["precision"] == "the reference has 12 labelled cases, and 200 are asked for"


def test_slices_with_wrong_probabilities_do_not_spoil_others() -> None:
    rows = joined([1, 0, 1, 0], **TWO | {"_probability": [0.9, 0.2, None, 0.3], "device": ["a", "a", None, "b"]})
    found = foretold(spec("accuracy"), rows, "device")
    assert found["a"].values["accuracy"] == pytest.approx(0.85)
    assert found["b"].values["accuracy"] == pytest.approx(0.7)
    assert found[None].reasons["accuracy"] == "the predictions have no probabilities"
