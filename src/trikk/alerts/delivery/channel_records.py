"""What is told of channels, apart from what looks at them, so that clients can read it and import little."""

from __future__ import annotations

from trikk.core.record import Record


class Channel(Record, frozen=True):
    """Where messages go.

    Attributes:
        name: as trikk.toml has it.
        kind: of its address, such as "slack", "file" or "topic"; "" if it is in a variable that is not set.
        gets: the severities whose messages go there, and "escalation".
        what: what is wrong with its address; "" if nothing is.
        next: what to do about it.
    """

    name: str
    kind: str
    gets: list[str]
    what: str = ""
    next: str = ""


class TestMessage(Record, frozen=True):
    """A message that a channel has taken: that it was handed over, not that anybody has read it."""

    channel: str
    subject: str
    at: float
