"""`doctor` names real damage, and takes for none what clean-up removed on purpose."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.execution.command import Folder, make_folder
from tests.execution.test_clean_up import once_at

from trikk.core.errors import TableError
from trikk.execution.project import Project
from trikk.execution.upkeep import cleanup
from trikk.execution.upkeep import project_check as checkup
from trikk.runs.bundle import contents
from trikk.runs.journals.journal import RunRow
from trikk.runs.run_state import RunState
from trikk.storage.tables import sums as table_sums
from trikk.storage.tables.versioned_tables import Tables, Write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project with runs, one of them forgotten, that have read and written tables."""
    folder = make_folder(tmp_path_factory.mktemp("made") / "data", "data_project")
    (folder.root / "one.csv").write_text("sensor,n\na,1\nb,2\na,3\n")
    folder.good("ingest", "counts", "one.csv")
    for factor in (1, 2, 3):
        folder.good("run", "nightly", "-p", f"factor={factor}")
    folder.good("gc", "--keep-last", "2", "--grace", "0s")
    return folder


@pytest.fixture
def project(made: Folder, tmp_path: Path) -> Project:
    return Project.open(Path(shutil.copytree(made.root, tmp_path / "copy")))


def bad(project: Project) -> list[str]:
    looks = [look for name, look in checkup._LOOKS.items() if name != "pipelines"]
    return [f"{f.subject}: {f.text}" for look in looks for f in look(project) if not f.good]


def last(project: Project) -> RunState:
    return project.run(project.find_run("last"))


def drop(project: Project, digest: str) -> None:
    assert project.store.delete(digest)


def drop_result(project: Project) -> None:
    drop(project, last(project).steps["summed"].outputs[0]["digest"])  # type: ignore[index, arg-type]


def drop_code(project: Project) -> None:
    drop(project, str(last(project).lock["code"]))


def drop_a_file_of_the_code(project: Project) -> None:
    drop(project, contents(project.store, str(last(project).lock["code"]))["helpers.py"])


def drop_graph(project: Project) -> None:
    drop(project, last(project).graph)


def log_of(project: Project, table: str = "sums") -> Path:
    return Path(project.settings.location("tables")) / table / "_delta_log"


def drop_newest_entry(project: Project) -> None:
    max(log_of(project).glob("*.json")).unlink()


def drop_newest_entry_and_sums(project: Project) -> None:
    """As if an earlier build had written the table."""
    drop_newest_entry(project)
    shutil.rmtree(log_of(project).parents[1] / ".sums")


def drop_table(project: Project) -> None:
    shutil.rmtree(log_of(project).parent)


def flip(path: Path, place: int) -> None:
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.chmod(0o644)
    path.write_bytes(whole)


