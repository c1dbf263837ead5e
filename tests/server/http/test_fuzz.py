"""The REST API against schemathesis: no 5xx, and nothing that the description does not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.envs import python_of
from tests.fuzz_server import fuzz, make_project

SECONDS = 30


@pytest.mark.slow
def test_every_answer_is_as_it_is_described(tmp_path: Path) -> None:
    python_of("schemathesis")  # skipped before anything is started, where there is none
    place = make_project(tmp_path / "project")
    with place.server() as server:
        done = fuzz(server, tmp_path, SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 passed" not in done.stdout
    assert place.project.journal.check() == []
