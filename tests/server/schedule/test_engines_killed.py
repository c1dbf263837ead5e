"""Engines in several processes on one journal, killed while the clock is put forward: a tick has one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("journal", ["sqlite", "postgres"])
def test_each_tick_has_one_run_whoever_is_killed_when(request: pytest.FixtureRequest, journal: str) -> None:
    location = journal if journal == "sqlite" else request.getfixturevalue("postgres_location")
    numbers = ["--ticks=100", "--queue=10", "--seed=13"]
    command = [sys.executable, "-m", "tests.crash_triggers", *numbers, "--journal", location]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["kills"] > 20
    assert seen["by trigger"]["all"] >= 100
