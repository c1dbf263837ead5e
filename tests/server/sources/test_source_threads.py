"""What the threads do with sources that give, fail, hang, and come back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from trikk.core.errors import JournalError, StorageError
from trikk.pipeline.parameters.trigger_event import Event
from trikk.server.sources.source import Health
from trikk.server.sources.source_threads import SourceThreads, WatchedSource
from trikk.testing import ManualClock

AT = datetime(2020, 3, 26, tzinfo=UTC)


class Box:
    """A source whose events a test puts in."""

    every = 1.0
    set_aside = (0, "")

    def __init__(self, trigger: str = "t", place: str = "box") -> None:
        self.trigger, self.place = trigger, place
        self.waiting: list[Event] = []
        self.trouble: Exception | None = None
        self.looks = 0
        self.closed_by: threading.Thread | None = None

    def put(self, *names: str) -> None:
        self.waiting += [Event(id=name, kind="message", at=AT) for name in names]

    def look(self) -> list[Event]:
        self.looks += 1
        if self.trouble is not None:
            raise self.trouble
        return list(self.waiting)

    def settle(self, events: Sequence[Event]) -> None:
        self.waiting = [event for event in self.waiting if event not in events]

    def close(self) -> None:
        self.closed_by = threading.current_thread()


def test_events_are_handed_over_in_order_and_settled() -> None:
    box, given = Box(), []
    watched = WatchedSource(box, lambda trigger, event: given.append((trigger, event.id)) is None, ManualClock())
    box.put("a", "b")
    watched.turn()
    assert (given, box.waiting) == ([("t", "a"), ("t", "b")], [])


def test_what_can_not_be_started_now_stays_and_so_does_what_is_behind_it() -> None:
    box, given, paused = Box(), [], {"b"}

    def deliver(_: str, event: Event) -> bool:
        given.append(event.id)
        return event.id not in paused

    watched = WatchedSource(box, deliver, ManualClock())
    box.put("a", "b", "c")
    watched.turn()
    assert (given, [event.id for event in box.waiting]) == (["a", "b"], ["b", "c"])
    paused.clear()
    watched.turn()
    assert (given, box.waiting) == (["a", "b", "b", "c"], [])


def test_a_journal_that_is_locked_loses_nothing_and_is_said() -> None:
    clock, box, locked = ManualClock(), Box(), True

    def deliver(trigger: str, event: Event) -> bool:
        if locked:
            raise JournalError("the journal is locked", next="see who holds it")
        return True

    watched = WatchedSource(box, deliver, clock)
    box.put("a")
    watched.turn()
    assert watched.health == Health(away_since=clock.now(), why="the journal is locked", next="see who holds it")
    assert len(box.waiting) == 1
    locked = False
    watched.turn()
    assert (watched.health, box.waiting) == (Health(), [])


def test_a_source_that_is_away_for_an_hour_is_asked_after_growing_pauses_and_logged_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, box = ManualClock(), Box()
    watched = WatchedSource(box, lambda *_: True, clock)
    box.trouble = StorageError("it is away\x1b[2J")
    went = clock.now()
    with caplog.at_level(logging.INFO, logger="trikk.server"):
        while clock.now() < went + 3600:
            clock.advance(max(0.0, watched.due - clock.monotonic()))
            watched.turn()
        assert watched.health.away_since == went
        assert watched.health.why.isprintable()
        assert box.looks < 3600 / 30 + 10
        box.trouble = None
        clock.advance(max(0.0, watched.due - clock.monotonic()))
        assert clock.now() <= went + 3600 + 31 + 30
        watched.turn()
    assert watched.health == Health()
    assert len(caplog.records) == 2


def test_a_library_s_own_exception_ends_nothing() -> None:
    box = Box()
    watched = WatchedSource(box, lambda *_: True, ManualClock())
    box.trouble = ZeroDivisionError("x")
    watched.turn()
    assert watched.health.why == "ZeroDivisionError: x"


def test_what_was_set_aside_is_in_the_health() -> None:
    box = Box()
    watched = WatchedSource(box, lambda *_: True, ManualClock())
    box.set_aside = (2, "m/0/1: it is too large")
    watched.turn()
    assert watched.health == Health(set_aside=2, last_set_aside="m/0/1: it is too large")


def test_a_look_that_costs_much_is_made_seldom() -> None:
    clock, box = ManualClock(), Box()
    look = box.look

    def slow() -> list[Event]:
        clock.advance(2)
        return look()

    box.look = slow  # type: ignore[method-assign]
    working = WatchedSource(box, lambda *_: True, clock, cpu=clock.monotonic)
    waiting = WatchedSource(box, lambda *_: True, clock, cpu=lambda: 0)
    pauses = []
    for watched in (working, working, waiting, waiting):
        watched.turn()
        pauses.append(watched.due - clock.monotonic())
    assert pauses == [1, 100, 1, 2]  # the first look of all imports libraries


def test_a_place_that_hangs_holds_up_no_other_nor_the_start_nor_the_end() -> None:
    hanging, well, release, arrived = Box("a", "mount"), Box("b", "box"), threading.Event(), threading.Event()
    hanging.look = lambda: [release.wait(30), []][1]  # type: ignore[method-assign,return-value,func-returns-value]
    well.put("x")
    sources = SourceThreads([hanging, well], lambda *_: arrived.set() is None)
    sources.start(wait=0.2)
    assert arrived.wait(10)
    assert set(sources.health()) == {"a", "b"}
    sources.close(wait=0.2)
    assert hanging.closed_by is None
    release.set()


def test_after_the_start_each_was_looked_at_and_each_is_closed_by_its_own_thread() -> None:
    boxes = [Box(f"t{number}", f"place {number % 3}") for number in range(9)]
    sources = SourceThreads(boxes, lambda *_: True)
    sources.start()
    assert all(box.looks for box in boxes)
    sources.close()
    threads = {box.closed_by for box in boxes}
    assert len(threads) == 3
    assert None not in threads
