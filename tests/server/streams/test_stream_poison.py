"""What strangers can send to a stream: none keeps others out, damages the table or ends the server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import polars as pl
import pytest
from tests.server.streams.stream_places import StreamPlace, records

from trikk.consuming.message_rows import Read
from trikk.core.clock import SystemClock
from trikk.runs.journals.ledger import Entry
from trikk.server.streams.file_reader import FileReader
from trikk.server.streams.stream_columns import Columns
from trikk.server.streams.stream_reader import Lag, PositionsOf, SetAside
from trikk.server.streams.stream_set_aside import drop, memory_of, waiting
from trikk.storage.tables.versioned_tables import Write


class Messages:
    """Messages of a list as what a stream reads; methods as of `StreamReader`."""

    stalled = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._given: list[bytes] = []

    def begin(self, positions: PositionsOf) -> list[SetAside]:
        return []

    def read(self, room: int, wait: float) -> Sequence[Any]:
        given, self.sent = self.sent[:room], self.sent[room:]
        self._given += given
        return given

    def rows(self, messages: Sequence[Any], columns: Columns) -> Read:
        return columns.read(messages, ["plant"] * len(messages))

    def size(self, message: Any) -> int:
        return len(message)

    def describe(self, message: Any) -> SetAside:
        return SetAside(message.decode(errors="backslashreplace")[:200], "", {}, message)

    def advances(self) -> tuple[Any, ...]:
        return ()

    def settle(self) -> None:
        self._given = []

    def lag(self) -> Lag:
        return Lag()

    def close(self) -> None:
        self.sent, self._given = self._given + self.sent, []


POISON = [
    b'{"number": 7, "a\\u0000b": 1}',
    b'{"number": 7, "part": {"a\\u0000b": 1}}',
    b'{"number": 7, "a\\"b": 1}',
    b'{"number": 7, "a\\nb": 1}',
    b'{"number": 7, "": 1}',
    b'{"number": 7, "NUMBER": 1}',
    b'{"number": 7, "VALUE": 1}',
    b'{"number": 7, "part": {}}',
    b'{"number": 7, "part": {"a": 1, "A": 2}}',
    b'{"number": 7, "parts": [{"a": 1, "A": 2}]}',
    b'{"number": 7, "parts": [1, "a"]}',
    b'{"number": 7, "deep": ' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"number": 7, "deep": ' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}",
    b'{"number": 7, "long": 123456789012345678901234567890}',
    b'{"number": 1e400}',
    b'{"number": 7, "text": "\xff"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("new_columns", [False, True])
def test_no_message_keeps_others_out(place: StreamPlace, new_columns: bool) -> None:
    source = Messages()
    work = place.work(lambda: source, new_columns=new_columns)
    source.sent = [POISON[0], *records(1), *POISON[1:], *records(2)]
    assert [row["number"] for row in place.rows(work, 2)] == [1, 2]
    for number, message in enumerate(POISON):  # and each alone, of which columns could be made
        source.sent = [message, *records(10 + number)]
        place.rows(work, 3 + number)
    assert work.status.what == ""
    assert len(waiting(place.project.journal, "readings")) == len(POISON)


def test_what_is_dropped_is_forgotten_by_who_reads_and_not_read_again(
    place: StreamPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, journal = Messages(), place.project.journal
    work = place.work(lambda: source, set_aside=2)
    source.sent = [*records(1), b"1", b"2"]
    place.rows(work, 1)
    assert work.status.set_aside == 2
    drop(journal, "readings", by="me", why="a test", at=1.0)
    source.sent = [*records(2), b"3", b"4"]
    place.rows(work, 2)
    assert (work.status.set_aside, work.status.what) == (2, "")
    entries, subject = journal.entries, f"{memory_of(journal, 'readings').subject}/set-aside"
    seen: list[int] = []

    def counted(name: str, *, after: int = 0) -> list[Entry]:
        listed = entries(name, after=after)
        seen.extend(entry.seq for entry in listed if name == subject)
        return listed

    monkeypatch.setattr(journal, "entries", counted)
    assert len(waiting(journal, "readings")) == len(seen) == 2


def test_no_table_is_made_of_messages_of_which_none_fits(place: StreamPlace) -> None:
    source = Messages()
    work = place.work(lambda: source)
    source.sent = [b'{"number": 7, "value": 1, "parts": [1, "a"]}']
    work.turn()
    assert place.project.tables.version("readings") is None
    source.sent = records(1)
    assert place.rows(work, 1) == [{"number": 1, "value": 0.5}]


def test_a_column_that_the_table_gets_meanwhile_is_taken(place: StreamPlace) -> None:
    source = Messages()
    work = place.work(lambda: source)
    source.sent = records(1)
    place.rows(work, 1)
    wider = Write("append", pl.DataFrame({"number": [2], "unit": ["kW"]}), (), "merge")
    place.project.tables.write("readings", wider, identity="by-hand", origin={})
    source.sent = records(3, unit="MW")
    assert [row["unit"] for row in place.rows(work, 3)] == [None, "kW", "MW"]
    assert work.status.set_aside == 0


def test_no_file_keeps_others_out(place: StreamPlace) -> None:
    inbox = place.project.root / "inbox"
    (inbox / "a.jsonl").write_bytes(records(1)[0])
    for number, message in enumerate([*POISON, *records(2)]):
        (inbox / f"b{number:02}.jsonl").write_bytes(message)
    reader = partial(FileReader, "readings", place.project.root, "inbox/*", SystemClock(), settle=0.0)
    work = place.work(reader, "inbox/*", new_columns=True)
    assert [row["number"] for row in place.rows(work, 3)][:2] == [1, 2]
    assert work.status.what == ""
