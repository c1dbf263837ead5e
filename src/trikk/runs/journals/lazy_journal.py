"""A project's journal, opened when a step first writes something down: most steps never do."""

from __future__ import annotations

from typing import Any


class LazyJournal:
    """Stands for the journal at a location; any attribute of it opens it, once in each process.

    Args:
        location: as for `open_journal`, as is `events`.
    """

    def __init__(self, location: str, events: str = "") -> None:
        self._location = location
        self._events = events
        self._journal: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._journal is None:
            from trikk.runs.journals.open_journal import open_journal

            self._journal = open_journal(self._location, self._events)
        return getattr(self._journal, name)
