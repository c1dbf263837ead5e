from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.servers.postgres import PostgresServer

from trikk.core.errors import JournalError, UsageError
from trikk.execution.project import Project
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.open_journal import open_journal
from trikk.runs.journals.postgres_journal import PostgresJournal
from trikk.runs.journals.sql_text import script

SECRET = "hunter2/å?"


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def query(server: PostgresServer, text: str) -> list[tuple[object, ...]]:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        return connection.execute(text).fetchall()  # type: ignore[call-overload, no-any-return]


def execute(server: PostgresServer, text: str) -> None:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(text)  # type: ignore[call-overload]


def schema_of(location: str) -> str:
    return location.rpartition("schema=")[2]


def test_a_server_that_is_down_is_an_error_without_the_password() -> None:
    url = (
        f"postgresql://me:{quote(SECRET, safe='')}@127.0.0.1:{unused_port()}/db?password={quote(SECRET, safe='')}"
    )
    with pytest.raises(JournalError) as caught:
        open_journal(url)
    text = str(caught.value)
    assert "127.0.0.1" in text
    assert "me@" in text
    assert caught.value.next
    assert SECRET not in text
    assert quote(SECRET, safe="") not in text
    assert caught.value.__cause__ is None


def test_a_wrong_password_is_an_error_that_does_not_show_it(postgres_server: PostgresServer) -> None:
    url = postgres_server.url.replace(postgres_server.password, "hunter2")
    with pytest.raises(JournalError) as caught:
        open_journal(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "rest",
    ["[", "me:hunter2@host:port/db", "me:hunter2@host/db?nonsense=1", "me:hunter2@[::1/db", "me:hunter2%zz@h/db"],
)
def test_a_url_that_can_not_be_read_is_refused_without_showing_it(rest: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_journal(f"postgresql://{rest}")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "schema", ["", "Trikk", "a-b", "a b", 'a"; DROP SCHEMA public; --', "pg_x", "1a", "a" * 64, "å"]
)
def test_a_schema_name_that_could_be_anything_else_is_refused(schema: str) -> None:
    with pytest.raises(UsageError):
        PostgresJournal("postgresql://me@127.0.0.1/db", schema=schema)
    with pytest.raises(UsageError):
        PostgresJournal(f"postgresql://me@127.0.0.1/db?schema={quote(schema)}")


def test_schemas_of_one_database_do_not_mix(
    postgres_server: PostgresServer, postgres_location: str, opened: Callable[[str], Journal]
) -> None:
    other = postgres_location + "_b"
    opened(postgres_location).create("abc", "p", {}, at=1)
    try:
        assert opened(other).count() == 0
    finally:
        execute(postgres_server, f"DROP SCHEMA {schema_of(other)} CASCADE")


def test_an_existing_schema_needs_no_right_to_make_one(
    postgres_server: PostgresServer, postgres_location: str, opened: Callable[[str], Journal]
) -> None:
    schema = schema_of(postgres_location)
    execute(
        postgres_server,
        f"CREATE ROLE {schema}_user LOGIN PASSWORD 'x'; CREATE SCHEMA {schema} AUTHORIZATION {schema}_user",
    )
    url = f"postgresql://{schema}_user:x@127.0.0.1:{postgres_server.port}/postgres?schema={schema}"
    try:
        opened(url).create("abc", "p", {}, at=1)
        assert opened(url).count() == 1
    finally:
        execute(postgres_server, f"DROP OWNED BY {schema}_user; DROP ROLE {schema}_user")


def test_a_ledger_of_an_older_schema_is_kept_and_found_by_beginnings(
    postgres_server: PostgresServer, postgres_location: str, opened: Callable[[str], Journal]
) -> None:
    schema = schema_of(postgres_location)
    older = ";".join(script(f"postgres_{version}.sql", schema) for version in (1, 2))
    rows = "('m/b', 'k', 1, '{}', 'x'), ('m/B', 'k', 1, '{}', NULL), ('m-', 'k', 1, '{}', NULL)"
    insert = f"INSERT INTO {schema}.ledger (subject, kind, at, body, identity) VALUES {rows}"
    version = f"INSERT INTO {schema}.version VALUES (2)"
    execute(postgres_server, f"CREATE SCHEMA IF NOT EXISTS {schema}; {older}; {version}; {insert}")
    journal = opened(postgres_location)
    assert (journal.children("m/"), journal.subjects("m/")) == (["B", "b"], ["m/B", "m/b"])
    assert journal.add("m/b", "k", {}, at=2.0, identity="x").repeated


def test_a_newer_schema_is_refused_with_what_to_do(
    postgres_server: PostgresServer, postgres_location: str, opened: Callable[[str], Journal]
) -> None:
    opened(postgres_location)
    execute(postgres_server, f"INSERT INTO {schema_of(postgres_location)}.version VALUES (99)")
    with pytest.raises(JournalError) as caught:
        open_journal(postgres_location)
    assert caught.value.next == "update trikk"
    assert postgres_server.password not in str(caught.value)


