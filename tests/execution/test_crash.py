from __future__ import annotations

from pathlib import Path

from tests.crash import attack


def test_a_killed_run_ends_as_if_nobody_had_disturbed_it(tmp_path: Path) -> None:
    tally = attack(tmp_path, kills=5, seed=20_200_326, nights=(1, 2))
    assert tally.kills >= 5
    assert tally.runs >= 2
