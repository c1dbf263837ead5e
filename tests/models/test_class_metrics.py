"""Metrics of classes are scikit-learn's, for classes of every type, absent ones, ties, and one class only."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from trikk.core.errors import PredictionError, UsageError
from trikk.models.metrics.by_name import metric_of
from trikk.models.metrics.case_labels import Labels, labels_of
from trikk.models.metrics.class_metrics import Tallies, valued
from trikk.models.metrics.score_bins import auc, average_precision, from_flat, merged, to_flat
from trikk.models.metrics.scoring import score
from trikk.models.task import Classes, Task

KINDS: dict[str, tuple[Any, ...]] = {
    "texts": ("leak", "ok", "spill", "stuck"),
    "numbers": (3, 20, 100, 115),
    "flags": (False, True),
    "floats": (0.0, 1.0, 2.0),
    "two texts": ("ok", "leak"),
}
OF_CLASSES = ["accuracy", "balanced_accuracy", "mcc"] + [
    f"{one}_{average}" for one in ("precision", "recall", "f1") for average in ("macro", "weighted")
]


@st.composite
def cases(draw: Any, kind: str) -> tuple[Classes, list[Any], np.ndarray[Any, Any]]:
    """Classes, truths, and a row of probabilities for each; with ties, and with classes that never come."""
    values = KINDS[kind]
    classes = Classes(values, values[1] if len(values) == 2 else None)
    rows = draw(st.integers(1, 60))
    there = draw(st.lists(st.sampled_from(range(len(values))), min_size=1, max_size=len(values), unique=True))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = [values[place] for place in random.choice(there, rows)]
    parts = random.integers(0, draw(st.sampled_from([1, 3, 1000])) + 1, (rows, len(values))) + 1e-9
    return classes, truth, parts / parts.sum(axis=1, keepdims=True)


def tallied(classes: Classes, truth: Any, chances: np.ndarray[Any, Any], *names: str) -> dict[str, float | None]:
    said = [classes.values[place] for place in chances.argmax(axis=1)]
    columns = chances if classes.positive is None else chances[:, [classes.values.index(classes.positive)]]
    frame = pl.DataFrame({"t": truth, "value": said}).with_columns(
        pl.Series(name, columns[:, place]) for place, name in enumerate(classes.columns())
    )
    metrics = [metric_of(name) for name in names]
    labels = labels_of(frame, Labels(None, "t", "value", classes=classes), metrics)
    assert labels is not None
    tally = Tallies(frame, labels, metrics).over(None)[None]
    return {metric.name: valued(metric, tally, labels.of)[0] for metric in metrics}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_figures_of_said_classes_and_of_probabilities(kind: str, data: Any) -> None:
    classes, truth, chances = data.draw(cases(kind))
    order = sorted(range(len(classes.values)), key=lambda place: classes.values[place])
    values = [classes.values[place] for place in order]
    said = [classes.values[place] for place in chances.argmax(axis=1)]
    names = [*OF_CLASSES, "logloss", "brier", "auc", "average_precision", "ece"]
    found = tallied(classes, truth, chances, *names, *(["top_2_accuracy"] if len(values) > 2 else []))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in OF_CLASSES:
            function, _, average = name.partition("_") if name.endswith(("macro", "weighted")) else (name, "", "")
            peers = {"mcc": peer.matthews_corrcoef, "accuracy": peer.accuracy_score}
            one = peers.get(name) or getattr(peer, f"{function}_score")
            expected = one(truth, said, average=average) if average else one(truth, said)
            if name != "mcc" or found[name] is not None:
                assert found[name] == pytest.approx(expected), name
        ordered = chances[:, order]
        assert found["logloss"] == pytest.approx(peer.log_loss(truth, ordered, labels=values))
        if classes.positive is None:
            assert found["brier"] == pytest.approx(peer.brier_score_loss(truth, ordered, labels=values))
            area = peer.roc_auc_score(truth, ordered, multi_class="ovr", labels=values)
            assert found["auc"] == pytest.approx(area) if found["auc"] is not None else math.isnan(area)
            top = (
                peer.top_k_accuracy_score(truth, chances, k=2, labels=None)
                if values == [*classes.values] and ({*truth} == {*values})
                else None
            )
            assert top is None or found["top_2_accuracy"] == pytest.approx(top)
            if {*truth} == {*values}:
                precise = peer.average_precision_score(truth, ordered)
                assert found["average_precision"] == pytest.approx(precise)
            else:
                assert found["average_precision"] is None
        else:
            own = [value == classes.positive for value in truth]
            chance = chances[:, classes.values.index(classes.positive)]
            assert found["brier"] == pytest.approx(peer.brier_score_loss(own, chance))
            area = peer.roc_auc_score(own, chance)
            assert found["auc"] == pytest.approx(area) if found["auc"] is not None else math.isnan(area)
            if any(own):
                assert found["average_precision"] == pytest.approx(peer.average_precision_score(own, chance))
            else:
                assert found["average_precision"] is None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_figures_of_the_positive_class(data: Any) -> None:
    classes, truth, chances = data.draw(cases("two texts"))
    said = [classes.values[place] for place in chances.argmax(axis=1)]
    found = tallied(classes, truth, chances, "precision", "recall", "f1", "precision[ok]", "calibration")
    for name in ("precision", "recall", "f1"):
        of = {"labels": ["leak"], "average": None, "zero_division": math.nan}
        expected = float(getattr(peer, f"{name}_score")(truth, said, **of)[0])
        assert found[name] == pytest.approx(expected) if found[name] is not None else math.isnan(expected)
    expected = float(peer.precision_score(truth, said, labels=["ok"], average=None, zero_division=math.nan)[0])
    ok = found["precision[ok]"]
    assert ok == pytest.approx(expected) if ok is not None else math.isnan(expected)
    gaps = chances[:, 1] - np.array([value == "leak" for value in truth])
    assert found["calibration"] == pytest.approx(gaps.mean())


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 4))
def test_a_histogram_says_how_far_off_it_is_at_most(data: Any, parts: int) -> None:
    """Whatever the parts are that it was merged from."""
    classes, truth, chances = data.draw(cases("two texts"))
    frame = pl.DataFrame({"t": truth, "value": truth, "probability": chances[:, 1]})
    frame = frame.with_columns(part=pl.int_range(pl.len()) % parts)
    metrics = [metric_of("auc"), metric_of("average_precision")]
    labels = labels_of(frame, Labels(None, "t", "value", classes=classes), metrics)
    assert labels is not None
    made = Tallies(frame, labels, metrics, ["part"])
    whole = made.over(None)[None]
    bins = merged(from_flat(to_flat(tally.bins["leak"])) for tally in made.over("part").values())
    assert bins == whole.bins["leak"]
    for name, measured in (("auc", auc(bins)), ("average_precision", average_precision(bins))):
        exact = whole.ranked[name]
        assert (exact is None) == (measured is None)
        assert measured is None or abs(measured.value - (exact or 0.0)) <= measured.error + 1e-9


@pytest.mark.parametrize(
    ("truth", "said", "accuracy"),
    [
        (pl.Series([True, False]), pl.Series([1, 1]), 0.5),
        (pl.Series([1, 0], dtype=pl.Int8), pl.Series([True, False]), 1.0),
        (pl.Series([3, 20], dtype=pl.Int64), pl.Series([3.0, 21.0]), 0.5),
        (pl.Series([3, 20], dtype=pl.UInt8), pl.Series([3, 20], dtype=pl.Int32), 1.0),
        (pl.Series(["a", "b"], dtype=pl.Categorical), pl.Series(["a", "a"]), 0.5),
        (pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"])), pl.Series(["a", "b"], dtype=pl.Categorical), 1.0),
        (pl.Series(["3.0", "20.0"]).cast(pl.Decimal(6, 2)), pl.Series([3, 20]), 1.0),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1_weighted"])
def test_one_class_in_two_types_is_one_class(
    name: str, truth: pl.Series, said: pl.Series, accuracy: float
) -> None:
    value = score(metric_of(name), truth, said).value
    assert value == pytest.approx(accuracy) if name != "f1_weighted" or accuracy == 1 else value < 0.7


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float64, pl.Boolean])
def test_texts_are_never_taken_for_numbers(kind: Any) -> None:
    said = pl.Series([1, 0]).cast(kind)
    with pytest.raises(UsageError, match="values of one type, and 't' is String, and 'v' is"):
        score(metric_of("balanced_accuracy"), pl.Series("t", ["1", "0"]), said.alias("v"))
    truth = pl.Series("t", ["1", "0"])
    with pytest.raises(UsageError, match="'t' is String, and the model's classes are 0, 1"):
        score(metric_of("f1"), truth, truth.alias("value").to_frame(), Classes((0, 1)))


def test_a_model_that_always_says_3_has_no_f1_of_1() -> None:
    truth, said = pl.Series("state", [3, 20, 100, 3]), pl.Series("value", [3, 3, 3, 3])
    with pytest.raises(UsageError, match="f1 does not fit") as refused:
        score(metric_of("f1"), truth, said.to_frame(), Classes((3, 20, 100)))
    assert refused.value.next == "choose f1_macro, f1_weighted or f1[CLASS]"
    with pytest.raises(UsageError, match="f1 is of two classes, 0 and 1, and 'state' has 3, 20, 100"):
        score(metric_of("f1"), truth, said)
    expected = peer.f1_score(truth, said, average="macro")
    assert score(metric_of("f1_macro"), truth, said).value == pytest.approx(expected)


def test_a_probability_is_of_the_positive_class_whichever_comes_first() -> None:
    truth = pl.Series("t", ["leak", "ok", "leak", "ok"])
    chance = pl.DataFrame({"value": ["leak", "ok", "leak", "ok"], "probability": [0.9, 0.2, 0.8, 0.1]})
    assert score(metric_of("auc"), truth, chance, Classes(("leak", "ok"), "leak")).value == 1.0
    assert score(metric_of("auc"), truth, chance, Classes(("leak", "ok"), "ok")).value == 0.0


def test_a_class_that_the_model_does_not_know_has_probability_0() -> None:
    values = [3, 20, 100, 7]
    truth = [3, 20, 100, 7, 7, 3]
    chances = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3], [0.3, 0.4, 0.3]])
    chances = np.vstack([chances, [[0.2, 0.5, 0.3]]])
    names = ("logloss", "brier", "auc", "average_precision", "top_2_accuracy", "accuracy", "ece")
    found = tallied(Classes((3, 20, 100)), truth, chances, *names)
    order = np.argsort(values)
    wide, labels = np.column_stack([chances, np.zeros(6)])[:, order], sorted(values)
    assert found["logloss"] == pytest.approx(peer.log_loss(truth, wide, labels=labels))
    assert found["brier"] == pytest.approx(peer.brier_score_loss(truth, wide, labels=labels))
    assert found["auc"] == pytest.approx(peer.roc_auc_score(truth, wide, multi_class="ovr", labels=labels))
    assert found["average_precision"] == pytest.approx(peer.average_precision_score(truth, wide))
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["top_2_accuracy"] == pytest.approx(3 / 6)


def test_what_a_version_does_not_know_yet_is_0_and_what_gives_none_is_left_out() -> None:
    frame = pl.DataFrame(
        {
            "t": ["a", "b", "c", "a"],
            "value": ["a", "b", "a", "a"],
            "probability_a": [0.9, 0.2, 0.7, None],
            "probability_b": [0.1, 0.8, 0.3, None],
            "probability_c": [None, 0.0, None, None],
        }
    )
    metric = metric_of("logloss")
    labels = labels_of(frame, Labels(None, "t", "value", classes=Classes(("a", "b", "c"))), [metric])
    assert labels is not None
    tally = Tallies(frame, labels, [metric]).over(None)[None]
    expected = -(math.log(0.9) + math.log(0.8) + math.log(2.0**-52)) / 3
    assert valued(metric, tally, None)[0] == pytest.approx(expected)
    assert tally.counts.total == 4


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("auc", "no case is leak"),
        ("recall", "no case is leak"),
        ("precision", "leak was never predicted"),
        ("mcc", "the truth has one class only, ok"),
        ("average_precision", "no case is leak"),
    ],
)
def test_what_can_not_be_computed_says_why(name: str, why: str) -> None:
    truth = pl.Series("t", ["ok", "ok"])
    rows = pl.DataFrame({"value": ["ok", "ok"], "probability": [0.2, 0.1]})
    with pytest.raises(PredictionError, match=f"{name} of 2 rows is not defined: {why}"):
        score(metric_of(name), truth, rows, Classes(("leak", "ok"), "leak"))


def test_probabilities_that_are_none_are_no_figures() -> None:
    frame = pl.DataFrame({"t": [1, 0], "value": [1, 0], "probability": [1.4, 0.1]})
    metrics = [metric_of("brier"), metric_of("accuracy")]
    labels = labels_of(frame, Labels(Task.BINARY, "t", "value"), metrics)
    assert labels is not None
    tally = Tallies(frame, labels, metrics).over(None)[None]
    assert valued(metrics[0], tally, "1") == (None, "probabilities are outside 0 to 1 (0.1 to 1.4)")
    assert valued(metrics[1], tally, "1") == (1.0, "")
