from __future__ import annotations

import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trikk.core.errors import JournalError, UsageError
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.open_journal import open_journal
from trikk.runs.journals.sqlite_journal import SCHEMA_VERSION, SqliteJournal


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A journal of 200 runs, closed, all in one file."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    for i in range(200):
        journal.create(f"run{i}", "p", {"parameters": {"text": "x" * 100}}, at=i)
        journal.append(f"run{i}", "run.started", {}, at=i)
    journal.close()
    assert not path.with_name("journal.db-wal").exists()
    return path


def read_all(path: Path) -> None:
    journal = open_journal(str(path))
    try:
        for row in journal.runs(limit=None):
            journal.events(row.id)
    finally:
        journal.close()


def refused(path: Path) -> JournalError:
    """The error with which a journal is opened and read."""
    before = path.read_bytes()
    with pytest.raises(JournalError) as caught:
        read_all(path)
    assert path.read_bytes() == before
    assert str(path) in str(caught.value.where)
    assert caught.value.next
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    "content", [b"not a database at all " * 100, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    assert refused(path).code == "journal"


def test_a_cut_off_file_is_refused_and_left_as_it_is(filled: Path) -> None:
    os.truncate(filled, filled.stat().st_size // 3 + 7)
    assert "aside" in str(refused(filled).next)


def test_overwritten_pages_are_an_error_and_named_by_check(filled: Path) -> None:
    with filled.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xab" * (filled.stat().st_size - 4096 * 3))
    refused(filled)
    journal = SqliteJournal(filled)
    try:
        assert journal.check()
    finally:
        journal.close()


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    journal = SqliteJournal(path)
    journal.create("abc", "p", {}, at=1)
    journal.close()
    assert path.stat().st_size > 0


def test_a_newer_schema_is_refused_with_what_to_do(filled: Path) -> None:
    with sqlite3.connect(filled) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    error = refused(filled)
    assert str(SCHEMA_VERSION + 1) in error.what
    assert error.next == "update trikk"


@pytest.mark.parametrize("version", [0, 1])
def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path, version: int) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    assert "not a journal" in refused(path).what


def test_whoever_opens_a_new_journal_at_once_finds_it_whole(tmp_path: Path) -> None:
    answers: list[object] = []
    barrier = threading.Barrier(6)

    def work(number: int) -> None:
        for i in range(25):
            barrier.wait()
            try:
                journal = SqliteJournal(tmp_path / f"{i}.db")
                answers.append(journal.create(f"r{number}", "p", {}, at=1).run)
                journal.close()
            except BaseException as error:
                answers.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {f"r{number}": 25 for number in range(6)}


def test_a_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        SqliteJournal(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(JournalError):
        SqliteJournal(tmp_path / "file" / "journal.db")


def test_the_folder_is_made_if_it_is_not_there(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "a" / "b" / "journal.db").close()
    assert (tmp_path / "a" / "b" / "journal.db").exists()


def in_process(code: str, path: Path, **how: Any) -> str:
    """What another process prints that runs this code on the journal at `path`."""
    program = "import os, sys\nfrom trikk.core.errors import *\nfrom trikk.runs.journals.sqlite_journal import *\n"
    command = [sys.executable, "-W", "error", "-c", program + code, str(path)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert made.returncode == 0, made.stderr
    return str(made.stdout)


def test_a_read_only_journal_is_an_error_with_what_to_do() -> None:
    code = """
sqltext.statements("sqlite", "main", ":{}")
if os.geteuid() == 0:  # nothing is read-only for root
    os.setresuid(65534, 65534, 65534)
try:
    SqliteJournal(sys.argv[1]).create('abc', 'p', {}, at=1)
except JournalError as error:
    print(error.what, '|', error.next)
"""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to other users
        path = Path(folder) / "journal.db"
        SqliteJournal(path).close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        try:
            assert "writable" in in_process(code, path)
        finally:
            Path(folder).chmod(0o755)


def test_a_full_disk_is_an_error_and_loses_nothing_that_was_acknowledged(filled: Path) -> None:
    code = """
journal = SqliteJournal(sys.argv[1])
done = 0
try:
    while True:
        journal.append('run1', 'note', {'x': 'y' * 10000, 'number': done}, at=1)
        done += 1
except JournalError as error:
    print(done, error.next)
    try: journal.append('run1', 'note', {'x': 'y' * 1000000, 'number': done}, at=1)
    except JournalError: print('again')
"""

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    first, second = in_process(code, filled, preexec_fn=small_disk).splitlines()
    assert second == "again"
    done = int(first.split()[0])
    assert "space" in first
    journal = SqliteJournal(filled)
    try:
        assert done > 10
        assert [event.body["number"] for event in journal.events("run1")[2:]] == list(range(done))
        assert journal.check() == []
    finally:
        journal.close()


def test_a_row_that_is_not_what_its_events_give_is_found(filled: Path) -> None:
    with sqlite3.connect(filled) as connection:
        connection.execute("UPDATE runs SET state = 'succeeded' WHERE id = 'run1'")
        connection.execute("UPDATE events SET body = '{' WHERE run = 'run2' AND kind = 'run.started'")
        connection.execute("DELETE FROM events WHERE run = 'run3'")
        connection.execute("DELETE FROM runs WHERE id = 'run4'")
        connection.execute("DELETE FROM events WHERE run = 'run5' AND kind = 'run.created'")
        connection.execute("UPDATE runs SET parameters = '[' WHERE id = 'run6'")
    connection.close()
    journal = SqliteJournal(filled)
    try:
        damage = journal.check()
        assert sorted(re.findall(r"run\d+", " ".join(damage))) == [f"run{i}" for i in range(1, 7)]
        with pytest.raises(JournalError):
            journal.events("run2")
        with pytest.raises(JournalError):
            journal.row("run6")
    finally:
        journal.close()


def test_a_reader_does_not_wait_for_a_writer(filled: Path) -> None:
    journal = SqliteJournal(filled)
    writer = sqlite3.connect(filled, isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM events")
        assert len(journal.events("run1")) == 2
        assert journal.check() == []
        writer.execute("ROLLBACK")
    finally:
        writer.close()
        journal.close()


def test_durable_waits_for_the_disk_and_plain_does_not(tmp_path: Path) -> None:
    for durable, level in ((False, 1), (True, 2)):
        journal = SqliteJournal(tmp_path / "journal.db", durable=durable)
        assert journal._select("PRAGMA synchronous", {}) == [(level,)]
        assert journal._select("PRAGMA journal_mode", {}) == [("wal",)]
        journal.close()


def test_subjects_cost_what_they_are_however_many_entries_they_have(filled: Path) -> None:
    journal = SqliteJournal(filled)
    steps: Counter[int] = Counter()

    def cost(entries: int) -> int:
        for number in range(entries):
            journal.add(f"trigger/{number % 3}", "k", {}, at=1.0)
        journal._connection().set_progress_handler(lambda: steps.update([entries]), 1)
        assert journal.subjects("trigger/") == ["trigger/0", "trigger/1", "trigger/2"]
        journal._connection().set_progress_handler(None, 1)
        return steps[entries]

    few = cost(3)
    assert cost(300) <= 1.5 * few
    journal.close()


def test_a_thread_that_ended_leaves_no_connection_behind(filled: Path) -> None:
    journal = SqliteJournal(filled)
    for _ in range(10):
        thread = threading.Thread(target=journal.count)
        thread.start()
        thread.join()
    journal.count()
    assert len(journal._open) <= 2
    journal.close()


@pytest.mark.parametrize("form", ["{}", "sqlite://{}"])
def test_a_location_is_a_path_or_a_url(tmp_path: Path, opened: Callable[[str], Journal], form: str) -> None:
    opened(form.format(tmp_path / "with space %20.db")).create("abc", "p", {}, at=1)
    assert (tmp_path / "with space %20.db").exists()


@pytest.mark.parametrize("location", ["", "mysql://user:hunter2@host/x", "sqlite://relative", "a\0b", "http://x"])
def test_a_location_of_another_kind_is_refused(location: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_journal(location)
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
