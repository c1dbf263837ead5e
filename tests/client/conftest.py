"""A server that takes tokens, for the project of each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.execution.command import Folder
from tests.server.served import RunningServer, ServedProject


@pytest.fixture(scope="module")
def token(place: ServedProject) -> str:
    return Folder(place.root).trikk("token", "create", "ada", "--role", "admin").out.strip()


@pytest.fixture(scope="module")
def server(place: ServedProject, token: str) -> Iterator[RunningServer]:
    with place.server("--require-token", "--rate", "0") as running:
        yield running
