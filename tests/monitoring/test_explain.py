"""What a model was given for a prediction: found by the moment of its slot, and said where it can't be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from trikk.cli.monitor_commands.monitor_view import explain as command
from trikk.core.errors import UnknownName
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.monitoring.drilldown.drill import Explanation, explain
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.storage.tables.table_write import Write

ZONE = "America/New_York"
PIPELINES = """
from datetime import UTC, datetime

import polars as pl

from trikk import Table, pipeline, step
from trikk.runs.context import step_context

ZONE = "America/New_York"
predictions, plan = Table("predictions"), Table("plan")


@step
def slots(kind: str) -> pl.DataFrame:
    local = pl.Series([datetime(2020, 11, 1, 0, 30), datetime(2020, 11, 1, 2, 30)])
    aware = local.dt.replace_time_zone(ZONE)
    other = {"naive": local, "text": local.dt.to_string()}
    slot = other[kind] if kind in other else aware.dt.convert_time_zone(kind)
    return pl.DataFrame({"trip": ["a", "b"], "slot": slot})


@step
def predicted(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    at = [datetime(2020, 11, 1, 4, 30, tzinfo=UTC), datetime(2020, 11, 1, 7, 30, tzinfo=UTC)]
    ids = [f"{kind} a", f"{kind} b"]
    run = step_context("a test").run
    return pl.DataFrame({"trip": ["a", "b"], "slot": at, "value": [1.0, 2.0], "prediction_id": ids, "run": run})


@pipeline
def from_frame(kind: str):
    predictions.append(predicted(slots(kind), kind))


@pipeline
def from_table():
    predictions.append(predicted(plan, "table"))
"""
KINDS = (ZONE, "UTC", "Asia/Tokyo", "naive", "text")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root: Path = tmp_path_factory.mktemp("city")
    (root / "trikk.toml").write_text('name = "city"\npipelines = ["pipelines"]\n')
    (root / "pipelines.py").write_text(PIPELINES)
    project = Project.open(root)
    spec = MonitorSpec("loads", "predictions", "counts", ("trip",), "slot", "count", timezone=ZONE)
    Records(project.journal, "loads").define(spec, 0.0)
    rows = {"trip": ["b"], "slot": [datetime(2020, 11, 1, 7, 30, tzinfo=UTC)]}
    for name, more in (("counts", {"count": [5.0]}), ("plan", {"line": ["x"]})):
        frame = pl.DataFrame({**rows, **more})
        if name == "plan":  # with two rows from before, the newest first
            earlier = (
                frame.with_columns(pl.col("slot").dt.offset_by(f"-{n}d"), line=pl.lit(f"{n}")) for n in (1, 2)
            )
            frame = pl.concat([frame, *earlier])
        project.tables.write(name, Write("append", frame), identity=name, origin={})
    with Session(project, How()) as session:
        for kind in KINDS:
            assert session.run("from_frame", {"kind": kind}).state == "succeeded"
        assert session.run("from_table", {}).state == "succeeded"
    return project


def given(told: Explanation) -> dict[str, list[Any]]:
    return {where: [row["trip"] for row in rows] for where, rows in told.inputs.items()}


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_inputs_are_found_by_the_moment_of_their_slot_whatever_its_zone(city: Project, kind: str) -> None:
    told = explain(city, f"{kind} b")
    assert given(told) == {"predicted.rows": ["b"]}
    assert (told.notes, told.observed, len(told.others)) == ([], 5.0, len(KINDS))


def test_inputs_that_a_step_read_from_a_table_are_read_at_the_version_of_its_run(city: Project) -> None:
    plan = pl.DataFrame({"trip": ["b"], "slot": [datetime(2020, 11, 1, 7, 30, tzinfo=UTC)], "line": ["later"]})
    city.tables.write("plan", Write("append", plan), identity="later", origin={})
    assert [row["line"] for row in explain(city, "table b").inputs["predicted.rows"]] == ["x"]
    assert explain(city, "table a").notes[-1] == (
        "nothing that step predicted was given has a row of the same entity and slot"
    )


def test_the_rows_behind_it_are_those_of_the_tables_that_its_run_read(
    city: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = explain(city, "table b", rows=2).sources
    assert (source.table, source.version, source.use, source.rows) == ("plan", 0, "prediction", 3)
    assert [row["line"] for row in source.head] == ["1", "x"]  # the newest, in the order of their slots
    assert explain(city, "table b").sources == []
    monkeypatch.chdir(city.root)
    shown = CliRunner().invoke(command, ["table b", "--rows"], catch_exceptions=False).output
    assert "3 rows in all: trikk tables plan --version 0 --where \"trip = 'b'\" -n 3" in shown
    printed = CliRunner().invoke(command, ["table b", "--rows", "--json"], catch_exceptions=False).output
    (document,) = json.loads(printed)["sources"]
    assert document["head"][-1] == {"trip": "b", "slot": "2020-11-01T07:30:00+00:00", "line": "x"}


def test_a_failure_is_told_as_what_it_is(city: Project) -> None:
    told = explain(city, "text b")
    assert not told.inputs
    assert told.notes[0].startswith("what was given as predicted.rows can't be read: ")
    assert "any more" not in told.notes[0]
    run = city.run(str(explain(city, "Asia/Tokyo b").prediction["run"]))
    (output,) = run.steps["slots"].outputs or []
    city.store.delete(str(output["digest"]))
    (note,) = explain(city, "Asia/Tokyo b").notes
    assert note == "what was given as predicted.rows can't be read: it is not among the run's artifacts any more"


def test_a_prediction_is_named_by_the_beginning_of_its_id(city: Project) -> None:
    write = Write("append", pl.DataFrame({"prediction_id": ["0123-only", "0123"], "run": ["r", "r"]}))
    city.tables.write("other", write, identity="other", origin={})
    assert explain(city, "0123").prediction["prediction_id"] == "0123"
    assert explain(city, "0123-o").prediction["prediction_id"] == "0123-only"
    for text, mend in (("naive", "several begin so: naive a, naive b"), ("", "looked in predictions, ")):
        with pytest.raises(UnknownName) as refused:
            explain(city, text)
        assert str(refused.value.next).startswith(mend)


def test_people_see_a_line_for_each_value_and_of_others_what_differs(
    city: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(city.root)
    shown = CliRunner().invoke(command, ["UTC b"], catch_exceptions=False).output.splitlines()
    assert shown[:2] == ["prediction UTC b", "  trip   b"]
    assert "truth         5, error -3" in shown
    assert f"also predicted {len(KINDS)} times, by what differs" in shown
    assert ["PREDICTION_ID", "RUN"] in [line.split() for line in shown]
    place = shown.index("given as predicted.rows")
    assert shown[place + 1 : place + 3] == ["  trip  b", "  slot  2020-11-01T07:30:00+00:00"]
