"""Messages of MQTT that come by a topic, each of which is an event.

The broker keeps messages for a session while nobody is connected, and gives each again until it is acknowledged,
which is done when its run is written down (QoS 1). A session has one connection: of several servers one has it,
as the ledger says; another takes it over when that one is gone.

A message of MQTT has no identity. One that trikk has published has an id (a user property; the envelope in MQTT
3.1.1), and has one run however often it comes; so has one whose trigger says where its payload has an id. Any
other is known by when it was received: it has two runs if the server dies after the run was written down
and before the broker has the acknowledgement. Two equal messages are two events then.
"""

from __future__ import annotations

import base64
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trikk.core.clock import Clock
from trikk.core.digests import digest_bytes
from trikk.core.errors import BrokerError, MissingExtra, PermanentError
from trikk.core.text import shorten
from trikk.pipeline.parameters.trigger_event import Event
from trikk.publishing.broker_address import Address
from trikk.publishing.mqtt_client import KEEPALIVE
from trikk.runs.journals.journal import Journal
from trikk.server.sources.messages.mqtt_subscription import Subscription
from trikk.server.sources.one_reader import OneReader
from trikk.server.sources.payloads import LONGEST_ID, Unreadable, read_headers, read_id, read_payload
from trikk.server.sources.source_memory import Memory

_WAIT = 1.0  # seconds that a look waits for a message
_ANSWER = 5.0  # seconds in which a broker that is there answers
# seconds for which the broker keeps messages while nobody is connected (MQTT 5; else it decides)
_KEPT = 7 * 86_400
_UNDER_WAY = 20  # messages that the broker sends before it has acknowledgements (MQTT 5; else it decides)
_UNSURE = 3.0 * KEEPALIVE  # seconds within which a broken connection is noticed
_KEPT_BYTES = 64_000  # of a message that is set aside: the broker has it no longer
_ENVELOPE = {"id", "key", "headers", "value"}
_ID = "trikk-id"


@dataclass(slots=True)
class _Received:
    """A message as it came.

    Attributes:
        message: paho's.
        connection: the number of the connection by which it came: it can only be acknowledged by that one.
        event: its event, until that is settled; None where there is none.
    """

    message: Any
    connection: int
    event: Event | None = None
    known_as: tuple[int, str] = field(default=(0, ""))


