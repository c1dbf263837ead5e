"""What `runs` and `show` tell of a run whose driver has died."""

from __future__ import annotations

import subprocess
import sys

from tests.execution.command import Folder

from trikk.execution.project import Project
from trikk.runs.events import EventKind
from trikk.runs.journals.lease import Holder


def test_a_run_without_a_driver_is_not_passed_off_as_running(folder: Folder) -> None:
    project = Project.open(folder.root)
    project.journal.create("abandoned001", "night", {}, at=1.0)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    me = Holder.current()
    ended.wait()
    lease = project.journal.acquire("abandoned001", Holder(me.host, me.boot, ended.pid, 1.0), ttl=9e9, now=1.0)
    project.journal.append("abandoned001", EventKind.RUN_STARTED, {"isolation": "fork"}, at=2.0, lease=lease)
    project.journal.close()
    for command in (["runs"], ["show", "abandoned001"]):
        done = subprocess.run(
            [sys.executable, "-m", "trikk.cli.main", *command],
            cwd=folder.root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "driver" in done.stdout
        assert "gone" in done.stdout


def test_times_are_shown_by_the_projects_clock(folder: Folder) -> None:
    project = Project.open(folder.root)
    project.journal.create("someday00001", "night", {}, at=1_584_000_000.0)
    project.journal.close()
    assert "2020-03-12 08:00:00 UTC" in folder.trikk("runs", TZ="America/New_York").out
    toml = folder.root / "trikk.toml"
    toml.write_text(f'timezone = "Pacific/Auckland"\n{toml.read_text()}')
    assert "2020-03-12 21:00:00 NZDT" in folder.trikk("runs").out
