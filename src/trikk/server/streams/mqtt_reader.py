"""Messages of MQTT that come by a topic, acknowledged when they are stored.

The broker keeps messages for a session while nobody is connected, and gives each again until it is acknowledged.
A message has no identity: one that comes again since its acknowledgement was lost (a server was killed between
commit and acknowledgement, a connection broke there) is told by the stream's key, or is a second row.

A broker sends only so many messages before it has acknowledgements: in MQTT 5 as many as a client wants, though
some have a smaller limit of their own, and MQTT 3.1.1 has no word for it. Where a batch stands at such a limit,
waiting for more is in vain. It is found out: nothing came for a while, and the next messages came at once when
those were acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trikk.consuming.message_rows import Read
from trikk.core.clock import Clock
from trikk.core.digests import digest_bytes
from trikk.core.errors import BrokerError, MissingExtra, PermanentError
from trikk.core.text import shorten
from trikk.publishing.broker_address import Address
from trikk.server.streams.stream_columns import Columns
from trikk.server.streams.stream_reader import Lag, PositionsOf, SetAside
from trikk.storage.positions import Advance

_ANSWER = 5.0  # seconds in which a broker that is there answers
_KEPT = 7 * 86_400  # seconds for which the broker keeps messages while nobody is connected (MQTT 5)
_MOST = 65_535  # messages that can be under way: their numbers have two bytes
_AT_ONCE = 0.1  # seconds within which the next ones come if acknowledgements were what they waited for
_TIMES = 2  # batches of one size that ended so: one may be chance
_LIE_IDLE = 0.05  # seconds without a message, at a limit that is known


class MqttReader:
    """A topic as what a stream reads; methods as of `StreamReader`.

    Args:
        address: the broker and the topic, which may have `+` and `#`.
        session: the name of its session at the broker.
        most: messages of a batch at most.
        every: seconds of a batch.
        clock: for the moments of messages.
    """

    def __init__(self, address: Address, session: str, most: int, every: float, clock: Clock) -> None:
        self._address = address
        self._session = f"{session}-{digest_bytes(address.label.encode())[:8]}"
        self._most = min(most, _MOST)
        self._every = every
        self._clock = clock
        self._inbox: Any = None
        self._unsettled: list[int] = []  # numbers of their packets, in the order in which they came
        self._window: int | None = None  # messages that the broker sends at most, where that was found out
        self._quiet = 0  # messages of the last batch, if nothing had come for a while when it was settled
        self._stood, self._times = 0, 0  # at how many messages a batch stood, and how often in a row
        self._first = self._last = self._settled = 0.0  # moments by the clock that never jumps
        self._since = 0.0

    def begin(self, positions: PositionsOf) -> list[SetAside]:  # noqa: ARG002 - the broker knows how far it is
        """Connect to the session; what was not acknowledged comes again."""
        try:
            from trikk.server.streams.mqtt_inbox import Inbox
        except ImportError:
            raise MissingExtra("a stream from MQTT", "mqtt") from None
        self._inbox = Inbox(self._address, self._session, kept=_KEPT, under_way=self._most)
        try:
            self._inbox.connect(_ANSWER)
        except (BrokerError, PermanentError) as error:
            mend = (error.next or "").partition("; nothing was sent")[0]
            raise BrokerError(error.what, where=self._address.label, next=mend or None) from None
        return []

    def read(self, room: int, wait: float) -> Sequence[Any]:
        """The messages that have come; waits for the first one only."""
        inbox, now = self._inbox, self._clock.monotonic
        if not inbox.received:
            inbox.arrived.clear()
            if not inbox.received and not inbox.trouble:
                inbox.arrived.wait(min(wait, _LIE_IDLE) if self._window else wait)
        if inbox.trouble and not inbox.received:
            text = shorten(self._address.hide(inbox.trouble), 300)
            mend = "nothing is lost that it keeps: it is tried again"
            raise BrokerError(f"the broker is away: {text}", where=self._address.label, next=mend)
        count = min(room, len(inbox.received))
        messages = [inbox.received.popleft() for _ in range(count)]
        if messages:
            self._last = now()
            if not self._unsettled:
                self._first, self._since = self._last, self._clock.now()
                self._learn()
            self._unsettled += [message.number for message in messages]
            if self._window is not None and len(self._unsettled) > self._window:
                self._window = None
        return [message for message in messages if not message.retained]

    @property
    def stalled(self) -> bool:
        """Whether the broker waits for acknowledgements before it sends more."""
        is_full = self._window is not None and len(self._unsettled) >= self._window
        return is_full or len(self._unsettled) >= self._most

    def rows(self, messages: Sequence[Any], columns: Columns) -> Read:
        """Messages as rows."""
        topics = [message.topic.decode() for message in messages] if columns.takes_topics else ()
        return columns.read([message.payload for message in messages], topics)

    def size(self, message: Any) -> int:
        """Bytes of its payload."""
        return len(message.payload)

    def describe(self, message: Any) -> SetAside:
        """It is known by topic and payload: the same message, set aside twice, is once as good."""
        topic = message.topic.decode(errors="backslashreplace")
        identity = f"{shorten(topic, 200)}/{digest_bytes(message.topic + b'/' + message.payload)[:16]}"
        return SetAside(identity, "", {"topic": shorten(topic, 200)}, message.payload)

    def advances(self) -> tuple[Advance, ...]:
        """None: the broker knows how far it is."""
        return ()

    def settle(self) -> None:
        """Acknowledge everything that was given."""
        now = self._clock.monotonic()
        is_quiet = now - self._last >= self._every / 2
        self._quiet, self._settled = (len(self._unsettled) if is_quiet else 0), now
        self._inbox.acknowledge_all([number for number in self._unsettled if number])
        self._unsettled = []

    def lag(self) -> Lag:
        """Messages that have come and are not stored; of others the broker does not tell."""
        inbox = self._inbox
        waiting = len(self._unsettled) + (len(inbox.received) if inbox is not None else 0)
        return Lag(waiting, self._since or None) if waiting else Lag()

    def close(self) -> None:
        """End the connection; the session stays, and the broker keeps what comes."""
        if self._inbox is not None:
            self._inbox = self._inbox.close()
        self._unsettled, self._window, self._quiet, self._times = [], None, 0, 0

    def _learn(self) -> None:
        """See whether the last batches were as large as the broker lets any be.

        A slow sender may look so by chance: then its messages are stored one by one, until two come at once.
        """
        came_at_once = self._quiet > 0 and self._first - self._settled <= _AT_ONCE
        self._times = self._times + 1 if came_at_once and self._quiet == self._stood else int(came_at_once)
        self._stood = self._quiet
        if self._times >= _TIMES:
            self._window = self._stood
