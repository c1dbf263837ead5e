"""Classifiers behind an endpoint: classes in their own types and probabilities by name, in answers and the log."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.execution.command import WAIT
from tests.serving.endpoints import Served
from tests.serving.load import Load
from tests.serving.test_endpoint import eventually

from trikk.core.errors import TableError
from trikk.models.calling.invoke import predictions
from trikk.models.register import infer
from trikk.models.signature import Field, Signature
from trikk.models.version import ModelVersion
from trikk.serving.http.bodies import ARROW_TYPE, Body
from trikk.serving.model_processes.predictor import Done, Logging, Predictor, Request
from trikk.serving.prediction_log.log_table import check_fits, check_positive, logged_fields, put
from trikk.serving.prediction_log.spool import Spool
from trikk.storage.artifact import Artifact
from trikk.storage.tables.table_write import Write
from trikk.storage.tables.versioned_tables import Tables

ROWS = pl.DataFrame({"a": [float(n % 7) for n in range(60)], "b": [n % 5 for n in range(60)]})
ASKED = ROWS.head(5)
PLACES = (ROWS["a"] + ROWS["b"]).to_numpy().astype(int) % 3
NEXT = ["prediction_id", "predicted_at", "value"]


def fitted(classes: list[Any], **about: Any) -> tuple[Any, dict[str, Any]]:
    """A forest that tells the classes apart, and what is said when it is registered."""
    from sklearn.ensemble import RandomForestClassifier

    truth = np.array(classes)[PLACES % len(classes)]
    return RandomForestClassifier(5, max_depth=3, random_state=1, n_jobs=1).fit(ROWS.to_numpy(), truth), about


def booster(library: str, count: int) -> tuple[Any, dict[str, Any]]:
    """A booster of so many classes, 0, 1, ..."""
    truth = PLACES % count
    if library == "xgboost":
        import xgboost

        objective = (
            {"objective": "multi:softprob", "num_class": count} if count > 2 else {"objective": "binary:logistic"}
        )
        data = xgboost.DMatrix(ROWS.to_numpy(), truth, feature_names=ROWS.columns)
        return xgboost.train({**objective, "nthread": 1}, data, 4), {}
    import lightgbm

    objective = {"objective": "multiclass", "num_class": count} if count > 2 else {"objective": "binary"}
    data = lightgbm.Dataset(ROWS.to_numpy(), truth, feature_name=ROWS.columns)
    return lightgbm.train({**objective, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 3}, data, 4), {}


def without_probabilities() -> tuple[Any, dict[str, Any]]:
    """A classifier that says the class and nothing more."""
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier().fit(ROWS.to_numpy(), np.array(["ok", "leak"])[PLACES % 2]), {"positive": "leak"}


MODELS: dict[str, tuple[Callable[[], tuple[Any, dict[str, Any]]], pl.DataType, list[str]]] = {
    "two texts": (lambda: fitted(["ok", "leak"], positive="leak"), pl.String(), ["probability"]),
    "texts": (
        lambda: fitted(["ok", "small leak", "leak, großes"]),
        pl.String(),
        ["probability_leak, großes", "probability_ok", "probability_small leak"],
    ),
    "numbers": (
        lambda: fitted([3, 20, 100]),
        pl.Int64(),
        ["probability_3", "probability_20", "probability_100"],
    ),
    "two numbers": (lambda: fitted([20, 3], positive=3), pl.Int64(), ["probability"]),
    "truth values": (lambda: fitted([False, True]), pl.Boolean(), ["probability"]),
    "lightgbm": (lambda: booster("lightgbm", 3), pl.Int64(), [f"probability_{n}" for n in range(3)]),
    "lightgbm with names": (
        lambda: (booster("lightgbm", 3)[0], {"classes": ["dry", "leak", "full"]}),
        pl.String(),
        ["probability_dry", "probability_leak", "probability_full"],
    ),
    "lightgbm of two": (lambda: booster("lightgbm", 2), pl.Int64(), ["probability"]),
    "xgboost": (lambda: booster("xgboost", 3), pl.Int64(), [f"probability_{n}" for n in range(3)]),
    "no probabilities": (without_probabilities, pl.String(), []),
    "probability as the value": (
        lambda: fitted(["ok", "leak"], positive="leak", method="predict_proba"),
        pl.Float64(),
        [],
    ),
}


def version_of(model: Any, number: int = 1, **about: Any) -> ModelVersion:
    """A version as `register_model` would make it."""
    kept = Artifact("0" * 64, "pickle", 1, {"type": type(model).__name__})
    return ModelVersion("state", number, kept, infer(model, ROWS, **about), run=f"run{number}")


def asked(rows: pl.DataFrame, accept: str = "") -> Request:
    """A request in JSON."""
    return Request(Body(json.dumps({"instances": rows.to_dicts()}).encode()), accept)


def answered(
    model: Any, version: ModelVersion, *requests: Request, there: dict[str, pl.DataType] | None = None
) -> Done:
    """What a worker makes of a batch, for a log with these columns."""
    value = check_fits(version, [], True, there or {}).get("value", "")
    return Predictor(model, version, Logging(value=str(value)), max_bytes=10**6, max_rows=1000).answer(requests)


def logged(tables: Tables, folder: Path, *batches: tuple[ModelVersion, Done]) -> pl.DataFrame:
    """The table after these batches came in one file of the log."""
    spool, wanted = Spool(folder, durable=False), {}
    for version, done in batches:
        there = {**wanted, **({} if tables.version("log") is None else tables.scan("log").collect_schema())}
        wanted = check_fits(version, logged_fields(version, (), None, there, {}), True, there)
        spool.append(done.log, done.rows)
    segment = spool.cut()
    assert segment is not None
    put(tables, "log", segment, {}, wanted)
    spool.close()
    return tables.scan("log").collect()


@pytest.mark.parametrize("name", MODELS)
def test_answers_and_log_have_the_columns_and_types_of_batch_predictions(name: str, tmp_path: Path) -> None:
    make, dtype, columns = MODELS[name]
    model, about = make()
    version = version_of(model, **about)
    expected = predictions(model, ASKED, version.signature)
    assert dict(expected.schema) == {"value": dtype, **dict.fromkeys(columns, pl.Float64())}
    done = answered(
        model, version, asked(ASKED), asked(ASKED, "text/csv"), asked(ASKED, ARROW_TYPE), asked(ROWS.tail(1))
    )
    as_json, as_csv, as_arrow = (one.body for one in done.answers[:3])
    given = [{n: v for n, v in row.items() if n != "prediction_id"} for row in json.loads(as_json)["predictions"]]
    assert given == expected.to_dicts()
    assert [type(row["value"]) for row in given] == [type(row["value"]) for row in expected.to_dicts()]
    lines = pl.read_csv(
        io.BytesIO(as_csv), has_header=bool(columns), new_columns=["value"] if not columns else None
    )
    assert lines.equals(expected)
    stream = pl.read_ipc_stream(io.BytesIO(as_arrow))
    assert stream.drop("prediction_id").equals(expected)
    assert stream.schema == pl.Schema({"prediction_id": pl.String, **expected.schema})
    table = logged(Tables(str(tmp_path / "tables")), tmp_path / "spool", (version, done))
    assert table.select(expected.columns).head(15).equals(pl.concat([expected] * 3))


@pytest.mark.parametrize(
    ("classes", "logged_as"),
    [(["leak", "ok"], pl.String()), ([False, True], pl.Float64()), ([3, 20], pl.Float64())],
)
def test_of_a_classifier_without_a_signature_values_are_given_and_logged_as_ever(
    classes: list[Any], logged_as: pl.DataType, tmp_path: Path
) -> None:
    model, _ = fitted(classes)
    version = ModelVersion("state", 1, Artifact("0" * 64, "pickle", 1, {"type": "Forest"}))
    done = answered(model, version, asked(ASKED))
    given = json.loads(done.answers[0].body)["predictions"]
    assert [row["value"] for row in given] == model.predict(ASKED.to_numpy()).tolist()
    assert [*given[0]] == ["prediction_id", "value"]
    assert {type(row["value"]) for row in given} == {type(classes[0])}
    table = logged(Tables(str(tmp_path / "tables")), tmp_path / "spool", (version, done))
    assert table["value"].dtype == logged_as


def test_another_positive_class_is_refused_where_it_changes_what_a_column_means() -> None:
    forest, ridge = fitted(["ok", "leak"])[0], without_probabilities()[0]
    leak, ok = version_of(forest, 1, positive="leak"), version_of(forest, 2, positive="ok")
    for newer, older in (
        (ok, leak),
        (leak, ok),
        (version_of(forest, 3, positive="ok", method="predict_proba"), leak),
    ):
        with pytest.raises(TableError, match="can't be logged there: its probability is that of"):
            check_positive(newer, [older])
    check_positive(version_of(forest, 3, positive="leak"), [leak])
    check_positive(version_of(ridge, 3, positive="ok"), [leak])
    check_positive(version_of(fitted(["ok", "full"])[0], 3, positive="full"), [leak])


def test_requests_of_a_batch_cost_one_call_of_the_model_where_that_says_class_and_probabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sklearn.ensemble._forest import ForestClassifier  # whose method it is

    calls, before = [], ForestClassifier.predict_proba
    model, about = fitted(["ok", "leak", "full"])
    version = version_of(model, **about)
    monkeypatch.setattr(ForestClassifier, "predict_proba", lambda *given: calls.append(1) or before(*given))
    done = answered(model, version, asked(ROWS.head(1)), asked(ROWS.tail(1)), asked(ROWS.slice(5, 1)))
    assert [one.status for one in done.answers] == [200] * 3
    assert len(calls) == 1


def test_versions_of_several_kinds_share_a_table_as_far_as_their_values_go(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path / "tables"))
    numbers, more = fitted([3, 20, 100]), fitted([3, 20, 4000])
    first, second = version_of(numbers[0]), version_of(more[0], 2)
    done = answered(numbers[0], first, asked(ASKED)), answered(more[0], second, asked(ASKED))
    table = logged(tables, tmp_path / "spool", (first, done[0]), (second, done[1]))
    assert table["value"].dtype == pl.Int64
    assert table.columns[-1] == "probability_4000"  # a new class is a new column at the end
    assert table["probability_4000"].null_count() == table["probability_100"].null_count() == 5
    there = dict(table.schema)
    for wrong, reason in (
        (fitted(["ok", "leak"], positive="leak"), "'value' is String, the table has Int64"),
        (fitted([False, True]), "'value' is Boolean, the table has Int64"),
        (regression(), "'value' is Float64, the table has Int64"),
        (fitted([3, 20, 2**40]), None),
    ):
        version = version_of(wrong[0], 3, **wrong[1])
        if reason is None:
            assert check_fits(version, [], True, there)["value"] == pl.Int64
            continue
        with pytest.raises(TableError, match=f"version 3 can't be logged there: .*{reason}") as refused:
            check_fits(version, [], True, there)
        assert "--table NAME" in str(refused.value.next)


def regression() -> tuple[Any, dict[str, Any]]:
    """A model that gives numbers."""
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(ROWS.to_numpy(), PLACES.astype(float)), {}


@pytest.mark.parametrize(
    ("classes", "expected"),
    [([3, 20, 100], {3.0, 20.0, 100.0}), ([0, 1], {0.0, 1.0}), ([False, True], {0.0, 1.0})],
)
def test_a_table_of_numbers_goes_on_with_classes_as_numbers(
    classes: list[Any], expected: set[float], tmp_path: Path
) -> None:
    """As older builds began it, and as one does that held a regression before."""
    tables = Tables(str(tmp_path / "tables"))
    old = pl.DataFrame({"prediction_id": ["x"], "value": [1.0], "inputs": ["{}"]})
    tables.write("log", Write("append", old), identity="old", origin={})
    model, about = fitted(classes, **({"positive": classes[1]} if len(classes) == 2 else {}))
    version = version_of(model, **about)
    table = logged(tables, tmp_path / "spool", (version, answered(model, version, asked(ROWS))))
    assert table["value"].dtype == pl.Float64
    assert {*table["value"]} == expected | {1.0}
    assert table["probability" if len(classes) == 2 else "probability_3"].null_count() == 1


def test_classes_that_a_table_does_not_hold_are_refused_at_the_start() -> None:
    model, _ = fitted([3, 20, 2**53 + 1])
    for there, reason in (
        ({"value": pl.Float64()}, "'value' is Int64, the table has Float64"),
        ({"value": pl.Int32()}, "'value' is Int64, the table has Int32"),
        ({"value": pl.String()}, "'value' is Int64, the table has String"),
        ({"probability_3": pl.String()}, "'probability_3' is Float64, the table has String"),
        ({"probability_20": pl.Float32()}, "'probability_20' is Float64, the table has Float32"),
        ({"Probability_3": pl.Float64()}, "'Probability_3' and 'probability_3' differ only in case"),
        ({"Value": pl.Int64()}, "'Value' and 'value' differ only in case"),
    ):
        with pytest.raises(TableError, match=reason):
            check_fits(version_of(model), [], True, there)
    small, _ = fitted([3, 20, 100])
    assert check_fits(version_of(small), [], True, {"value": pl.Int32()})["value"] == pl.Int32


def test_a_key_is_no_column_of_a_probability() -> None:
    model, about = fitted(["ok", "leak"], positive="leak")
    with pytest.raises(TableError, match="'probability' is a column of every predictions table"):
        logged_fields(version_of(model, **about), ("probability",), None, {}, {})


def test_a_key_that_the_model_takes_is_checked_as_the_table_holds_it(tmp_path: Path) -> None:
    """Delta Lake has no unsigned numbers and no nanoseconds: what it does not hold would stay out."""
    inputs = (Field("a", "UInt64"), Field("t", "Datetime(time_unit='ns', time_zone=None)"))
    version = version_of(fitted([3, 20, 100])[0])
    version = ModelVersion("state", 1, version.artifact, Signature(inputs, Field("value", "Float64")))
    fields = logged_fields(version, ("a",), "t", {}, {})
    assert fields == [("a", "Int64"), ("t", "Datetime(time_unit='us', time_zone=None)")]


def test_a_file_that_an_older_build_left_goes_into_the_table(tmp_path: Path) -> None:
    """It has whole numbers as the model gave them, which were put into the table as Float64."""
    file = io.BytesIO()
    pl.DataFrame({"prediction_id": ["x"], "value": [3], "model": ["state"]}).write_ipc_stream(file)
    for name, wanted, expected in (
        ("begun", {"value": pl.Float64()}, pl.Float64()),
        ("unknown", {}, pl.Float64()),
        ("classes", {"value": pl.Int64()}, pl.Int64()),
        ("texts", {"value": pl.String()}, pl.String()),
    ):
        tables, spool = Tables(str(tmp_path / name)), Spool(tmp_path / f"spool {name}", durable=False)
        spool.append(file.getvalue(), 1)
        segment = spool.cut()
        assert segment is not None
        put(tables, "log", segment, {}, wanted)
        assert tables.scan("log").collect()["value"].dtype == expected
        spool.close()


class Unsure:
    """A classifier whose probabilities are unknown where a is 6, and no probabilities where b is 4."""

    classes_ = np.array(["leak", "ok"])

    def predict(self, rows: pl.DataFrame) -> Any:
        return np.where(rows["a"].to_numpy() > 2, "leak", "ok")

    def predict_proba(self, rows: pl.DataFrame) -> Any:
        leak = np.where(rows["a"].to_numpy() == 6, np.nan, np.where(rows["a"].to_numpy() > 2, 0.75, 0.25))
        leak = np.where(rows["b"].to_numpy() == 4, 1.5, leak)
        return np.column_stack([leak, 1 - leak])


@pytest.mark.parametrize("nullable", [False, True])
def test_a_probability_that_is_none_is_refused_and_a_missing_one_is_null(nullable: bool, tmp_path: Path) -> None:
    model = Unsure()
    sure = ROWS.filter((pl.col("a") < 6) & (pl.col("b") < 4))
    signature = infer(model, sure, positive="leak")
    output = Field("value", signature.output.dtype, nullable)
    kept = Artifact("0" * 64, "pickle", 1, {"type": "Unsure"})
    version = ModelVersion("state", 1, kept, replace(signature, output=output))
    rows = [{"a": 3.0, "b": 1}, {"a": 6.0, "b": 1}, {"a": 3.0, "b": 4}]
    done = answered(model, version, *(asked(pl.DataFrame([row])) for row in rows))
    assert [one.status for one in done.answers] == [200, 200 if nullable else 500, 500]
    assert json.loads(done.answers[0].body)["predictions"][0]["probability"] == 0.75
    if nullable:
        assert json.loads(done.answers[1].body)["predictions"][0]["probability"] is None
    table = logged(Tables(str(tmp_path / "tables")), tmp_path / "spool", (version, done))
    assert table["value"].to_list() == ["leak"] * (2 if nullable else 1)
    assert "1.5" in json.loads(done.answers[2].body)["error"]["what"]


@pytest.mark.parametrize(
    ("accept", "kind", "header"),
    [
        ("text/csv", "text/csv; header=present", True),
        ("text/csv; header=absent", "text/csv", False),
        ('text/*;q=0.5; header = "present"', "text/csv; header=present", True),
    ],
)
def test_a_csv_names_its_columns_where_there_are_several_or_it_is_asked_for(
    accept: str, kind: str, header: bool
) -> None:
    model, about = fitted(["ok", "leak"], positive="leak")
    (answer,) = answered(model, version_of(model, **about), asked(ASKED, accept)).answers
    assert answer.content_type == kind
    assert answer.body.startswith(b"value,probability\n") is header
    numbers, _ = regression()
    (answer,) = answered(numbers, version_of(numbers), asked(ASKED, accept)).answers
    assert answer.body.startswith(b"value\n") is ("present" in accept)


def test_swaps_between_kinds_of_models_are_logged_or_refused_with_the_reason(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.promote(served.register_classes("leak", "ok", positive="leak", sure=0.75))
    row = {"a": 0, "b": 0, "pump": "p"}
    with served.endpoint("--key", "pump", "--no-inputs", "--flush", "0.2s") as endpoint:

        def swapped(number: int) -> dict[str, Any]:
            served.promote(number)
            eventually(lambda: endpoint.client.get("/ping").json()["model_version"] == number, "no swap")
            return endpoint.ask(row).json()["predictions"][0]

        one = endpoint.ask(row).json()["predictions"][0]
        assert [*one.items()][1:] == [("value", "leak"), ("probability", 0.75)]
        told = {"task": "binary", "classes": ["leak", "ok"], "positive": "leak"}
        assert {**endpoint.told, **told} == endpoint.told
        assert {**endpoint.client.get("/ping").json(), **told} == endpoint.client.get("/ping").json()
        info = 'model_info{classes="leak,ok",model="shape",positive="leak",task="binary",version="1"} 1'
        assert info in endpoint.client.get("/metrics").text
        two = swapped(served.register_classes("ok", "small", "large"))
        assert [*two][1:] == ["value", "probability_ok", "probability_small", "probability_large"]
        for number, wrong in enumerate([(3, 20, 100), (False, True)], 1):
            served.promote(served.register_classes(*wrong))
            eventually(lambda n=number: endpoint.metric("swap_failures_total") == n, "the failure is not counted")
        served.promote(served.register_classes("leak", "ok", positive="ok"))
        eventually(lambda: endpoint.metric("swap_failures_total") == 3, "the failure is not counted")
        three = swapped(served.register_classes("ok", "large", positive="large"))
        assert [*three.items()][1:] == [("value", "ok"), ("probability", 0.5)]
    what = "version 5 can't be logged there: its probability is that of ok, and version 1 has that of leak there"
    assert what in served.log()
    for kind in ("Int64", "Boolean"):
        assert f"'value' is {kind}, the table has String" in served.log()
    assert "next: log to another table: --table NAME" in served.log()
    rows = served.rows()
    assert rows.columns == [
        *("prediction_id", "pump", "predicted_at", "value", "probability", "model", "model_version", "run"),
        *("probability_ok", "probability_small", "probability_large"),
    ]
    logged = [{k: v for k, v in row.items() if v is not None} for row in rows.sort("predicted_at").to_dicts()]
    for found, given in zip(logged, (one, two, three), strict=True):
        assert {name: found[name] for name in given} == given
        assert len(found) == len(given) + 5
    assert rows["model_version"].to_list() == [1, 2, 6]
    assert "stays in the log" not in served.log()


def test_a_classifier_and_a_regression_share_a_log_of_numbers(tmp_path: Path) -> None:
    """The regression came first, so that the table has numbers; several requests are answered in one batch."""
    served = Served(tmp_path)
    served.promote(served.register(2))
    with served.endpoint() as endpoint:
        assert endpoint.ask({"a": 1, "b": 0}).json()["predictions"][0]["value"] == 2.0
        served.promote(served.register_classes(3, 20, 100))
        eventually(lambda: endpoint.client.get("/ping").json().get("task") == "multiclass", "no swap")
        with Load(endpoint.url, clients=4, most=2) as load:
            eventually(lambda: len(load.answers) > 40, "no answers")
        served.promote(1)
        eventually(lambda: endpoint.client.get("/ping").json()["model_version"] == 1, "no swap")
        assert endpoint.ask({"a": 2, "b": 0}).json()["predictions"][0]["value"] == 4.0
    assert load.failures == []
    for a, _, body in load.answers:
        (given,) = body["predictions"]
        assert (given["value"], type(given["value"])) == ((3, 20, 100)[int(a)], int)
    rows = served.rows()
    assert rows["value"].dtype == pl.Float64
    logged = {row["prediction_id"]: row for row in rows.to_dicts()}
    assert len(logged) == len(load.answers) + 2
    for _, _, body in load.answers:
        (given,) = body["predictions"]
        assert {name: logged[given["prediction_id"]][name] for name in given} == given


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (pl.DataFrame({"value": [1.5]}), "'value' is String, the table has Float64"),
        (pl.DataFrame({"value": ["leak"], "probability": [1]}), "'probability' is Float64, the table has Int64"),
        (pl.DataFrame({"VALUE": ["leak"]}), "'VALUE' and 'value' differ only in case"),
    ],
)
def test_a_table_that_a_classifiers_log_does_not_fit_is_refused_at_the_start(
    there: pl.DataFrame, reason: str, tmp_path: Path
) -> None:
    served = Served(tmp_path)
    served.promote(served.register_classes("leak", "ok", positive="leak"))
    served.project.tables.write("shape_predictions", Write("append", there), identity="theirs", origin={})
    process = served.start()
    out, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    error = json.loads(out)["error"]
    assert reason in error["what"]
    assert error["next"] == "log to another table: --table NAME"


@pytest.mark.parametrize(
    ("values", "status"), [([2.5], 500), ([3.0], 200), ([True], 500), (["x"], 500), ([2**60], 200)]
)
def test_what_a_model_without_a_signature_gives_is_held_against_the_tables_type(values: Any, status: int) -> None:
    version = ModelVersion("state", 1, Artifact("0" * 64, "pickle", 1, {"type": "function"}))
    done = answered(lambda rows: values, version, asked(ASKED.head(1)), there={"value": pl.Int64()})
    assert done.answers[0].status == status, done.answers[0].body
    if status == 500:
        assert "the log of predictions holds Int64" in done.answers[0].body.decode()
    with pytest.raises(TableError, match="'value' is Date, which no model's values can be"):
        check_fits(version, [], True, {"value": pl.Date()})
