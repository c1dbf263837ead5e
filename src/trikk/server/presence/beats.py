"""A server among the servers of its project: it says that it is there, and sees who else is."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from msgspec.structs import replace

from trikk.core.clock import Clock
from trikk.core.names import new_run_id
from trikk.core.values import JSON
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.server_beats import Server
from trikk.runs.living_servers import BEAT_EVERY, living
from trikk.server.presence.releases import Announced, Standing, announce, standing

KEPT_FOR = 7 * 86400.0
"""Seconds for which a server that is gone is known."""


class Presence:
    """One server's place among the others. Its methods may be called by any thread.

    Args:
        journal: the project's.
        clock: the time.

    Attributes:
        name: as a part of the server.
        server: this server as of its last beat.
        standing: what it may do; as of its last beat, too.
    """

    name = "presence"

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._announced = Announced(journal)
        self._turn = threading.Lock()
        self._next_beat = 0.0
        now = clock.now()
        self.server = Server(id=new_run_id(), holder=Holder.current(), since=now, at=now)
        self.standing = Standing()

    def start(self, release: str, says: Mapping[str, JSON] | None = None) -> list[Server]:
        """Begin to serve a release ("" if no code could be loaded).

        Returns:
            The servers that were known before, those that are gone too.

        Raises:
            JournalError: if it can't be written down.
        """
        now = self._clock.now()
        known = self._journal.servers()
        self._journal.drop_servers(now - KEPT_FOR)
        with self._turn:
            self.server = replace(self.server, since=now, says=dict(says or {}))
            self._beat(release)
        return known

    def serve(self, release: str) -> None:
        """From now on serve another release; errors as of `start`, which leave everything as it was."""
        with self._turn:
            self._beat(release)

    def say(self, about: str, message: JSON) -> None:
        """Say with each beat what is wrong with or around this server; None if nothing is any more.

        Errors as of `start`: the message is then said with the next beat that comes through.
        """
        with self._turn:
            says = {key: text for key, text in {**self.server.says, about: message}.items() if text is not None}
            if says != self.server.says:
                self.server = replace(self.server, says=says)
                self._beat(self.server.release)

    def turn(self, now: float) -> float:  # noqa: ARG002 - its clock has the time
        """Beat if it is time; seconds until the next beat. Errors as of `start`."""
        with self._turn:
            if self._clock.monotonic() >= self._next_beat:
                self._beat(self.server.release)
            return max(0.0, self._next_beat - self._clock.monotonic())

    def close(self) -> None:
        """Leave in order; errors as of `start`."""
        with self._turn:
            self._journal.leave(self.server.id, at=self._clock.now())

    def _beat(self, release: str) -> None:
        now = self._clock.now()
        server = replace(self.server, at=now, release=release)
        if release and release not in self._announced.read():
            # Before the beat: a release that is served but not announced would not count.
            announce(self._journal, release, server, now)
        self._journal.beat(server)
        # A server is missed only if nobody began after its last beat. So a young one beats at 1, 2, 4, 8 s: of two
        # that were started together, one that dies early would be missed by nobody.
        self._next_beat = self._clock.monotonic() + min(BEAT_EVERY, max(1.0, now - server.since))
        self.server = server
        others = [other for other in self._journal.servers() if other.id != server.id]
        self.standing = standing(release, [*living(others, now), server], self._announced.read())
