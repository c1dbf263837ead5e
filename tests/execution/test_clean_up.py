"""Runs that begin in any gap of a clean-up keep all that they name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.execution.command import Folder
from tests.storage.test_table_clean import write

from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.execution.upkeep import cleanup
from trikk.runs.bundle import contents
from trikk.runs.run_state import RunState
from trikk.storage.stores.local import LocalStore
from trikk.storage.stores.locks import file_lock
from trikk.storage.tables.data_files import LocalFiles
from trikk.storage.tables.versioned_tables import Tables, Write

PIPELINES = """
import polars as pl
from trikk import Table, pipeline, step

counts = Table("counts")

@step(cache=True)
def costly(n: int) -> list[pl.DataFrame]:
    return [pl.DataFrame({"a": [n]}), pl.DataFrame({"b": [n, n]})]

@step
def same() -> str:
    return "the same in every run"

@step
def read(rows: list[pl.DataFrame], counts: pl.DataFrame, text: str) -> int:
    return counts["k"].sum()

@pipeline
def work(n: int):
    read(costly(n), counts, same())
"""
GAPS = 5


def run(project: Project, *numbers: int, lock: Any = None) -> list[RunState]:
    with Session(project, How()) as session:
        return [session.run("work", {"n": n}, lock=lock) for n in numbers]


def age(folder: Path) -> None:
    """Make every file two days old."""
    past = time.time() - 2 * 86400
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (past, past))


def once_at(patch: pytest.MonkeyPatch, owner: Any, name: str, act: Callable[[], object], *, after: bool) -> None:
    """Do something the first time that a function is called, before it begins or after it has ended."""
    real: Any = getattr(owner, name)
    done: list[bool] = []

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        first = not done
        done.append(True)
        if first and not after:
            act()
        result = real(*args, **kwargs)
        if first and after:
            act()
        return result

    patch.setattr(owner, name, wrapped)


def test_runs_that_begin_in_any_gap_of_a_clean_up_keep_what_they_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trikk.toml").write_text('name = "gaps"\n')
    (tmp_path / "pipelines.py").write_text(PIPELINES)
    project = Project.open(tmp_path)
    project.tables.write("counts", Write("append", pl.DataFrame({"k": [1, 2]})), identity="0", origin={})
    (was, *_) = run(project, *range(GAPS))
    (tmp_path / "other.py").write_text("# other code")
    run(project, GAPS)
    (tmp_path / "other.py").unlink()
    with Session(project, How()) as session:
        pinned = session.pin("work")
    age(tmp_path / ".trikk" / "artifacts" / "objects")
    begun: list[RunState] = []

    def begin() -> None:
        begun.extend(run(project, len(begun)))

    def overwrite_and_begin() -> None:
        project.tables.write("counts", Write("overwrite", pl.DataFrame({"k": [9]})), identity="1", origin={})
        age(tmp_path / ".trikk" / "tables")
        begun.extend(run(project, len(begun), lock=pinned))

    once_at(monkeypatch, cleanup, "choose", begin, after=True)
    once_at(monkeypatch, cleanup, "_needed", begin, after=True)
    once_at(monkeypatch, LocalStore, "list", begin, after=True)  # after the look, before the first removal
    once_at(monkeypatch, LocalStore, "delete", begin, after=True)  # between two removals
    once_at(monkeypatch, cleanup, "_sweep_tables", overwrite_and_begin, after=False)
    report = cleanup.collect(project, keep_last=1)
    assert (len(begun), report.forgotten) == (GAPS, GAPS)
    assert report.artifacts > 0
    for state in begun:
        assert state.state == "succeeded"
        assert state.steps["costly"].state == "succeeded"
        assert state.lock["code"] == was.lock["code"]
        for step in state.steps.values():
            for output in step.outputs or []:
                project.artifacts.verify(cleanup.Artifact.read(output))
        for digest in [state.graph, state.lock["packages"], *contents(project.store, state.lock["code"]).values()]:
            project.store.fetch(digest)
    assert project.tables.scan("counts", pinned.tables["counts"]).collect()["k"].to_list() == [1, 2]
    last = Folder(tmp_path).good("replay", begun[-1].id)
    assert last["identical"] is True
    assert all("n" in row.parameters for row in project.journal.runs(limit=None))


def test_a_dry_run_says_what_the_grace_period_spares(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "spared"\n', pipelines=PIPELINES)
    project = Project.open(tmp_path)
    for n in range(2):
        project.tables.write("counts", Write("overwrite", pl.DataFrame({"k": [n]})), identity=str(n), origin={})
    run(project, 1, 2)
    done = folder.good("gc", "--keep-last", "1", "--dry-run")
    assert (done["artifacts"], done["table_files"]) == (0, 0)
    assert done["spared"] >= 4  # at least three frames' artifacts and a data file
    assert done["spared_bytes"] > 0
    text = folder.trikk("gc", "--keep-last", "1", "--dry-run").out
    assert f"{done['spared']} unneeded objects and files" in text
    assert "within the grace period of 1 h" in text
    assert folder.good("gc", "--keep-last", "1", "--grace", "0s")["artifacts"] > 0
    assert len([row for row in project.journal.runs() if row.forgotten]) == 1


def test_a_run_that_is_resumed_while_clean_up_forgets_keeps_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trikk.toml").write_text('name = "driven"\n')
    (tmp_path / "pipelines.py").write_text(PIPELINES)
    project = Project.open(tmp_path)
    project.tables.write("counts", Write("append", pl.DataFrame({"k": [1]})), identity="0", origin={})
    driven, _ = run(project, 1, 2)
    from trikk.runs.journals.lease import Holder

    lease = project.journal.acquire(driven.id, Holder.current(), ttl=60, now=time.time())
    report = cleanup.collect(project, keep_last=1, grace=0)
    project.journal.release(lease)
    assert (report.kept, report.forgotten) == (2, 0)
    for step in driven.steps.values():
        for output in step.outputs or []:
            project.artifacts.verify(cleanup.Artifact.read(output))


def test_a_version_that_was_the_newest_within_the_grace_period_stays(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    write(tables, 0, "overwrite")
    before = tables.scan("t").collect()
    write(tables, 1, "overwrite")
    age(tmp_path)
    report = tables.clean("t", set(), grace=3600)
    assert (report.removed, report.young) == ((), 1)
    assert tables.scan("t", 0).collect().equals(before)
    assert len(tables.clean("t", set(), grace=0).removed) == 1
    assert list(LocalFiles(tmp_path).data("t"))


SOURCED = (
    PIPELINES
    + """

