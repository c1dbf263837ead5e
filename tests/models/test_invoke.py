from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.models.making import Doubles, rows_of

from trikk.core.errors import PredictionError, SignatureError, UsageError
from trikk.models.calling.invoke import predict_values
from trikk.models.register import infer

ROWS = rows_of()
X, Y = ROWS.select("x", "n"), ROWS["truth"].to_numpy()
BOOSTER = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}


def booster(rows: Any) -> Any:
    return lightgbm.train(BOOSTER, lightgbm.Dataset(rows, Y), 3)


def regressor(rows: Any) -> Any:
    return lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1).fit(rows, Y)


FITTED = {
    "sklearn on an array": (LinearRegression().fit(X.to_numpy(), Y), X, "array"),
    "sklearn on polars": (HistGradientBoostingRegressor(max_iter=2).fit(X, Y), X, "polars"),
    "sklearn on pandas": (
        HistGradientBoostingRegressor(max_iter=2).fit(X.to_pandas(), Y),
        X.to_pandas(),
        "pandas",
    ),
    "lightgbm on an array": (regressor(X.to_numpy()), X, "array"),
    "lightgbm on polars": (regressor(X), X, "polars"),
    "a booster": (booster(X.to_numpy()), X, "array"),
    "a class": (Doubles(), X, "polars"),
    "a function": (lambda rows: rows["x"] * 2, X, "polars"),
}


@pytest.mark.parametrize("kind", FITTED)
def test_every_kind_of_model_gets_its_rows_in_its_order(kind: str) -> None:
    model, inputs, takes = FITTED[kind]
    signature = infer(model, inputs)
    assert signature.takes == takes
    own = model(X) if callable(model) else model.predict(X.to_numpy() if takes == "array" else inputs)
    found = predict_values(model, ROWS.select("truth", "n", "x", "id"), signature)
    assert found.name == "value"
    assert found.to_numpy() == pytest.approx(np.asarray(own))


TEXTS = ROWS.select("x", pl.when(pl.col("n") > 4).then(pl.lit("north")).otherwise(pl.lit("south")).alias("side"))


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_a_pipeline_with_texts_gets_frames_of_the_library_that_it_was_fitted_on(library: str) -> None:
    inputs = TEXTS if library == "polars" else TEXTS.to_pandas()
    coded = make_column_transformer((OneHotEncoder(), ["side"]), remainder="passthrough")
    model = make_pipeline(coded, LinearRegression()).fit(inputs, Y)
    signature = infer(model, inputs)
    assert (signature.takes, signature.schema()["side"]) == (library, pl.String)
    assert predict_values(model, TEXTS, signature).to_numpy() == pytest.approx(model.predict(inputs))


def test_categories_keep_their_codes_whatever_rows_come_first() -> None:
    inputs = TEXTS.with_columns(pl.col("side").cast(pl.Categorical)).to_pandas()
    model = regressor(inputs)
    signature = infer(model, inputs)
    assert [f.dtype for f in signature.inputs] == ["Float64", "Categorical"]
    found = predict_values(model, TEXTS.reverse(), signature)
    assert found.to_numpy() == pytest.approx(model.predict(inputs)[::-1])


def test_a_classifier_gives_its_label_or_the_probability_of_its_second_class() -> None:
    model = HistGradientBoostingClassifier(max_iter=2).fit(X.to_numpy(), ROWS["truth"].to_numpy() > 1)
    assert predict_values(model, X, infer(model, X)).dtype == pl.Boolean
    likely = predict_values(model, X, infer(model, X, method="predict_proba"))
    assert likely.is_between(0, 1).all()
    with pytest.raises(UsageError, match="has no predict_proba"):
        infer(Doubles(), X, method="predict_proba")


def test_of_a_model_that_knows_its_inputs_others_are_left_out() -> None:
    model = regressor(X)
    assert infer(model, ROWS).names == ["x", "n"]
    with pytest.raises(SignatureError) as caught:
        infer(model, ROWS.drop("n"))
    assert caught.value.field == "n"
    with pytest.raises(SignatureError, match="2 columns, and there are 4"):
        infer(FITTED["a booster"][0], ROWS)


def test_nulls_in_a_lazy_frame_beyond_the_sample_are_seen() -> None:
    many = pl.concat([rows_of(5000), rows_of(1).with_columns(x=None)])
    assert [f.nullable for f in infer(lambda r: r["n"], many.lazy().select("x", "n")).inputs] == [True, False]


def test_a_text_can_be_no_input_of_a_model_that_was_fitted_on_an_array() -> None:
    model = FITTED["sklearn on an array"][0]
    with pytest.raises((SignatureError, PredictionError)):
        predict_values(model, pl.DataFrame({"x": ["a"], "n": [1]}))


def test_nan_names_the_first_row() -> None:
    def root(rows: pl.DataFrame) -> pl.Series:
        return (rows["x"] - 0.5).sqrt()

    with pytest.raises(PredictionError) as caught:
        predict_values(root, X, keys=ROWS.select("id"))
    first = ROWS.filter(pl.col("x") < 0.5)["id"][0]
    assert f"id={first}" in caught.value.what
    assert f"{ROWS.filter(pl.col('x') < 0.5).height} of 60" in caught.value.what
    assert predict_values(root, X, allow_nan=True).is_nan().any()


@pytest.mark.parametrize(
    "model",
    [
        lambda rows: rows["x"].head(3),
        lambda rows: np.zeros((rows.height, 2)),
        lambda rows: 1 / 0,
        lambda rows: [None] * rows.height,
        lambda rows: rows["x"] * float("inf"),
        lambda rows: 3.0,
    ],
)
def test_what_is_not_one_number_for_each_row_is_refused(model: Any) -> None:
    with pytest.raises(PredictionError) as caught:
        predict_values(model, X)
    assert caught.value.next


def test_what_predicts_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="has no predict"):
        predict_values({"weights": [1]}, X)


def test_no_rows_give_no_values_of_the_right_type() -> None:
    signature = infer(Doubles(), X)
    found = predict_values(Doubles(), X.head(0), signature)
    assert (len(found), found.dtype) == (0, pl.Float64)
