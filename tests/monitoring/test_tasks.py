"""A monitor's task and classes: said by its definition, else by the models of its rows, else by the rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as peer

from trikk.core.errors import UsageError
from trikk.models.registry import Registry
from trikk.models.signature import Field, Signature
from trikk.models.task import Classes, Task
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED
from trikk.monitoring.cases.tasks import labels_known, of_positive
from trikk.monitoring.figures.pooling import pooled
from trikk.monitoring.figures.window_figures import MOST_CLASSES, Figures, figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.runs.journals.memory_journal import MemoryJournal

TWO = Classes(("leak", "ok"), "leak")
SLOT = pl.lit(datetime(2020, 3, 1, tzinfo=UTC)).alias("slot")


def registry(*all_classes: Classes | None, probabilities: bool = False) -> Registry:
    ledger: Any = MemoryJournal()
    for number, classes in enumerate(all_classes, 1):
        task = None if classes is None else classes.task
        fields = (Field("x", "Float64"),), Field("value", "String")
        signature = Signature(*fields, task=task, classes=classes, probabilities=probabilities)
        artifact = {"digest": "0" * 64, "codec": "json", "size": 1, "summary": {"type": "x"}}
        body = {"name": "m", "version": number, "artifact": artifact, "signature": signature.to_json()}
        ledger.add("model/m", "version.registered", body, at=1.0)
    return Registry(ledger)


def spec(*metrics: str, **more: Any) -> MonitorSpec:
    return MonitorSpec("pumps", "p", "t", ("k",), "slot", "y", metrics=metrics, **more)


def rows(truth: list[Any], said: list[Any], versions: list[int], **more: Any) -> pl.DataFrame:
    made = {OBSERVED: truth, PREDICTED: said, "model": ["m"] * len(truth), "model_version": versions, **more}
    return pl.DataFrame(made).with_columns(SLOT)


def of(one: MonitorSpec, made: pl.DataFrame, *all_classes: Classes | None) -> Figures:
    return figures(one, made, labels_known(one, registry(*all_classes), made))[0]


def test_the_model_says_which_class_is_positive() -> None:
    truth, said = ["leak", "ok", "leak", "ok"], ["leak", "leak", "ok", "ok"]
    made = rows(truth, said, [1] * 4, _probability=[0.9, 0.6, 0.4, 0.1])
    found = of(spec("precision", "auc", "f1[ok]"), made, TWO).metrics
    assert found["auc"] == peer.roc_auc_score([1, 0, 1, 0], [0.9, 0.6, 0.4, 0.1])
    assert (found["precision"], found["f1[ok]"]) == (0.5, 0.5)
    other = spec("auc", task=Task.BINARY, positive="ok")
    assert of(other, made, TWO).metrics["auc"] == pytest.approx(1 - (found["auc"] or 0))


def test_classes_of_all_versions_count() -> None:
    made = rows([3, 20, 100, 7], [3, 20, 3, 7], [1, 1, 2, 2])
    known = labels_known(spec("f1_macro"), registry(Classes((3, 20, 100)), Classes((3, 7, 20))), made)
    assert known.classes == Classes((3, 7, 20, 100))
    assert known.task is Task.MULTICLASS


def test_a_version_of_two_classes_and_one_of_three_tell_three_apart() -> None:
    three = Classes(("leak", "ok", "worn"))
    truth, said = ["leak", "ok", "worn", "leak", "ok", "worn"], ["leak", "leak", "ok", "leak", "ok", "worn"]
    likely = [0.9, 0.6, 0.2, None, None, None]
    of_three = {
        "_probability_leak": [None, None, None, 0.7, 0.2, 0.1],
        "_probability_ok": [None, None, None, 0.2, 0.7, 0.2],
        "_probability_worn": [None, None, None, 0.1, 0.1, 0.7],
    }
    made = rows(truth, said, [1, 1, 1, 2, 2, 2], _probability=likely, **of_three)
    known = registry(TWO, three, probabilities=True)
    both = of_positive(spec("auc"), known, made)
    share = np.array(
        [[0.9, 0.1, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]]
    )
    one = spec("accuracy", "f1_macro", "auc", "brier", "f1[worn]")
    found = figures(one, both, labels_known(one, known, both))[0].metrics
    hot = np.array(truth)[:, None] == np.array(three.values)
    assert found["auc"] == pytest.approx(peer.roc_auc_score(truth, share, multi_class="ovr"))
    assert found["brier"] == pytest.approx(((share - hot) ** 2).sum(axis=1).mean())
    assert found["f1_macro"] == pytest.approx(peer.f1_score(truth, said, average="macro"))
    assert found["f1[worn]"] == pytest.approx(2 / 3)
    first = made.head(3)  # a class that only a later version knows is no misfit of an earlier window
    figure = figures(one, first, labels_known(one, known, first))[0].metrics
    assert (figure["f1[worn]"], figure["accuracy"]) == (0, pytest.approx(1 / 3))


@pytest.mark.parametrize(
    ("metric", "instead"), [("f1", "f1_macro"), ("mae", "accuracy"), ("f1[21]", "3, 20, 100")]
)
def test_a_metric_that_does_not_fit_the_models_task_is_refused(metric: str, instead: str) -> None:
    made = rows([3, 20], [3, 3], [1, 1])
    with pytest.raises(UsageError, match="monitor pumps: ") as refused:
        of(spec(metric), made, Classes((3, 20, 100)))
    assert instead in str(refused.value.next)


def test_an_older_project_has_the_figures_that_it_had() -> None:
    """Probabilities as values, whether its models say their classes or not; and errors of them."""
    truth, chance = [1, 0, 1, 0, 1], [0.9, 0.6, 0.4, 0.1, 0.7]
    made = rows(truth, chance, [1] * 5)
    names = ("f1", "accuracy", "auc", "logloss", "brier", "mae")
    said = [value >= 0.5 for value in chance]
    expected = {
        "f1": peer.f1_score(truth, said),
        "accuracy": peer.accuracy_score(truth, said),
        "auc": peer.roc_auc_score(truth, chance),
        "logloss": peer.log_loss(truth, chance),
        "brier": peer.brier_score_loss(truth, chance),
        "mae": peer.mean_absolute_error(truth, chance),
    }
    for known in ((None,), (), (Classes((0, 1)),), (Classes((False, True)),)):
        found = of(spec(*names), made, *known)
        assert {name: found.metrics[name] for name in names} == pytest.approx(expected)
        assert found.confusion is not None
    scores = rows(truth, [3.0, -1.0, 0.5, -2.0, 8.0], [1] * 5)  # of a decision function, no probabilities
    assert of(spec("auc"), scores, None).metrics["auc"] == 1.0


def test_of_probabilities_of_a_text_the_other_class_is_that_of_the_truth() -> None:
    made = rows(["leak", "ok", "leak", "ok"], [0.9, 0.2, 0.4, 0.1], [1] * 4)
    found = figures(spec("accuracy", "recall", "f1_macro", task=Task.BINARY, positive="leak"), made)[0].metrics
    assert (found["accuracy"], found["recall"]) == (0.75, 0.5)
    expected = peer.f1_score([1, 0, 1, 0], [1, 0, 0, 0], average="macro")
    assert found["f1_macro"] == pytest.approx(expected)


def test_the_calibration_error_of_days_is_that_of_their_cases() -> None:
    one = spec("f1", "brier", calibrated=True)
    parts = [rows([1, 0, 1], [0.9, 0.6, 0.4], [1] * 3), rows([0, 0, 1], [0.95, 0.61, 0.2], [1] * 3)]
    whole = of(one, pl.concat(parts), None)
    assert pooled(of(one, part, None) for part in parts).metrics["ece"] == pytest.approx(whole.metrics["ece"])


def test_of_names_that_are_no_classes_no_counts_are_kept() -> None:
    names = [f"trip {number}" for number in range(MOST_CLASSES + 1)]
    found = of(spec("accuracy"), rows(names, names[::-1], [1] * len(names)), None)
    assert found.confusion is None
    assert pooled([found, found]).metrics["accuracy"] == found.metrics["accuracy"] == pytest.approx(1 / len(names))


def test_of_classes_that_a_model_knows_counts_are_kept_however_many() -> None:
    names = [f"part {number}" for number in range(MOST_CLASSES + 1)]
    made = rows(names, [*names[1:], names[0]], [1] * len(names))
    found = of(spec("f1_macro", "mcc"), made, Classes(tuple(names)))
    again = pooled(
        [found, of(spec("f1_macro", "mcc"), rows(names, names, [1] * len(names)), Classes(tuple(names)))]
    )
    assert again.metrics["f1_macro"] == 0.5


def test_figures_about_another_class_are_not_taken_together() -> None:
    """A version with another positive class, or with a third one, came between two days."""
    names = ("precision", "auc", "brier", "accuracy", "logloss", "top_2_accuracy")
    versions = (TWO, Classes(("leak", "ok"), "ok"), Classes(("leak", "ok", "worn")))
    truth, said = ["leak", "ok", "leak", "ok"], ["leak", "leak", "ok", "ok"]
    chances = {1: [0.9, 0.6, 0.4, 0.1], 2: [0.1, 0.4, 0.6, 0.9]}
    days = [rows(truth, said, [n] * 4, _probability=one) for n, one in chances.items()]
    many = {"leak": [0.9, 0.6, 0.3, 0.1], "ok": [0.1, 0.4, 0.6, 0.8], "worn": [0.0, 0.0, 0.1, 0.1]}
    three = [*truth[:3], "worn"]
    days.append(rows(three, said, [3] * 4, **{f"_probability_{name}": one for name, one in many.items()}))
    one, other, third = (of(spec(*names), day, *versions) for day in days)
    assert one.metrics["precision"] == other.metrics["precision"] == 0.5
    assert one.reasons["top_2_accuracy"] == "top_2_accuracy does not fit the classes of these cases"
    for parts, about in (((one, other), "leak, ok"), ((one, third), "each of many, leak")):
        found = pooled(parts)
        for name in ("auc", "brier"):
            assert found.metrics[name] is None
            assert found.reasons[name] == f"its parts are about other classes: {about}"
    assert pooled([one, other]).metrics["precision"] is None
    assert pooled([one, other]).metrics["accuracy"] == 0.5
    assert pooled([one, one]).metrics["auc"] == one.metrics["auc"] == 0.75


def test_a_metric_that_fits_a_later_version_does_not_fail_on_days_of_an_earlier_one() -> None:
    made = rows([3, 20, 100], [3, 3, 100], [1, 1, 1])
    found = of(spec("f1[115]", "accuracy"), made, Classes((3, 20, 100)), Classes((3, 20, 100, 115)))
    assert (found.metrics["f1[115]"], found.metrics["accuracy"]) == (None, pytest.approx(2 / 3))
    assert found.reasons["f1[115]"] == "no case is 115, and it was never predicted"
    with pytest.raises(UsageError, match=r"f1\[116\]: there is no such class"):
        of(spec("f1[116]"), made, Classes((3, 20, 100)), Classes((3, 20, 100, 115)))
