"""How a stream is, as the server that reads it says with its beats: for commands, requests, metrics and rules."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from msgspec.structs import replace

from trikk.core.record import Record

SAYS = "stream "
"""Begins what a server says of a stream; its name follows."""


class StreamState(StrEnum):
    """What a server does about a stream."""

    BEGINS = "begins"
    READS = "reads"
    ELSEWHERE = "elsewhere"
    """Another server reads it."""
    FAILS = "fails"
    """It can't be read or stored for now, and is tried again."""
    STOPPED = "stopped"
    """Too many of its messages were set aside."""
    NOBODY = "nobody reads it"
    """No living server says anything of it."""
    REMOVED = "removed"
    """It is no longer declared."""


class StreamStatus(Record, frozen=True, kw_only=True):
    """One stream as one server sees it.

    Attributes:
        stream: its name.
        began: since when this server works at it, seconds since 1970.
        state: what the server does.
        rows: brought into the table by any server, with those whose key was there.
        last: when the last batch was stored, seconds since 1970; None before the first.
        rate: rows a second, over the last minute.
        lag_messages: messages that wait, as far as they are known.
        waits_since: since when the oldest of them waits, seconds since 1970; None if none does.
        batches: stored by this server.
        stored: rows stored by this server.
        left_out: of these, rows whose key was in the table.
        set_aside: messages that are set aside.
        last_set_aside: the last one that this server has set aside, and why.
        what: what is wrong; "" if nothing is.
        next: what to do about it.
        since: since when, ISO 8601 in UTC.
    """

    stream: str
    began: float
    state: StreamState = StreamState.BEGINS
    rows: int = 0
    last: float | None = None
    rate: float = 0.0
    lag_messages: int = 0
    waits_since: float | None = None
    batches: int = 0
    stored: int = 0
    left_out: int = 0
    set_aside: int = 0
    last_set_aside: str = ""
    what: str = ""
    next: str = ""
    since: str = ""

    def with_news(self, **news: Any) -> Self:
        """The same with other values."""
        return replace(self, **news)

    def lag_seconds(self, now: float) -> float:
        """For how long the oldest message waits; 0 if none does."""
        return 0.0 if self.waits_since is None else max(0.0, now - self.waits_since)
