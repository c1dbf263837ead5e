"""Feature tables in pipelines, by the real command: written, joined, synced, replayed, looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.execution.command import Folder

from trikk import FeatureTable, pipeline, step
from trikk.core.errors import DefinitionError, UsageError
from trikk.testing import run_inline

PIPELINES = """
from datetime import UTC, datetime, timedelta
import polars as pl
from trikk import FeatureTable, pipeline, step

loads = FeatureTable("loads", entity=["line", "stop"], time="known", ttl="14d", features={"mean": pl.Float64})
T0 = datetime(2024, 3, 1, 9, tzinfo=UTC)

@step
def measured(hour: int) -> pl.DataFrame:
    known = T0 + timedelta(hours=hour)
    means = [hour + 0.5, None, 2.0]
    return pl.DataFrame({"line": ["4", "4", "5"], "stop": [1, 2, 1], "known": known, "mean": means})

@step
def broken() -> pl.DataFrame:
    known = pl.Series([None], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"line": ["4"], "stop": [1], "known": known, "mean": [1.0]})

@step
def trips() -> pl.DataFrame:
    departure = [T0 + timedelta(hours=h) for h in (-1, 0, 5)]
    return pl.DataFrame({"line": "4", "stop": 1, "departure": departure})

@step
def total(rows: pl.DataFrame, whole: pl.DataFrame) -> list[float | None]:
    return [*rows["mean"].to_list(), whole.height]

@pipeline
def nightly(hour: int = 0):
    written = loads.append(measured(hour))
    loads.sync(written, at=T0 + timedelta(hours=1))
    total(loads.join_as_of(trips(), on="departure"), loads)

@pipeline
def wrong():
    loads.append(broken())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    found = Folder(tmp_path_factory.mktemp("project"))
    found.write(trikk='name = "features"\n', pipelines=PIPELINES)
    return found


def test_a_pipeline_writes_joins_and_syncs_and_its_replay_gives_the_same(folder: Folder) -> None:
    assert "no feature tables yet" in folder.trikk("features").out
    run = folder.good("run", "nightly")["id"]
    assert [step["name"] for step in folder.good("show", run)["steps"]] == [
        "measured",
        "check_loads",
        "append_loads",
        "sync_loads",
        "trips",
        "join_loads",
        "total",
    ]
    assert folder.good("show", run, "total")["outputs"][0]["summary"]["value"] == [None, 0.5, 0.5, 3]
    assert folder.good("features", "get", "loads", "line=4", "stop=1", "--at", "2024-03-01T10:00:00+00:00") == {
        "line": "4", "stop": 1, "mean": 0.5,
    }  # fmt: skip
    later = folder.good("run", "nightly", "-p", "hour=2")["id"]
    assert folder.good("show", later, "total")["outputs"][0]["summary"]["value"] == [None, 0.5, 2.5, 6]
    assert folder.good("replay", run)["identical"] is True
    [listed] = folder.good("features")["features"]
    assert {**listed, "synced": None} == {
        "name": "loads", "entity": ["line", "stop"], "table_version": 1, "online": "sqlite", "entities": 3,
        "version": 1, "behind": 0, "synced": None, "error": None,
    }  # fmt: skip


def test_the_command_syncs_by_the_definition_that_the_pipeline_has_used(folder: Folder) -> None:
    folder.good("run", "nightly", "-p", "hour=3")
    done = folder.good("features", "sync", "loads", "--at", "2024-03-01T13:00:00+00:00", "--rebuild")
    assert (done["entities"], done["rebuilt"], done["at"]) == (3, True, "2024-03-01T13:00:00+00:00")
    assert folder.good("features", "sync", "loads")["entities"] == 0
    assert "3.5" in folder.trikk("features", "get", "loads", "line=4", "stop=1", "--at", "2024-03-01T13:00Z").out
    assert folder.good("features", "get", "loads", "line=4", "stop=1")["mean"] is None  # older than the ttl by now
    expired = folder.trikk("features", "get", "loads", "line=4", "stop=1")
    assert json.loads(expired.out)["_missing"] == "expired"
    assert "loads: line=4, stop=1 is expired: the newest features are of 2024-03-01T" in expired.err
    unknown = folder.trikk("features", "get", "loads", "line=4", "stop=77", "--at", "2024-03-01T13:00Z")
    assert json.loads(unknown.out) == {"line": "4", "stop": 77, "mean": None, "_missing": "unknown"}
    assert "loads: line=4, stop=77 is unknown" in unknown.err
    folder.good("features", "sync", "loads", "--rebuild")  # what is too old by now is not online any more
    expired = folder.trikk("features", "get", "loads", "line=4", "stop=1")
    assert json.loads(expired.out)["_missing"] == "expired"
    assert "loads: line=4, stop=1 is expired: the newest features are of 2024-03-01T" in expired.err
    never = folder.trikk("features", "get", "loads", "line=4", "stop=77")
    assert json.loads(never.out)["_missing"] == "unknown"
    assert "stop=x is not of type" in folder.refused("features", "get", "loads", "line=4", "stop=x")["what"]
    assert "not a part of the key" in folder.refused("features", "get", "loads", "stap=1")["what"]
    assert "there is no feature table" in folder.refused("features", "get", "laods", "line=4")["what"]
    assert "not a moment" in folder.refused("features", "sync", "loads", "--at", "noon")["what"]


