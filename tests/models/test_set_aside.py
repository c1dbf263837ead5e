"""Rows that can't be predicted: the others are predicted, and these are in a table with their reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from trikk import Model, Table, pipeline, predict, quality_gate
from trikk.core.errors import DefinitionError, PredictionError, SignatureError
from trikk.models.batch_prediction import predict_valid
from trikk.quality import not_null
from trikk.testing import run_inline

NAN, INF = float("nan"), float("inf")
SLOT = datetime(2026, 3, 1, tzinfo=UTC)
readings, made, aside = Table("readings"), Table("made"), Table("aside")


def frame(*bars: float | None, **more: Any) -> pl.DataFrame:
    pumps = [f"p{n}" for n in range(len(bars))]
    return pl.DataFrame(
        {
            "pump": pumps,
            "slot": [SLOT] * len(bars),
            "bar": pl.Series(bars, dtype=pl.Float64),
            "wet": [1.0] * len(bars),
            **more,
        }
    )


def fitted() -> LinearRegression:
    return LinearRegression().fit(pl.DataFrame({"bar": [0.0, 1.0, 2.0], "wet": [1.0, 0.0, 1.0]}), [0.0, 2.0, 4.0])


@pipeline
def nightly(at_most: float = 1.0) -> None:
    found = predict(
        Model("pumps"), readings, key="pump", slot="slot", on_invalid="set aside", invalid=aside, at_most=at_most
    )
    made.append(found)


KNOWN = pl.DataFrame({"bar": pl.Series([0.0, 1.0], dtype=pl.Float32), "wet": [1, 0]})


def night(rows: pl.DataFrame) -> Any:
    return run_inline(nightly, tables={"readings": rows}, models={"pumps": (fitted(), KNOWN)})


def parted(model: Any, rows: pl.DataFrame, **more: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Values and reasons by pump."""
    good, bad, count = predict_valid(model, rows, key="pump", slot="slot", **more)
    good, bad = good.collect(), bad.collect()
    assert (good.height + bad.height, bad.height) == (rows.height, count)
    return dict(good.select("pump", "value").iter_rows()), dict(bad.select("pump", "reason").iter_rows())


def test_what_is_wrong_with_a_row_stops_no_other_one() -> None:
    rows = frame(0.5, NAN, None, INF, -INF, 1.5)
    values, reasons = parted(fitted(), rows)
    assert values == pytest.approx({"p0": 1.0, "p5": 3.0})
    assert reasons == {
        "p1": "bar is missing", "p2": "bar is missing", "p3": "bar is not finite", "p4": "bar is not finite",
    }  # fmt: skip


def test_several_inputs_are_wrong_at_once() -> None:
    rows = frame(0.5, NAN, NAN, wet=[1.0, None, 1.0])
    assert parted(fitted(), rows)[1] == {"p1": "bar is missing; wet is missing", "p2": "bar is missing"}


class Picky:
    """Fails on what it was not told of, and gives NaN above 100."""

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, rows: pl.DataFrame) -> Any:
        self.calls += 1
        if (rows["bar"] < 0).any():
            raise ValueError("below nothing")
        return np.where(rows["bar"].to_numpy() > 100, NAN, rows["bar"].to_numpy() * 2)


def test_rows_on_which_the_model_fails_are_found_without_asking_for_each() -> None:
    bars = [float(n) for n in range(90)] * 20
    for place in (7, 900, 1799):
        bars[place] = -1.0
    bars[3] = 101.0
    model = Picky()
    values, reasons = parted(model, frame(*bars))
    assert sorted(reasons) == ["p1799", "p3", "p7", "p900"]
    assert reasons["p3"] == "the model gave no value"
    assert "ValueError: below nothing" in reasons["p7"]
    assert (len(values), values["p8"]) == (1796, 16.0)
    assert model.calls < 100


def test_a_model_that_fails_on_all_rows_fails_the_step() -> None:
    for bars in ([-1.0], [-1.0, -2.0, -3.0], [-1.0] * 1000):
        model = Picky()
        with pytest.raises(PredictionError, match="below nothing"):
            parted(model, frame(*bars))
        assert model.calls < 500  # and not some for each row


def test_nan_may_come_out_where_it_is_allowed() -> None:
    values, reasons = parted(Picky(), frame(1.0, 101.0), allow_nan=True)
    assert (values["p0"], np.isnan(values["p1"]), reasons) == (2.0, True, {})


def test_keys_that_are_empty_or_came_before() -> None:
    rows = frame(0.5, 1.5, 2.5, NAN, 3.5, pump=["a", None, "a", "b", "b"])
    good, bad, _ = predict_valid(fitted(), rows, key="pump", slot="slot")
    assert good.collect().select("pump", "value").rows() == [("a", pytest.approx(1.0)), ("b", pytest.approx(7.0))]
    assert bad.collect().select("pump", "reason").rows() == [
        (None, "pump is empty"), ("a", "pump, slot came before"), ("b", "bar is missing"),
    ]  # fmt: skip


def test_a_batch_of_nothing_but_bad_rows_has_no_predictions_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    good, bad, count = predict_valid(fitted(), frame(NAN, None), key="pump", slot="slot")
    assert (good.collect().height, count, good.collect_schema()["value"]) == (0, 2, pl.Float64)
    assert "prediction_id" in good.collect_schema()
    assert "nothing is predicted: 2 of 2 rows can't be predicted: bar is missing (2)" in caplog.text
    good, bad, count = predict_valid(fitted(), frame(), key="pump", slot="slot")
    assert (good.collect().height, bad.collect().height, count) == (0, 0, 0)


