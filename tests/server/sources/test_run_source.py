from __future__ import annotations

from collections.abc import Iterator

import pytest

from trikk.runs.journals.journal import Journal
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.sources import run_source
from trikk.server.sources.run_source import RunFeed, RunSource
from trikk.server.sources.source_memory import Memory
from trikk.testing import ManualClock


@pytest.fixture
def journal() -> Iterator[Journal]:
    journal = MemoryJournal()
    yield journal
    journal.close()


def run(journal: Journal, name: str, *states: str, pipeline: str = "nightly", kind: str = "manual") -> None:
    journal.create(name, pipeline, {"origin": {"kind": kind}}, at=1)
    for state in states:
        journal.append(name, f"run.{state}", {}, at=2)


class Server:
    def __init__(self, journal: Journal, state: str = "succeeded") -> None:
        self.clock = ManualClock()
        self.feed = RunFeed(journal, self.clock)
        memory = Memory(journal, "t", "1")
        self.source = RunSource("t", "nightly", state, self.feed, memory, self.clock)
        self.source.look()

    def ended(self, *, settle: bool = True) -> list[str]:
        self.clock.advance(1)
        events = self.source.look()
        if settle:
            self.source.settle(events)
        return [event.run for event in events]


def test_a_run_counts_once_when_it_has_reached_the_state(journal: Journal) -> None:
    run(journal, "before", "started", "succeeded")
    server = Server(journal)
    assert server.ended() == []
    run(journal, "a", "started", "succeeded")
    run(journal, "b", "started", "failed")
    run(journal, "c", "started", "succeeded", pipeline="another")
    run(journal, "d", "started")
    assert [server.ended(), server.ended()] == [["a"], []]
    journal.append("b", "run.resumed", {}, at=3)
    journal.append("b", "run.succeeded", {}, at=4)
    assert [server.ended(), server.ended()] == [["b"], []]


@pytest.mark.parametrize(("state", "runs"), [("failed", ["b"]), ("cancelled", ["c"]), ("", ["a", "b", "c"])])
def test_the_state_says_which_ends_count(journal: Journal, state: str, runs: list[str]) -> None:
    server = Server(journal, state)
    for name, end in (("a", "succeeded"), ("b", "failed"), ("c", "cancelled")):
        run(journal, name, "started", end)
    journal.append("b", "run.resumed", {}, at=3)
    journal.append("b", "run.failed", {}, at=4)
    assert [server.ended(), server.ended()] == [runs, []]


def test_a_replay_brings_nothing_about(journal: Journal) -> None:
    server = Server(journal)
    run(journal, "a", "started", "succeeded", kind="replay")
    assert server.ended() == []


def test_runs_that_ended_while_no_server_was_there_count_after_the_restart(journal: Journal) -> None:
    Server(journal)
    run(journal, "a", "started", "succeeded")
    assert Server(journal).ended() == ["a"]


def test_what_is_not_settled_is_given_again_and_nothing_behind_it_is_lost(journal: Journal) -> None:
    server = Server(journal)
    run(journal, "a", "started", "succeeded")
    assert server.ended(settle=False) == ["a"]
    server.clock.advance(1000)
    server.ended(settle=False)
    run(journal, "b", "started", "succeeded")
    server.clock.advance(1000)
    assert server.ended(settle=False) == ["a", "b"]
    assert server.ended() == ["a", "b"]
    assert server.ended() == []


def test_an_end_that_becomes_visible_behind_a_later_one_is_seen(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in PostgreSQL, where numbers are given before the commit."""
    server = Server(journal)
    run(journal, "slow", "started", "succeeded")
    run(journal, "fast", "started", "succeeded")
    ends, visible = journal.ends, False

    def some(*, after: int) -> object:
        events, newest = ends(after=after)
        return [event for event in events if visible or event.run != "slow"], newest

    monkeypatch.setattr(journal, "ends", some)
    assert server.ended() == ["fast"]
    server.clock.advance(30)
    assert server.ended() == []
    visible = True
    assert server.ended() == ["slow"]
    server.clock.advance(100)
    assert [server.ended(), server.ended()] == [[], []]


def test_a_look_reads_what_is_new_and_a_start_little(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_source, "_FAR", 30)
    monkeypatch.setattr(run_source, "_BACK", 60)
    server = Server(journal)
    read: list[int] = []
    ends = journal.ends

    def counted(*, after: int) -> object:
        read.append(journal.last_seq(name) - after if after < 1 << 62 else 0)
        return ends(after=after)

    name = ""
    for number in range(100):
        name = f"r{number}"
        run(journal, name, "started", "succeeded")
        if number == 10:
            monkeypatch.setattr(journal, "ends", counted)
        assert server.ended() == [name]
        server.clock.advance(60)
    assert max(read) <= 10
    read.clear()
    assert len(Server(journal).source.look()) <= 20
    assert max(read) <= 70


def test_one_look_into_the_journal_serves_all_sources(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    feed = RunFeed(journal, clock)
    sources = [
        RunSource(f"t{number}", "nightly", "succeeded", feed, Memory(journal, f"t{number}", "1"), clock)
        for number in range(50)
    ]
    assert [source.look() for source in sources] == [[]] * 50
    calls: list[int] = []
    ends = journal.ends
    monkeypatch.setattr(journal, "ends", lambda *, after: [calls.append(after), ends(after=after)][1])  # type: ignore[func-returns-value]
    for number in range(100):
        clock.advance(10)
        run(journal, f"r{number}", "started", "succeeded")
        for source in sources:
            events = source.look()
            assert [event.run for event in events] == [f"r{number}"]
            source.settle(events)
    assert len(calls) == 100
