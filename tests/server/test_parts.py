"""The parts of a server: what fails is tried again later and shown, and ends nothing else."""

from __future__ import annotations

import errno
import logging
import threading
from pathlib import Path

import pytest
from tests.execution.command import until

from trikk.core.errors import JournalError
from trikk.execution.project import Project
from trikk.server.parts import Parts, PartStatus, PartThread
from trikk.server.site import Site
from trikk.testing import ManualClock


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "trikk.toml").write_text('name = "parts"\n')
    return Site(Project.open(tmp_path), ManualClock(1_000.0))


class Flaky:
    """Fails as often as it is told to, then works."""

    def __init__(self, failures: list[Exception], pause: float = 3600.0) -> None:
        self.name = "flaky"
        self.failures = failures
        self.pause = pause
        self.turns = 0
        self.turned = threading.Event()
        self.closed = False

    def turn(self, now: float) -> float:
        self.turns += 1
        self.turned.set()
        if self.failures:
            raise self.failures.pop(0)
        return self.pause

    def close(self) -> None:
        self.closed = True


def test_a_part_that_fails_is_tried_again_after_growing_pauses(site: Site) -> None:
    locked = JournalError("the journal is locked", where="journal.db", next="end that process")
    told: list[PartStatus] = []
    woken: list[int] = []
    site.on_wake("other", lambda: woken.append(len(told)))
    thread = PartThread(site, Flaky([locked, locked, ValueError("odd")]), told.append)
    assert [thread.turn() for _ in range(4)] == [0.5, 1.0, 2.0, 60.0]
    assert woken == [3], "when it was well again: the others may be as well, and need not pause any longer"
    assert [(s.state, s.failures, s.what) for s in told] == [
        ("failing", 1, "the journal is locked"),
        ("failing", 2, "the journal is locked"),
        ("failing", 3, "ValueError: odd"),
        ("well", 0, None),
    ]
    assert told[0].next == "end that process"
    assert told[2].since == "1970-01-01T00:16:40.000Z"


def test_what_the_system_refuses_is_said_in_words_and_without_a_stack(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[PartStatus] = []
    thread = PartThread(site, Flaky([OSError(errno.EMFILE, "x", "/tmp/a"), ValueError("odd")]), told.append)
    thread.turn()
    thread.turn()
    assert (told[0].what, told[0].where) == ("Too many open files", "/tmp/a")
    assert "ulimit -n" in str(told[0].next)
    assert [record.exc_info is None for record in caplog.records] == [True, False]
    assert "Too many open files" in caplog.records[0].getMessage()


def test_what_fails_for_long_does_not_fill_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    thread = PartThread(site, Flaky([JournalError("no")] * 1000), lambda _: None)
    with caplog.at_level(logging.INFO):
        assert max(thread.turn() for _ in range(1000)) == 60.0
    assert len(caplog.records) < 20


def test_one_that_cannot_be_told_does_not_end_the_part(site: Site) -> None:
    def tell(_: PartStatus) -> None:
        raise JournalError("locked, too")

    thread = PartThread(site, Flaky([ValueError("odd")]), tell)
    assert [thread.turn(), thread.turn()] == [0.5, 60.0]


def test_a_part_is_woken_and_stopped(site: Site) -> None:
    part = Flaky([])
    parts = Parts(site, [part], lambda _: None)
    parts.start()
    until(lambda: part.turns == 1)
    site.wake("flaky")
    until(lambda: part.turns == 2)
    site.wake("nobody")
    assert parts.stop(30.0) == []
    assert part.closed
    assert parts.status()[0].state == "ended"


def test_a_part_that_hangs_is_named_and_left(site: Site) -> None:
    goes_on = threading.Event()

    class Hangs(Flaky):
        def turn(self, now: float) -> float:
            super().turn(now)
            goes_on.wait(60)
            return 0.0

    part = Hangs([])
    parts = Parts(site, [part], lambda _: None)
    parts.start()
    part.turned.wait(30)
    assert parts.stop(0.0) == ["flaky"]
    goes_on.set()
