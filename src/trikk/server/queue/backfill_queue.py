"""The part of a server that begins the days of backfills which were left to it; the queue's part drives them."""

from __future__ import annotations

import logging

from trikk.core.errors import TrikkError
from trikk.execution.backfills.backfill_state import PREFIX, Backfill, BackfillStatus, progress
from trikk.runs.states import RunStatus
from trikk.server.site import Site

_EVERY = 0.25  # seconds between looks while a backfill goes on
_IDLE = 5.0  # while none does
_ENDED = (BackfillStatus.CANCELLED, BackfillStatus.SUCCEEDED)
_log = logging.getLogger("trikk.server")


class BackfillQueue:
    """Queues what may begin, as long as this server's release counts.

    Args:
        site: the server's.
    """

    name = "backfills"

    def __init__(self, site: Site) -> None:
        self._site = site
        self._left: dict[str, Backfill] = {}  # those that are not over
        self._states: dict[str, dict[str, RunStatus]] = {}  # by backfill what its runs are at
        self._failed: dict[str, Backfill] = {}  # those that are over, and that somebody may have go on
        self._over: set[str] = set()  # those that never come back, or are not for servers
        self._troubles: dict[str, str] = {}  # by backfill what was said of it last

    def turn(self, now: float) -> float:
        """Queue what may begin; seconds until the next look."""
        if self._site.draining.is_set() or not self._site.presence.standing.may_fire:
            return _IDLE
        journal = self._site.project.journal
        names = journal.children(PREFIX)
        if not names:
            return _IDLE
        from trikk.execution.backfills.backfill_ledger import find, refresh, states_of  # with resume, and the like

        for name in names:
            if not (name in self._left or name in self._failed or name in self._over):
                self._left[name] = find(journal, name)
        for name, backfill in list(self._failed.items()):
            seen = backfill.seq
            refresh(journal, backfill)
            if backfill.seq > seen:
                self._left[name] = self._failed.pop(name)
        for name, backfill in list(self._left.items()):
            refresh(journal, backfill)
            states = self._states.setdefault(name, {})
            if backfill.declaration.queued:
                self._begin(backfill, states, now)
            state = progress(backfill, states_of(journal, backfill, states)).state
            if not backfill.declaration.queued or state in _ENDED:
                self._over.add(name)
            elif state == BackfillStatus.FAILED:
                self._failed[name] = backfill
            else:
                continue
            del self._left[name], self._states[name]
        return _EVERY if self._left else _IDLE

    def close(self) -> None:
        """Nothing is kept."""

    def _begin(self, backfill: Backfill, states: dict[str, RunStatus], now: float) -> None:
        from trikk.execution.backfills.backfill_ledger import enqueue_next

        try:
            if enqueue_next(self._site.project, self._site.graphs(), backfill, now, states):
                self._site.wake("queue")
            self._troubles.pop(backfill.id, None)
        except TrikkError as error:  # the other backfills go on; this one when its pipeline is as it was
            if self._troubles.get(backfill.id) != error.what:
                self._troubles[backfill.id] = error.what
                _log.warning("backfill %s can't go on: %s", backfill.id, error)
