from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.servers.redis import PASSWORD, RedisServer, redis_server

from trikk.features.project_place import Place
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.tables.versioned_tables import Tables

__all__ = ["redis_server"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A project with real tables, outside of a run."""
    return Place(Tables(str(tmp_path / "tables")), MemoryJournal(), tmp_path / "state", None)


@pytest.fixture(params=["sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where an empty online store is."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/online.db"
    server: RedisServer = request.getfixturevalue("redis_server")
    monkeypatch.setenv("FEATURES_PASSWORD", PASSWORD)
    template = server.template("FEATURES_PASSWORD")
    client(template).flushdb()
    return template


@pytest.fixture
def fresh_names() -> Iterator[Callable[[], str]]:
    """Names that no other example of a property test uses."""
    numbers = itertools.count()
    return lambda: f"loads{next(numbers)}"


def client(template: str):
    import redis

    from trikk.features.stores.store_address import resolve

    return redis.Redis.from_url(resolve(template).text, decode_responses=True)
