"""A model gets the columns that it was fitted on, in its own order, wherever it is called."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from tests.models.making import version

from trikk.core.errors import PredictionError, SignatureError
from trikk.models.batch_prediction import predict_frame
from trikk.models.calling.invoke import predict_values
from trikk.models.calling.model_columns import fitted_on
from trikk.models.register import infer
from trikk.models.signature import Signature
from trikk.monitoring.estimates.estimate_step import estimate_frame
from trikk.serving.http.bodies import Body
from trikk.serving.model_processes.predictor import Predictor, Request

random = np.random.default_rng(7)
ROWS = pl.DataFrame({"lag": random.random(300) * 100, "hour": random.integers(0, 24, 300)})
Y = ROWS["lag"].to_numpy() + ROWS["hour"].to_numpy() / 10
SWAPPED = ROWS.select("hour", "lag")
BOOSTER = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}


def booster(rows: Any = ROWS, **more: Any) -> Any:
    return lightgbm.train({**BOOSTER, **more}, lightgbm.Dataset(rows, Y), 20)


def regressor() -> Any:
    return lightgbm.LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1)


class ByPosition:
    """An author's class that gives its model an array."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, rows: pl.DataFrame) -> Any:
        return self.model.predict(rows.to_numpy())


class ByFrame(ByPosition):
    def predict(self, rows: Any) -> Any:
        return self.model.predict(np.asarray(rows))


@dataclass(slots=True)
class Line:
    """One of many, in a class with slots."""

    models: dict[str, Any]

    def predict(self, rows: pl.DataFrame) -> Any:
        return self.models["4"].predict(rows.to_numpy())


class Estimator(RegressorMixin, BaseEstimator):
    """An author's estimator: it knows how many columns, and its model which."""

    def __init__(self, model: Any = None) -> None:
        self.model = model

    def fit(self, rows: Any, truth: Any) -> Estimator:
        self.model_, self.n_features_in_ = self.model.fit(rows, truth), rows.shape[1]
        return self

    def predict(self, rows: Any) -> Any:
        return self.model_.predict(np.asarray(rows))


def by_position(model: Any, rows: pl.DataFrame) -> Any:
    return model.predict(rows.to_numpy())


def xgboost_booster() -> Any:
    xgboost = pytest.importorskip("xgboost")
    return xgboost.train({"nthread": 1}, xgboost.DMatrix(ROWS.to_pandas(), Y), 20)


def xgboost_regressor() -> Any:
    return pytest.importorskip("xgboost").XGBRegressor(n_estimators=20, n_jobs=1).fit(ROWS.to_pandas(), Y)


