"""What every source of events is, and how it fares.

A source is looked at again and again by one thread. A look gives what has arrived and is not settled: the events
that the looks before have given, too, as long as nobody has said that they are written down. So the order is:
look, start the run and write the event down under its identity in one transaction, settle. What a process leaves
that is killed in between is given again by the next look, and found to be written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trikk.core.record import Record
from trikk.pipeline.parameters.trigger_event import Event


class Health(Record, frozen=True, kw_only=True):
    """How a source fares; for incidents and for `trikk triggers`.

    Attributes:
        away_since: since when it can't be reached or read, seconds since 1970; None if it can.
        why: what is wrong.
        next: what to do about it; "" where `why` says it.
        set_aside: how many arrivals this process has set aside, since no run can be told of them.
        last_set_aside: which was the last of them, and why.
    """

    away_since: float | None = None
    why: str = ""
    next: str = ""
    set_aside: int = 0
    last_set_aside: str = ""


class Source(Protocol):
    """Where the events of one trigger come from; used by one thread.

    Attributes:
        trigger: the trigger's name.
        place: what it reads; sources of one place share a thread, since they are away together.
        every: seconds between two looks, at least; 0 where a look itself waits for what comes, a second at most.
    """

    trigger: str
    place: str
    every: float

    def look(self) -> list[Event]:
        """What has arrived and is not settled, oldest first.

        Raises:
            TrikkError, OSError: if it can't be reached or read; nothing is lost, and the next look may go well.
        """

    def settle(self, events: Sequence[Event]) -> None:
        """Take in that events, which the last look has given, are written down for good.

        Raises:
            TrikkError, OSError: as `look`. They are given again then, or by the next process.
        """

    @property
    def set_aside(self) -> tuple[int, str]:
        """How many arrivals were set aside, and the last of them with the reason."""

    def close(self) -> None:
        """Give back what it holds."""
