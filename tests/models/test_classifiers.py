"""What models say of their task, and the classes and probabilities that come out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from trikk.core.errors import PredictionError, SignatureError, UsageError
from trikk.models.calling.invoke import predict_values, predictions
from trikk.models.register import infer
from trikk.models.signature import Signature
from trikk.models.task import Task

RANDOM = np.random.default_rng(3)
X = pl.DataFrame({"a": RANDOM.normal(size=240), "b": RANDOM.normal(size=240).round(1)})
KEYS = pl.DataFrame({"pump": [f"p{row}" for row in range(240)]})
PLACE = np.digitize(X["a"].to_numpy() + 0.6 * RANDOM.normal(size=240), [-0.5, 0.5])
TRAINED: dict[str, Any] = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}


def labels(values: Sequence[Any], dtype: Any = None) -> Any:
    """One of these for each row, by what the row is: the first of two where there are two."""
    places = PLACE if len(values) > 2 else (PLACE > 1).astype(int)
    return np.array(values, dtype=dtype)[places]


ESTIMATORS = {
    "logistic": LogisticRegression(),
    "forest": RandomForestClassifier(5, random_state=0),
    "histogram": HistGradientBoostingClassifier(max_iter=3),
    "boosting": GradientBoostingClassifier(n_estimators=2),
    "tree": DecisionTreeClassifier(max_depth=3),
    "neighbors": KNeighborsClassifier(4),
    "bayes": GaussianNB(),
    "pipeline": make_pipeline(StandardScaler(), RandomForestClassifier(4, random_state=0)),
    "search": GridSearchCV(RandomForestClassifier(random_state=0), {"n_estimators": [2, 3]}, cv=2),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1),
    "calibrated": CalibratedClassifierCV(GaussianNB(), cv=2),
    "voting": VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft"),
}
CLASSES = [["leak", "ok"], [3, 20, 100], [False, True], [0, 1], ["a", "b", "c"], [-1, 1], [0.0, 1.0]]


@pytest.mark.parametrize("values", CLASSES, ids=str)
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimator_gives_what_its_own_methods_give(kind: str, values: list[Any]) -> None:
    model = ESTIMATORS[kind].fit(X.to_numpy(), labels(values))
    positive = None if len(values) > 2 or values in ([0, 1], [False, True], [0.0, 1.0]) else values[0]
    signature = infer(model, X, positive=positive)
    assert signature.task is (Task.MULTICLASS if len(values) > 2 else Task.BINARY)
    assert signature.classes is not None
    assert [(value, type(value)) for value in signature.classes.values] == [(v, type(v)) for v in values]
    found = predictions(model, X, Signature.read(signature.to_json()))
    assert found["value"].to_list() == model.predict(X.to_numpy()).tolist()
    assert found["value"].dtype == pl.Series(values).dtype
    likely = model.predict_proba(X.to_numpy())
    if len(values) > 2:
        assert found.columns == ["value", *(f"probability_{value}" for value in values)]
        assert np.array_equal(found.drop("value").to_numpy(), likely)
    else:
        place = 1 if positive is None else 0
        assert found.columns == ["value", "probability"]
        assert np.array_equal(found["probability"].to_numpy(), likely[:, place])
    assert [field.name for field in signature.outputs] == found.columns
    assert predict_values(model, X, signature).equals(found["value"])
    none = predictions(model, X.head(0), signature)
    assert (none.schema, none.height) == (found.schema, 0)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
@pytest.mark.parametrize(
    "names", [None, ["leak", "ok"], ["low", "mid", "high"], [3, 20, 100], [False, True]], ids=str
)
def test_a_booster_gives_classes_by_place_and_its_output_as_probabilities(
    library: str, names: list[Any] | None
) -> None:
    two = names is None or len(names) == 2
    target = labels([0, 1] if two else [0, 1, 2])
    if library == "lightgbm":
        objective = {"objective": "binary"} if two else {"objective": "multiclass", "num_class": 3}
        model = lightgbm.train({**TRAINED, **objective}, lightgbm.Dataset(X.to_numpy(), target), 3)
        own = model.predict(X.to_numpy())
    else:
        objective = {"objective": "binary:logistic"} if two else {"objective": "multi:softprob", "num_class": 3}
        model = xgboost.train(objective, xgboost.DMatrix(X.to_numpy(), target), 3)
        own = model.predict(xgboost.DMatrix(X.to_numpy()))
    positive = names[0] if names and isinstance(names[0], str) and two else None
    signature = infer(model, X, classes=names, positive=positive)
    found = predictions(model, X, signature)
    values = names or [0, 1]
    if two:
        places = (own > 0.5).astype(int)
        assert found["probability"].to_numpy() == pytest.approx(1 - own if positive == "leak" else own)
    else:
        places = own.argmax(axis=1)
        assert np.allclose(found.drop("value").to_numpy(), own)
    assert found["value"].to_list() == [values[place] for place in places]
    assert found["value"].dtype == pl.Series(values).dtype


def test_a_booster_of_classes_alone_has_no_probabilities() -> None:
    model = xgboost.train(
        {"objective": "multi:softmax", "num_class": 3}, xgboost.DMatrix(X.to_numpy(), labels([0, 1, 2])), 3
    )
    found = predictions(model, X, infer(model, X, classes=["low", "mid", "high"]))
    own = model.predict(xgboost.DMatrix(X.to_numpy()))
    assert found.to_dict(as_series=False) == {"value": [["low", "mid", "high"][int(one)] for one in own]}


def test_a_threshold_of_its_own_decides_and_not_the_likeliest_class() -> None:
    inner = HistGradientBoostingClassifier(max_iter=3)
    model = FixedThresholdClassifier(inner, threshold=0.9, pos_label=True).fit(X.to_numpy(), labels([False, True]))
    found = predictions(model, X, infer(model, X))
    assert found["value"].to_list() == model.predict(X.to_numpy()).tolist()
    assert (found["value"] != (found["probability"] > 0.5)).any()


def test_where_two_classes_are_as_likely_the_model_says_which() -> None:
    rows = pl.DataFrame({"a": [0.0, 0.0, 1.0, 1.0]})
    model = HistGradientBoostingClassifier(max_iter=1).fit(rows.to_numpy(), [False, True, False, True])
    found = predictions(model, rows, infer(model, rows))
    assert found["probability"].to_list() == [0.5] * 4
    assert found["value"].to_list() == model.predict(rows.to_numpy()).tolist()


def test_a_class_without_probabilities_gives_the_class_alone() -> None:
    model = SVC().fit(X.to_numpy(), labels(["a", "b", "c"]))
    assert predictions(model, X, infer(model, X)).columns == ["value"]
    hinge = SGDClassifier(random_state=0).fit(X.to_numpy(), labels([3, 20, 100]))
    signature = infer(hinge, X)
    assert (signature.task, signature.outputs) == (Task.MULTICLASS, (signature.output,))


class Own:
    """An author's class: what it gives is what it was made with."""

    def __init__(self, values: Any, likely: Any = None, classes: Any = None) -> None:
        self.values, self.likely = values, likely
        if classes is not None:
            self.classes_ = classes

    def predict(self, rows: pl.DataFrame) -> Any:
        return self.values[: rows.height]

    def predict_proba(self, rows: pl.DataFrame) -> Any:
        return self.likely[: rows.height]


