"""A project copied to PostgreSQL and S3 and back: all is there and goes on there; nothing of others is touched."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.execution.command import Folder, make_folder
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

from trikk.core.errors import TableError
from trikk.execution.copying.project_copy import copy_project, open_target
from trikk.execution.project import Project
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server

KILLED = """
import os, signal, sys
from pathlib import Path
from trikk.execution.copying import journal_copy, project_copy
from trikk.execution.project import Project

left = int(sys.argv[2])

def progress(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

real = journal_copy._Merge.write

def write(merge, *rows):
    real(merge, *rows)
    progress()

journal_copy._Merge.write = write
project_copy.copy_project(Project.open(), project_copy.open_target(Path(sys.argv[1])), progress)
print("whole", int(sys.argv[2]) - left)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project with runs that succeeded and failed, a forgotten one, tables with versions, a cached result."""
    folder = make_folder(tmp_path_factory.mktemp("source") / "project", "data_project")
    (folder.root / "one.csv").write_text("sensor,n\na,1\nb,2\n")
    folder.good("ingest", "counts", "one.csv")
    for factor in "123":
        folder.good("run", "nightly", "-p", f"factor={factor}")
    folder.good("gc", "--keep-last", "2", "--grace", "0s")
    folder.good("run", "cached")
    folder.touch("broken")
    folder.failed("run", "varying", "-p", "how=exact")
    (folder.root / "broken").unlink()
    return folder


@pytest.fixture
def source(made: Folder, tmp_path: Path) -> Folder:
    return Folder(Path(shutil.copytree(made.root, tmp_path / "source")))


@pytest.fixture
def shared_place(
    source: Folder, tmp_path: Path, postgres_server: PostgresServer, s3_server: S3Server, monkeypatch: Any
) -> Folder:
    """A folder with the same code, whose storage is PostgreSQL and S3."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COPY_PASSWORD", postgres_server.password)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bucket, schema = s3_server.new_bucket(), f"copy_{secrets.token_hex(6)}"
    journal = postgres_server.url.replace(postgres_server.password, "${COPY_PASSWORD}")
    place = beside(source, tmp_path / "shared")
    place.write(
        trikk=f'name = "data"\n[storage]\njournal = "{journal}?schema={schema}"\n'
        f'artifacts = "s3://{bucket}/artifacts"\ntables = "s3://{bucket}/tables"\n'
    )
    return place


def beside(source: Folder, root: Path) -> Folder:
    """The code of a project alone, in another folder."""
    shutil.copytree(source.root, root, ignore=shutil.ignore_patterns(".trikk"))
    return Folder(root)


def held(folder: Folder) -> dict[str, Any]:
    """What a project holds, as far as two copies must agree: rows of the journal, digests, versions of tables."""
    project = Project.open(folder.root)
    runs = project.journal.runs(limit=None)
    events = {run.id: project.journal.events(run.id) for run in runs}
    entries = project.journal.history("")
    tables = {
        name: [rows_of(project, name, version) for version in range((project.tables.version(name) or 0) + 1)]
        for name in project.tables.names()
    }
    digests = {stored.digest for stored in project.store.list()}
    logs = {path.relative_to(project.settings.state) for path in (project.settings.state / "runs").rglob("*.log")}
    project.close()
    return {"runs": runs, "events": events, "entries": entries, "tables": tables, "objects": digests, "logs": logs}


def rows_of(project: Project, name: str, version: int) -> list[dict[str, Any]] | None:
    try:
        return project.tables.scan(name, version).collect().to_dicts()
    except (TableError, pl.exceptions.PolarsError, OSError):
        return None  # clean-up has removed what this version alone needed


def lacking(report: dict[str, Any]) -> int:
    return sum(report["journal"].values()) + sum(
        report[part]["lacking"] for part in ("artifacts", "tables", "state")
    )


def killed_after(source: Folder, target: Folder, steps: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(target.root), str(steps)]
    return subprocess.run(command, cwd=source.root, capture_output=True, text=True, timeout=120, check=False)


