from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as peer

from trikk.core.errors import DefinitionError, PredictionError, TrikkError, UnknownName, UsageError
from trikk.models import promote_if
from trikk.models.metrics.by_name import METRICS, metric_of
from trikk.models.metrics.scoring import Score, score
from trikk.models.promotion_rule import better_by, decide

RANDOM = np.random.default_rng(3)
TRUTH, VALUE = RANDOM.random(200) * 10, RANDOM.random(200) * 10
LABELS, LIKELY = RANDOM.random(200) > 0.6, RANDOM.random(200).round(1)


def own(name: str, truth: Any, value: Any) -> float:
    return score(metric_of(name), pl.Series("truth", truth), pl.Series("value", value)).value


def half(truth: Any, value: Any) -> float:
    return float(abs(truth - value).sum() / 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", peer.mean_absolute_error(TRUTH, VALUE)),
        ("rmse", math.sqrt(peer.mean_squared_error(TRUTH, VALUE))),
        ("bias", float((VALUE - TRUTH).mean())),
        ("wape", float(abs(VALUE - TRUTH).sum() / TRUTH.sum())),
    ],
)
def test_metrics_of_numbers_are_those_of_scikit_learn(name: str, expected: float) -> None:
    assert own(name, TRUTH, VALUE) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", peer.accuracy_score(LABELS, LIKELY >= 0.5)),
        ("f1", peer.f1_score(LABELS, LIKELY >= 0.5)),
        ("auc", peer.roc_auc_score(LABELS, LIKELY)),
        ("logloss", peer.log_loss(LABELS, LIKELY)),
    ],
)
def test_metrics_of_classes_are_those_of_scikit_learn(name: str, expected: float) -> None:
    assert own(name, LABELS, LIKELY) == pytest.approx(expected)
    assert own(name, LABELS.astype(int), LIKELY) == pytest.approx(expected)


def test_accuracy_takes_texts() -> None:
    assert own("accuracy", ["a", "b", "b"], ["a", "b", "c"]) == pytest.approx(2 / 3)
    with pytest.raises(UsageError, match="takes numbers"):
        own("mae", ["a"], ["b"])


def test_rows_without_a_truth_are_left_out_and_counted() -> None:
    found = score(METRICS["mae"], pl.Series([1.0, None, math.nan, 4.0]), pl.Series([2.0, 9.0, 9.0, 4.0]))
    assert found == Score(0.5, 2, 2)
    with pytest.raises(PredictionError, match="has a truth"):
        score(METRICS["mae"], pl.Series([None], dtype=pl.Float64), pl.Series([1.0]))


def test_a_metric_that_is_no_number_is_an_error() -> None:
    with pytest.raises(PredictionError, match="auc of 2 rows is not defined: every case is true"):
        own("auc", [True, True], [0.1, 0.2])


def test_an_authors_own_metric_is_found_by_its_name() -> None:
    rule = better_by(0.1, metric=half, better="lower")
    assert rule.metric == f"{__name__}:half"
    assert own(rule.metric, [1.0, 2.0], [2.0, 2.0]) == 0.5


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: better_by(0.1, metric="maee"), UnknownName),
        (lambda: better_by(math.nan), UsageError),
        (lambda: better_by("2%"), UsageError),
        (lambda: better_by(0.1, metric=lambda a, b: 0.0), UsageError),
        (lambda: better_by(0.1, better="best"), UsageError),
        (lambda: metric_of("nowhere:f"), UsageError),
        (lambda: promote_if("mae", 1, rows=1, target="x"), DefinitionError),  # type: ignore[arg-type]
    ],
)
def test_wrong_rules_are_refused_with_a_hint(make: Any, error: type[TrikkError]) -> None:
    with pytest.raises(error) as caught:
        make()
    assert caught.value.next


def verdict(margin: float, new: float, old: float, metric: str = "mae", *, relative: bool = True) -> bool:
    rule = better_by(margin, metric=metric, relative=relative)
    return decide(rule, METRICS[metric], Score(new, 9, 0), Score(old, 9, 0), held_by=1).promote


@pytest.mark.parametrize(
    ("margin", "new", "old", "metric", "relative", "promote"),
    [
        (0.02, 0.97, 1.0, "mae", True, True),
        (0.02, 0.99, 1.0, "mae", True, False),
        (0.02, 98.5, 100.0, "mae", True, False),
        (0.02, 98.5, 100.0, "mae", False, True),
        (0.0, 1.0, 1.0, "mae", True, False),
        (0.0, 0.0, 0.0, "mae", True, False),
        (0.02, 0.1, 0.0, "mae", True, False),
        (-0.01, 1.005, 1.0, "mae", True, True),
        (-0.01, 1.02, 1.0, "mae", True, False),
        (0.02, 0.92, 0.9, "accuracy", True, True),
        (0.02, 0.91, 0.9, "accuracy", True, False),
        (0.1, 0.5, -1.0, "bias", True, True),
        (0.1, -2.0, 1.0, "bias", True, False),
    ],
)
def test_verdicts(margin: float, new: float, old: float, metric: str, relative: bool, promote: bool) -> None:
    assert verdict(margin, new, old, metric, relative=relative) is promote


def test_a_verdict_says_its_reason() -> None:
    said = decide(better_by(0.02), METRICS["mae"], Score(0.9, 50, 2), Score(1.0, 50, 2), held_by=3)
    assert said.reason == (
        "mae 0.9 is better by 0.1 (10.00%) than 1 of version 3 on the same 50 rows; "
        "wanted: better by at least 2.00%"
    )
    assert decide(better_by(0), METRICS["mae"], Score(1.0, 5, 0), None, held_by=None).reason.startswith(
        "the first"
    )


@given(
    st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1), st.sampled_from(sorted(METRICS)), st.booleans()
)
def test_two_models_never_both_beat_each_other(
    a: float, b: float, margin: float, metric: str, relative: bool
) -> None:
    assert not (
        verdict(margin, a, b, metric, relative=relative) and verdict(margin, b, a, metric, relative=relative)
    )
