from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.streams.stream_places import StreamPlace
from tests.servers.kafka import kafka as kafka  # fixtures for the tests of this folder
from tests.servers.mqtt import mqtt3 as mqtt3
from tests.servers.mqtt import mqtt5 as mqtt5


@pytest.fixture
def place(tmp_path: Path) -> Iterator[StreamPlace]:
    opened = StreamPlace(tmp_path / "project")
    (opened.project.root / "inbox").mkdir()
    yield opened
    opened.close()