def test_rows_that_can_not_be_features_fail_before_they_are_written(folder: Folder) -> None:
    failed = folder.failed("run", "wrong")
    states = {step["name"]: step["state"] for step in failed["steps"]}
    assert states == {"broken": "succeeded", "check_loads": "failed", "append_loads": "waiting"}
    assert "'known' is null in 1 of 1 rows" in str(failed)


LOADS = FeatureTable("loads", entity="line", time="known")
T0 = datetime(2024, 3, 1, 9, tzinfo=UTC)


def test_what_was_known_at_a_moment_is_not_changed_by_a_later_append() -> None:
    @step
    def rows(load: float) -> pl.DataFrame:
        return pl.DataFrame({"line": ["4"], "known": [T0], "load": [load]})

    @pipeline
    def write(load: float):
        LOADS.append(rows(load))

    run = run_inline(write, load=1.0)
    run = run_inline(write, tables=run.tables, load=2.0)
    assert run.table("loads")["load"].to_list() == [1.0]


def test_a_pipeline_syncs_in_memory_tables_too(tmp_path: Path) -> None:
    table = FeatureTable("loads", entity="line", time="known", online=f"sqlite:///{tmp_path}/o.db")

    @step
    def rows(load: float) -> pl.DataFrame:
        return pl.DataFrame({"line": ["4"], "known": [T0 + timedelta(hours=load)], "load": [load]})

    @pipeline
    def write(load: float):
        table.sync(table.append(rows(load)), at=T0)

    run = run_inline(write, load=1.0)
    run = run_inline(write, tables=run.tables, load=2.0)
    assert run.output("sync_loads")["rebuilt"] is False
    moments = [T0 + timedelta(minutes=m) for m in (59, 60, 120)]
    assert [table.latest([{"line": "4"}], at=m)[0]["load"] for m in moments] == [None, 1.0, 2.0]


def test_what_is_online_in_another_tables_file_is_said_by_the_command(folder: Folder) -> None:
    assert folder.good("run", "nightly")
    definition = """

delays = FeatureTable("delays", entity=["line", "stop"], time="known", online="sqlite:///.trikk/features/loads.db")


@pipeline
def other():
    delays.append(measured(0))
"""
    pipelines = folder.root / "pipelines.py"
    pipelines.write_text(pipelines.read_text() + definition)
    folder.good("run", "other")
    assert "holds feature table loads" in folder.refused("features", "get", "delays", "line=4", "stop=1")["what"]
    listed = {one["name"]: one for one in folder.good("features")["features"]}
    assert "holds feature table loads" in listed["delays"]["error"]


def test_a_step_may_join_a_table_that_it_was_given_but_not_fetch_it_by_itself() -> None:
    @step
    def given(loads: pl.LazyFrame) -> float:
        rows = pl.DataFrame({"line": ["4"], "at": [T0]})
        return float(LOADS.join_as_of(rows, on="at", table=loads)["load"][0])

    @step
    def fetched() -> float:
        return float(LOADS.join_as_of(pl.DataFrame({"line": ["4"], "at": [T0]}), on="at")["load"][0])

    @pipeline
    def good():
        given(LOADS)

    @pipeline
    def bad():
        fetched()

    facts = pl.DataFrame({"line": ["4"], "known": [T0], "load": [1.5]})
    assert run_inline(good, tables={"loads": facts}).output("given") == 1.5
    assert "can't be replayed" in (run_inline(bad, tables={"loads": facts}).error or "")


def test_writes_outside_of_a_pipeline_and_a_table_in_one_are_refused() -> None:
    with pytest.raises(DefinitionError, match="written by pipelines only"):
        LOADS.append(pl.DataFrame())

    @step
    def rows() -> pl.DataFrame: ...

    with pytest.raises(DefinitionError, match="reads its own table"):

        @pipeline
        def twice():
            LOADS.join_as_of(rows(), on="at", table=rows())


def test_outside_of_a_project_and_without_a_table_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not in a trikk project"):
        LOADS.join_as_of(pl.DataFrame({"line": ["4"], "at": [T0]}), on="at")
    with pytest.raises(UsageError, match="is not in a trikk project"):
        LOADS.latest([{"line": "4"}])
