"""Scripts and notebooks through the real command: a project as a user has it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, lives, states_of, steps_of, until

PROJECT = Path(__file__).parent / "programs_project"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    root = tmp_path / "a project"
    shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__", ".trikk"))
    monkeypatch.setenv("SENT_TO", str(root))  # a replay's code lies elsewhere
    made = Folder(root)
    yield made
    left = [pid for line in made.lines("pids") for pid in map(int, line.split()) if lives(pid)]
    for pid in left:
        os.kill(pid, 9)


def pids(folder: Folder) -> list[int]:
    return [int(pid) for line in folder.lines("pids") for pid in line.split()]


def all_gone(folder: Folder) -> None:
    until(lambda: not any(lives(pid) for pid in pids(folder)))


def log(folder: Folder, run: str, step: str) -> str:
    return (folder.root / ".trikk" / "runs" / run / f"{step}.1.log").read_text()


def logged(folder: Folder, run: str) -> dict[str, dict[str, Any]]:
    events = folder.good("show", run, "--events")["events"]
    return {e["body"]["name"]: e["body"] for e in events if e["kind"] == "artifact.logged"}


def stored(folder: Folder, artifact: dict[str, Any]) -> str:
    digest = artifact["digest"]
    return (folder.root / ".trikk" / "artifacts" / "objects" / digest[:2] / digest[2:]).read_text()


def test_scripts_take_files_give_files_and_replay_the_same(folder: Folder) -> None:
    run = folder.good("run", "cleaning", "-p", "day=2020-03-26")
    steps = steps_of(run)
    assert steps["total"]["outputs"][0]["summary"]["value"] == 7
    assert steps["average"]["outputs"][0]["summary"]["value"] == 3.0
    assert steps["text"]["outputs"][0]["summary"]["value"] == "3 2020-03-26"
    assert [o["summary"]["type"] for o in steps["split"]["outputs"]] == [
        "polars.DataFrame",
        "polars.DataFrame",
        "dict",
        "pathlib.Path",
    ]
    said = log(folder, run["id"], "script")
    assert "cleaning for 2020-03-26\n" in said
    assert "a warning\n" in said
    shutil.rmtree(folder.root / "scripts")
    assert folder.good("replay", run["id"])["identical"] is True
    assert folder.lines("sent") == ["sent"], "an effect is not done again"


def test_a_time_out_ends_a_script_and_what_it_started(folder: Folder) -> None:
    run = folder.failed("run", "sleeping")
    assert steps_of(run)["script"]["error"]["kind"] == "timeout"
    assert len(pids(folder)) == 2
    all_gone(folder)


def test_a_secret_comes_from_the_environment_and_stays_there(folder: Folder) -> None:
    done = folder.trikk("run", "secret", "--json", HIDDEN="s3cr3t value")
    assert done.code == 0, done
    files = [path for path in (folder.root / ".trikk").rglob("*") if path.is_file()]
    assert not [path for path in files if b"s3cr3t value" in path.read_bytes()]


def test_a_notebook_is_executed_kept_and_replayed_the_same(folder: Folder) -> None:
    run = folder.good("run", "reporting", "-p", "day=2020-03-26")
    steps = steps_of(run)
    assert steps["total"]["outputs"][0]["summary"]["value"] == 12
    assert steps["text"]["outputs"][0]["summary"]["value"] == "2 x"
    found = logged(folder, run["id"])
    assert {name: body["kind"] for name, body in found.items()} == {
        "report.ipynb": "file",
        "report.html": "report",
    }
    assert [o["digest"] for o in steps["notebook"]["outputs"][:2]] == [
        found["report.ipynb"]["artifact"]["digest"],
        found["report.html"]["artifact"]["digest"],
    ]
    book = json.loads(stored(folder, found["report.ipynb"]["artifact"]))
    assert book["cells"][2]["metadata"]["tags"] == ["injected-parameters"]
    assert 'name = "a \\"quoted\\" \\xf8"' in "".join(book["cells"][2]["source"])
    assert '2020-03-26 3 a "quoted" ø 4\n' in log(folder, run["id"], "notebook")
    page = stored(folder, found["report.html"]["artifact"])
    assert "data:image/svg+xml;base64," in page or "<svg" in page
    assert not re.search(r"<script[^>]*src=|<link[^>]*href=|@import|url\(http", page)
    (folder.root / "report.ipynb").unlink()
    (folder.root / "helpers.py").write_text("def doubled(values):\n    return values\n")
    assert folder.good("replay", run["id"])["identical"] is True


def test_a_notebook_that_is_stopped_ends_its_kernel_and_is_kept_so_far(folder: Folder) -> None:
    process = folder.start("run", "slow")
    until(lambda: len(pids(folder)) == 2)
    until(lambda: "so far" in log(folder, folder.good("show", "last")["id"], "notebook"))
    folder.good("cancel", "last")
    process.communicate()
    all_gone(folder)
    book = json.loads(stored(folder, logged(folder, "last")["slow.ipynb"]["artifact"]))
    assert book["cells"][0]["outputs"][0]["text"] == ["so far\n"]


@pytest.mark.slow
def test_a_driver_that_is_killed_takes_the_kernel_with_it(folder: Folder) -> None:
    process = folder.start("run", "slow")
    until(lambda: len(pids(folder)) == 2)
    process.kill()
    process.communicate()
    all_gone(folder)
    assert states_of(folder.good("show", "last")) == {"notebook": "running"}
