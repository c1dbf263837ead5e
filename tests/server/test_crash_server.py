"""Servers that are killed under load; `python -m tests.crash_server` does the same for longer."""

from __future__ import annotations

from pathlib import Path

from tests.crash_server import ASKED, attack


def test_servers_that_are_killed_lose_no_run_and_do_none_twice(tmp_path: Path) -> None:
    tally = attack(tmp_path / "project", kills=5, seed=11)
    assert (tally["servers"], tally["runs"]) == (5, 5 * ASKED)
    assert tally["forkers"] > 0