class MqttSource:
    """A topic as a source of events; arguments as of `Source` and `Memory`.

    Args:
        trigger: the trigger's name.
        project: the project's name, so that two projects do not share a session.
        address: the broker and the topic, which may have `+` and `#`.
        journal: which servers live.
        memory: which server has the session.
        clock: for the moments of messages.
        id_place: where in a payload the message's identity is; "" for nowhere.
    """

    every = 0.0

    def __init__(
        self,
        trigger: str,
        project: str,
        address: Address,
        journal: Journal,
        memory: Memory,
        clock: Clock,
        id_place: str = "",
    ) -> None:
        self.trigger = trigger
        self.place = f"{address.label} for {trigger}"
        self.set_aside = (0, "")
        self._address = address
        self._memory = memory
        self._reader = OneReader(memory, journal, clock)
        self._clock = clock
        self._id_place = id_place
        self._session = f"trikk-{project}-{trigger}-{digest_bytes(memory.adoption.encode())[:8]}"
        self._connection: Any = None
        self._number = 0
        self._count = itertools.count()
        self._waiting: deque[_Received] = deque()  # in the order in which they are to be acknowledged
        self._acknowledged: deque[tuple[float, tuple[int, str]]] = deque(maxlen=10 * _UNDER_WAY)
        self._unsure: set[tuple[int, str]] = set()  # acknowledged just before the connection broke

    def look(self) -> list[Event]:
        """The messages that are not settled; if there are none, those that have come within a second.

        Raises:
            BrokerError: if the broker is away or refuses.
            MissingExtra: if paho-mqtt is not installed.
        """
        if not self._may_connect():
            self._clock.sleep(_WAIT)
            return []
        if self._connection is None:
            self._connect()
        if not self._waiting:
            self._connection.arrived.wait(_WAIT)
        self._connection.arrived.clear()
        received: deque[Any] = self._connection.received
        while received:
            self._take(received.popleft())
        self._acknowledge()
        if self._connection.trouble:
            trouble, self._connection = self._connection.trouble, self._connection.close()
            since = self._clock.monotonic() - _UNSURE
            self._unsure = {known_as for at, known_as in self._acknowledged if at >= since}
            self._acknowledged.clear()
            raise self._failed(trouble)
        return [each.event for each in self._waiting if each.event is not None]

    def settle(self, events: Sequence[Event]) -> None:
        """Acknowledge the messages whose runs are written down, in the order in which they came."""
        settled = {event.id for event in events}
        for each in self._waiting:
            if each.event is not None and each.event.id in settled:
                each.event = None
        self._acknowledge()

    def close(self) -> None:
        """Leave the session to the next server; the broker keeps what comes meanwhile."""
        if self._connection is not None:
            self._connection = self._connection.close()
        self._reader.give_back()

    # ---- the session

    def _may_connect(self) -> bool:
        """Whether this server has the session; without it there is no connection."""
        mine = self._reader.take()
        if not mine and self._connection is not None:
            self._connection = self._connection.close()
        return mine

    def _connect(self) -> None:
        try:
            import paho.mqtt.client  # noqa: F401 - whether it is there
        except ImportError:
            raise MissingExtra("messages from MQTT", "mqtt") from None
        self._number += 1
        try:
            self._connection = Subscription(self._address, self._session, kept=_KEPT, under_way=_UNDER_WAY)
            self._connection.connect(_ANSWER)
        except (BrokerError, PermanentError) as error:
            self._connection = self._connection and self._connection.close()
            mend = (error.next or "").partition("; nothing was sent")[0]
            raise BrokerError(error.what, where=self._address.label, next=mend or None) from None

    # ---- messages

    def _take(self, message: Any) -> None:
        """Take in a message, or set it aside with the reason: it must not hold up those behind it."""
        received = _Received(message, self._number)
        received.known_as = (message.mid, digest_bytes(message.topic.encode() + b"\0" + message.payload))
        if message.retain:
            self._waiting.append(received)  # of before the subscription: it is acknowledged, and no event
            return
        if message.dup and self._is_known(received):
            return
        if not message.dup:  # the broker gives first what it has given before
            self._unsure.clear()
        try:
            received.event = self._event(message)
        except Unreadable as error:
            identity = self._identity(message)
            about: dict[str, Any] = {
                "topic": shorten(message.topic, 200),
                "bytes": len(message.payload),
                "payload": base64.b64encode(message.payload[:_KEPT_BYTES]).decode(),
            }
            self._memory.set_aside(identity, str(error), about, self._clock.now())
            self.set_aside = (self.set_aside[0] + 1, f"{identity}: {error}")
        self._waiting.append(received)

    def _is_known(self, received: _Received) -> bool:
        """Whether a message has come by the connection before, which broke before the broker had its answer."""
        for each in self._waiting:
            if each.known_as == received.known_as and each.connection < self._number:
                each.message, each.connection = received.message, self._number
                return True
        if received.known_as not in self._unsure:
            return False
        self._unsure.discard(received.known_as)
        self._waiting.append(received)  # without an event: it is acknowledged once more
        return True

    def _event(self, message: Any) -> Event:
        payload = read_payload(message.payload)
        headers = read_headers(list(getattr(message.properties, "UserProperty", None) or []))
        key = headers.pop("trikk-key", "")
        known = headers.get(_ID, "")
        if isinstance(payload, dict) and payload.keys() == _ENVELOPE and self._is_old:
            known, key = str(payload["id"]), str(payload["key"] or "")
            headers = {str(n): str(text) for n, text in dict(payload["headers"]).items()}  # type: ignore[arg-type]
            payload = payload["value"]
        if self._id_place:
            known = read_id(payload, self._id_place)
        fits = known.isprintable() and 0 < len(known) <= LONGEST_ID
        return Event(
            id=known if fits else self._identity(message),
            kind="message",
            at=datetime.fromtimestamp(self._clock.now(), UTC),
            topic=message.topic,
            key=key,
            payload=payload,
            headers=headers,
        )

    @property
    def _is_old(self) -> bool:
        return self._address.options.get("version") == "3.1.1"

    def _identity(self, message: Any) -> str:
        """What a message without an id is known by: when it was received, and what it is."""
        at = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="microseconds")
        return f"{at}/{next(self._count)}/{digest_bytes(message.payload)[:16]}"

    def _acknowledge(self) -> None:
        """Acknowledge from the oldest on, up to the first whose event is not settled: MQTT wants them in order."""
        while self._waiting and self._waiting[0].event is None:
            each = self._waiting.popleft()
            if each.connection == self._number and self._connection is not None:
                self._connection.acknowledge(each.message)
            self._acknowledged.append((self._clock.monotonic(), each.known_as))

    def _failed(self, trouble: str) -> BrokerError:
        return BrokerError(
            f"the broker is away: {shorten(self._address.hide(trouble), 300)}",
            where=self._address.label,
            next="nothing is lost that it keeps: it is tried again",
        )