def test_more_than_the_share_that_may_be_set_aside_fails() -> None:
    with pytest.raises(PredictionError, match=r"1 of 4 rows .* at_most=0.2 may be set aside"):
        parted(fitted(), frame(1.0, 2.0, 3.0, NAN), at_most=0.2)
    assert len(parted(fitted(), frame(1.0, 2.0, 3.0, NAN), at_most=0.25)[0]) == 3


def test_a_run_writes_both_tables_and_says_what_was_set_aside() -> None:
    rows = frame(0.5, NAN, 1e300, 1.5, wet=[1.0, 0.0, 1.0, 0.5], note=["", 'a "quote"', "", ""])
    done = night(rows)
    assert done.state == "succeeded", done.error
    assert done.tables.scan("made").collect()["pump"].to_list() == ["p0"]
    bad = done.tables.scan("aside").collect()
    assert bad.columns == ["at", "run", "pipeline", "gate", "reason", "row", "pump", "slot"]
    assert bad.select("pump", "reason", "gate", "pipeline").rows() == [
        ("p1", "bar is missing", "predict", "nightly"),
        ("p2", "bar is no Float32", "predict", "nightly"),
        ("p3", "wet is no Int64", "predict", "nightly"),
    ]
    assert json.loads(bad["row"][0]) == {
        "pump": "p1", "slot": "2026-03-01T00:00:00+00:00", "bar": "NaN", "wet": 0.0, "note": 'a "quote"',
    }  # fmt: skip
    assert bad["slot"].to_list() == [SLOT] * 3


def test_a_whole_column_that_is_missing_or_of_another_kind_is_an_error() -> None:
    for rows in (frame(1.0).drop("wet"), frame(1.0, wet=["1"])):
        done = night(rows)
        assert (done.state, "wet" in str(done.error)) == ("failed", True)
    done = night(frame(1.0, wet=[None]))
    assert done.state == "succeeded"  # an empty column is every row's own


def test_a_classifiers_rows_have_their_probabilities() -> None:
    rows = frame(0.0, NAN, 9.0)
    model = LogisticRegression().fit(
        np.array([[0.0, 1.0], [1.0, 1.0], [8.0, 1.0], [9.0, 1.0]]), ["ok", "ok", "leak", "leak"]
    )
    values, reasons = parted(model, rows)
    assert (values, reasons) == ({"p0": "ok", "p2": "leak"}, {"p1": "bar is missing"})


def test_a_key_that_is_called_like_a_column_of_the_table_keeps_its_name() -> None:
    rows = frame(NAN).rename({"slot": "at"})
    _, bad, _ = predict_valid(fitted(), rows, key="pump", slot="at")
    assert bad.collect().columns == ["set_aside_at", "run", "pipeline", "gate", "reason", "row", "pump", "at"]
    assert bad.collect()["at"].to_list() == [SLOT]


def test_columns_that_are_called_like_inner_ones_are_kept() -> None:
    for name in ("_row", "_reason", "_place", "reason", "row"):
        rows = frame(1.0, NAN, 2.0, 3.0).with_columns(pump=pl.Series(["a", "b", "c", "c"])).rename({"pump": name})
        good, bad, _ = predict_valid(fitted(), rows, key=name, slot="slot")
        assert good.collect()[name].to_list() == ["a", "c"]
        assert bad.collect()[name].to_list() == ["b", "c"]


class Strict(Picky):
    """As an encoder that knows no other classes: fails on one pump, which is of a new kind."""

    def predict(self, rows: pl.DataFrame) -> Any:
        self.calls += 1
        if (rows["kind"] == "new").any():
            raise ValueError("unknown kind")
        return rows["bar"].to_numpy()


def test_a_device_of_a_kind_that_is_new_to_the_model_stops_no_other_one() -> None:
    """A day of 500 pumps by the hour, one of them new: its 24 rows lie apart."""
    kinds = ["new" if n % 500 == 123 else "old" for n in range(12_000)]
    values, reasons = parted(Strict(), frame(*(float(n) for n in range(12_000)), kind=kinds))
    assert sorted(reasons) == sorted(f"p{n}" for n in range(123, 12_000, 500))
    assert len(values) == 12_000 - 24
    kinds = ["new"] * 400 + ["old"] * 2_000  # or its rows come first
    assert len(parted(Strict(), frame(*(float(n) for n in range(2_400)), kind=kinds))[1]) == 400


def test_a_gate_and_a_prediction_share_a_table() -> None:
    @pipeline
    def both() -> None:
        found = predict(Model("pumps"), readings, key="pump", slot="slot", on_invalid="set aside", invalid=aside)
        made.append(found)
        quality_gate(readings, not_null("bar"), quarantine=aside, after=found)

    tables = {"readings": frame(0.5, NAN, None)}
    done = run_inline(both, tables=tables, models={"pumps": (fitted(), KNOWN)})
    assert done.state == "succeeded", done.error
    bad = done.tables.scan("aside").collect()
    assert bad.select("gate", "reason", "pump").rows() == [
        ("predict", "bar is missing", "p1"), ("predict", "bar is missing", "p2"),
        ("quality_gate", "not_null(bar)", None), ("quality_gate", "not_null(bar)", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"on_invalid": "skip"},
        {"on_invalid": "set aside", "invalid": "aside"},
        {"on_invalid": "set aside", "at_most": 2},
        {"at_most": 0.5},
        {"invalid": aside},
    ],
)
def test_what_can_not_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        predict(fitted(), frame(1.0), key="pump", **options)


def test_outside_of_a_pipeline_the_others_are_predicted() -> None:
    assert predict(fitted(), frame(1.0, NAN), key="pump", on_invalid="set aside").collect().height == 1
    with pytest.raises((PredictionError, SignatureError)):
        predict(fitted(), frame(1.0, NAN), key="pump").collect()
