"""Whose champions are marked on a monitor's page: those of the models that predict for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from trikk import Model, ModelVersion, Table, pipeline, step
from trikk.console.pages.monitors.monitor_models import models_of
from trikk.execution.project import Project
from trikk.storage.tables.table_write import Write


@step
def predicted(model: ModelVersion) -> pl.DataFrame:
    return pl.DataFrame({"value": [model.version]})


@step
def cleaned(rows: pl.DataFrame, other: ModelVersion) -> pl.DataFrame:
    return rows


@pipeline
def predicting() -> None:
    Table("p").append(cleaned(predicted(Model("people@champion")), Model("outliers")))
    Table("q").append(predicted.options(name="another")(Model("trams@champion")))


def test_models_are_those_on_which_the_written_predictions_rest(tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text('name = "city"\n')
    project = Project.open(tmp_path)
    graphs = {"predicting": predicting.graph}
    site: Any = SimpleNamespace(project=project, code=SimpleNamespace(current=SimpleNamespace(graphs=graphs)))
    assert models_of(site, "p") == {"people", "outliers"}
    assert models_of(site, "q") == {"trams"}
    assert models_of(site, "nowhere") == set()
    logged = pl.DataFrame({"value": [1.0, 2.0], "model": ["buses", None]})
    project.tables.write("log", Write("append", logged), identity="1", origin={})
    assert models_of(site, "log") == {"buses"}  # which an endpoint has written
    project.tables.write("bare", Write("append", logged.drop("model")), identity="1", origin={})
    assert models_of(site, "bare") == set()
