"""Journals of every kind, each empty and of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.servers.postgres import PostgresServer

from trikk.runs.journals.journal import Journal
from trikk.runs.journals.open_journal import open_journal

BACKENDS = ["memory", "sqlite", "postgres"]


@pytest.fixture
def sqlite_location(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


@pytest.fixture
def postgres_location(postgres_server: PostgresServer) -> Iterator[str]:
    """The server's URL with a schema that no other test has."""
    import psycopg

    schema = f"test_{secrets.token_hex(6)}"
    yield f"{postgres_server.url}?schema={schema}"
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgres"])
def shared_location(request: pytest.FixtureRequest) -> str:
    """A location that several processes can open."""
    return str(request.getfixturevalue(f"{request.param}_location"))


@pytest.fixture(params=BACKENDS)
def location(request: pytest.FixtureRequest) -> str:
    return "memory:" if request.param == "memory" else str(request.getfixturevalue(f"{request.param}_location"))


@pytest.fixture
def opened() -> Iterator[Callable[[str], Journal]]:
    """Opens journals and closes them after the test."""
    journals: list[Journal] = []

    def opener(location: str) -> Journal:
        journals.append(open_journal(location))
        return journals[-1]

    yield opener
    for journal in journals:
        journal.close()


@pytest.fixture
def journal(location: str, opened: Callable[[str], Journal]) -> Journal:
    return opened(location)
