"""The parts of a server that work by themselves: a thread for each, whose errors end nothing but its turn.

A part that raises is logged, given its next turn after a growing pause, and shown by `/readyz` with what was
wrong. What it keeps in memory can be lost: the next turn, this server's or another's, begins from the journal.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from trikk.core.clock import iso
from trikk.core.errors import TrikkError
from trikk.core.record import Record
from trikk.runs.back_off import BackOff
from trikk.server.site import Site

_FILES = "let the server open more files: ulimit -n, or LimitNOFILE= in its unit"
_ROOM = "make room on the disk; the server goes on by itself"
_ADVICE = {errno.EMFILE: _FILES, errno.ENFILE: _FILES, errno.ENOSPC: _ROOM, errno.EDQUOT: _ROOM}
_log = logging.getLogger("trikk.server")
_PAUSES = BackOff(first=0.5, longest=60.0)
_TURNS_WITHIN = 120.0  # seconds; a part that has not been round for so long hangs
_LONGEST_PAUSE = 60.0
_LOGGED = 5  # failures in a row that are logged one by one; then each time that their number has doubled


class Part(Protocol):
    """Something that looks again and again at what there is to do.

    Attributes:
        name: for `/readyz`, the log, and `Site.wake`.
    """

    name: str

    def turn(self, now: float) -> float:
        """Do what is due, within a few seconds; whatever it raises, it is called again.

        Args:
            now: wall time in seconds since 1970.

        Returns:
            Seconds until it wants its next turn, if nobody wakes it before.
        """

    def close(self) -> None:
        """Let go of everything; called once, after the last turn, in the same thread."""


class PartStatus(Record, frozen=True):
    """How a part is."""

    name: str
    state: str = "well"  # or "failing"; "ended" after its close
    turns: int = 0  # that went well
    failures: int = 0  # turns in a row that failed
    since: str | None = None  # when the first of these failed; ISO 8601 in UTC
    what: str | None = None  # was wrong in the last one
    where: str | None = None
    next: str | None = None


class PartThread:
    """One part in its thread.

    Args:
        site: the server's.
        part: the part.
        on_failure: is told of each turn that failed and each that went well after one, with how it is now.
    """

    def __init__(self, site: Site, part: Part, on_failure: Callable[[PartStatus], None]) -> None:
        self.part = part
        self.status = PartStatus(part.name)
        self._site = site
        self._on_failure = on_failure
        site.turns.expect(part.name, _TURNS_WITHIN)
        self._next = threading.Event()
        self._stop = threading.Event()
        # A daemon: a turn that hangs in the system does not keep the process from ending in time.
        self._thread = threading.Thread(target=self._run, name=part.name, daemon=True)
        site.on_wake(part.name, self._next.set)

    def start(self) -> None:
        """Begin with its first turn."""
        self._thread.start()

    def stop(self) -> None:
        """Have no other turn after the one that it is at."""
        self._stop.set()
        self._next.set()

    def join(self, timeout: float) -> bool:
        """Wait at most that many seconds for its end; whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._next.clear()  # before the turn: who wakes it meanwhile may have come too late for it
            self._next.wait(self.turn())
        try:
            self.part.close()
        except Exception:  # noqa: BLE001 - the other parts and the process have to end, too
            _log.exception("%s could not close", self.part.name)
        self.status = PartStatus(self.part.name, "ended", self.status.turns)

    def turn(self) -> float:
        """One turn; seconds until the next."""
        now, before = self._site.clock.now(), self.status
        try:
            pause = self.part.turn(now)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on
            self.status = _failed(before, error, now)
            self._say(error)
            pause = _PAUSES.pause(self.status.failures)
        else:
            self.status = PartStatus(self.part.name, turns=before.turns + 1)
            if before.failures:
                _log.info("%s is well again, after %d failures", self.part.name, before.failures)
                self._site.wake_all()  # what was wrong for this one was most often wrong for the others: a journal
        self._site.turns.turned(self.part.name)
        if before.failures or self.status.failures:
            try:
                self._on_failure(self.status)
            except Exception as error:  # noqa: BLE001 - the same disk or journal may be what is wrong
                _log.warning("what is wrong with %s could not be written down: %s", self.part.name, error)
        return min(max(0.0, pause), _LONGEST_PAUSE)

    def _say(self, error: Exception) -> None:
        count = self.status.failures
        if count > _LOGGED and count & (count - 1):
            return
        if isinstance(error, TrikkError | OSError):
            _log.warning("%s failed (%d in a row): %s", self.part.name, count, _explained(error))
        else:
            _log.error("%s failed (%d in a row)", self.part.name, count, exc_info=error)


class Parts:
    """All parts of a server, started and stopped together."""

    def __init__(self, site: Site, parts: Sequence[Part], on_failure: Callable[[PartStatus], None]) -> None:
        self._threads = [PartThread(site, part, on_failure) for part in parts]
        self._clock = site.clock

    def start(self) -> None:
        """Start all."""
        for thread in self._threads:
            thread.start()

    def status(self) -> list[PartStatus]:
        """How each of them is."""
        return [thread.status for thread in self._threads]

    def stop(self, timeout: float) -> list[str]:
        """Stop all, the last one first, and wait at most that many seconds for them together.

        Returns:
            The names of those that have not ended.
        """
        for thread in reversed(self._threads):
            thread.stop()
        until = self._clock.monotonic() + timeout
        return [t.part.name for t in self._threads if not t.join(max(0.0, until - self._clock.monotonic()))]


def _explained(error: Exception) -> Exception:
    """What the system refuses, in words: a stack of calls says nothing about a full disk."""
    if not isinstance(error, OSError) or error.errno is None:
        return error
    where = error.filename if isinstance(error.filename, str) else None
    return TrikkError(os.strerror(error.errno), where=where, next=_ADVICE.get(error.errno))


def _failed(before: PartStatus, error: Exception, now: float) -> PartStatus:
    said: dict[str, Any] = {"what": f"{type(error).__name__}: {error}"}
    error = _explained(error)
    if isinstance(error, TrikkError):
        said = {"what": error.what, "where": error.where, "next": error.next}
    since = before.since or iso(now)
    return PartStatus(before.name, "failing", before.turns, before.failures + 1, since, **said)