def test_a_project_moves_to_shared_storage_goes_on_there_and_comes_back(
    source: Folder, shared_place: Folder, tmp_path: Path
) -> None:
    was = held(source)
    planned = source.good("copy", str(shared_place.root), "--dry-run")
    assert planned["runs"] == len(was["runs"]) == 5
    assert lacking(planned) > 0
    assert held(shared_place)["objects"] == set()
    # Killed among artifacts, in tables, and within the journal's transaction: whoever looks finds no run.
    files = [planned[part]["count"] for part in ("artifacts", "tables", "state")]
    for steps in (3, files[0] + 4, sum(files) + 3):
        assert killed_after(source, shared_place, steps).returncode == -9
        assert held(shared_place)["runs"] == []
    copied = source.trikk("copy", str(shared_place.root / "trikk.toml"))
    assert copied.code == 0, copied
    assert "are the same" in copied.out
    assert held(shared_place) == was
    assert lacking(source.good("copy", str(shared_place.root))) == 0
    assert shared_place.good("doctor")["healthy"]

    # A source that has gone on is copied on, also where it has forgotten a run by now.
    source.good("run", "nightly", "-p", "factor=4")
    source.good("gc", "--keep-last", "2", "--grace", "0s")
    assert source.good("copy", str(shared_place.root))["journal"]["runs"] >= 2
    was = held(source)
    now = held(shared_place)
    assert now["objects"] >= was["objects"]
    assert {**now, "objects": 0, "logs": 0, "tables": 0} == {**was, "objects": 0, "logs": 0, "tables": 0}
    assert now["tables"]["sums"][-1] == was["tables"]["sums"][-1]

    failed = next(run.id for run in was["runs"] if run.state == "failed")
    night = next(run.id for run in was["runs"] if run.pipeline == "nightly")
    assert shared_place.good("show", failed) == source.good("show", failed)
    resumed = shared_place.good("resume", failed)
    assert [(s["name"], s["reused"]) for s in resumed["steps"]] == [("noisy", True), ("fails_then", False)]
    assert shared_place.good("replay", night)["identical"]
    assert {s["state"] for s in shared_place.good("run", "cached")["steps"]} == {"succeeded"}
    assert shared_place.lines("ran") == source.lines("ran"), "the cached result was not found"
    assert "does not have" in source.refused("copy", str(shared_place.root))["what"]

    # Back: to a new folder, and to the one that it came from, which is an earlier copy.
    new = beside(source, tmp_path / "back")
    new.write(trikk='name = "data"\n')
    was = held(shared_place)
    for target in (new, source):
        shared_place.good("copy", str(target.root))
        again = held(target)
        assert (again["runs"], again["events"], again["entries"]) == (was["runs"], was["events"], was["entries"])
        assert target.good("doctor")["healthy"]
    assert held(new)["tables"] == was["tables"]
    new.good("run", "nightly", "-p", "factor=5")
    assert new.good("doctor")["healthy"]


def test_killed_at_any_step_and_run_again_a_copy_is_the_same(source: Folder, tmp_path: Path) -> None:
    was, target = held(source), beside(source, tmp_path / "target")
    steps, done = 1, False
    while not done:
        ended = killed_after(source, target, steps)
        done = ended.stdout.startswith("whole")
        assert done or ended.returncode == -9, ended.stderr
        state = held(target)
        assert (state["runs"], state["entries"]) in (([], []), (was["runs"], was["entries"]))
        steps += 9
    assert steps > 30, "it was never killed"
    assert held(target) == was
    assert target.good("doctor")["healthy"]


def test_what_is_in_use_or_of_another_project_is_refused(source: Folder, tmp_path: Path) -> None:
    target = beside(source, tmp_path / "target")
    project = Project.open(source.root)
    run = project.journal.runs(state="failed")[0].id
    now = time.time()
    project.journal.append(run, "run.resumed", {}, at=now)
    lease = project.journal.acquire(run, Holder.current(), ttl=60, now=now)
    refused = source.refused("copy", str(target.root))
    assert f"run {run} is driven by process" in refused["what"]
    assert "--in-use" in refused["next"]
    assert source.good("copy", str(target.root), "--in-use")["runs"] == 5
    project.journal.release(lease)
    project.journal.append(run, "run.failed", {"error": "x"}, at=now)
    project.journal.beat(Server(id="s", holder=Holder.current(), since=now, at=time.time()))
    assert "a server is process" in source.refused("copy", str(target.root))["what"]
    project.journal.leave("s", at=now)
    source.good("copy", str(target.root))
    place = open_target(target.root)
    assert place.journal.leases() == {}

    writer, project = project, Project.open(source.root)
    report = copy_project(project, place, lambda *_: writer.journal.append(run, "note", {}, at=now) and None)
    assert report.gone_on
    assert place.journal.last_seq(run) < writer.journal.last_seq(run)
    assert not copy_project(project, place, lambda *_: None).gone_on
    assert place.journal.events(run) == writer.journal.events(run)
    for each in (project, writer, place):
        each.close()

    stranger = make_folder(tmp_path / "stranger", "data_project")
    stranger.good("run", "varying", "-p", "how=exact")
    assert "does not have" in source.refused("copy", str(stranger.root))["what"]
    tables = beside(source, tmp_path / "tables")
    (tables.root / "two.csv").write_text("sensor,n\nz,9\n")
    tables.good("ingest", "sums", "two.csv")
    (tables.root / ".trikk" / "journal.db").unlink()
    assert "table sums" in source.refused("copy", str(tables.root))["what"]
    assert not (tables.root / ".trikk" / "tables" / "counts").exists()
    for place in (source.root, tmp_path / "nowhere"):
        source.refused("copy", str(place))


def test_a_damaged_file_is_not_copied_on_and_one_in_the_target_is_mended(source: Folder, tmp_path: Path) -> None:
    target = beside(source, tmp_path / "target")
    source.good("copy", str(target.root))
    for kind, pattern in (("artifacts", "objects/*/*"), ("tables", "counts/*.parquet")):
        folder = target.root / ".trikk" / kind
        flip(next(iter(sorted(folder.glob(pattern)))))
    assert not target.failed("doctor")["healthy"]
    source.good("copy", str(target.root))
    assert target.good("doctor")["healthy"]
    flip(next(iter(sorted((source.root / ".trikk/tables").glob("counts/*.parquet")))))
    source_project = Project.open(source.root)
    empty = open_target(beside(source, tmp_path / "empty").root)
    with pytest.raises(TableError, match="damaged"):
        copy_project(source_project, empty, lambda *_: None)
    assert empty.journal.runs() == []
    source_project.close()
    empty.close()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
