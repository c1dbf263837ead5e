"""Metrics that follow from counts alone are scikit-learn's, whichever classes are there."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as peer

from trikk.core.errors import UsageError
from trikk.models.metrics.by_name import check_fit, fitting, metric_of
from trikk.models.metrics.confusion import Confusion, counted, undefined
from trikk.models.task import Classes, Task

PAIRS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), min_size=1, max_size=40)


def confusion(pairs: list[tuple[str, str]]) -> Confusion:
    return Confusion.of((truth, said, 1) for truth, said in pairs)


@given(PAIRS)
def test_averages_over_classes_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, said = zip(*pairs, strict=True)
    counts = confusion(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert counted("accuracy", counts) == pytest.approx(peer.accuracy_score(truth, said))
        assert counted("balanced_accuracy", counts) == pytest.approx(peer.balanced_accuracy_score(truth, said))
        for average in ("macro", "weighted"):
            for name in ("precision", "recall", "f1"):
                expected = getattr(peer, f"{name}_score")(truth, said, average=average)
                assert counted(f"{name}_{average}", counts) == pytest.approx(expected)
        mcc = counted("mcc", counts)
        assert mcc == pytest.approx(peer.matthews_corrcoef(truth, said)) if mcc is not None else True
        assert (mcc is None) == (len({*truth}) == 1 or len({*said}) == 1)


@given(PAIRS)
def test_figures_of_a_class_are_those_of_scikit_learn_where_they_are_defined(pairs: list[tuple[str, str]]) -> None:
    truth, said = zip(*pairs, strict=True)
    counts = confusion(pairs)
    for name in ("precision", "recall", "f1"):
        of = {"labels": ["b"], "average": None, "zero_division": math.nan}
        expected = float(getattr(peer, f"{name}_score")(truth, said, **of)[0])
        value = counted(name, counts, "b")
        assert (value is None) == math.isnan(expected)
        assert value is None or value == pytest.approx(expected)
        assert value is not None or "b" in undefined(name, counts, "b")


def test_a_model_that_always_says_one_class_is_told_apart_from_a_good_one() -> None:
    counts = Confusion.of([("3", "3", 10), ("20", "3", 10), ("100", "3", 10)])
    assert counted("f1_macro", counts) == pytest.approx(0.5 / 3)
    assert counted("mcc", counts) is None
    assert undefined("mcc", counts) == "one class was said of all cases, 3"
    assert counted("precision", counts, "20") is None
    assert undefined("precision", counts, "20") == "20 was never predicted"
    assert counted("accuracy", Confusion()) is None


@pytest.mark.parametrize(
    ("name", "task", "instead"),
    [
        ("f1", Task.MULTICLASS, "f1_macro, f1_weighted or f1[CLASS]"),
        ("precision", Task.MULTICLASS, "precision_macro"),
        ("mae", Task.BINARY, "accuracy"),
        ("f1_macro", Task.REGRESSION, "mae"),
        ("top_2_accuracy", Task.BINARY, "accuracy"),
        ("calibration", Task.MULTICLASS, "ece"),
        ("quantile_0.9", Task.BINARY, "brier"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_with_those_that_do(name: str, task: Task, instead: str) -> None:
    with pytest.raises(UsageError, match="does not fit") as refused:
        check_fit(metric_of(name), task)
    assert instead in str(refused.value.next)


def test_a_class_that_is_none_and_a_k_that_is_all_are_refused() -> None:
    classes = Classes((3, 20, 100))
    check_fit(metric_of("f1[20]"), Task.MULTICLASS, classes)
    check_fit(metric_of("top_2_accuracy"), Task.MULTICLASS, classes)
    with pytest.raises(UsageError, match="no such class") as refused:
        check_fit(metric_of("f1[21]"), Task.MULTICLASS, classes)
    assert refused.value.next == "choose of 3, 20, 100"
    with pytest.raises(UsageError, match="always 1"):
        check_fit(metric_of("top_3_accuracy"), Task.MULTICLASS, classes)


@pytest.mark.parametrize("task", [*Task])
def test_what_is_said_to_fit_does(task: Task) -> None:
    for name in fitting(task):
        check_fit(metric_of(name.replace("CLASS", "leak")), task)
