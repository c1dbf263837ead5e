"""Checksums of a journal's events and entries: whatever is changed in the database is noticed."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from trikk.core.errors import JournalError
from trikk.runs.journals import sql_text as sqltext
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.sql_journal import SqlJournal
from trikk.runs.journals.sqlite_journal import SqliteJournal


def fill(journal: Journal) -> None:
    journal.create("r1", "p", {"parameters": {"n": 1}}, at=1.0)
    journal.create("r2", "p", {}, at=1.5)
    journal.append("r1", "run.started", {}, at=2)
    journal.append_many("r1", [("step.succeeded", {"outputs": [17]}), ("note", {"text": "ü\0"})], at=3.25)
    journal.append("r2", "run.started", {}, at=4.0)
    journal.append("r1", "run.succeeded", {}, at=5.0)
    journal.append("r2", "run.failed", {"error": "it fell"}, at=6.0)
    journal.forget("r2", at=7.0)
    for n in range(3):
        journal.add("model/people", "version.registered", {"n": n}, at=float(n), identity=f"i{n}")
    journal.add("other", "k", {}, at=1.0)


@pytest.fixture
def filled(shared_location: str, opened: Callable[[str], Journal]) -> SqlJournal:
    journal = opened(shared_location)
    assert isinstance(journal, SqlJournal)
    fill(journal)
    assert journal.check() == []
    return journal


CHANGES = [
    ("UPDATE {}events SET body = '{{\"outputs\":[18]}}' WHERE kind = 'step.succeeded'", "r1"),
    ("UPDATE {}events SET at = at + 1e-9 WHERE kind = 'step.succeeded'", "r1"),
    ("UPDATE {}events SET kind = 'step.succeedee' WHERE kind = 'step.succeeded'", "r1"),
    ("UPDATE {}events SET body = '{{\"pipeline\": \"p\"}}' WHERE run = 'r2' AND kind = 'run.created'", "r2"),
    ("DELETE FROM {}events WHERE kind = 'note'", "r1"),
    ("DELETE FROM {}events WHERE kind = 'run.succeeded'", "r1"),
    ("DELETE FROM {}events WHERE kind = 'run.forgotten'", "r2"),
    ("UPDATE {}events SET chain = NULL WHERE kind = 'note'", "r1"),
    ("UPDATE {}runs SET state = 'failed' WHERE id = 'r1'", "r1"),
    ("UPDATE {}runs SET seq = 99 WHERE id = 'r1'", "r1"),
    ("UPDATE {}ledger SET body = '{{\"n\":7}}' WHERE identity = 'i1'", "model/people"),
    ("UPDATE {}ledger SET identity = 'i7' WHERE identity = 'i1'", "model/people"),
    ("UPDATE {}ledger SET subject = 'model/peoplf' WHERE identity = 'i1'", "model/people"),
    ("DELETE FROM {}ledger WHERE identity = 'i0'", "model/people"),
    ("DELETE FROM {}ledger WHERE identity = 'i2'", "model/people"),
    ("DELETE FROM {}ledger WHERE subject = 'other'", "other"),
]


@pytest.mark.parametrize(("change", "named"), CHANGES)
def test_a_change_behind_the_journals_back_is_noticed_and_named(
    filled: SqlJournal, change: str, named: str
) -> None:
    schema = f"{filled.schema}."
    with filled._transaction() as connection:
        connection.execute(change.format(schema))
    found = filled.check()
    assert found
    assert all(named in sentence for sentence in found if "model/peoplf" not in sentence)


def test_a_run_with_a_changed_event_is_not_read_as_if_it_were_whole(filled: SqlJournal) -> None:
    schema = f"{filled.schema}."
    with filled._transaction() as connection:
        connection.execute(CHANGES[0][0].format(schema))
    with pytest.raises(JournalError, match=r"run r1: event \d+ \(step.succeeded\)") as error:
        filled.events("r1")
    assert error.value.next
    assert len(filled.events("r2")) == 2


def test_any_byte_of_the_file_that_changes_what_is_said_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    fill(journal)

    def said(journal: SqliteJournal) -> object:
        runs = journal.runs(limit=None)
        return runs, [journal.events(run.id) for run in runs], journal.history("")

    before = said(journal)
    journal.close()
    whole = path.read_bytes()
    page = int.from_bytes(whole[16:18], "big")
    unnoticed = []
    used = [place for place in range(100, len(whole)) if whole[place] and place % page >= 8]
    for place in random.Random(7).sample(used, 150):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        try:
            damaged = SqliteJournal(path)
        except JournalError:
            continue
        try:
            if damaged.check() == [] and said(damaged) != before:
                unnoticed.append(place)
        except JournalError:
            pass
        damaged.close()
    assert unnoticed == []


def test_a_full_journal_of_the_version_before_is_brought_up_to_this_one(
    filled: SqlJournal, shared_location: str, opened: Callable[[str], Journal]
) -> None:
    before = filled.events("r1"), filled.runs(limit=None), filled.history("")
    is_postgres, schema = not isinstance(filled, SqliteJournal), f"{filled.schema}."
    with filled._transaction() as connection:
        for table in ("events", "runs", "ledger"):
            connection.execute(f"ALTER TABLE {schema}{table} DROP COLUMN chain")
        connection.execute(f"DROP TABLE {schema}heads")
        connection.execute(f"DROP TABLE {schema}servers")
        was = f"DELETE FROM {schema}version WHERE version >= 4" if is_postgres else "PRAGMA user_version = 2"
        connection.execute(was)
    filled.close()
    journal = opened(shared_location)
    assert (journal.events("r1"), journal.runs(limit=None), journal.history("")) == before
    assert journal.check() == []
    journal.create("r3", "p", {}, at=8.0)
    journal.append("r3", "run.started", {}, at=9.0)
    journal.add("other", "k", {}, at=2.0)
    assert journal.check() == []


OF_AN_EARLIER_VERSION = [
    "INSERT INTO {}events (run, kind, at, body) VALUES ('r1', 'note', 5.5, '{{}}')",
    "INSERT INTO {}ledger (subject, kind, at, body) VALUES ('model/people', 'k', 3.0, '{{}}')",
    "INSERT INTO {}ledger (subject, kind, at, body) VALUES ('late', 'k', 3.0, '{{}}')",
]


def test_what_an_earlier_version_still_writes_is_taken_as_it_is(filled: SqlJournal) -> None:
    """A process that had the journal open while it was brought up to this version."""
    schema = f"{filled.schema}."

    def write(*statements: str) -> None:
        with filled._transaction() as connection:
            for statement in statements:
                connection.execute(statement.format(schema))

    write(*OF_AN_EARLIER_VERSION)
    assert (filled.check(), filled.unchecked()) == ([], 3)
    filled.append("r1", "note", {"n": 2}, at=6.0)
    filled.add("model/people", "k", {"n": 2}, at=4.0)
    filled.add("late", "k", {}, at=4.0)
    write(*OF_AN_EARLIER_VERSION)
    assert [event.kind for event in filled.events("r1")][-3:] == ["note"] * 3
    assert (filled.check(), filled.unchecked()) == ([], 6)
    write("UPDATE {}events SET body = '{{\"n\":3}}' WHERE run = 'r1' AND at = 6.0")
    assert "r1" in filled.check()[0]


def test_a_run_that_an_earlier_version_forgets_meanwhile_is_sound(filled: SqlJournal) -> None:
    schema = f"{filled.schema}."
    row = filled.row("r1")
    filled.forget("r1", at=9.0)
    with filled._transaction() as connection:
        connection.execute(f"UPDATE {schema}events SET chain = NULL WHERE run = 'r1' AND kind = 'run.forgotten'")
        connection.execute(f"UPDATE {schema}runs SET chain = 'of an event that is dropped' WHERE id = 'r1'")
    assert filled.check() == []
    assert filled.events("r1")[-1].kind == "run.forgotten"
    assert filled.row("r1").state == row.state


def test_a_journal_of_an_earlier_version_gets_its_checksums(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        for version in (1, 2):
            old.executescript(sqltext.script(f"sqlite_{version}.sql", "main"))
        old.execute("PRAGMA user_version = 2")
        old.execute(f"PRAGMA application_id = {0x7472696B}")
        created = (1, "r1", "run.created", 1.0, '{"pipeline":"p"}')
        old.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", created)
        old.execute(
            "INSERT INTO runs VALUES (1, 'r1', 'p', 'queued', 1.0, NULL, NULL, '{}', ?, NULL, 0)",
            ['{"kind":"manual"}'],
        )
        old.execute("INSERT INTO ledger VALUES (1, 's', 'k', 1.0, '{}', NULL)")
    old.close()
    journal = SqliteJournal(path)
    assert journal.check() == []
    journal.append("r1", "run.started", {}, at=2.0)
    journal.add("s", "k", {}, at=1.0)
    assert journal.check() == []
    journal.close()
    with sqlite3.connect(path) as changed:
        changed.execute("UPDATE events SET at = 1.5 WHERE seq = 1")
    changed.close()
    journal = SqliteJournal(path)
    assert "r1" in journal.check()[0]
    journal.close()