def flip_data(project: Project) -> None:
    file = min(log_of(project).parent.glob("*.parquet"))
    flip(file, file.stat().st_size // 3)


def flip_entry(project: Project) -> None:
    entry = min(log_of(project).glob("*.json"))
    flip(entry, entry.read_bytes().index(b'"numRecords') + 15)


def empty_journal(project: Project) -> None:
    project.close()
    path = project.settings.state / "journal.db"
    with sqlite3.connect(path) as connection:
        for table in ("events", "runs", "ledger", "heads"):
            connection.execute(f"DELETE FROM {table}")
    connection.close()


def remove_journal(project: Project) -> None:
    project.close()
    for path in project.settings.state.glob("journal.db*"):
        path.unlink()


def change_event(project: Project) -> None:
    project.close()
    with sqlite3.connect(project.settings.state / "journal.db") as connection:
        connection.execute("UPDATE events SET body = replace(body, '\"rows\":2', '\"rows\":3')")
    connection.close()


DAMAGE: dict[Callable[[Project], None], str] = {
    drop_result: "what step summed of run {run} made",
    drop_code: "the code of run {run}",
    drop_a_file_of_the_code: "the code of run {run}",
    drop_graph: "the graph of run {run}",
    drop_newest_entry: "the log of table 'sums' is damaged: entry 00000000000000000002.json is missing",
    drop_newest_entry_and_sums: "run {run} has written version 2 of table sums, which is gone",
    drop_table: "run {run} has written version 2 of table sums, which is gone",
    flip_data: ".parquet of table 'sums' is damaged",
    flip_entry: "file _delta_log/00000000000000000000.json of table 'sums' is damaged",
    empty_journal: "the journal does not know run {run}",
    remove_journal: "the journal does not know run {run}",
    change_event: "run {run}: event ",
}


def test_a_sound_project_of_which_clean_up_removed_a_part_is_sound(project: Project) -> None:
    assert bad(project) == []


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_named(project: Project, damage: Callable[[Project], None]) -> None:
    run = project.find_run("last")
    damage(project)
    found = bad(project)
    assert any(DAMAGE[damage].format(run=run) in sentence for sentence in found), found


def test_no_write_takes_the_number_of_a_version_that_was_lost(project: Project) -> None:
    drop_newest_entry(project)
    with pytest.raises(TableError, match=r"entry 0+2.json is missing, the newest") as error:
        project.tables.version("sums")
    assert "restore" in (error.value.next or "")
    assert "if an older state was restored on purpose, remove " in (error.value.next or "")
    error = Folder(project.root).refused("run", "nightly", "-p", "factor=9", code=1)  # type: ignore[assignment]
    assert "entry 00000000000000000002.json is missing" in error["what"]  # type: ignore[index]


def test_a_table_that_was_removed_can_be_begun_anew(project: Project) -> None:
    drop_table(project)
    assert project.tables.version("sums") is None
    Folder(project.root).good("run", "nightly", "-p", "factor=9")
    assert project.tables.version("sums") == 0


def test_who_reads_a_damaged_table_is_told_which_file_is_damaged(project: Project) -> None:
    file = next(log_of(project, "counts").parent.glob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:4] + bytes(len(whole) - 8) + whole[-4:])
    os.utime(file)
    folder = Folder(project.root)
    assert f"file {file.name} of table 'counts' is damaged" in folder.refused("tables", "counts", code=1)["what"]
    failed = folder.failed("run", "nightly", "-p", "factor=7")
    assert f"file {file.name} of table 'counts' is damaged" in failed["error"]


