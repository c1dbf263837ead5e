"""A run to log into, and a project folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.execution.command import Folder

from trikk.runs.context import StepContext
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.sqlite_journal import SqliteJournal
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.local import LocalStore

RUN = "arun"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal with one run."""
    made = SqliteJournal(tmp_path / "journal.db")
    made.create(RUN, "train", {}, at=1.0)
    return made


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """An empty store."""
    return Artifacts(LocalStore(tmp_path / "artifacts"))


@pytest.fixture
def a_step(tmp_path: Path, journal: Journal, artifacts: Artifacts) -> Callable[..., StepContext]:
    """Makes steps of the run."""

    def make(step: str = "fit", item: int | None = None, attempt: int = 1) -> StepContext:
        return StepContext(
            run=RUN,
            recorded_in=RUN,
            pipeline="train",
            step=step,
            item=item,
            attempt=attempt,
            dry=False,
            moment=1.0,
            environment="main",
            root=tmp_path,
            state_dir=tmp_path / ".trikk",
            artifacts=artifacts,
            tables=None,
            journal=journal,
        )

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A copy of the project beside this file."""
    root = tmp_path / "project"
    shutil.copytree(
        Path(__file__).parent / "project", root, ignore=shutil.ignore_patterns("__pycache__", ".trikk")
    )
    return Folder(root)
