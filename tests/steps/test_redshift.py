from __future__ import annotations

from typing import Any

import pytest
from tests.servers.postgres import PostgresServer

from trikk import pipeline, redshift
from trikk.core.errors import DefinitionError, StorageError
from trikk.steps.databases.redshift_step import address
from trikk.testing import run_inline

WHERE = {"host": "127.0.0.1", "database": "postgres", "user": "trikk", "ssl": "disable"}


def test_rows_come_from_a_database_of_that_protocol(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDSHIFT_PASSWORD", postgres_server.password)

    @pipeline
    def reading(least: int) -> None:
        redshift(
            "select n, n / 2.0 as half from generate_series(1, 9) as n where n >= :least",
            {"least": least},
            port=postgres_server.port,
            **WHERE,
        )

    run = run_inline(reading, least=8)
    assert run.state == "succeeded", run.error
    assert run.output("redshift").rows() == [(8, 4.0), (9, 4.5)]
    assert postgres_server.password not in repr(run.events)


def test_encryption_is_asked_for_unless_told_otherwise(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDSHIFT_PASSWORD", postgres_server.password)
    where: dict[str, Any] = {**WHERE, "ssl": "require", "port": postgres_server.port}
    with pytest.raises(StorageError, match="SSL") as error:
        redshift("select 1", **where)
    assert postgres_server.password not in str(error.value)


def test_parts_of_an_address_are_quoted() -> None:
    made = address("h.example.com", "my db?x=1", "a@b:c", "${P}", 5439, "verify-full")
    assert made == "redshift://a%40b%3Ac:${P}@h.example.com:5439/my%20db%3Fx%3D1?sslmode=verify-full"


@pytest.mark.parametrize(
    "more",
    [
        {"password": "hunter2"},
        {"host": "h/other"},
        {"host": "u:hunter2@h"},
        {"port": 0},
        {"ssl": "prefer"},
        {"user": ""},
        {"database": ""},
    ],
)
def test_a_wrong_definition_names_the_author_s_line(more: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as error:
        redshift("select 1", **{**WHERE, **more})
    assert str(error.value.where).startswith(__file__)
    assert "hunter2" not in str(error.value)
