"""From figures to their cases, and corrections that are appended, on real tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from trikk.core.errors import UnknownName
from trikk.execution.project import Project
from trikk.monitoring.ab.ab_comparison import compare
from trikk.monitoring.cases.changes import Source
from trikk.monitoring.drilldown.drill import explain, worst
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.monitoring.window_evaluation import evaluate
from trikk.storage.tables.table_write import Write

SLOT = datetime(2020, 3, 1, tzinfo=UTC)
LATER = SLOT + timedelta(days=3)


class City:
    """A project whose monitor is evaluated at will."""

    def __init__(self, root: Path, **more: Any) -> None:
        (root / "trikk.toml").write_text('name = "city"\npipelines = []\n')
        self.project = Project.open(root)
        self.spec = MonitorSpec("m", "p", "t", ("place",), "slot", "count", **{"metrics": ("mae",), **more})
        self.records = Records(self.project.journal, "m")
        self.records.define(self.spec, 0.0)
        self.writes = 0

    def add(self, table: str, mode: Any = "append", key: tuple[str, ...] = (), **columns: Any) -> None:
        self.writes += 1
        length = max(len(value) for value in columns.values())
        given = {"place": ["a"] * length, "slot": [SLOT] * length, **columns}
        write = Write(mode, pl.DataFrame(given), key)
        self.project.tables.write(table, write, identity=str(self.writes), origin={})

    def look(self) -> WindowRecord:
        tables = self.project.tables
        versions = {name: tables.version(name) for name in "pt"}
        source = Source(tables.scan("p"), tables.scan("t"), tables, versions)
        self.writes += 1
        evaluate(self.spec, source, self.records, now=LATER, run="r", identity=str(self.writes))
        found = self.records.window("day", "2020-03-01")
        assert found is not None
        return found

    def worst(self, **how: Any) -> list[dict[str, Any]]:
        return worst(self.project, "m", "day", "2020-03-01", **how)


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path)


def test_of_several_truths_the_one_that_was_written_last_counts(city: City) -> None:
    city.add("p", value=[1.0], prediction_id=["x"])
    for number in range(4):
        city.add("t", count=[float(number)])
        assert city.look().whole.metrics["mae"] == abs(number - 1.0)
        assert [row["observed"] for row in city.worst()] == [number]
        assert explain(city.project, "x").observed == number
    city.add("t", "merge", ("place", "slot"), count=[2.0], place=["b"])
    city.add("t", count=[8.0, 9.0])
    assert city.look().whole.metrics["mae"] == 8.0
    assert explain(city.project, "x").error == -8.0
    city.add("t", count=[None])
    assert city.look().whole.labelled == 0
    told = explain(city.project, "x")
    assert (told.observed, told.notes[0]) == (None, "its truth was taken back")


@pytest.mark.parametrize("made", [{"predicted_at": [SLOT]}, {}], ids=["made at one time", "without that column"])
def test_of_predictions_made_at_one_time_the_one_that_was_written_last_counts(
    city: City, made: dict[str, Any]
) -> None:
    city.add("t", count=[0.0])
    for number in range(1, 5):
        city.add("p", value=[float(number)], prediction_id=["x"], **made)
        assert city.look().whole.metrics["mae"] == number
        assert explain(city.project, "x").prediction["value"] == number


def test_cases_of_texts_are_shown_wrong_ones_first(tmp_path: Path) -> None:
    city = City(tmp_path, metrics=("accuracy",))
    city.add("p", place=["a", "b", "c"], value=["cat", "cat", "cat"])
    city.add("t", place=["a", "b"], count=["cat", "dog"])
    assert city.look().whole.metrics == {"accuracy": 0.5}
    found = [(row["place"], row["error"]) for row in city.worst()]
    assert found == [("b", True), ("a", False), ("c", None)]


def test_cases_are_shown_without_the_code_of_the_author_s_own_metrics(tmp_path: Path) -> None:
    own = {"within_3": {"function": "nowhere.pipelines:within_3", "better": "higher"}}
    city = City(tmp_path, metrics=("mae",))
    city.add("p", place=["a", "b"], value=[1.0, 5.0])
    city.add("t", place=["a", "b"], count=[1.0, 2.0])
    city.look()
    city.records.define(replace(city.spec, metrics=("mae", "within_3"), own=own), 1.0)
    assert [(row["place"], row["error"]) for row in city.worst()] == [("b", 3.0), ("a", 0.0)]


def test_a_slice_is_named_as_its_figures_name_it(tmp_path: Path) -> None:
    city = City(tmp_path, slices=("holiday", "half", "date"))
    days = [SLOT + timedelta(hours=hour) for hour in range(3)]
    city.add(
        "p", slot=days, value=[1.0, 2.0, 3.0], holiday=[True, False, None], half=[0.5, 1e20, None], other=days
    )
    city.add("t", slot=days, count=[0.0, 0.0, 0.0])
    named = [(f.slice, f.value) for f in city.look().figures if f.slice]
    assert named[:3] == [("holiday", "False"), ("holiday", "True"), ("holiday", "(none)")]
    assert [len(city.worst(slice_=name)) for name in named] == [1] * 6 + [3]
    with pytest.raises(UnknownName) as refused:
        city.worst(slice_=("holiday", "maybe"))
    assert "True" in str(refused.value.next)
    ab = compare(city.spec, city.project.tables, None, "column:value", "column:value")  # type: ignore[arg-type]
    assert [(one.slice, one.value) for one in ab.slices] == named