def test_a_connection_that_was_cut_between_two_calls_is_made_again(
    postgres_server: PostgresServer, postgres_location: str, opened: Callable[[str], Journal]
) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE query LIKE '%{schema_of(postgres_location)}%' AND pid <> pg_backend_pid()"
    )
    journal = opened(postgres_location)
    journal.create("abc", "p", {}, at=1)
    journal.row("abc")
    execute(postgres_server, cut)
    assert journal.row("abc").state == "queued"
    execute(postgres_server, cut)
    journal.append("abc", "run.started", {}, at=2)
    assert journal.row("abc").state == "running"


def test_an_append_waits_until_another_on_the_same_run_is_committed(
    postgres_server: PostgresServer, postgres_location: str, opened: Callable[[str], Journal]
) -> None:
    first = PostgresJournal(postgres_location)
    second = opened(postgres_location)
    first.create("abc", "p", {}, at=1)
    first.create("abd", "p", {}, at=1)
    waiting = f"wait_event_type = 'Lock' AND query LIKE '%{first.schema}.runs%'"
    thread = threading.Thread(target=second.append, args=("abc", "second", {}), kwargs={"at": 3})
    with first._transaction() as connection:
        _, chain = first._locked(connection, "abc")
        thread.start()
        while thread.is_alive() and not query(postgres_server, f"SELECT 1 FROM pg_stat_activity WHERE {waiting}"):
            time.sleep(0.01)
        assert thread.is_alive(), "it did not wait"
        second.append("abd", "other", {}, at=2)  # runs do not wait for each other
        first._insert(connection, chain, "abc", "first", {}, "{}", 2.0)
    thread.join()
    assert [event.kind for event in second.events("abc")] == ["run.created", "first", "second"]
    first.close()


def append_and_cut(journal: PostgresJournal, server: PostgresServer) -> None:
    with journal._transaction() as connection:
        journal._insert(connection, None, "abc", "note", {}, "{}", 2.0)
        execute(server, f"SELECT pg_terminate_backend({connection.info.backend_pid})")
        connection.execute("SELECT 1")


def test_a_connection_that_is_cut_in_a_transaction_leaves_nothing_of_it(
    postgres_server: PostgresServer, postgres_location: str
) -> None:
    journal = PostgresJournal(postgres_location)
    journal.create("abc", "p", {}, at=1)
    with pytest.raises(JournalError):
        append_and_cut(journal, postgres_server)
    assert len(journal.events("abc")) == 1
    journal.append("abc", "note", {}, at=3)
    assert journal.check() == []
    journal.close()


def test_a_row_that_is_not_what_its_events_give_is_found(
    postgres_server: PostgresServer, postgres_location: str, opened: Callable[[str], Journal]
) -> None:
    journal = opened(postgres_location)
    journal.create("abc", "p", {}, at=1)
    journal.create("abd", "p", {}, at=1)
    execute(postgres_server, f"UPDATE {schema_of(postgres_location)}.runs SET state = 'running' WHERE id = 'abc'")
    assert [text for text in journal.check() if "abc" in text]
    assert not [text for text in journal.check() if "abd" in text]


def test_without_psycopg_the_install_line_is_given() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from trikk.core.errors import MissingExtra
from trikk.runs.journals.open_journal import open_journal
try:
    open_journal("postgres://me:hunter2@host/db")
except MissingExtra as error:
    print(error)
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "trikk[postgres]" in made.stdout
    assert "hunter2" not in made.stdout + made.stderr


def test_neither_database_driver_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, trikk.runs.journals.open_journal; print('psycopg' in sys.modules, 'sqlite3' in sys.modules)"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.split() == ["False", "False"]


def test_a_password_of_any_characters_logs_in_and_no_error_shows_it(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    password = "p@ss/w%40:r#d? ü"
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE odd LOGIN SUPERUSER PASSWORD 'p@ss/w%40:r#d? ü'")
    where = f"127.0.0.1:{postgres_server.port}/postgres?schema=odd"
    (tmp_path / "trikk.toml").write_text(
        f'name = "x"\n[storage]\njournal = "postgresql://odd:${{ODD_PASSWORD}}@{where}"\n'
    )
    monkeypatch.setenv("ODD_PASSWORD", password)
    project = Project.open(tmp_path)
    assert project.journal.runs() == []
    project.close()
    monkeypatch.setenv("ODD_PASSWORD", quote(password, safe=""))
    with pytest.raises(JournalError) as failed:
        _ = Project.open(tmp_path).journal
    assert "does ODD_PASSWORD hold %40 or the like?" in str(failed.value.next)
    assert "p%40ss" not in str(failed.value)
    assert "w%25" not in str(failed.value)
