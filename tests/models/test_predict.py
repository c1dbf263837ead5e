from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from tests.models.making import Doubles, rows_of

import trikk.models.batch_prediction
from trikk import Model, Resources, Table, pipeline, predict
from trikk.core.errors import PredictionError, TrikkError, UsageError
from trikk.models.batch_prediction import prediction_ids
from trikk.models.keys import key_text
from trikk.storage.row_batches import batches

ROWS = rows_of(50).with_columns(day=pl.date(2020, 3, 3))
COLUMNS = ["prediction_id", "id", "day", "predicted_at", "value", "model", "model_version", "run", "truth"]


def predicted(frame: Any = ROWS, model: Any = None, **more: Any) -> pl.DataFrame:
    about: dict[str, Any] = {"key": "id", "slot": "day", "keep": ["truth", "n"], **more}
    found: pl.DataFrame = predict(model or Doubles(), frame, **about).collect()
    return found


def test_predictions_have_the_columns_in_their_order_and_the_rows_in_theirs() -> None:
    found = predicted(keep=["truth"])
    assert found.columns == COLUMNS
    assert found["id"].equals(ROWS["id"])
    assert found["value"].to_list() == pytest.approx((ROWS["x"] * 2).to_list())
    assert found["predicted_at"].dtype == pl.Datetime("us", "UTC")
    assert (found["model"][0], found["model_version"][0], found["run"][0]) == ("Doubles", None, "")
    assert found["model_version"].dtype == pl.Int64


def test_a_prediction_takes_the_cores_that_it_is_given() -> None:
    @pipeline
    def nightly() -> None:
        predict(Model("people"), Table("rows"), key="id")
        predict(Model("people"), Table("rows"), key="id", name="wide", resources=Resources(cpus=2))
        both = {"on_invalid": "set aside", "resources": Resources(cpus=3)}
        predict(Model("people"), Table("rows"), key="id", name="aside", **both)

    nodes = nightly.graph.nodes
    assert [nodes[name].resources["cpus"] for name in ("predict", "wide", "aside")] == [1.0, 2.0, 3.0]


def test_ids_are_unique_and_the_same_each_time_whatever_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    once = predicted()
    monkeypatch.setattr(trikk.models.batch_prediction, "batches", lambda lazy: batches(lazy, 7))
    again = predicted(ROWS.lazy())
    assert once.drop("predicted_at").equals(again.drop("predicted_at"))
    assert once["prediction_id"].n_unique() == ROWS.height
    assert once["prediction_id"].str.len_chars().unique().to_list() == [32]


def test_an_id_is_the_digest_that_is_documented() -> None:
    keys = pl.DataFrame({"id": [7], "day": [dt.date(1970, 1, 3)], "name": ["ø"]})
    assert key_text(keys).to_list() == ["1:71:22:ø"]
    assert prediction_ids("run/step", keys).to_list() == [blake3("run/step\n1:71:22:ø".encode()).hexdigest()[:32]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.integers(-(2**63), 2**63 - 1), st.text()), unique=True, max_size=8))
def test_different_keys_have_different_texts(keys: list[tuple[str, int, str]]) -> None:
    frame = pl.DataFrame(keys, schema={"a": pl.String, "b": pl.Int64, "c": pl.String}, orient="row")
    assert len(set(key_text(frame))) == len(keys)


def test_a_moment_has_one_text_whatever_the_unit() -> None:
    moment = pl.DataFrame({"at": [dt.datetime(2020, 3, 3, 4, tzinfo=dt.UTC)]})
    assert key_text(moment).equals(key_text(moment.cast(pl.Datetime("ms", "UTC"))))


def test_no_rows_give_no_predictions_with_all_columns() -> None:
    found = predicted(ROWS.head(0), keep=["truth"])
    assert (found.height, found.columns) == (0, COLUMNS)


def test_a_model_fitted_on_names_takes_only_those() -> None:
    model = LinearRegression().fit(ROWS.select("n", "x"), ROWS["truth"])
    assert predicted(model=model, keep=[])["value"].to_list() == pytest.approx(ROWS["truth"].to_list())


@pytest.mark.parametrize(
    ("frame", "more", "what"),
    [
        (ROWS, {"key": "idd"}, "'idd'"),
        (ROWS, {"key": []}, "needs a key"),
        (ROWS, {"key": "x", "keep": []}, "can't name a row"),
        (ROWS, {"key": ["id", "day"]}, "'day' is named twice"),
        (ROWS.rename({"id": "run"}), {"key": "run"}, "'run' is a column of the predictions"),
        (pl.concat([ROWS, ROWS[[3, 3, 8]]]), {}, r"2 keys .* id=3, day=2020-03-03, 3 times"),
        (
            ROWS.with_columns(pl.when(pl.col("id") != 4).then("id")),
            {},
            "1 rows have no id or day, the first is row 4",
        ),
    ],
)
def test_rows_that_can_not_be_told_apart_are_refused_before_anything_is_predicted(
    frame: pl.DataFrame, more: dict[str, Any], what: str
) -> None:
    def never(rows: pl.DataFrame) -> Any:
        raise AssertionError(rows)

    with pytest.raises(UsageError, match=what) as caught:
        predicted(frame, never, **more)
    assert caught.value.next


def test_nan_names_the_key_of_the_first_row_and_the_model() -> None:
    with pytest.raises(PredictionError) as caught:
        predicted(model=lambda rows: (0.5 - rows["x"]).sqrt())
    first = ROWS.filter(pl.col("x") > 0.5)["id"][0]
    assert f"id={first}, day=2020-03-03" in caught.value.what
    assert "function" in str(caught.value.where)
    allowed = predicted(model=lambda rows: (0.5 - rows["x"]).sqrt(), allow_nan=True)
    assert allowed["value"].is_nan().any()


@pytest.mark.parametrize("frame", [[], "rows", {"id": [1]}])
def test_what_is_no_frame_is_refused(frame: Any) -> None:
    with pytest.raises(TrikkError) as caught:
        predicted(frame)
    assert caught.value.next


def test_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="no model"):
        predict(None, ROWS, key="id")


@pytest.mark.parametrize("rows", [4, 5, 13])
def test_more_pieces_than_are_held_are_in_the_order_of_the_rows(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trikk.models.batch_prediction, "batches", lambda lazy: batches(lazy, rows))
    assert predicted()["id"].equals(ROWS["id"])
