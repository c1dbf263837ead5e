"""What every journal promises of the servers that are written down in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from trikk.core.errors import JournalError, UsageError
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server
from trikk.runs.journals.sql_journal import SqlJournal
from trikk.runs.journals.sqlite_journal import SqliteJournal

HOLDER = Holder("north", "boot", 12, 34.5)
FIRST = Server(id="first", holder=HOLDER, release="aa", since=1.0, at=2.0)
SECOND = Server(id="second", holder=HOLDER, release="", since=3.0, at=3.0, says={"away": {"inbox": "why\0ever"}})


def test_a_server_is_known_as_of_its_last_beat(journal: Journal):
    assert journal.servers() == []
    journal.beat(SECOND)
    journal.beat(FIRST)
    assert journal.servers() == [FIRST, SECOND]
    later = replace(FIRST, release="bb", at=9.0, says={"broken": None})
    journal.beat(later)
    assert journal.servers() == [later, SECOND]
    assert journal.history("") == []
    assert journal.check() == []


def test_a_server_that_ends_in_order_says_so_and_one_that_beats_again_is_there(journal: Journal):
    journal.beat(FIRST)
    journal.leave("first", at=5.0)
    journal.leave("nobody", at=5.0)
    assert journal.servers() == [replace(FIRST, at=5.0, left=5.0)]
    journal.beat(FIRST)
    assert journal.servers() == [FIRST]


def test_servers_of_long_ago_are_forgotten(journal: Journal):
    journal.beat(FIRST)
    journal.beat(SECOND)
    journal.drop_servers(3.0)
    assert journal.servers() == [SECOND]


def test_what_names_no_server_is_refused(journal: Journal):
    with pytest.raises(UsageError):
        journal.beat(replace(FIRST, id=""))
    journal.close()
    with pytest.raises(JournalError):
        journal.servers()


def before_servers(journal: SqlJournal) -> None:
    """Bring a journal back to the version before servers."""
    is_postgres = not isinstance(journal, SqliteJournal)
    schema = f"{journal.schema}."
    with journal._transaction() as connection:
        connection.execute(f"DROP TABLE {schema}servers")
        was = f"DELETE FROM {schema}version WHERE version = 5" if is_postgres else "PRAGMA user_version = 3"
        connection.execute(was)
    journal.close()


def test_a_journal_of_the_version_before_learns_of_servers(
    shared_location: str, opened: Callable[[str], Journal]
) -> None:
    older = opened(shared_location)
    older.create("r1", "p", {}, at=1.0)
    assert isinstance(older, SqlJournal)
    before_servers(older)
    journal = opened(shared_location)
    journal.beat(FIRST)
    assert journal.servers() == [FIRST]
    assert [row.id for row in journal.runs()] == ["r1"]
    assert (journal.check(), journal.unchecked()) == ([], 0)


def test_one_of_the_version_before_that_can_only_be_read_has_no_servers_and_keeps_its_checksums(
    sqlite_location: str, opened: Callable[[str], Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    older = opened(sqlite_location)
    older.create("r1", "p", {}, at=1.0)
    assert isinstance(older, SqlJournal)
    before_servers(older)
    monkeypatch.setattr("trikk.core.readonly.is_read_only", lambda _: True)
    journal = opened(sqlite_location)
    assert journal.servers() == []
    assert journal.check() == []
