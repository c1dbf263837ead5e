"""Who reads a place that one server of several reads at a time, as an entry of the ledger says.

It is taken over when that process is gone: at once on the same machine, after it has missed its beats on another.
"""

from __future__ import annotations

from trikk.core.clock import Clock
from trikk.runs.journals.journal import Journal
from trikk.runs.journals.lease import Holder
from trikk.runs.living_servers import living
from trikk.server.sources.source_memory import Kind, Memory


class OneReader:
    """This process's claim to a place.

    Args:
        memory: where the entries are.
        journal: which servers live.
        clock: for the entries.
    """

    def __init__(self, memory: Memory, journal: Journal, clock: Clock) -> None:
        self._memory = memory
        self._journal = journal
        self._clock = clock

    def take(self) -> bool:
        """Whether this process reads the place; it takes it where nobody does, or who did is gone."""
        latest, me = self._memory.latest(), Holder.current()
        owner = None if latest is None or latest["holder"] is None else Holder.read(latest["holder"])
        if owner == me:
            return True
        if owner is not None and self._lives(owner):
            return False
        kind = Kind.BEGUN if latest is None else Kind.MOVED
        return self._memory.begin_or_move(kind, {"holder": me.to_json()}, self._clock.now()) is not None

    def give_back(self) -> None:
        """Let the next one have it at once."""
        latest = self._memory.latest()
        if latest is not None and latest.get("holder") == Holder.current().to_json():
            self._memory.begin_or_move(Kind.MOVED, {"holder": None}, self._clock.now())

    def _lives(self, owner: Holder) -> bool:
        alive = owner.is_alive()
        if alive is not None:
            return alive
        return owner in {server.holder for server in living(self._journal.servers(), self._clock.now())}