@step(source=True)
def seen() -> pl.DataFrame:
    return pl.DataFrame({"k": range(9000)})

@step
def twice(seen: pl.DataFrame) -> pl.DataFrame:
    return seen.with_columns(t=pl.col("k") * 2)

@step
def total(rows: pl.DataFrame) -> int:
    return rows["t"].sum()

@pipeline
def sums():
    total(twice(seen()))
"""
)


def test_frames_that_can_be_made_again_go_after_a_while_and_are_made_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "kept"\n[storage]\nkeep = "1s"\n', pipelines=SOURCED)
    (made,) = (folder.good("run", "sums"),)
    time.sleep(1.1)
    project = Project.open(tmp_path)
    state = project.run(made["id"])
    digests = {task: step.outputs[0]["digest"] for task, step in state.steps.items()}  # type: ignore[index, call-overload]
    plan = folder.good("gc", "--grace", "0s", "--dry-run")
    assert plan["kinds"]["frames"][0] == 1
    done = folder.good("gc", "--grace", "0s")
    assert done["kinds"] == plan["kinds"]
    assert done["bytes"] == plan["bytes"] == done["kinds"]["frames"][1] + done["kinds"].get("logs", (0, 0))[1]
    there = {task: project.store.contains(digest) for task, digest in digests.items()}
    assert there == {"seen": True, "twice": False, "total": True}
    assert folder.trikk("doctor").code == 0
    assert folder.good("replay", made["id"])["identical"] is True
    assert project.store.contains(digests["twice"])


def test_a_replay_reads_what_was_compressed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "cold"\n', pipelines=SOURCED)
    first = folder.good("run", "sums")
    age(tmp_path / ".trikk" / "artifacts")
    objects = tmp_path / ".trikk" / "artifacts" / "objects"
    with file_lock(tmp_path / ".trikk" / "artifacts" / "compress.lock"):
        busy = folder.good("gc", "--compress-after", "1d")
    assert busy["compressed"] == 0
    assert [reason for reason in busy["reasons"] if "not all was compressed" in reason]
    plan = folder.good("gc", "--compress-after", "1d", "--dry-run")
    text = folder.trikk("gc", "--compress-after", "1d", "--dry-run").out
    assert "2 artifacts would be compressed, for about" in text
    done = folder.good("gc", "--compress-after", "1d")
    assert done["compressed"] == plan["compressed"] == 2
    assert done["compressed_bytes"] == pytest.approx(plan["compressed_bytes"], rel=0.1)
    assert folder.trikk("doctor").code == 0
    assert len(list(objects.rglob("*.z"))) == 2  # what only looks at them leaves them as they are
    assert folder.good("replay", first["id"])["identical"] is True
    assert folder.good("gc", "--compress-after", "1d")["compressed"] == 0


def test_what_goes_is_said_by_kind(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "kinds"\n', pipelines=SOURCED)
    project = Project.open(tmp_path)
    for n in range(2):
        project.tables.write("counts", Write("overwrite", pl.DataFrame({"k": [n]})), identity=str(n), origin={})
    run(project, 1, 2)
    plan = folder.good("gc", "--keep-last", "1", "--grace", "0s", "--dry-run")
    text = folder.trikk("gc", "--keep-last", "1", "--grace", "0s", "--dry-run").out
    done = folder.good("gc", "--keep-last", "1", "--grace", "0s")
    assert done["kinds"] == plan["kinds"]
    assert set(done["kinds"]) >= {"frames", "logs", "files of old table versions"}
    for kind, (count, _) in done["kinds"].items():
        assert f"  {kind}: {count}, " in text


OVERWRITES = """
from pathlib import Path
import polars as pl
from trikk import Table, pipeline, step

last = Table("last")

@step
def rows(n: int) -> pl.DataFrame:
    if n == 1 and Path("broken").exists():
        raise ValueError("broken")
    return pl.DataFrame({"n": [n]})

@pipeline
def puts(n: int):
    last.overwrite(rows(n))
"""


def test_what_a_killed_run_had_written_stays_for_its_resume(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "killed"\n', pipelines=OVERWRITES)
    folder.good("run", "puts", "-p", "n=0")
    (tmp_path / "broken").touch()
    run = folder.failed("run", "puts", "-p", "n=1")["id"]
    project = Project.open(tmp_path)
    (write,) = [node.name for node in project.graph(project.run(run)).nodes.values() if node.write]
    # As the worker of its write does, when it is killed between the commit and its answer.
    rows = Write("overwrite", pl.DataFrame({"n": [1]}))
    made = project.tables.write("last", rows, identity=f"{run}/{write}", origin={"run": run, "step": write})
    folder.good("run", "puts", "-p", "n=2")
    folder.good("gc", "--grace", "0s")
    (tmp_path / "broken").unlink()
    assert folder.good("resume", run)["state"] == "succeeded"
    assert folder.good("doctor")["healthy"]
    assert project.tables.scan("last", made.version).collect()["n"].to_list() == [1]
