"""`trikk monitor NAME --drift` on a project with two weeks of days."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from trikk.cli.monitor_commands.monitor_view import monitor
from trikk.execution.project import Project
from trikk.monitoring.cases.changes import Source, changes
from trikk.monitoring.day_drift.day_comparison import drifting
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.figures.records import Cursor, Records
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.storage.tables.table_write import Write

START = datetime(2020, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("city")
    (root / "trikk.toml").write_text('name = "city"\npipelines = []\n')
    project = Project.open(root)
    spec = MonitorSpec("people", "predictions", "counts", ("sensor",), "slot", "count", drift=Drift().to_json())
    bare = MonitorSpec("bare", "predictions", "counts", ("sensor",), "slot", "count")
    for number in range(15):
        day = START + timedelta(days=number)
        slots = [day + timedelta(minutes=12 * i) for i in range(120)]
        shift = 50.0 if number == 14 else 0.0
        rows = pl.DataFrame({"sensor": ["a"] * 120, "slot": slots, "value": [shift + i % 60 for i in range(120)]})
        for table, name in (("predictions", "value"), ("counts", "count")):
            frame = rows.rename({"value": name}).lazy()
            project.tables.write(table, Write("append", frame), identity=f"{table}{number}", origin={})
    tables = project.tables
    versions = {name: tables.version(name) for name in ("predictions", "counts")}
    source = Source(tables.scan("predictions"), tables.scan("counts"), tables, versions)
    now = START + timedelta(days=16)
    for one in (spec, bare):
        Records(project.journal, one.name).define(one, now.timestamp())
    drift = DriftRecords(project.journal, "people")
    drifting(spec, source, None, drift, now=now, run="run", identity="look")
    first = len(project.journal.history("monitor/people/"))
    drifting(spec, source, None, drift, now=now, run="run", identity="look")
    assert len(project.journal.history("monitor/people/")) == first, "doing it again adds nothing"
    return root


@pytest.fixture
def inside(folder: Path) -> Iterator[CliRunner]:
    before = Path.cwd()
    os.chdir(folder)
    yield CliRunner()
    os.chdir(before)


def test_figures_and_drift_read_the_log_of_a_version_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.open(folder)
    tables, spec = project.tables, Records(project.journal, "people").spec()
    asked: list[tuple[Any, ...]] = []
    ranges = tables.ranges
    monkeypatch.setattr(tables, "ranges", lambda *of: asked.append(of) or ranges(*of))
    versions = {name: tables.version(name) for name in ("predictions", "counts")}
    source = Source(tables.scan("predictions"), tables.scan("counts"), tables, versions)
    figures, drift = (changes(spec, source, Cursor()) for _ in range(2))
    assert figures == drift
    assert asked == [("predictions", "slot", 14), ("counts", "slot", 14)]


def test_days_are_listed_with_their_verdicts(inside: CliRunner) -> None:
    shown = inside.invoke(monitor, ["people", "--drift", "--last", "2"])
    lines = shown.output.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:4] == ["2020-03-15", "no", "drift", "120"]
    assert lines[2].split()[:3] == ["2020-03-16", "drift", "120"]
    assert "2 of 3 columns; most " in lines[2]


def test_a_day_is_shown_column_by_column(inside: CliRunner) -> None:
    shown = inside.invoke(monitor, ["people", "--drift", "--window", "2020-03-16"]).output
    assert "compared with 2 days from 2020-03-02 to 2020-03-09, 240 predictions" in shown
    assert [line.split()[0] for line in shown.splitlines()[-3:]] == ["prediction", "truth", "error"]


def test_all_of_it_is_json_too(inside: CliRunner) -> None:
    listed = json.loads(inside.invoke(monitor, ["people", "--drift", "--json"]).output)
    assert (len(listed["windows"]), listed["windows"][-1]["verdict"]) == (14, "drift")
    day = json.loads(inside.invoke(monitor, ["people", "--drift", "--window", "2020-03-16", "--json"]).output)
    assert [column["verdict"] for column in day["columns"]] == ["drift", "drift", "no drift"]
    assert len(day["past"]) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [(["people", "--drift", "--window", "2019-01-01"], "2019-01-01"), (["bare", "--drift"], "declares no drift")],
)
def test_what_is_not_there_is_told(inside: CliRunner, arguments: list[str], what: str) -> None:
    assert what in str(inside.invoke(monitor, arguments).exception)