def own(values: Sequence[Any], likely: Sequence[Sequence[float]], classes: Any = None) -> tuple[Own, pl.DataFrame]:
    return Own(list(values), np.array(likely), classes), X.head(len(values))


@pytest.mark.parametrize(
    ("given", "classes", "dtype"),
    [
        (["leak", "ok"], ["leak", "ok"], pl.String),
        (np.array(["leak", "ok"], dtype=object), np.array(["leak", "ok"]), pl.String),
        (pd.Series(["leak", "ok"], dtype="string"), ["leak", "ok"], pl.String),
        (pd.Series(["leak", "ok"], dtype="category"), ["leak", "ok"], pl.String),
        (pl.Series(["leak", "ok"], dtype=pl.Categorical), ["leak", "ok"], pl.String),
        (pl.Series(["leak", "ok"], dtype=pl.Enum(["ok", "leak"])), ["leak", "ok"], pl.String),
        (["True", "False"], [True, False], pl.Boolean),
        (np.array([1, 0]), [True, False], pl.Boolean),
        ([np.int64(3), np.int64(20)], [np.int64(3), np.int64(20)], pl.Int64),
        ([3.0, 20.0], [3, 20], pl.Int64),
        (["3", "20"], [3, 20], pl.Int64),
        (np.array([True, False]), np.array([True, False]), pl.Boolean),
        (np.array([-1, 1]), np.array([-1, 1]), pl.Int64),
    ],
    ids=str,
)
def test_classes_come_in_their_own_type(given: Any, classes: Any, dtype: Any) -> None:
    model, rows = Own(given, np.array([[0.9, 0.1], [0.2, 0.8]]), classes), X.head(2)
    positive = np.asarray(classes, dtype=object).tolist()[0]
    signature = infer(model, rows, positive=positive)
    found = predictions(model, rows, signature)
    assert found["value"].to_list() == np.asarray(classes).tolist()
    assert (found["value"].dtype, found["probability"].to_list()) == (dtype, [0.9, 0.2])


