"""Replay: what is identical, how it differs, and what can't be replayed."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, make_folder, steps_of

from trikk.execution.project import Project
from trikk.execution.replay import comparison_of, queue_replay
from trikk.runs.journals.journal import Cause


@pytest.fixture
def data(tmp_path: Path) -> Folder:
    """A project with a table."""
    folder = make_folder(tmp_path / "data", "data_project")
    (folder.root / "one.csv").write_text("sensor,n\na,1\nb,2\na,3\n")
    (folder.root / "two.csv").write_text("sensor,n\nc,50\n")
    folder.good("ingest", "counts", "one.csv")
    return folder


def verdicts(replayed: dict[str, Any]) -> dict[str, str]:
    assert {"run", "of", "identical", "steps"} <= set(replayed)
    return {step["name"]: step["verdict"] for step in replayed["steps"]}


def test_seeds_make_random_numbers_the_same_again(shared: Folder) -> None:
    first = shared.good("run", "seeded")
    replayed = shared.good("replay", "last")
    assert (replayed["of"], replayed["identical"]) == (first["id"], True)
    assert replayed["steps"][0]["identical"] is True
    other = shared.good("run", "seeded")
    assert steps_of(other)["dice"]["outputs"] != steps_of(first)["dice"]["outputs"]


def test_a_step_that_is_really_random_is_named_and_the_exit_code_is_one(shared: Folder) -> None:
    shared.good("run", "unseeded")
    replayed = shared.failed("replay", "last")
    assert replayed["identical"] is False
    assert verdicts(replayed) == {"really_random": "different"}
    assert "NOT identical" in shared.trikk("replay", replayed["of"]).out


@pytest.mark.parametrize(
    ("how", "verdict"), [("reordered", "reordered"), ("close", "close"), ("different", "different")]
)
def test_a_step_that_varies_is_reported_with_how(data: Folder, how: str, verdict: str) -> None:
    run = data.good("run", "varying", "-p", f"how={how}")
    data.touch("turn")
    replayed = data.failed("replay", run["id"])
    assert verdicts(replayed) == {"noisy": verdict, "fails_then": "identical"}
    assert replayed["steps"][0]["detail"]


def test_a_replay_reads_old_versions_runs_the_locked_code_and_touches_no_table(data: Folder) -> None:
    run = data.good("run", "nightly", "-p", "factor=2")
    data.good("ingest", "counts", "two.csv")
    code = (data.root / "pipelines.py").read_text()
    data.write(pipelines=code.replace("* factor", "* factor * 1000"))
    before = data.good("tables")
    replayed = data.good("replay", run["id"])
    assert set(verdicts(replayed).values()) == {"identical"}
    assert data.good("tables") == before
    assert data.good("show", replayed["run"])["origin"] == {"kind": "replay", "of": run["id"]}


def test_a_failed_run_is_replayed_to_the_same_failure(data: Folder) -> None:
    data.touch("broken")
    run = data.failed("run", "varying", "-p", "how=seeded")
    replayed = data.good("replay", run["id"])
    assert replayed["state"] == "failed"
    assert replayed["identical"] is True
    (data.root / "broken").unlink()
    replayed = data.failed("replay", run["id"])
    assert verdicts(replayed) == {"noisy": "identical", "fails_then": "missing"}


def test_a_database_is_not_asked_again(data: Folder) -> None:
    database = data.root / "data.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    connection.close()
    run = data.good("run", "from_database")
    database.unlink()
    replayed = data.good("replay", run["id"])
    assert set(verdicts(replayed).values()) == {"taken", "identical"}
    source = next(s for s in run["steps"] if s["name"] != "loaded")
    digest = source["outputs"][0]["digest"]
    next((data.root / ".trikk" / "artifacts").rglob(f"*{digest[2:]}")).unlink()
    error = data.refused("replay", run["id"], code=1)
    assert "what source step" in error["what"]


def test_a_replay_that_waits_and_is_begun_by_hand_asks_no_database_either(data: Folder) -> None:
    database = data.root / "data.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    run = data.good("run", "from_database")
    database.unlink()
    project = Project.open(data.root)
    cause = Cause("request/1", "request.accepted", "after 0")
    replay = str(queue_replay(project, run["id"], cause, at=1.0).entry.body["run"])
    data.good("resume", replay)
    assert set(verdicts(comparison_of(project, replay).to_json()).values()) == {"taken", "identical"}
    project.close()


def test_what_is_gone_is_named_before_anything_runs(data: Folder) -> None:
    run = data.good("run", "reading")
    data.good("ingest", "counts", "two.csv", "--overwrite")
    for file in (data.root / ".trikk" / "tables" / "counts").glob("*.parquet"):
        file.unlink()
    digest = run["lock"]["code"]
    next((data.root / ".trikk" / "artifacts").rglob(f"*{digest[2:]}")).unlink()
    error = data.refused("replay", run["id"], code=1)
    assert "version 0 of table counts can't be read any more" in error["what"]
    assert "code" in error["what"]
    assert len(data.good("runs")["runs"]) == 1


def test_code_that_can_not_be_loaded_any_more_leaves_no_run(data: Folder) -> None:
    code = (data.root / "pipelines.py").read_text()
    extra = data.root.parent / "extra"
    extra.mkdir()
    (extra / "elsewhere.py").write_text("")
    data.write(pipelines=code + "\nimport elsewhere  # noqa\n")
    process = data.start("run", "reading", "--json", PYTHONPATH=str(extra))
    run = data.end(process).json
    assert run["state"] == "succeeded"
    shutil.rmtree(extra)
    assert "elsewhere" in data.refused("replay", run["id"])["what"]
    assert len(data.good("runs")["runs"]) == 1


def test_other_packages_are_named_before_anything_runs(data: Folder, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "oddity-1.0.dist-info").mkdir(parents=True)
    run = data.end(data.start("run", "reading", "--json", PYTHONPATH=str(site))).json
    replayed = data.good("replay", run["id"])
    assert replayed["identical"] is True
    assert "oddity 1.0 -> not installed" in replayed["warnings"][0]


def test_a_run_that_is_not_over_is_not_replayed(shared: Folder) -> None:
    process = shared.start("run", "long", "--json")
    try:
        while not shared.lines("pids"):
            pass
        assert "is not over" in shared.refused("replay", "last", code=1)["what"]
    finally:
        process.kill()
        process.communicate()
