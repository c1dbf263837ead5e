"""Streams from a folder, and what all streams have in common: each row once, what does not fit set aside."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl
import pytest
from tests.server.streams.stream_places import StreamPlace, records

from trikk.core.clock import SystemClock
from trikk.core.errors import TableError
from trikk.runs.journals.lease import Holder
from trikk.server.streams.file_reader import FileReader
from trikk.server.streams.stream_set_aside import drop, memory_of, retry, waiting
from trikk.server.streams.stream_view import stream_details, stream_rows
from trikk.server.streams.stream_work import StreamWork
from trikk.storage.tables.versioned_tables import Tables, Write
from trikk.streams.stream_state import StreamState

Open = Callable[..., StreamWork]


@pytest.fixture
def stream_of(place: StreamPlace) -> Open:
    reader = partial(FileReader, "readings", place.project.root, "inbox/*", SystemClock(), settle=0.0)
    return partial(place.work, reader, "inbox/*")


def write(place: StreamPlace, name: str, *lines: bytes) -> None:
    (place.project.root / "inbox" / name).write_bytes(b"\n".join(lines) + b"\n")


def fail_after_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next write is made, and whoever wrote does not learn of it, as if it were killed there."""
    real = Tables.write

    def once(self: Tables, *arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(Tables, "write", real)
        real(self, *arguments, **options)
        raise TableError("the connection broke")

    monkeypatch.setattr(Tables, "write", once)


def test_each_file_is_in_the_table_once(
    place: StreamPlace, stream_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = stream_of(key=())
    write(place, "a.jsonl", *records(1, 2))
    write(place, "b.csv", b"number,value", b"3,1.5")
    assert [row["value"] for row in place.rows(work, 3)] == [0.5, 1.0, 1.5]
    fail_after_commit(monkeypatch)
    write(place, "c.jsonl", *records(4))
    place.rows(work, 4)
    assert work.status.state is StreamState.FAILS
    again = stream_of(key=())  # as the next process does, with nothing in its memory
    write(place, "d.jsonl", *records(5))
    assert [row["number"] for row in place.rows(again, 5)] == [1, 2, 3, 4, 5]
    assert again.status.rows == 5


def test_a_table_that_others_change_meanwhile_stops_nothing(place: StreamPlace, stream_of: Open) -> None:
    work = stream_of()
    write(place, "a.jsonl", *records(1))
    place.rows(work, 1)
    correction = pl.DataFrame({"number": [1, 9], "value": [7.5, 7.5], "note": ["by hand", None]})
    merge = Write("merge", correction, ("number",), "merge")
    place.project.tables.write("readings", merge, identity="by-hand", origin={})
    write(place, "b.jsonl", *records(1, 2))
    assert place.rows(work, 3) == [
        {"number": 1, "value": 7.5, "note": "by hand"},  # its key was there: the stream does not undo a correction
        {"number": 2, "value": 1.0, "note": None},
        {"number": 9, "value": 7.5, "note": None},
    ]
    assert work.status.left_out == 1


def test_a_file_that_does_not_fit_is_set_aside_with_its_line_and_stays(
    place: StreamPlace, stream_of: Open
) -> None:
    work = stream_of()
    write(place, "a.jsonl", *records(1))
    place.rows(work, 1)
    write(place, "b.jsonl", *records(2), b'{"number": "three"}')
    write(place, "c.jsonl", *records(4))
    assert [row["number"] for row in place.rows(work, 2)] == [1, 4]
    (entry,) = waiting(place.project.journal, "readings")
    assert "line 2" in str(entry.body["why"])
    assert entry.body["path"] == "inbox/b.jsonl"
    assert (place.project.root / "inbox/b.jsonl").exists()


def test_a_full_disk_loses_nothing(place: StreamPlace, stream_of: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise TableError("the disk is full; the write did not come to its end", next="make room")

    work = stream_of()
    write(place, "a.jsonl", *records(1))
    with monkeypatch.context() as patched:
        patched.setattr(Tables, "write", full)
        while not work.status.what:
            work.turn()
    assert (work.status.state, work.status.next) == (StreamState.FAILS, "make room")
    assert [row["number"] for row in place.rows(work, 1)] == [1]
    assert (work.status.state, work.status.what) == (StreamState.READS, "")


def test_a_folder_that_is_away_is_told(place: StreamPlace, stream_of: Open) -> None:
    (place.project.root / "inbox").rmdir()
    work = stream_of()
    assert work.turn() > 0
    assert work.status.state is StreamState.FAILS
    assert "can't be read" in work.status.what


def test_one_server_reads_and_another_takes_over_when_it_is_gone(place: StreamPlace, stream_of: Open) -> None:
    memory = memory_of(place.project.journal, "readings")
    memory.latest()
    other = Holder(Holder.current().host, "an earlier boot", 1, 0.0)
    living = Holder.of(1)
    memory.begin_or_move("source.begun", {"holder": living.to_json()}, 1.0)  # type: ignore[arg-type]
    work = stream_of()
    write(place, "a.jsonl", *records(1))
    work.turn()
    assert work.status.state is StreamState.ELSEWHERE
    memory.latest()
    memory.begin_or_move("source.moved", {"holder": other.to_json()}, 2.0)  # type: ignore[arg-type]
    place.rows(work, 1)
    work.close()
    latest = memory.latest()
    assert latest is not None
    assert latest["holder"] is None


def test_what_was_stored_by_another_meanwhile_is_not_stored_again(place: StreamPlace, stream_of: Open) -> None:
    """A server that was stopped for a while, and goes on though another has taken over."""
    slow, quick = stream_of(key=()), stream_of(key=())
    write(place, "a.jsonl", *records(1))
    place.rows(slow, 1)
    write(place, "b.jsonl", *records(2))
    place.rows(quick, 2)  # both are this process to the claim
    while slow.status.state is not StreamState.FAILS:
        write(place, "c.jsonl", *records(3))
        slow.turn()
    assert "read from" in slow.status.what
    assert [row["number"] for row in place.rows(slow, 3)][:3] == [1, 2, 3]


def test_streams_are_shown_with_who_reads_them(place: StreamPlace, stream_of: Open) -> None:
    work = stream_of()
    write(place, "a.jsonl", *records(1, 2))
    place.rows(work, 2)
    project, now = place.project, SystemClock().now()
    (row,) = stream_rows(project, {"readings": work.stream}, now)
    assert (row.state, row.rows, row.reader) == (StreamState.NOBODY, 2, "")  # no server says anything of it
    assert row.last is not None
    (gone,) = stream_rows(project, {}, now)
    assert gone.state is StreamState.REMOVED
    assert stream_details(project, {"readings": work.stream}, "readings", now)["messages"] == []


def test_nothing_is_dropped_without_a_reason(place: StreamPlace, stream_of: Open) -> None:
    work = stream_of()
    write(place, "a.txt", b"x")
    while not work.status.set_aside:
        work.turn()
    journal = place.project.journal
    with pytest.raises(Exception, match="without a reason"):
        drop(journal, "readings", by="me", why="", at=1.0)
    assert retry(place.project, work.stream, by="me", at=1.0)[0] == 0  # a file is tried again by `touch`
    assert drop(journal, "readings", by="me", why="no readings", at=1.0) == 1
    assert waiting(journal, "readings") == []
