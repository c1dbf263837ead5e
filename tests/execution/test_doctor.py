"""`doctor` names real damage, and takes for none what clean-up removed on purpose."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from tests.execution.command import Folder, make_folder

from trikk.core.errors import TableError
from trikk.execution import checkup
from trikk.execution.project import Project
from trikk.runs.bundle import contents
from trikk.runs.state import RunState
from trikk.storage import table_sums
from trikk.storage.tables import Tables, Write


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
