"""A connection to an MQTT broker by which many messages come: read in large pieces, acknowledged in batches.

paho reads each packet by three calls of the system, and makes objects of it and of its properties (paho-mqtt 2.2).
Here what the socket holds is taken at once, and messages are cut from it by their lengths. Everything else, from
TLS to the session, stays paho's.

Format: https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html, chapters 2.1, 3.3 and 3.4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MalformedPacket  # type: ignore[attr-defined]

from trikk.server.sources.messages.mqtt_subscription import Subscription

_PIECE = 1 << 18  # bytes read from the socket at once
_QOS_1 = 0x32  # a PUBLISH that wants an acknowledgement, without the bits for a repeated and a kept one
_PUBLISH, _RETAINED = 0x30, 0x01
_LARGEST = 4_000_000  # bytes of a packet (MQTT 5): a message of a stream is a record


class Arrived(NamedTuple):
    """A message as it came.

    Attributes:
        topic: in UTF-8.
        payload: its bytes.
        number: of its packet; 0 for one that wants no acknowledgement.
        retained: whether it was there before the subscription.
    """

    topic: bytes
    payload: bytes
    number: int
    retained: bool


class Inbox(Subscription):
    """A subscription whose `received` are `Arrived`; arguments as of `Subscription`."""

    def acknowledge_all(self, numbers: list[int]) -> None:
        """Tell the broker, in this order, that messages need not come again."""
        if numbers and self._client is not None:
            self._client.send_acknowledgements(numbers)

    def _session(self) -> dict[str, Any]:
        session = super()._session()
        if session:
            session["properties"].MaximumPacketSize = _LARGEST
        return session

    def _make(self, seconds: float) -> Any:
        client = super()._make(seconds)
        client.taken = self._taken
        return client

    def _new_client(self, *arguments: Any, **options: Any) -> Any:
        return _Client(*arguments, **options)

    def _taken(self, messages: list[Arrived]) -> None:
        self.received.extend(messages)
        self.arrived.set()


class _Client(paho.Client):
    """paho's client, but for how it reads."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._piece = bytearray()
        self.taken: Any = None

    def send_acknowledgements(self, numbers: list[int]) -> None:
        """Send them as one write."""
        packets = b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in numbers)
        self._packet_queue(PacketTypes.PUBACK << 4, packets, 0, 0)

    def reconnect(self) -> MQTTErrorCode:
        self._piece.clear()
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 - all that are there
        try:
            data = self._sock_recv(_PIECE)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self._piece += data
        return self._cut()

    def _cut(self) -> MQTTErrorCode:
        """Take the whole packets that there are; what is left is the beginning of the next."""
        piece, five = bytes(self._piece), self._protocol == paho.MQTTv5
        messages: list[Arrived] = []
        at = 0
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        while (bounds := _bounds(piece, at + 1)) is not None:
            start, stop = bounds
            first = piece[at]
            if first & 0xF0 == _PUBLISH:
                messages.append(_message(piece, first, start, stop, five=five))
            elif result := self._handle(first, piece[start:stop]):
                break
            at = stop
        del self._piece[:at]
        if messages:
            self.taken(messages)
        return result

    def _handle(self, first: int, body: bytes) -> MQTTErrorCode:
        """Let paho have a packet that is no message."""
        size = len(body)
        self._in_packet |= {"command": first, "remaining_length": size, "packet": bytearray(body), "pos": 0}
        try:
            result = self._packet_handle()
        except MalformedPacket:
            result = MQTTErrorCode.MQTT_ERR_PROTOCOL
        self._in_packet |= {"command": 0, "remaining_length": 0, "packet": bytearray()}
        return self._loop_rc_handle(result) if result else result


def _bounds(piece: bytes, at: int) -> tuple[int, int] | None:
    """Where a packet's body is, whose length stands at `at`; None if not all of it has come."""
    length = shift = 0
    for place in range(at, min(at + 4, len(piece))):
        byte = piece[place]
        length |= (byte & 127) << shift
        if byte < 128:
            stop = place + 1 + length
            return (place + 1, stop) if stop <= len(piece) else None
        shift += 7
    return None


def _message(piece: bytes, first: int, start: int, stop: int, *, five: bool) -> Arrived:
    """The message of a PUBLISH whose body is from `start` to `stop`."""
    end = start + 2 + (piece[start] << 8 | piece[start + 1])
    topic, number = piece[start + 2 : end], 0
    if first & 0xF6 == _QOS_1:
        number = piece[end] << 8 | piece[end + 1]
        end += 2
    if five:  # its properties, of which a row needs none
        bounds = _bounds(piece, end)
        end = stop if bounds is None else bounds[1]
    return Arrived(topic, piece[end:stop], number, bool(first & _RETAINED))
