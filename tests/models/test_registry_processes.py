from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.models import registering

from trikk.models.registry import Registry
from trikk.runs.journals.open_journal import open_journal

ROOT = Path(__file__).parents[2]
COUNT = 8


def start(location: str, worker: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", registering.__name__, location, worker, str(COUNT)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_versions_have_no_gaps_and_no_repeats_though_many_register_and_some_are_killed(tmp_path: Path) -> None:
    location = str(tmp_path / "journal.db")
    registry = Registry(open_journal(location))
    workers = {name: start(location, name) for name in ("a", "b", "c")}
    killed = workers["c"]
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    workers["c"] = start(location, "c")  # a later attempt of the same
    assert [w.communicate()[1] or w.returncode for w in workers.values()] == [0, 0, 0]
    versions = registry.versions("people")
    assert [v.version for v in versions] == list(range(1, 3 * COUNT + 1))
    moves = registry.moves("people")
    assert sorted(m.version for m in moves) == [v.version for v in versions]
    assert all(later.former == before.version for before, later in itertools.pairwise(moves))
