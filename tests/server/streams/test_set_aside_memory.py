"""Which messages are set aside, in memory: what a look at the ledger says, whatever was settled meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.streams.stream_set_aside import SetAsideMemory, Settled, drop, memory_of, waiting


def test_the_memory_says_what_a_look_says_and_reads_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    kept, memory = SetAsideMemory(journal), memory_of(journal, "s")
    asked: list[int] = []
    entries = journal.entries

    def counted(subject: str, *, after: int = 0) -> Any:
        asked.append(after)
        return entries(subject, after=after)

    def check(count: int) -> None:
        now = waiting(journal, "s")
        assert kept.count("s") == len(now) == count
        assert kept.oldest("s", 7) == now[:7]
        assert kept.oldest("s", 999) == now

    check(0)
    for number in range(250):
        memory.set_aside(f"m{number}", "no row", {"payload": "eA=="}, 1.0)
    check(250)
    # In the middle, and more than are read together: as messages that fit when they are tried again.
    middle = [entry.seq for entry in waiting(journal, "s")[20:180]]
    journal.add(f"{memory.subject}/settled", Settled.RETRIED, {"seqs": middle, "by": "ada", "why": ""}, at=2.0)
    check(90)
    drop(journal, "s", by="ada", why="not wanted", at=3.0)
    check(0)
    memory.set_aside("late", "no row", {}, 4.0)
    check(1)
    monkeypatch.setattr(journal, "entries", counted)
    assert kept.count("s") == 1
    assert len(asked) == 2
    assert min(asked) > 250
    assert kept.count("another") == 0
