"""Clean-up, and storage that is full, damaged or gone: one message, and nothing that was stored is lost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.execution.command import Folder, make_folder, steps_of


@pytest.fixture
def data(tmp_path: Path) -> Folder:
    folder = make_folder(tmp_path / "data", "data_project")
    (folder.root / "one.csv").write_text("sensor,n\na,1\nb,2\na,3\n")
    (folder.root / "two.csv").write_text("sensor,n\nc,50\n")
    folder.good("ingest", "counts", "one.csv")
    return folder


def test_gc_keeps_what_kept_runs_need_and_removes_the_rest(data: Folder) -> None:
    first = data.good("run", "reading")
    old = data.good("run", "nightly", "-p", "factor=9")
    data.good("ingest", "counts", "two.csv", "--overwrite")
    kept = data.good("run", "nightly", "-p", "factor=2")
    report = data.good("gc", "--keep-last", "1", "--grace", "0s")
    assert (report["kept"], report["forgotten"]) == (2, 1)
    assert report["artifacts"] > 0
    assert data.good("replay", kept["id"])["identical"] is True
    assert data.good("replay", first["id"])["identical"] is True
    assert data.good("doctor")["healthy"] is True
    forgotten = data.good("show", old["id"])
    assert (forgotten["state"], forgotten["forgotten"], forgotten["parameters"]) == (
        "succeeded",
        True,
        {"factor": 9},
    )
    for command in ("resume", "replay", "cancel"):
        assert data.refused(command, old["id"], code=1)["code"] == "run"
    assert "forgotten" in data.trikk("show", old["id"]).out


def test_gc_leaves_a_failed_run_resumable(data: Folder) -> None:
    data.touch("broken")
    run = data.failed("run", "varying", "-p", "how=seeded")
    data.good("gc", "--keep-last", "1", "--grace", "0s")
    (data.root / "broken").unlink()
    assert steps_of(data.good("resume", run["id"]))["noisy"]["reused"] is True


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty folder"])
def test_a_damaged_journal_is_named_and_left_as_it_is(folder: Folder, damage: str) -> None:
    folder.good("run", "texts", "-p", "value=a")
    journal = folder.root / ".trikk" / "journal.db"
    for extra in journal.parent.glob("journal.db-*"):
        extra.unlink()
    if damage == "garbage":
        journal.write_bytes(b"garbage" * 1000)
    elif damage == "cut":
        journal.write_bytes(journal.read_bytes()[:5000])
    else:
        journal.unlink()
        journal.mkdir()
    before = None if journal.is_dir() else journal.read_bytes()
    for command in (["runs"], ["show", "last"], ["run", "texts", "-p", "value=b"], ["gc"]):
        error = folder.refused(*command, code=1)
        assert error["code"] == "journal"
        assert str(error["where"]).endswith("journal.db")
    assert folder.trikk("doctor").code == 1
    assert before is None or journal.read_bytes() == before


def test_a_damaged_table_is_named(data: Folder) -> None:
    data.good("run", "reading")
    log = next((data.root / ".trikk" / "tables" / "counts" / "_delta_log").glob("*0.json"))
    log.write_text("{broken")
    error = data.refused("run", "reading", code=1)
    assert error["code"] in ("table", "storage")
    assert "counts" in error["what"] + str(error["where"])
    assert data.trikk("doctor").code == 1
    assert len(data.good("runs")["runs"]) == 1


def test_a_damaged_file_of_a_table_without_digests_is_named(data: Folder) -> None:
    tables = data.root / ".trikk" / "tables"
    (tables / ".sums" / "counts").unlink()  # an earlier build kept none
    assert data.trikk("doctor").code == 0
    (file,) = (tables / "counts").glob("*.parquet")
    file.write_bytes(b"PAR1" + bytes(40) + file.read_bytes()[44:])
    doctor = data.trikk("doctor")
    assert doctor.code == 1
    assert file.name in doctor.out


@pytest.mark.parametrize("place", ["artifacts", "runs", "journal.db"])
def test_something_else_in_a_folders_place_is_named(folder: Folder, place: str) -> None:
    state = folder.root / ".trikk"
    state.mkdir()
    if place == "journal.db":
        (state / place).mkdir()
    else:
        (state / place).touch()
    done = folder.trikk("run", "texts", "-p", "value=a", "--json")
    assert done.code in (1, 2)
    assert place in done.error["what"] + str(done.error["where"])
    assert done.error["next"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


FILLS = """
from pathlib import Path
from trikk import pipeline, step

@step
def small() -> str:
    return "small"

@step
def large(before: str, n: int) -> str:
    return before * n

@pipeline
def fills(n: int):
    large(small(), n)
"""


def test_a_full_disk_fails_the_run_with_one_message_and_loses_nothing(small_disk: Path) -> None:
    folder = Folder(small_disk)
    folder.write(trikk='name = "small"\n', pipelines=FILLS)
    first = folder.good("run", "fills", "-p", "n=1")
    run = folder.failed("run", "fills", "-p", "n=2000000")
    step = steps_of(run)["large"]
    assert step["error"]["kind"] == "stored"
    assert "No space left" in step["error"]["message"] or "full" in step["error"]["message"]
    assert folder.good("show", first["id"])["state"] == "succeeded"
    assert folder.good("doctor")["healthy"] is True
    (small_disk / "filler").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
    done = folder.trikk("run", "fills", "-p", "n=1", "--json")
    assert done.code == 1
    assert done.json
    (small_disk / "filler").unlink()
    assert folder.good("doctor")["healthy"] is True
    assert folder.good("show", first["id"])["state"] == "succeeded"
    assert folder.good("run", "fills", "-p", "n=1")["state"] == "succeeded"


def test_a_read_only_project_is_named(folder: Folder) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder.root.chmod(0o500)
    try:
        assert "can't be made" in folder.refused("run", "texts", "-p", "value=a")["what"]
    finally:
        folder.root.chmod(0o700)


def test_gc_removes_what_killed_attempts_left_but_not_the_files_of_one_that_runs(folder: Folder) -> None:
    folder.good("run", "texts", "-p", "value=a")
    workspace = next(p for p in (folder.root / ".trikk" / "artifacts").iterdir() if p.name != "objects")
    used, left = workspace / f"attempt-{os.getpid()}", workspace / "attempt-4194999"
    for path in (used, left):
        path.mkdir()
        (path / "file").write_text("x")
        os.utime(path, (0, 0))
    assert folder.good("gc")["reasons"] == ["1 leftovers of attempts that were killed"]
    assert (used / "file").exists()
    assert not left.exists()
    uploads = folder.root / ".trikk" / "uploads"
    for name, age in ("old", 7200), ("new", 0):
        (uploads / name).mkdir(parents=True)
        (uploads / name / "days.csv").write_text("day\n")
        os.utime(uploads / name, (0, 0))  # as of one that takes long to come
        os.utime(uploads / name / "days.csv", (time.time() - age,) * 2)
    assert folder.good("gc")["reasons"] == ["1 leftovers of attempts that were killed"]
    assert [path.name for path in uploads.iterdir()] == ["new"]