def catboost(rows: Any = ROWS) -> Any:
    about = {"iterations": 20, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    return pytest.importorskip("catboost").CatBoostRegressor(**about).fit(rows.to_pandas(), Y)


def session() -> Any:
    """hour / 10 + lag, with an input for each: made by hand, since no converter is needed for it."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    tensor, helper = onnx.TensorProto.FLOAT, onnx.helper
    tenth = helper.make_tensor("tenth", tensor, [], [0.1])
    nodes = [helper.make_node("Mul", ["hour", "tenth"], ["part"]), helper.make_node("Add", ["lag", "part"], ["y"])]
    given = [helper.make_tensor_value_info(name, tensor, [None, 1]) for name in ("lag", "hour")]
    graph = helper.make_graph(nodes, "g", given, [helper.make_tensor_value_info("y", tensor, [None, 1])], [tenth])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])


PASSED_ON = Pipeline([("nothing", "passthrough"), ("model", regressor())])
MODELS: dict[str, Callable[[], Any]] = {
    "a booster fitted on pandas": lambda: booster(ROWS.to_pandas()),
    "a booster fitted on polars": booster,
    "a booster from its text": lambda: lightgbm.Booster(model_str=booster().model_to_string()),
    "LightGBM's estimator": lambda: regressor().fit(ROWS, Y),
    "scikit-learn's": lambda: HistGradientBoostingRegressor(max_iter=20).fit(ROWS, Y),
    "a pipeline": lambda: make_pipeline(StandardScaler(), regressor()).fit(ROWS, Y),
    "a pipeline whose first step passes on": lambda: PASSED_ON.fit(ROWS, Y),
    "a search over it": lambda: GridSearchCV(PASSED_ON, {"model__num_leaves": [7]}, cv=2).fit(ROWS, Y),
    "a column transformer": lambda: make_pipeline(
        make_column_transformer((StandardScaler(), ["hour"]), remainder="passthrough"), LinearRegression()
    ).fit(ROWS, Y),
    "an author's class": lambda: ByPosition(booster()),
    "an author's class of an estimator": lambda: ByPosition(regressor().fit(ROWS.to_pandas(), Y)),
    "an author's class with slots and a dict": lambda: Line({"4": booster()}),
    "a class that holds a class": lambda: Line({"4": ByFrame(booster())}),
    "an author's estimator, frozen": lambda: FrozenEstimator(Estimator(regressor()).fit(ROWS, Y)),
    "a class that holds a pipeline": lambda: ByFrame(
        make_pipeline("passthrough", Estimator(regressor())).fit(ROWS, Y)
    ),
    "a partial": lambda: functools.partial(by_position, booster()),
    "a bound method": lambda: ByPosition(booster()).predict,
    "a closure": lambda: (lambda model: lambda rows: model.predict(rows.to_numpy()))(booster()),
    "XGBoost's booster": xgboost_booster,
    "XGBoost's estimator": xgboost_regressor,
    "CatBoost": catboost,
    "an ONNX session": session,
}


class Private:
    """An author's class with a slot of its own, a number of steps, and more classes around its model than one."""

    __slots__ = ("__model", "steps")

    def __init__(self, model: Any) -> None:
        self.steps, self.__model = 12, model

    def predict(self, rows: pl.DataFrame) -> Any:
        return self.__model.predict(rows)


def deep(model: Any, classes: int = 8) -> Any:
    return Private(deep(model, classes - 1)) if classes else ByPosition(model)


MODELS["a class with a private slot, and steps that are a number"] = lambda: Private(ByPosition(booster()))
MODELS["a class of a class of a class"] = lambda: deep(booster())
WARNS = "ignore:X does not have valid feature names"


@pytest.mark.filterwarnings(WARNS)
@pytest.mark.parametrize("kind", MODELS)
def test_columns_in_another_order_change_nothing(kind: str) -> None:
    model = MODELS[kind]()
    right = predict_values(model, ROWS)
    assert np.abs(right.to_numpy() - Y).mean() < 8, "swapped columns are wrong by 40"
    close = pytest.approx(right.to_list(), rel=1e-6)
    signature = infer(model, SWAPPED)
    assert signature.names == ["lag", "hour"]
    assert predict_values(model, SWAPPED, signature).to_list() == close
    assert predict_values(model, SWAPPED).to_list() == close
    recorded = replace(signature, inputs=signature.inputs[::-1])  # as builds that trusted inputs= have written it
    assert predict_values(model, ROWS, Signature.read(recorded.to_json())).to_list() == close


@pytest.mark.filterwarnings(WARNS)
@pytest.mark.parametrize("kind", ["a booster fitted on pandas", "LightGBM's estimator", "an author's class"])
def test_steps_that_predict_without_a_signature_go_by_name(kind: str) -> None:
    model = MODELS[kind]()
    right = predict_values(model, ROWS).to_list()
    keyed = SWAPPED.with_row_index("id").with_columns(truth=pl.Series(Y))
    extra = [] if kind == "an author's class" else ["hour"]  # a column may be an input and be kept
    found = predict_frame(model, keyed.drop("truth"), key="id", keep=extra).collect()
    assert found["value"].to_list() == pytest.approx(right)
    expected = estimate_frame(model, keyed, keyed, truth="truth", least=10)
    expected = expected.collect() if isinstance(expected, pl.LazyFrame) else expected
    assert expected["expected_error"].mean() == pytest.approx(np.abs(np.asarray(right) - Y).mean(), rel=0.2)


def test_an_endpoint_gives_a_version_of_an_older_build_its_columns_in_the_models_order() -> None:
    model = booster()
    signature = infer(model, ROWS)
    served = version(signature=replace(signature, inputs=signature.inputs[::-1]))
    predictor = Predictor(model, served, None, max_bytes=10_000, max_rows=100)
    body = Body(json.dumps({"instances": SWAPPED.head(5).to_dicts()}).encode())
    (answer,) = predictor.answer([Request(body)]).answers
    found = [one["value"] for one in json.loads(answer.body)["predictions"]]
    assert found == pytest.approx(predict_values(model, ROWS.head(5)).to_list())


@pytest.mark.filterwarnings(WARNS)
def test_blanks_that_lightgbm_has_renamed_are_still_the_column() -> None:
    blanks = ROWS.rename({"lag": "the lag", "hour": "hour of day"})
    for model in (booster(blanks.to_pandas()), regressor().fit(blanks.to_pandas(), Y)):
        assert fitted_on(model).names == ("the_lag", "hour_of_day")
        signature = infer(model, blanks.select("hour of day", "the lag").with_columns(id=1))
        assert signature.names == ["the lag", "hour of day"]
        found = predict_values(model, blanks, signature)
        assert found.to_list() == pytest.approx(list(model.predict(blanks.to_numpy())), rel=1e-6)


def test_of_two_columns_that_may_be_meant_the_wrong_one_is_not_taken() -> None:
    model = booster(ROWS.rename({"lag": "the lag"}).to_pandas())
    rows = ROWS.rename({"lag": "the lag"}).with_columns(the_lag=0.0)
    with pytest.raises(SignatureError, match="'the_lag', which may be 'the lag' or 'the_lag'"):
        infer(model, rows)
    signature = infer(model, rows.drop("the_lag"))
    assert (
        predict_values(model, rows, signature).to_list() == predict_values(model, rows.drop("the_lag")).to_list()
    )


@pytest.mark.parametrize("names", [["x0", "x1"], ["f0", "f1"], ["Column_1", "Column_0"], ["7", "8"]])
def test_names_with_numbers_that_an_author_gave_are_names(names: list[str]) -> None:
    given = ROWS.rename(dict(zip(ROWS.columns, names, strict=True)))
    model = booster(given.to_pandas())
    right = predict_values(model, given).to_list()
    assert predict_values(model, given.select(names[::-1])).to_list() == right
    assert predict_values(ByPosition(model), given.select(names[::-1])).to_list() == right
    with pytest.raises(SignatureError, match=f"fitted on '{names[0]}'"):
        infer(model, SWAPPED)


def test_the_one_input_of_an_onnx_session_need_not_be_called_like_the_column() -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    tensor, helper = onnx.TensorProto.FLOAT, onnx.helper
    given, value = (helper.make_tensor_value_info(name, tensor, [None, 1]) for name in ("X", "y"))
    graph = helper.make_graph([helper.make_node("Neg", ["X"], ["y"])], "g", [given], [value])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    model = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    assert infer(model, ROWS.select("hour")).names == ["hour"]
    assert predict_values(model, ROWS.select("hour")).to_list() == (-ROWS["hour"]).to_list()
    assert infer(model, ROWS.rename({"hour": "X"})).names == ["X"]


def test_a_models_names_are_looked_for_once_where_it_predicts_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ByPosition(booster())
    signature = infer(model, ROWS)
    predictor = Predictor(model, version(signature=signature), None, max_bytes=10_000, max_rows=100)
    monkeypatch.setattr("trikk.models.calling.model_columns._stated", pytest.fail)
    body = Body(json.dumps({"instances": SWAPPED.head(5).to_dicts()}).encode())
    (answer,) = predictor.answer([Request(body)]).answers
    assert answer.status == 200


@pytest.mark.parametrize("kind", ["a booster", "CatBoost"])
def test_of_a_model_fitted_on_an_array_only_the_number_of_columns_is_known(kind: str) -> None:
    model = (
        booster(ROWS.to_numpy()) if kind == "a booster" else catboost(pl.DataFrame(ROWS.to_numpy(), ["0", "1"]))
    )
    assert infer(model, ROWS).names == ["lag", "hour"]
    for rows in (ROWS.with_columns(id=1), ROWS.select("lag")):
        with pytest.raises(SignatureError, match="2 columns, and there are"):
            infer(model, rows)
        with pytest.raises(SignatureError, match="2 columns, and there are"):
            predict_values(model, rows)


def test_a_missing_column_is_named_and_an_extra_one_left_out() -> None:
    model = booster()
    assert infer(model, SWAPPED.with_columns(id=1)).names == ["lag", "hour"]
    with pytest.raises(SignatureError, match="fitted on 'hour'") as caught:
        predict_values(model, ROWS.select("lag", minute=pl.col("hour")))
    assert caught.value.field == "hour"


def test_other_columns_of_an_authors_class_keep_their_places() -> None:
    class OneMore(ByPosition):
        def predict(self, rows: pl.DataFrame) -> Any:
            return self.model.predict(rows[:, 1:].to_numpy())

    keyed = SWAPPED.select(pl.lit(1).alias("id"), pl.all())
    model = OneMore(booster())
    assert infer(model, keyed).names == ["id", "lag", "hour"]
    assert predict_values(model, keyed).to_list() == pytest.approx(predict_values(booster(), ROWS).to_list())


def test_a_class_whose_model_knows_columns_that_it_makes_itself_gets_what_there_is() -> None:
    class Makes(ByPosition):
        def predict(self, rows: pl.DataFrame) -> Any:
            return self.model.predict(rows.select(lag=pl.col("before"), hour=pl.col("at").mod(24)).to_numpy())

    made = ROWS.select(at="hour", before="lag")
    assert infer(Makes(booster()), made).names == ["at", "before"]


CODED = ROWS.with_columns(
    side=pl.Series(random.choice(["north", "south"], 300)), line=pl.Series(random.choice([10, 4, 7], 300))
)
CODES = (CODED["side"] == "north").to_numpy() * 5 + (CODED["line"] == 4).to_numpy() * 50.0


def categories() -> Any:
    frame = CODED.to_pandas()
    return frame.assign(side=frame["side"].astype("category"), line=frame["line"].astype("category"))


@pytest.mark.parametrize("given", ["as it was fitted", "as a table has it"])
def test_pandas_categories_of_texts_and_numbers_come_back_as_they_were(given: str) -> None:
    frame = categories()
    inputs = frame if given == "as it was fitted" else CODED
    trained = lightgbm.train({**BOOSTER, "learning_rate": 0.5}, lightgbm.Dataset(frame, CODES), 30)
    for model in (trained, regressor().set_params(min_child_samples=2, learning_rate=0.5).fit(frame, CODES)):
        signature = infer(model, inputs)
        assert signature.takes == "pandas"
        right = model.predict(frame)
        assert np.abs(right - CODES).mean() < 1
        few = CODED.reverse().head(7).select("line", "side", "hour", "lag")
        assert predict_values(model, few, signature).to_list() == pytest.approx(right[::-1][:7].tolist())
        recorded = replace(signature, takes="polars")  # an array, or a frame of texts, in older builds
        assert predict_values(model, few, recorded).to_list() == pytest.approx(right[::-1][:7].tolist())


@pytest.mark.parametrize("of_its_own", [True, False])
def test_xgboost_gets_its_categories_from_texts_and_numbers(of_its_own: bool) -> None:
    xgboost = pytest.importorskip("xgboost", minversion="3.1")  # there on Linux
    frame = categories().assign(side=lambda rows: rows["side"].cat.reorder_categories(["south", "north"]))
    if of_its_own:
        matrix = xgboost.DMatrix(frame, CODES, enable_categorical=True)
        model = xgboost.train({"nthread": 1, "learning_rate": 0.5}, matrix, 30)
        right = model.predict(matrix)
    else:
        model = xgboost.XGBRegressor(n_estimators=30, learning_rate=0.5, n_jobs=1, enable_categorical=True)
        model.fit(frame, CODES)
        right = model.predict(frame)
    assert np.abs(right - CODES).mean() < 1
    few = CODED.reverse().head(7).select("line", "side", "hour", "lag")
    for inputs in (CODED, CODED.with_columns(pl.col("side").cast(pl.Categorical)), frame):
        signature = infer(model, inputs)
        assert predict_values(model, few, signature).to_list() == pytest.approx(right[::-1][:7].tolist(), rel=1e-4)
    with pytest.raises(SignatureError, match="not fitted on the category 'west' of 'side'"):
        predict_values(model, few.with_columns(side=pl.lit("west")))
    with pytest.raises(SignatureError, match="fitted on categories such as 4"):
        predict_values(model, few.with_columns(pl.col("line").cast(pl.String)))


def test_categories_in_another_type_are_refused() -> None:
    model = booster(categories())
    with pytest.raises(SignatureError, match="fitted on categories such as") as caught:
        predict_values(model, CODED.with_columns(pl.col("line").cast(pl.String)))
    assert caught.value.field == "line"


def with_pandas(frame: Any) -> Any:
    return frame[["lag"]].fillna(0).assign(early=frame["hour"].lt(6).astype(int))


def of_the_library(frame: Any) -> Any:
    """What a careless author writes: it works with both, and gives other values."""
    numbers = np.asarray(frame["lag"]) * (2 if hasattr(frame, "loc") else 1)
    return numbers.reshape(-1, 1)


def test_a_pipeline_fitted_on_pandas_gets_pandas_whatever_inputs_come_as() -> None:
    model = make_pipeline(FunctionTransformer(with_pandas), LinearRegression()).fit(ROWS.to_pandas(), Y)
    right = model.predict(ROWS.to_pandas()).tolist()
    for inputs in (SWAPPED, SWAPPED.lazy(), SWAPPED.to_arrow(), SWAPPED.to_pandas()):
        signature = infer(model, inputs)
        assert signature.takes == "pandas"
        assert predict_values(model, SWAPPED, signature).to_list() == pytest.approx(right)
    assert predict_values(model, SWAPPED).to_list() == pytest.approx(right)


def test_where_both_libraries_work_and_differ_the_author_has_to_say_which() -> None:
    model = make_pipeline(FunctionTransformer(of_the_library), LinearRegression()).fit(ROWS.to_pandas(), Y)
    with pytest.raises(SignatureError, match="from a polars and from a pandas frame") as caught:
        infer(model, ROWS)
    assert "inputs= as the frame that it was fitted on" in str(caught.value.next)
    assert infer(model, ROWS.to_pandas()).takes == "pandas"


def test_a_pandas_frame_that_is_kept_as_something_else_is_refused() -> None:
    def weighs(frame: Any) -> Any:
        return (frame["line"].astype(str).str.len() * (2 if frame["line"].dtype == "category" else 1)).to_frame()

    frame = categories()[["line"]]
    model = make_pipeline(FunctionTransformer(weighs), LinearRegression()).fit(
        frame, CODES + frame["line"].cat.codes
    )
    with pytest.raises(SignatureError, match="as they are kept and as given"):
        infer(model, frame)


def test_an_error_of_the_model_names_the_kind_of_frame() -> None:
    def fails(rows: Any) -> Any:
        raise AttributeError("no fillna")

    with pytest.raises(PredictionError, match="given as a polars frame: AttributeError: no fillna") as caught:
        predict_values(fails, ROWS)
    assert "inputs= as such a frame" in str(caught.value.next)
