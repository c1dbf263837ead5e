"""promote_if over classes: what a hydraulic rig had wrong, and what makes two classifiers comparable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    recall_score,
    roc_auc_score,
)
from sklearn.naive_bayes import GaussianNB
from tests.models.test_steps import Place

from trikk import better_by, promote_if, register_model
from trikk.core.digests import digest_json
from trikk.core.errors import PredictionError, UsageError
from trikk.models.signature import Signature
from trikk.models.version import ModelVersion
from trikk.runs.context import entered

RANDOM = np.random.default_rng(7)
ROWS = pl.DataFrame({"x": RANDOM.normal(size=300), "y": RANDOM.normal(size=300)})
INPUTS = ROWS.select("x", "y")
NOISY = (ROWS["x"] + RANDOM.normal(size=300)).to_numpy()


def states(values: list[Any]) -> Any:
    """A class of each row: the first of two where x is low."""
    cuts = [0.0] if len(values) == 2 else [-0.5, 0.5]
    return np.array(values)[np.digitize(NOISY, cuts)]


class Bench:
    """Candidates of one model, each compared with the holder."""

    def __init__(self) -> None:
        self.place = Place()
        self.context = self.place.context()
        self.number = 0

    def add(self, model: Any, truth: Any, metric: Any, *, margin: float = 0.0, **about: Any) -> dict[str, Any]:
        """Register the model and compare it; what promote_if says."""
        self.number += 1
        with entered(replace(self.context, step=f"s{self.number}")):
            made = register_model(model, "valve", inputs=INPUTS, **about)
            rows = ROWS.with_columns(state=pl.Series(list(truth)))
            found: dict[str, Any] = promote_if(better_by(margin, metric=metric), made, rows=rows, target="state")
        return found

    @property
    def champion(self) -> int:
        return self.place.registry.resolve("valve@champion", "main").version


@pytest.fixture
def bench() -> Bench:
    return Bench()


class Counted:
    """A classifier that counts how often it predicts."""

    calls = 0

    def __init__(self, inner: Any) -> None:
        self.inner, self.classes_ = inner, inner.classes_

    def predict(self, rows: pl.DataFrame) -> Any:
        Counted.calls += 1
        return self.inner.predict(rows.select("x", "y").to_numpy())


def bayes(truth: Any, columns: tuple[str, ...] = ("x", "y")) -> Any:
    return GaussianNB().fit(INPUTS.with_columns(pl.col({"x", "y"} - {*columns}) * 0).to_numpy(), truth)


def always(value: Any, truth: Any) -> Any:
    return DummyClassifier(strategy="constant", constant=value).fit(INPUTS.to_numpy(), truth)


def test_a_model_that_always_says_three_is_not_made_champion(bench: Bench) -> None:
    truth = states([3, 20, 100])
    with pytest.raises(UsageError, match="f1 does not fit many classes") as caught:
        bench.add(always(3, truth), truth, "f1")
    assert "f1_macro" in str(caught.value.next)
    first = bench.add(always(3, truth), truth, "f1_macro")
    assert first["candidate"] == pytest.approx(f1_score(truth, np.full(300, 3), average="macro"))
    model = bayes(truth)
    better = bench.add(model, truth, "f1_macro")
    said = model.predict(INPUTS.to_numpy())
    assert better["candidate"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert (better["state"], better["unseen_classes"], bench.champion) == ("promoted", {}, 3)
    assert bench.add(always(3, truth), truth, "f1_macro")["state"] == "kept"
    assert bench.add(always(3, truth), truth, "accuracy")["state"] == "kept"
    assert bench.add(always(3, truth), truth, "recall[3]")["state"] == "promoted"  # which is what it is good at


def test_a_model_of_one_class_is_not_registered(bench: Bench) -> None:
    with pytest.raises(UsageError, match="one class, 3"):
        bench.add(bayes(np.full(300, 3)), np.full(300, 3), "accuracy")
    with pytest.raises(UsageError, match="one class, 3"), entered(bench.context):
        register_model(bayes(np.full(300, 3)), "valve")
    with pytest.raises(UsageError, match="positive= needs inputs="), entered(bench.context):
        register_model(bayes(states([3, 20])), "valve", positive=20)
    assert not bench.place.registry.names()


def test_the_probability_of_a_leak_ranks_leaks(bench: Bench) -> None:
    truth = states(["leak", "ok"])
    with pytest.raises(UsageError, match="positive"):
        bench.add(bayes(truth), truth, "auc")
    model = bayes(truth)
    first = bench.add(model, truth, "auc", positive="leak")
    likely = model.predict_proba(INPUTS.to_numpy())[:, 0]
    assert first["candidate"] == pytest.approx(roc_auc_score(truth == "leak", likely))
    assert first["candidate"] > 0.7
    worse = bench.add(bayes(truth, ("y",)), truth, "auc", positive="leak")
    assert worse["state"] == "kept"
    lost = bench.add(model, truth, "logloss", positive="leak", margin=-0.01)
    assert lost["candidate"] == pytest.approx(log_loss(truth == "leak", likely))
    assert bench.add(model, truth, "f1", positive="leak", margin=-0.1)["candidate"] == pytest.approx(
        f1_score(truth, model.predict(INPUTS.to_numpy()), pos_label="leak")
    )


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("values", [["leak", "ok"], [3, 20], [False, True]], ids=str)
def test_probabilities_alone_are_judged_like_classes(bench: Bench, method: str, values: list[Any]) -> None:
    truth, model = states(values), bayes(states(values))
    said = model.predict(INPUTS.to_numpy())
    for metric, right in (
        ("accuracy", accuracy_score(truth, said)),
        ("f1", f1_score(truth, said, pos_label=values[1])),
        ("auc", roc_auc_score(truth == values[1], model.predict_proba(INPUTS.to_numpy())[:, 1])),
    ):
        found = bench.add(model, truth, metric, margin=-1, positive=values[1], method=method)
        assert found["candidate"] == pytest.approx(right), metric


@pytest.mark.parametrize("metric", ["mae", "rmse", "top_2_accuracy", "quantile_0.9"])
def test_a_metric_that_does_not_fit_is_refused_before_a_row_is_predicted(bench: Bench, metric: str) -> None:
    truth = states(["leak", "ok"])
    model = Counted(bayes(truth))
    Counted.calls = 0
    with pytest.raises(UsageError, match="does not fit two classes") as caught:
        bench.add(model, truth, metric, positive="leak")
    assert "accuracy" in str(caught.value.next)
    assert caught.value.where == "model valve:1"
    assert Counted.calls <= 2  # by the registration


def test_a_regression_has_no_f1(bench: Bench) -> None:
    model = LinearRegression().fit(INPUTS.to_numpy(), NOISY)
    with pytest.raises(UsageError, match="f1 does not fit the task regression"):
        bench.add(model, NOISY > 0, "f1")


@pytest.mark.parametrize(
    ("about", "truth", "words"),
    [
        ({"positive": "ok"}, states(["leak", "ok"]), "positive ok"),
        ({"positive": "dry"}, states(["dry", "no leak"]), "no class in common"),
        ({}, states([3, 20, 100]), "of the other numbers"),
    ],
)
def test_sides_that_tell_other_classes_apart_are_not_compared(
    bench: Bench, about: dict[str, Any], truth: Any, words: str
) -> None:
    first = states(["leak", "ok"])
    bench.add(bayes(first), first, "accuracy", positive="leak")
    with pytest.raises(UsageError, match="can't be compared") as caught:
        bench.add(bayes(truth), first, "accuracy", **about)
    assert words in caught.value.what
    assert "trikk models promote valve VERSION" in str(caught.value.next)
    assert bench.champion == 1


def _figures(model: Any, truth: Any, values: list[str]) -> dict[str, float]:
    """What scikit-learn says of a model with a probability of 0 for classes that it does not know."""
    said = model.predict(INPUTS.to_numpy())
    known = model.predict_proba(INPUTS.to_numpy())
    share = np.zeros((300, len(values)))
    share[:, [values.index(one) for one in model.classes_]] = known
    hot = np.array(values) == np.asarray(truth)[:, None]
    return {
        "accuracy": accuracy_score(truth, said),
        "balanced_accuracy": balanced_accuracy_score(truth, said),
        "mcc": matthews_corrcoef(truth, said),
        "f1_macro": f1_score(truth, said, average="macro"),
        "recall_weighted": recall_score(truth, said, average="weighted", zero_division=0),
        "f1[leak]": f1_score(truth, said, labels=["leak"], average="macro"),
        "f1[worn]": f1_score(truth, said, labels=["worn"], average="macro"),
        "brier": float(((share - hot) ** 2).sum(axis=1).mean()),
        "auc": roc_auc_score(truth, share, multi_class="ovr"),
        "average_precision": average_precision_score(hot, share, average="macro"),
    }


@pytest.mark.parametrize("values", [["leak", "ok", "worn"], ["dry", "leak", "ok", "worn"]], ids=str)
def test_a_version_that_knows_one_class_more_is_held_against_its_elder(values: list[str]) -> None:
    truth = np.array(values)[np.digitize(NOISY, np.linspace(-0.8, 0.8, len(values) - 1))]
    is_old = truth != "worn"
    elder = GaussianNB().fit(INPUTS.to_numpy()[is_old], truth[is_old])
    younger = bayes(truth)
    about = {"positive": "leak"} if len(values) == 3 else {}
    old, new = _figures(elder, truth, values), _figures(younger, truth, values)
    worn = int((~is_old).sum())
    for metric in new:
        bench = Bench()
        bench.add(elder, truth, "accuracy", **about)
        if about and metric in ("brier", "auc", "average_precision"):
            with pytest.raises(UsageError, match="of two classes it is about the positive one") as caught:
                bench.add(younger, truth, metric)
            assert "f1_macro" in str(caught.value.next)
            assert "brier" not in str(caught.value.next)
            continue
        found = bench.add(younger, truth, metric)
        assert (found["candidate"], found["holder"]) == pytest.approx((new[metric], old[metric])), metric
        is_better = (new[metric] < old[metric]) if metric == "brier" else (new[metric] > old[metric])
        assert (found["state"], bench.champion) == (("promoted", 2) if is_better else ("kept", 1)), metric
        assert found["unseen_classes"] == {"worn": worn}
        assert f"valve:1 does not know, and counted as wrong for it: worn ({worn})" in found["reason"]
    bench = Bench()
    assert bench.add(younger, truth, "accuracy")["state"] == "promoted"
    back = bench.add(elder, truth, "accuracy", **about)
    assert (back["state"], back["unseen_classes"]) == ("kept", {"worn": worn})
    with pytest.raises(UsageError, match="logloss does not compare valve:3"):
        bench.add(elder, truth, "logloss", **about)
    with pytest.raises(UsageError, match=r"f1\[rust\]: there is no such class"):
        bench.add(elder, truth, "f1[rust]", **about)
    assert bench.add(elder, truth, missed_leaks, margin=-5, **about)["former"] == 1


def test_classes_in_another_order_are_the_same(bench: Bench) -> None:
    truth = states(["leak", "ok"])
    bench.add(bayes(truth), truth, "auc", positive="leak")
    turned = Counted(bayes(truth))
    turned.classes_ = ["ok", "leak"]
    assert bench.add(turned, truth, "accuracy", positive="leak", margin=-1)["state"] == "promoted"


def test_a_truth_that_no_model_knows_is_wrong_and_named(bench: Bench) -> None:
    known = states(["leak", "ok"])
    truth = np.where(np.arange(300) < 12, "burst", known)
    found = bench.add(bayes(known), truth, "accuracy", positive="leak")
    said = bayes(known).predict(INPUTS.to_numpy())
    assert found["candidate"] == pytest.approx(accuracy_score(truth, said))
    assert found["unseen_classes"] == {"burst": 12}
    assert "burst (12)" in found["reason"]
    move = bench.place.registry.moves("valve")[-1]
    assert move.decision is not None
    assert (move.decision["unseen_classes"], "burst (12)" in move.why) == ({"burst": 12}, True)
    for metric in ("auc", "logloss", "brier"):
        with pytest.raises(PredictionError, match=r"burst \(12 rows\)"):
            bench.add(bayes(known), truth, metric, positive="leak")
    many = states([3, 20, 100])
    later = np.where(np.arange(300) < 5, 130, many)
    bench = Bench()
    assert bench.add(bayes(many), later, "f1_macro")["unseen_classes"] == {"130": 5}
    with pytest.raises(PredictionError, match=r"130 \(5 rows\)"):
        bench.add(bayes(many), later, "top_2_accuracy")


def test_a_metric_of_the_authors_gets_the_classes(bench: Bench) -> None:
    truth = states(["leak", "ok"])
    found = bench.add(bayes(truth), truth, missed_leaks, positive="leak")
    said = bayes(truth).predict(INPUTS.to_numpy())
    assert found["candidate"] == ((truth == "leak") & (said == "ok")).sum()


def missed_leaks(truths: Any, values: Any) -> float:
    return float(((truths == "leak") & (values == "ok")).sum())


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_a_holder_of_an_older_build_is_asked_for_the_same_class(bench: Bench, method: str) -> None:
    truth = states([False, True])
    inputs = [{"name": name, "dtype": "Float64", "nullable": False} for name in INPUTS.columns]
    output = {"name": "value", "dtype": "Boolean" if method == "predict" else "Float64", "nullable": False}
    old = Signature.read({"inputs": inputs, "output": output, "takes": "array", "method": method})
    model = bayes(truth, ("x",))
    artifact = bench.context.artifacts.save(model)
    bench.place.registry.register(ModelVersion("valve", 0, artifact, old))
    bench.place.registry.move("valve", "champion", 1, "main", by="me", why="", at=1.0)
    likely = model.predict_proba(INPUTS.to_numpy())[:, 1]
    assert bench.add(bayes(truth), truth, "auc")["holder"] == pytest.approx(roc_auc_score(truth, likely))
    kept = bench.add(always(value=True, truth=truth), truth, "accuracy")
    assert (kept["state"], kept["former"] in (1, 2)) == ("kept", True)


def _texts() -> Any:
    return bayes(states(["leak", "ok"]))


def _booster() -> Any:
    about = {"objective": "binary", "verbose": -1, "num_threads": 1}
    return lightgbm.train(about, lightgbm.Dataset(INPUTS.to_numpy(), NOISY > 0), 2)


def _short() -> Any:
    return RandomForestClassifier(2, random_state=0).fit(INPUTS.to_numpy(), (NOISY > 0).astype("int8"))


@pytest.mark.parametrize(
    ("model", "method", "dtype", "about"),
    [
        (_texts, "predict", "String", {"positive": "leak"}),
        (_short, "predict", "Int8", {}),
        (_short, "predict_proba", "Float64", {}),
        (_booster, "predict", "Float64", {}),
    ],
)
def test_a_run_that_an_older_build_began_gets_the_version_that_it_made(
    bench: Bench, model: Any, method: str, dtype: str, about: dict[str, Any]
) -> None:
    """The identity of a registration is made of the signature as older builds had it."""
    fitted = model()
    artifact = bench.context.artifacts.save(fitted)
    inputs = [{"name": name, "dtype": "Float64", "nullable": False} for name in INPUTS.columns]
    output = {"name": "value", "dtype": dtype, "nullable": False}
    old = {"inputs": inputs, "output": output, "takes": "array", "method": method}
    shown = digest_json([artifact.digest, old, {"mae": 1.0}, "words"])[:16]
    made = ModelVersion("valve", 0, artifact, Signature.read(old))
    bench.place.registry.register(made, identity=f"{bench.context.identity}/{shown}")
    with entered(bench.context):
        again = register_model(
            fitted, "valve", inputs=INPUTS, method=method, metrics={"mae": 1.0}, description="words", **about
        )
    if about:  # they could not say which class is positive, so it is another registration
        assert (again["version"], again["signature"]["positive"]) == (2, "leak")
    else:
        assert again == bench.place.registry.get("valve", 1).to_json()
