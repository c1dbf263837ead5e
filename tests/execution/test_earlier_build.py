"""What an earlier build has made must open, go on, replay identically and be sound for the present code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.execution.command import Folder, make_folder, until

BUILD = "82529f6"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of the earlier build."""
    folder = tmp_path_factory.mktemp("build")
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", BUILD, "src", "examples"], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"commit {BUILD} is not in this clone: it is shallow, or no clone")
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def make_with(build: Path, folder: Folder) -> None:
    """Let the earlier build do all that a project keeps."""
    old = {"PYTHONPATH": str(build / "src")}
    said = subprocess.run(
        [sys.executable, "-c", "import trikk; print(trikk.__file__)"],
        env={**os.environ, **old},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith(str(build))
    folder.touch("broken")
    slow = folder.start("run", "slow", **old)
    until((folder.root / "waiting").exists)
    slow.send_signal(signal.SIGINT)
    assert folder.end(slow).code == 1
    for code, command in (
        (0, "run train -p day=2024-03-01"),
        (0, "backfill night --from 2024-03-01 --to 2024-03-02 --at 23:59 -p error=9 -q"),
        (0, "run night -p day=2024-03-02 -p error=8"),  # changes rows that are there
        (0, "run panda"),
        (1, "run fragile"),
        (0, "watch --once --now 2024-03-05T12:00"),
        (0, "report monthly --for 2024-03"),
    ):
        done = folder.trikk(*command.split(), **old)
        assert done.code == code, done
    (folder.root / "broken").unlink()


def test_a_project_of_an_earlier_build_opens_resumes_replays_and_is_sound(build: Path, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", "earlier_project")
    make_with(build, folder)
    rows = folder.good("runs", "--all")["runs"]
    states = {(row["pipeline"], row["state"]) for row in rows}
    assert states == {("slow", "cancelled"), ("fragile", "failed")} | {
        (name, "succeeded") for name in ("train", "night", "panda", "watch_people", "report_monthly")
    }
    found = folder.good("doctor")
    assert found["healthy"], [f for f in found["findings"] if not f["good"]]
    (failed,) = [row["id"] for row in rows if row["state"] == "failed"]
    resumed = folder.good("resume", failed)
    assert [(s["name"], s["reused"]) for s in resumed["steps"]] == [("first", True), ("falls", False)]
    for row in rows:
        if row["state"] == "succeeded":
            replayed = json.loads(folder.trikk("replay", row["id"], "--json").out)
            differing = [(step["name"], step["detail"]) for step in replayed["steps"] if not step["identical"]]
            if row["pipeline"] == "report_monthly":
                # Its pictures were drawn by matplotlib: page, PDF, mail and picture differ, and the text does not.
                ((name, detail),) = differing
                assert (name, "4 of 5 items" in detail) == ("render", True), replayed
            else:
                assert replayed["identical"], replayed
            assert replayed["state"] == "succeeded"
    (version,) = folder.good("models", "people")["versions"]
    assert version["version"] == 1
    assert folder.good("models", "people@champion")["version"] == 1
    windows = folder.good("monitor", "people")["windows"]
    assert [w["figures"][0]["metrics"]["mae"] for w in windows] == pytest.approx([9, 8])
    (incident,) = folder.good("incidents")["incidents"]
    assert incident["id"] == "people.loss-1"
    assert folder.good("tables", "counts")["rows"] == 8
    assert len(folder.trikk("tail", "forecast", "-n", "100").out.splitlines()) == 12
    assert folder.good("features", "get", "means", "sensor=a")
    assert folder.good("report", "monthly", "--for", "2024-03")
    assert folder.good("doctor")["healthy"]


def test_the_city_of_an_earlier_build_runs_unchanged(build: Path, tmp_path: Path) -> None:
    folder = Folder(Path(shutil.copytree(build / "examples" / "city", tmp_path / "city")))
    period = ["--from", "2020-03-01", "--to", "2020-03-02", "--at", "23:59", "-p", "days=60", "-p", "weeks=8"]
    done = folder.trikk("backfill", "ingest", "train", "nightly", *period, "--watch", timeout=300)
    assert done.code == 0, done
    assert {row["state"] for row in folder.good("runs", "--all")["runs"]} == {"succeeded"}
    assert len(folder.good("monitor", "people")["windows"]) >= 1
    assert folder.good("doctor")["healthy"]
