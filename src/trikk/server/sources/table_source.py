"""New versions of a table. Several between two looks are one event, which says from which version to which.

A look that sees a new version writes down first what it will give, then gives it. So the range of versions stays
as it was, whatever happens before it is settled, and every version belongs to one event.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trikk.core.clock import Clock
from trikk.pipeline.parameters.trigger_event import Event
from trikk.server.sources.source_memory import Kind, Memory

if TYPE_CHECKING:
    from trikk.storage.tables.versioned_tables import Tables


class TableSource:
    """A table as a source of events; arguments as of `Source` and `Memory`.

    Args:
        trigger: the trigger's name.
        table: the table; it need not be there yet.
        tables: the project's.
        memory: how far it was.
        clock: for the moments of events.
        every: seconds between two looks.
    """

    set_aside = (0, "")

    def __init__(
        self, trigger: str, table: str, tables: Tables, memory: Memory, clock: Clock, *, every: float = 1.0
    ) -> None:
        self.trigger = trigger
        self.place = "tables"
        self.every = every
        self._table = table
        self._tables = tables
        self._memory = memory
        self._clock = clock
        self._state: dict[str, Any] | None = None
        self._pending: Event | None = None

    def look(self) -> list[Event]:
        """The event that is not settled; if there is none, that of the versions that are new."""
        if self._state is None:
            self._load()
        if self._pending is None:
            self._compare()
        return [] if self._pending is None else [self._pending]

    def settle(self, events: Sequence[Event]) -> None:
        """Nothing is to be written down: the next process gives the last event again, and it is found."""
        if events:
            self._pending = None

    def close(self) -> None:
        """There is nothing to give back."""

    def _load(self) -> None:
        self._state = self._memory.latest()
        if self._state is None:
            version = self._tables.version(self._table)
            self._memory.begin_or_move(Kind.BEGUN, {"version": version, "life": 0}, self._clock.now())
            self._state = self._memory.latest()
        if self._state is not None and "before" in self._state:
            self._pending = self._event(self._state)

    def _compare(self) -> None:
        state, version = self._state, self._tables.version(self._table)
        if state is None or version is None or version == state["version"]:
            return
        known = state["version"]
        # A smaller number is that of another table by the same name, whose versions are told from the first's.
        anew = known is not None and version < known
        body = {
            "version": version,
            "before": None if anew else known,
            "life": state["life"] + anew,
            "at": self._clock.now(),
        }
        entry = self._memory.begin_or_move(Kind.MOVED, body, self._clock.now())
        if entry is None:  # another server was faster: its event counts
            self._load()
        else:
            self._state, self._pending = body, self._event(body)

    def _event(self, state: dict[str, Any]) -> Event:
        before = {} if state["before"] is None else {self._table: state["before"]}
        life = f"/{state['life']}" if state["life"] else ""
        return Event(
            id=f"{self._table}/{state['version']}{life}",
            kind="table-changed",
            at=datetime.fromtimestamp(state["at"], UTC),
            tables={self._table: state["version"]},
            tables_before=before,
        )