def test_classes_that_nobody_states_are_said() -> None:
    model, rows = own(["b", "a", "c"], [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    assert infer(model, rows).task is None
    with pytest.raises(SignatureError, match="does not say"):
        infer(model, rows, task="multiclass")
    signature = infer(model, rows, classes=["a", "b", "c"])
    assert predictions(model, rows, signature)["probability_b"].to_list() == [1, 0, 0]
    assert infer(lambda rows: rows["a"] > 0, X, task="binary").positive is True


def test_classes_in_another_order_than_the_probabilities_are_refused() -> None:
    for values in (["leak", "ok"], ["a", "b", "c"], [3, 20, 100]):
        inner = GaussianNB().fit(X.to_numpy(), labels(values))
        said, likely = inner.predict(X.to_numpy()), inner.predict_proba(X.to_numpy())
        model = Own(said.tolist(), likely)
        about = {"positive": values[0]} if len(values) == 2 else {}
        with pytest.raises(SignatureError, match="another class's"):
            infer(model, X, classes=[*values[1:], values[0]], **about)
        right = predictions(model, X, infer(model, X, classes=values, **about))
        assert right.to_series(1).to_list() == likely[:, 0].tolist()
    early = FixedThresholdClassifier(GaussianNB(), threshold=0.02, pos_label=True)
    late = FixedThresholdClassifier(GaussianNB(), threshold=0.98, pos_label=True)
    for model in (early, late, DummyClassifier(strategy="stratified", random_state=1)):
        assert len(infer(model.fit(X.to_numpy(), labels([False, True])), X).outputs) == 2


@pytest.mark.parametrize("kind", ["estimator", "regressor", "booster", "function"])
def test_a_task_that_is_not_the_models_is_refused(kind: str) -> None:
    models = {
        "estimator": GaussianNB().fit(X.to_numpy(), PLACE),
        "regressor": LinearRegression().fit(X.to_numpy(), PLACE),
        "booster": lightgbm.train(TRAINED, lightgbm.Dataset(X.to_numpy(), PLACE), 2),
        "function": lambda rows: rows["a"],
    }
    model = models[kind]
    wrong = "regression" if kind == "estimator" else "multiclass"
    with pytest.raises((SignatureError, PredictionError)):
        infer(model, X, task=wrong, classes=None if kind == "estimator" else [0, 1, 2])
    right = {"estimator": Task.MULTICLASS, "function": None}.get(kind, Task.REGRESSION)
    assert infer(model, X).task is right
    assert infer(models["function"], X, task="regression").task is Task.REGRESSION


def test_the_positive_class_is_asked_for_unless_it_is_true_or_one() -> None:
    for values in (["leak", "ok"], [3, 20], [1, 2], [-1, 1]):
        model = GaussianNB().fit(X.to_numpy(), labels(values))
        with pytest.raises(UsageError, match="positive"):
            infer(model, X)
        with pytest.raises(UsageError, match="not one of the classes"):
            infer(model, X, positive="other")
    with pytest.raises(UsageError, match="positive"):
        infer(IsolationForest(n_estimators=5, random_state=0).fit(X.to_numpy()), X)
    signature = infer(IsolationForest(n_estimators=5, random_state=0).fit(X.to_numpy()), X, positive=-1)
    assert (signature.positive, len(signature.outputs)) == (-1, 1)
    with pytest.raises(UsageError, match="for two classes"):
        infer(GaussianNB().fit(X.to_numpy(), PLACE), X, positive=1)


def test_a_model_of_one_class_or_of_several_outputs_is_refused() -> None:
    with pytest.raises(UsageError, match="one class"):
        infer(DummyClassifier().fit(X.to_numpy(), np.ones(240)), X)
    both = np.column_stack([PLACE, PLACE > 0])
    for model in (MultiOutputClassifier(GaussianNB()), RandomForestClassifier(2)):
        with pytest.raises(SignatureError, match="several values"):
            infer(model.fit(X.to_numpy(), both), X)
    several = KNeighborsClassifier(2).fit(X.to_numpy(), np.eye(3, dtype=int)[PLACE])
    with pytest.raises(SignatureError, match="several values"):
        infer(several, X)


def test_classes_that_no_table_can_hold_side_by_side_are_refused() -> None:
    with pytest.raises(UsageError, match="differ in case only"):
        infer(GaussianNB().fit(X.to_numpy(), labels(["Leak", "leak", "ok"])), X)
    assert infer(GaussianNB().fit(X.to_numpy(), labels(["Leak", "leak"])), X, positive="leak").positive == "leak"


@pytest.mark.parametrize(
    ("likely", "words"),
    [
        ([[1.2, -0.2], [0.5, 0.5]], "not probabilities"),
        ([[0.5, 0.5], [0.7, 0.7]], "together 1.4"),
        ([[0.5, 0.5], [np.nan, 0.5]], "nan"),
        ([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]], "shape"),
    ],
)
def test_what_is_no_probability_is_refused_at_registration_and_at_prediction(
    likely: list[list[float]], words: str
) -> None:
    model, rows = own([False, True], [[0.5, 0.5], [0.5, 0.5]], [False, True])
    signature = infer(model, rows)
    model.likely = np.array(likely)
    with pytest.raises(PredictionError, match=words):
        infer(model, rows)
    with pytest.raises(PredictionError, match=words) as caught:
        predictions(model, rows, signature, keys=KEYS.head(2))
    assert "shape" in words or "pump=p" in caught.value.what


def test_a_missing_probability_is_a_missing_number() -> None:
    model, rows = own(["a", "b"], [[0.5, 0.5], [np.nan, np.nan]], ["a", "b"])
    good = Own(["a", "b"], np.array([[0.5, 0.5], [0.5, 0.5]]), ["a", "b"])
    signature = infer(good, rows, positive="a")
    with pytest.raises(PredictionError, match="first nan for pump=p1"):
        predictions(model, rows, signature, keys=KEYS.head(2))
    found = predictions(model, rows, signature, allow_nan=True)
    assert found["value"].to_list() == ["a", "b"]
    assert found["probability"].is_nan().to_list() == [False, True]


def test_a_class_that_is_none_of_its_classes_is_named_with_its_row() -> None:
    model, rows = own(["a", "b"], [[0.5, 0.5], [0.5, 0.5]], ["a", "b"])
    signature = infer(model, rows, positive="a")
    model.values = ["a", "z"]
    with pytest.raises(PredictionError, match="'z' for pump=p1, which is not one of its classes: 'a', 'b'"):
        predictions(model, rows, signature, keys=KEYS.head(2))


def test_predict_proba_keeps_its_meaning_for_the_positive_class() -> None:
    for values, positive in ((["leak", "ok"], "leak"), ([False, True], None), ([0, 1], None)):
        model = GaussianNB().fit(X.to_numpy(), labels(values))
        signature = infer(model, X, method="predict_proba", positive=positive)
        found = predictions(model, X, signature)
        place = 0 if positive else 1
        assert found.columns == ["value"]
        assert np.array_equal(found["value"].to_numpy(), model.predict_proba(X.to_numpy())[:, place])
    with pytest.raises(UsageError, match="positive"):
        infer(GaussianNB().fit(X.to_numpy(), labels(["leak", "ok"])), X, method="predict_proba")
    with pytest.raises(SignatureError, match="each of the classes"):
        infer(GaussianNB().fit(X.to_numpy(), PLACE), X, method="predict_proba")
    booster = lightgbm.train({**TRAINED, "objective": "binary"}, lightgbm.Dataset(X.to_numpy(), PLACE > 1), 3)
    value = predict_values(booster, X, infer(booster, X, method="predict_proba"))
    assert np.allclose(value.to_numpy(), booster.predict(X.to_numpy()))


def test_a_signature_of_an_older_build_gives_what_it_gave() -> None:
    model = GaussianNB().fit(X.to_numpy(), labels(["leak", "ok"]))
    inputs = [{"name": name, "dtype": "Float64", "nullable": False} for name in X.columns]
    for method, dtype in (("predict", "String"), ("predict_proba", "Float64")):
        output = {"name": "value", "dtype": dtype, "nullable": False}
        old = {"inputs": inputs, "output": output, "takes": "array", "method": method}
        signature = Signature.read(old)
        assert (signature.task, signature.classes, signature.to_json()) == (None, None, old)
        own = model.predict(X.to_numpy()) if method == "predict" else model.predict_proba(X.to_numpy())[:, 1]
        assert predictions(model, X, signature).to_dict(as_series=False) == {"value": own.tolist()}


@pytest.mark.parametrize("values", [["leak", "ok"], [0, 1], [3, 20, 100], ["a", "b", "c"]], ids=str)
def test_a_classifier_of_onnx_says_its_classes_or_is_told_them(values: list[Any]) -> None:
    runtime, skl2onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("skl2onnx")
    model, rows = LogisticRegression().fit(X.to_numpy(), labels(values)), X.cast(pl.Float32)
    about: dict[str, Any] = {"positive": "leak"} if "leak" in values else {}
    for zipped in (True, False):
        options = {id(model): {"zipmap": zipped}}
        made = skl2onnx.to_onnx(model, rows.to_numpy()[:1], options=options)
        session = runtime.InferenceSession(made.SerializeToString())
        if not zipped:
            with pytest.raises(SignatureError, match="does not say"):
                infer(session, rows, **about)
            about["classes"] = values
        found = predictions(session, rows, infer(session, rows, **about))
        assert found["value"].to_list() == model.predict(X.to_numpy()).tolist()
        place = {"leak": 0}.get(values[0], 1) if len(values) == 2 else 0
        assert np.allclose(found.to_series(1).to_numpy(), model.predict_proba(X.to_numpy())[:, place], atol=1e-5)


@pytest.mark.parametrize("values", [["leak", "ok"], [False, True], [3, 20, 100]], ids=str)
def test_a_classifier_of_catboost(values: list[Any]) -> None:
    catboost = pytest.importorskip("catboost")
    about = {"iterations": 3, "verbose": 0, "allow_writing_files": False}
    model = catboost.CatBoostClassifier(**about).fit(X.to_numpy(), labels(values))
    found = predictions(model, X, infer(model, X, positive="leak" if "leak" in values else None))
    assert [str(value) for value in found["value"]] == [
        str(value) for value in model.predict(X.to_numpy()).ravel()
    ]
    assert found["value"].dtype == pl.Series(values).dtype
    assert infer(catboost.CatBoostRegressor(**about).fit(X.to_numpy(), PLACE), X).task is Task.REGRESSION
    margins = catboost.CatBoost({**about, "loss_function": "Logloss"}).fit(X.to_numpy(), PLACE > 1)
    assert infer(margins, X).task is None
