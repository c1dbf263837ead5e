"""Every command that reads works on a copy of a project that can't be written; long lists take little memory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.execution.command import Folder, make_folder

from trikk.runs.journals.sqlite_journal import SqliteJournal

WRITES = "run fragile"
COMMANDS = (
    "runs --all --json",
    "runs",
    "show RUN",
    "show RUN --events",
    "show RUN fit",
    "logs RUN",
    "compare RUN RUN",
    "artifacts RUN",
    "tables",
    "tables counts",
    "models",
    "models people",
    "models people:1",
    "monitor",
    "monitor people",
    "incidents --all",
    "timeline",
    "report",
    "tail",
    "features",
    "pipelines",
    "gc --dry-run",
    "doctor",
)
LOADING = ("report", "pipelines", "doctor")  # they start an interpreter, which another user may not be able to
CALLS = """
import contextlib, io, json, sys
from trikk.cli.main import main

found = {}
for command in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(command.split())
        except SystemExit as end:
            code = end.code or 0
    found[command] = (code, out.getvalue(), err.getvalue())
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Folder]:
    """A project in a folder that others may enter."""
    root = Path(tempfile.mkdtemp(prefix="trikk-readonly-"))
    root.chmod(0o755)
    folder = make_folder(root / "project", "earlier_project")
    run = folder.good("run", "train", "-p", "day=2024-03-01")
    (folder.root / "run.txt").write_text(run["id"])
    folder.good("run", "night", "-p", "day=2024-03-01", "-p", "error=9")
    folder.good("run", "watch_people")
    yield folder
    shutil.rmtree(root)


def can(prefix: list[str], script: str) -> bool:
    """Whether a script ends well if it is begun so."""
    return (
        subprocess.run([*prefix, sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
    )


def leave_a_log(folder: Folder) -> None:
    """Append an event and die, so that it is in the journal's log only."""
    script = (
        "import os, signal, sys; from trikk.runs.journals.sqlite_journal import SqliteJournal\n"
        "journal = SqliteJournal('.trikk/journal.db'); journal.create('logged', 'p', {}, at=1.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder.root, check=False)
    assert done.returncode == -signal.SIGKILL
    (folder.root / ".trikk" / "journal.db-shm").unlink()
    assert (folder.root / ".trikk" / "journal.db-wal").stat().st_size > 0


@pytest.fixture(params=["whole", "with a log left behind"])
def copy(request: pytest.FixtureRequest, made: Folder) -> Iterator[Folder]:
    folder = Folder(Path(shutil.copytree(made.root, made.root.parent / "copy")))
    if request.param != "whole":
        leave_a_log(folder)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder.root], check=True)
    shutil.rmtree(folder.root)


def check(folder: Folder, prefix: list[str], left_out: Sequence[str] = ()) -> None:
    before = sorted(p.relative_to(folder.root) for p in folder.root.rglob("*"))
    logged = (folder.root / ".trikk" / "journal.db-wal").exists()
    run = (folder.root / "run.txt").read_text()
    commands = [command.replace("RUN", run) for command in (*COMMANDS, WRITES) if command not in left_out]
    done = subprocess.run(
        [*prefix, sys.executable, "-B", "-c", CALLS, json.dumps(commands)],
        cwd=folder.root,
        env={**os.environ, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    for command, (code, out, err) in json.loads(done.stdout).items():
        if command == WRITES:
            assert (code, err[:7]) == (1, "error: "), (code, err)
            assert "bug in trikk" not in err
        elif command == "doctor" and logged:
            assert (code, "run logged of p waits to be started" in out) == (0, True), out
        else:
            assert code == 0, (command, out, err)
        if command == "runs --all --json":
            assert len(json.loads(out)["runs"]) == 3 + logged
    assert sorted(p.relative_to(folder.root) for p in folder.root.rglob("*")) == before


def test_commands_that_read_work_for_another_user_who_may_not_write(copy: Folder) -> None:
    subprocess.run(["chmod", "-R", "a-w,a+rX", copy.root], check=True)
    prefix: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv")
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if not can(prefix, "import trikk"):
            pytest.skip("another user can't read the interpreter or the packages")
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    check(copy, prefix, () if can(prefix, again) else LOADING)


def test_commands_that_read_work_on_a_read_only_mount(copy: Folder) -> None:
    mount = ["mount", "--bind", copy.root, copy.root]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", copy.root], check=True)
        check(copy, [])
    finally:
        subprocess.run(["umount", "-l", copy.root], check=True)


def test_all_runs_as_json_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "many"\n')
    (tmp_path / ".trikk").mkdir()
    journal = SqliteJournal(tmp_path / ".trikk" / "journal.db")
    journal.create("r0", "p", {"parameters": {"text": "x" * 200}}, at=1.0)
    with journal._transaction() as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) "
            "INSERT INTO runs SELECT i + 1, 'r' || i, pipeline, state, created, started, ended, parameters, "
            "origin, error, forgotten, chain FROM runs, n WHERE id = 'r0'"
        )
    journal.close()
    peak = (
        "import resource, sys; from trikk.cli.main import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )

    def measured(*arguments: str) -> tuple[int, int]:
        with (tmp_path / "out.json").open("w") as out:
            done = subprocess.run(
                [sys.executable, "-c", peak, "runs", "--json", *arguments],
                cwd=tmp_path,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                check=True,
            )
        return len(json.loads((tmp_path / "out.json").read_text())["runs"]), int(done.stderr) // 1024

    few, low = measured()
    many, high = measured("--all")
    assert (few, many) == (20, 100_000)
    assert high < low + 20  # MB