def test_a_write_that_is_found_made_leaves_the_digests_of_later_ones(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    for identity in ("a", "b", "a"):
        tables.write("t", Write("append", pl.DataFrame({"k": [1]})), identity=identity, origin={})
    assert tables.version("t") == table_sums.last_version(tmp_path / "t") == 1
    assert len([path for path in table_sums.known(tmp_path / "t") if path.endswith(".parquet")]) == 2
    assert tables.damage("t") == []


def collect_all(project: Project) -> None:
    cleanup.collect(project, keep_last=1, grace=0)


@pytest.mark.parametrize("moment", ["before the store is listed", "after an object is listed", "at a table"])
def test_clean_up_beside_it_is_no_damage(project: Project, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def clean() -> None:
        collect_all(project)

    if moment == "before the store is listed":
        once_at(monkeypatch, checkup, "_needed", clean, after=True)
    elif moment == "after an object is listed":
        once_at(monkeypatch, project.store, "fetch", clean, after=True)
    else:
        once_at(monkeypatch, checkup, "_table", clean, after=False)
    Folder(project.root).good("run", "nightly", "-p", "factor=9")
    assert bad(project) == []
    assert len([row for row in project.journal.runs(limit=None) if row.forgotten]) == 3


def test_runs_that_begin_or_end_beside_it_are_no_damage(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def begin() -> None:
        project.journal.create("r2", "nightly", {}, at=time.time())
        project.logs_of("r2")

    def has_ended(project: Project, row: RunRow, now: float) -> bool:
        project.journal.append(row.id, "run.succeeded", {}, at=now)
        return False

    once_at(monkeypatch, project.journal, "runs", begin, after=True)
    assert list(checkup._unknown_runs(project)) == []
    assert [f.text for f in checkup._journal(project) if not f.good] == []  # as it is queued only now
    monkeypatch.setattr(checkup, "is_driven", has_ended)
    assert [f.text for f in checkup._journal(project) if not f.good] == []


@pytest.mark.parametrize(("step", "is_damage"), [(None, False), ("summed", False), ("sums.append", True)])
def test_a_run_whose_driver_is_gone_is_damage_only_if_it_may_have_changed_something(
    project: Project, step: str | None, is_damage: bool
) -> None:
    was = last(project)
    (write,) = [name for name, node in project.graph(was).nodes.items() if node.write is not None]
    body = {"lock": was.lock, "graph": was.graph, "parameters": was.parameters}
    project.journal.create("r2", "nightly", body, at=1.0)
    project.journal.append("r2", "run.started", {}, at=2.0)
    if step is not None:
        begun = {"step": write if is_damage else step, "attempt": 1}
        project.journal.append("r2", "step.started", begun, at=3.0)
    (found,) = [f for f in checkup._journal(project) if "its driver is gone" in f.text]
    assert (found.good, found.next) == (not is_damage, "trikk resume r2, or trikk cancel r2")


def test_what_can_not_be_read_is_named_and_the_rest_is_looked_at(project: Project) -> None:
    digest = str(last(project).steps["summed"].outputs[0]["digest"])  # type: ignore[index]
    path = project.store.fetch(digest)
    path.unlink()
    path.mkdir()
    found = list(checkup.examine(project))
    assert [f.text for f in found if not f.good] == [
        f"artifact {digest[:12]} can't be read: Is a directory ({path})"
    ]
    assert {f.subject for f in found} >= {"journal", "table sums"}


@pytest.mark.parametrize("more", [0, 5])
def test_a_table_that_another_program_has_begun_anew_is_sound(tmp_path: Path, more: int) -> None:
    tables, rows = Tables(str(tmp_path)), pl.DataFrame({"k": [1]})
    for identity in "abc":
        tables.write("t", Write("append", rows), identity=identity, origin={})
    shutil.rmtree(tmp_path / "t")
    for _ in range(1 + more):
        write_deltalake(tmp_path / "t", rows, mode="append")
    assert (tables.version("t"), tables.damage("t")) == (more, [])
    assert tables.write("t", Write("append", rows), identity="d", origin={}).version == more + 1
    assert (tables.version("t"), tables.damage("t")) == (more + 1, [])
    file = next(path for path in table_sums.known(tmp_path / "t") if path.endswith(".parquet"))
    flip(tmp_path / "t" / file, 20)
    assert [error.what for error in tables.damage("t")]


def test_what_other_programs_do_to_a_table_is_no_damage(tmp_path: Path) -> None:
    tables, rows = Tables(str(tmp_path)), pl.DataFrame({"k": [1]})
    for identity in "abc":
        tables.write("t", Write("append", rows), identity=identity, origin={})
    other = DeltaTable(tmp_path / "t")
    other.create_checkpoint()
    other.optimize.compact()
    other.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    other.restore(3)
    shutil.copytree(tmp_path / "t", tmp_path / "copy")
    for name in ("t", "copy"):
        tables.write(name, Write("append", rows), identity="d", origin={})
        assert tables.damage(name) == []
    assert tables.names() == ["copy", "t"]


def test_half_a_line_of_digests_that_a_full_disk_left_costs_no_other(tmp_path: Path) -> None:
    tables, rows = Tables(str(tmp_path)), pl.DataFrame({"k": [1]})
    tables.write("t", Write("append", rows), identity="a", origin={})
    with table_sums.sums_file(tmp_path / "t").open("a") as file:
        file.write('{"files": {"_delta')
    tables.write("t", Write("append", rows), identity="b", origin={})
    assert len([path for path in table_sums.known(tmp_path / "t") if path.endswith(".parquet")]) == 2
    assert tables.damage("t") == []
