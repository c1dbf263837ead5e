"""A project whose journal has a schema that was landed once opens, resumes and replays with the present code."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, make_folder
from tests.servers.postgres import PostgresServer

from trikk.core.digests import digest_file
from trikk.runs.journals import postgres_journal, sql_text, sqlite_journal
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.open_journal import open_journal

# A migration that was landed is never edited: a change is the next number, and a line here.
LANDED = {
    "postgres_1.sql": "04de04c84ea972c9",
    "postgres_2.sql": "2890ebecd7b947cd",
    "postgres_3.sql": "731652aff254a715",
    "postgres_4.sql": "c7480e94d0924c7a",
    "postgres_5.sql": "ed90dce6f053d16f",
    "sqlite_1.sql": "e54b70a74e7f2280",
    "sqlite_2.sql": "b2648efaabd6d199",
    "sqlite_3.sql": "6f2dd8abb57f756e",
    "sqlite_4.sql": "9055c289f614f4ee",
}
TABLES = ("events", "runs", "ledger", "heads", "cache", "leases", "servers")
_SQL = Path(sql_text.__file__).with_name("sql")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project with a run that succeeded, one that failed, a table, and entries of the ledger."""
    folder = make_folder(tmp_path_factory.mktemp("made") / "project", "data_project")
    (folder.root / "one.csv").write_text("sensor,n\na,1\n")
    folder.good("ingest", "counts", "one.csv")
    folder.good("run", "nightly")
    folder.touch("broken")
    folder.failed("run", "varying", "-p", "how=exact")
    (folder.root / "broken").unlink()
    return folder


@pytest.fixture
def schema(postgres_server: PostgresServer) -> Iterator[str]:
    import psycopg

    name = f"landed_{secrets.token_hex(6)}"
    yield name
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


def rows_into(made: Folder, execute: Callable[..., Any], prefix: str, marks: str, how: str = "") -> None:
    """Put the project's rows into tables of an earlier schema, as far as that has the tables and columns."""
    with sqlite3.connect(made.root / ".trikk" / "journal.db") as source:
        for table in TABLES:
            try:
                columns = [part[0] for part in execute(f"SELECT * FROM {prefix}{table} LIMIT 0").description]
            except Exception as error:
                if "no such table" in str(error) or "does not exist" in str(error):
                    continue
                raise
            names = ", ".join(columns)
            for row in source.execute(f"SELECT {names} FROM {table} ORDER BY 1").fetchall():
                values = ", ".join([marks] * len(columns))
                numbered = how if table in ("events", "ledger", "cache") else ""
                execute(f"INSERT INTO {prefix}{table} ({names}) {numbered} VALUES ({values})", row)
    source.close()


def sqlite_of(made: Folder, version: int, path: Path) -> str:
    """A journal with schema `version`, made by the statements of that time."""
    connection = sqlite3.connect(path, isolation_level=None)
    for number in range(1, version + 1):
        connection.executescript(sql_text.script(f"sqlite_{number}.sql", "main"))
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"PRAGMA application_id = {0x7472696B}")
    rows_into(made, connection.execute, "", "?")
    connection.close()
    return str(path)


def postgres_of(made: Folder, version: int, server: PostgresServer, schema: str) -> str:
    """The same in PostgreSQL."""
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        for number in range(1, version + 1):
            connection.execute(sql_text.script(f"postgres_{number}.sql", schema))
            connection.execute(f"INSERT INTO {schema}.version VALUES ({number})")
        rows_into(made, connection.execute, f"{schema}.", "%s", "OVERRIDING SYSTEM VALUE")
        for table in ("events", "ledger")[: 1 if version == 1 else 2]:
            name = f"{schema}.{table}"
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'seq'), (SELECT max(seq) FROM {name}))"
            )
    return f"{server.url}?schema={schema}"


def held(journal: Journal) -> tuple[Any, ...]:
    runs = journal.runs(limit=None)
    return runs, [journal.events(run.id) for run in runs], journal.history("")


def opens_whole(made: Folder, location: str, *, has_ledger: bool) -> None:
    now = open_journal(str(made.root / ".trikk" / "journal.db"))
    runs, events, entries = held(now)
    now.close()
    journal = open_journal(location)
    assert entries
    assert held(journal) == (runs, events, entries if has_ledger else [])
    assert (journal.check(), journal.unchecked()) == ([], 0)
    assert journal.append(runs[0].id, "note", {}, at=1.0).seq > events[0][-1].seq
    assert not journal.add("new", "k", {}, at=1.0, identity="i").repeated
    assert (journal.check(), journal.servers()) == ([], [])
    journal.close()


def goes_on(made: Folder, root: Path, location: str) -> None:
    """Resume and replay from that journal, beside the project's artifacts and tables."""
    folder = Folder(Path(shutil.copytree(made.root, root)))
    folder.write(trikk=f'name = "data"\n[storage]\njournal = "{location}"\n')
    runs = {run["pipeline"]: run["id"] for run in folder.good("runs", "--all")["runs"]}
    resumed = folder.good("resume", runs["varying"])
    assert [(step["name"], step["reused"]) for step in resumed["steps"]] == [
        ("noisy", True),
        ("fails_then", False),
    ]
    assert folder.good("replay", runs["nightly"])["identical"]
    assert folder.good("doctor")["healthy"]


def test_migrations_are_numbered_without_gaps_and_those_that_were_landed_are_as_they_were() -> None:
    files = {path.name: digest_file(path)[:16] for path in _SQL.glob("*_[0-9]*.sql")}
    assert files == LANDED
    for kind, newest in (("sqlite", sqlite_journal), ("postgres", postgres_journal)):
        numbers = sorted(int(name.removesuffix(".sql").rpartition("_")[2]) for name in files if kind in name)
        assert numbers == list(range(1, newest.SCHEMA_VERSION + 1))


def test_every_landed_schema_of_sqlite_opens_whole_and_the_first_goes_on(made: Folder, tmp_path: Path) -> None:
    for version in range(1, sqlite_journal.SCHEMA_VERSION + 1):
        opens_whole(made, sqlite_of(made, version, tmp_path / f"{version}.db"), has_ledger=version > 1)
    goes_on(made, tmp_path / "project", sqlite_of(made, 1, tmp_path / "first.db"))


def test_every_landed_schema_of_postgres_opens_whole_and_the_first_goes_on(
    made: Folder, tmp_path: Path, postgres_server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    for version in range(1, postgres_journal.SCHEMA_VERSION + 1):
        location = postgres_of(made, version, postgres_server, schema)
        opens_whole(made, location, has_ledger=version > 1)
        with psycopg.connect(postgres_server.url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
    monkeypatch.setenv("LANDED_PASSWORD", postgres_server.password)
    location = postgres_of(made, 1, postgres_server, schema)
    goes_on(made, tmp_path / "project", location.replace(postgres_server.password, "${LANDED_PASSWORD}"))
