"""Project folders for tests that run the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import Folder, make_folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One project for all tests of a module that only add runs to it."""
    return make_folder(tmp_path_factory.mktemp("project"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A project of one's own."""
    return make_folder(tmp_path / "project")
