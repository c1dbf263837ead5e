"""A receiver of spans, and projects that send to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.execution.command import Folder, make_folder
from tests.servers.otlp import Receiver, receiving

PROJECT = Path(__file__).parent / "traced_project"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def traced(tmp_path: Path, receiver: Receiver) -> Folder:
    """A project whose spans go to the receiver."""
    folder = make_folder(tmp_path / "project", str(PROJECT))
    with (folder.root / "trikk.toml").open("a") as file:
        file.write(f'\n[telemetry]\nendpoint = "{receiver.url}"\n')
    return folder
