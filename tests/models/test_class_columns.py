"""The class and its probabilities, through all that predictions go to: the same columns, the same types."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import polars as pl
import pytest
from sklearn.naive_bayes import GaussianNB
from tests.execution.command import Folder
from tests.models.rig import AT, CLASSES, fit, inputs, nightly_of, rows, states
from tests.serving.endpoints import Served

from trikk import Table, pipeline, predict, register_model
from trikk.core.errors import UsageError
from trikk.execution.project import Project
from trikk.monitoring.drilldown.drill import explain
from trikk.publishing.row_encoding import encode
from trikk.publishing.stream import Stream
from trikk.testing import run_inline

ROOT = Path(__file__).parents[2]

PIPELINES = """
from tests.models.rig import nightly_of
nightly = nightly_of(["texts", "flag", "wholes"])
"""


def expected(kind: str) -> pl.DataFrame:
    """The class and the probabilities of each row, by scikit-learn."""
    classes, x = CLASSES[kind], np.linspace(0, 1, 60)[:, None]
    model = GaussianNB().fit(x, np.array(states(kind)))
    likely, values = model.predict_proba(x), model.predict(x).tolist()
    if len(classes) == 2:
        return pl.DataFrame({"value": values, "probability": likely[:, 0 if kind == "text" else 1]})
    columns = {f"probability_{one}": likely[:, place] for place, one in enumerate(classes)}
    return pl.DataFrame({"value": values, **columns})


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("rig"))
    folder.write(trikk='name = "rig"\n', pipelines=PIPELINES)
    done = folder.trikk("run", "nightly", PYTHONPATH=str(ROOT))
    assert done.code == 0, done
    return folder


def check(predicted: pl.DataFrame, kind: str, *, kept: bool = True) -> None:
    right = expected(kind)
    place = predicted.columns.index("value")
    assert predicted.columns[place : place + right.width + 1] == [*right.columns, "model"]
    assert predicted.select(right.columns).equals(right)
    assert (predicted.columns[-1] == "x") == kept


@pytest.mark.parametrize("kind", CLASSES)
def test_a_run_in_memory_has_what_the_model_gave(kind: str) -> None:
    done = run_inline(nightly_of([kind], outside=False))
    assert done.state == "succeeded", done.error
    check(done.table(f"predictions_{kind}"), kind)
    check(done.table(f"shadow_{kind}"), kind, kept=False)
    assert {"now_" + kind, "beside_" + kind} <= {*done.run.steps}


@pytest.mark.parametrize("kind", ["texts", "flag", "wholes"])
def test_tables_streams_features_and_explanations_have_what_the_model_gave(rig: Folder, kind: str) -> None:
    project, right = Project.open(rig.root), expected(kind)
    check(project.tables.scan(f"predictions_{kind}").collect(), kind)
    check(project.tables.scan(f"shadow_{kind}").collect(), kind, kept=False)
    check(project.tables.scan(f"latest_{kind}").collect(), kind)
    lines = list(Stream(rig.root / f".trikk/streams/main/{kind}").read())
    assert [{name: one.value[name] for name in right.columns} for one in lines] == right.to_dicts()
    served = rig.good("features", "get", f"latest_{kind}", "pump=p7")
    assert {name: served[name] for name in right.columns} == right.row(7, named=True)
    predicted = project.tables.scan(f"predictions_{kind}").collect()
    said = explain(project, predicted["prediction_id"][7], f"predictions_{kind}")
    assert {name: said.prediction[name] for name in right.columns} == right.row(7, named=True)
    assert said.model is not None
    task: Any = said.model["signature"]
    assert (task["classes"], task["positive"]) == (CLASSES[kind], {"text": "leak", "flag": True}.get(kind))


@pytest.mark.parametrize("kind", ["flag", "wholes"])  # texts: tests/serving/test_classes.py
def test_an_endpoint_answers_and_logs_what_the_run_predicted(rig: Folder, kind: str) -> None:
    right, asked = expected(kind), [{"pump": f"p{n}", "slot": str(AT), "x": n / 59} for n in range(60)]
    served = Served(rig.root, fresh=False)
    with served.endpoint("--key", "pump", "--slot", "slot", reference=kind) as endpoint:
        for row, answer in zip(right.to_dicts(), endpoint.ask(*asked).json()["predictions"], strict=True):
            assert {name: value for name, value in answer.items() if name != "prediction_id"} == row
            assert type(answer["value"]) is type(row["value"])
    log, batch = served.rows(f"{kind}_predictions"), served.rows(f"predictions_{kind}")
    assert log.drop("inputs").schema == batch.drop("x").schema  # the same columns in the same order
    assert log.select("pump", "slot", *right.columns).equals(batch.select("pump", "slot", *right.columns))


@pytest.mark.parametrize("kind", CLASSES)
def test_messages_carry_classes_in_their_own_type(kind: str) -> None:
    rows = expected(kind).rename({"probability_near failure": "probability_near_failure"}, strict=False)
    for form in ("json", "avro"):
        made = encode(rows, "0" * 24, form=form, key=None, headers={}, model=None)
        if form == "json":
            read = [json.loads(one) for one in made.values]
        else:
            read = [fastavro.schemaless_reader(io.BytesIO(one), made.schema, None) for one in made.values]
        assert read == rows.to_dicts()


def test_a_name_is_given_once() -> None:
    with pytest.raises(UsageError, match="name= and step="):
        run_inline(nightly_of(["text"], outside=False, step="beside"))


def test_a_table_takes_the_column_that_a_new_class_brings() -> None:
    """A night is not to fail because a model has learned one more state."""
    said = Table("said")

    @pipeline
    def nights() -> None:
        for kind in ("text", "texts"):
            given = rows(kind)
            positive = "leak" if kind == "text" else None
            version = register_model(fit(given), "pump", inputs=inputs(given), positive=positive)
            said.append(predict(version, given, key="pump", slot="slot"))

    done = run_inline(nights)
    assert done.state == "succeeded", done.error
    columns = ["probability", *(f"probability_{one}" for one in CLASSES["texts"])]
    known = (
        done.table("said")
        .group_by(pl.col("probability").is_null())
        .agg(pl.col(columns).count().name.suffix("_known"))
    )
    assert known.sort("probability").drop("probability").rows() == [(60, 0, 0, 0), (0, 60, 60, 60)]
