"""Messages to an MQTT broker, each acknowledged (QoS 1): at least once, with an id by which readers drop repeats.

MQTT 5 carries the headers as user properties, and the payload is the row alone. MQTT 3.1.1 has no place for
headers: there the payload is `{"id": ..., "key": ..., "headers": {...}, "value": {...}}`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from trikk.core.errors import BrokerError, MissingExtra, PermanentError, UsageError
from trikk.publishing.broker_messages import Message
from trikk.publishing.mqtt_client import Client
from trikk.publishing.row_encoding import refused
from trikk.publishing.shipment import Shipment

_LARGEST = 268_435_455  # of a packet: MQTT 5, 1.5.5
_ROOM = 64  # bytes of a packet around topic, headers and payload: its own head, and the names of properties
_LOOK_EVERY = 0.05


def send_mqtt(shipment: Shipment) -> int:
    """Send what is not known to have been acknowledged.

    Returns:
        How many messages were acknowledged before.

    Raises:
        UsageError: if the address wants a key and there is none, or MQTT 3.1.1 is to carry Avro.
        PermanentError: if a key can't be a level of a topic, a message is too large, or the broker refuses.
        BrokerError: if it is away for longer than `shipment.patience`; what was acknowledged is not sent again.
        MissingExtra: if paho-mqtt is not installed.
    """
    try:
        import paho.mqtt.client  # noqa: F401 - whether it is there
    except ImportError:
        raise MissingExtra("publishing to MQTT", "mqtt") from None
    _check(shipment)
    if not len(shipment.messages):
        return 0
    client = Client(shipment.address)
    sender = _Sender(shipment, client)
    try:
        _check_sizes(shipment, client.connect(shipment.patience))
        shipment.records.sending()
        try:
            sender.send()
        except BaseException:
            shipment.records.stopped(sender.arrived)
            raise
    except BrokerError as error:
        error.where, error.next = shipment.address.label, shipment.waiting(sender.arrived)
        raise
    finally:
        client.close()
    if shipment.context is not None and not client.tells_refusals:
        shipment.context.notes.append(
            f"{len(shipment.messages):,} messages sent; over MQTT 3.1.1 a broker does not say if it refuses one"
        )
    return shipment.records.known.sent


class _Sender:
    """One attempt.

    Attributes:
        arrived: so many messages, from the first on, are acknowledged.
    """

    def __init__(self, shipment: Shipment, client: Client) -> None:
        self.shipment = shipment
        self.client = client
        self.arrived = shipment.records.known.sent
        # Rows by the number of their packet, in the order in which they were sent.
        self._waiting: dict[int, int] = {}

    def send(self) -> None:
        """Send the rest and wait for every acknowledgement."""
        row = self.arrived
        for message in self.shipment.messages.messages(row):
            self._wait(lambda: len(self._waiting) < self.client.window)
            topic, payload = _packet(self.shipment, message)
            self._waiting[self.client.publish(topic, payload, message)] = row
            row += 1
        self._wait(lambda: not self._waiting)
        self.arrived = row

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Take acknowledgements in until `ready`; gives up when none has come for `patience` seconds."""
        deadline = time.monotonic() + self.shipment.patience
        while True:
            if self._take():
                deadline = time.monotonic() + self.shipment.patience
            if ready():
                return
            if self.client.refusal:
                raise self._refused(self.client.refusal)
            if time.monotonic() > deadline:
                raise BrokerError(f"the broker is away: {self.client.trouble or 'it acknowledges nothing'}")
            self.client.woken.wait(_LOOK_EVERY)
            self.client.woken.clear()

    def _take(self) -> bool:
        """Take in what has come; whether anything has."""
        acknowledged = self.client.acknowledged
        if not acknowledged:
            return False
        while acknowledged:
            number, problem = acknowledged.popleft()
            row = self._waiting[number]
            if problem:
                raise self._refused(f"it does not take the message of row {row}: {problem}")
            del self._waiting[number]
            # Acknowledgements may come out of order: only what has no gap before it counts as arrived.
            self.arrived = next(iter(self._waiting.values()), row + 1)
        return True

    def _refused(self, reason: str) -> PermanentError:
        text = self.shipment.address.hide(reason)
        return PermanentError(
            f"the broker refuses: {text}",
            where=self.shipment.address.label,
            next=self.shipment.waiting(self.arrived),
        )


def _check(shipment: Shipment) -> None:
    """What can be said without a broker."""
    messages, address = shipment.messages, shipment.address
    if "{key}" in address.topic:
        if messages.keys is None:
            raise UsageError("the topic wants a key", where=address.label, next="publish with key=")
        bad = messages.keys.str.contains(r"[/+#\x00]") | (messages.keys.str.len_bytes() == 0)
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise refused(
                row,
                "key",
                f"{messages.keys[row]!r} can't be a level of a topic",
                "use keys without / + #, not empty",
            )
    if address.options.get("version") == "3.1.1" and messages.content_type != "application/json":
        raise UsageError("MQTT 3.1.1 has no place for a schema", next='publish as "json", or over MQTT 5')


def _check_sizes(shipment: Shipment, limit: int | None) -> None:
    sizes = shipment.messages.lengths()
    headers = max(sum(len(k) + len(v.encode()) + 5 for k, v in kind) for kind in shipment.messages.kinds)
    keys = 0 if shipment.messages.keys is None else int(str(shipment.messages.keys.str.len_bytes().max()))
    limit = limit or _LARGEST
    largest = max(sizes.to_list()) + headers + keys + len(shipment.address.topic) + _ROOM
    if largest > limit:
        raise PermanentError(
            f"row {sizes.arg_max()} makes a message of {largest:,} bytes, and the broker takes {limit:,}",
            next="raise the broker's limit, or publish less in a row; nothing was sent",
        )


def _packet(shipment: Shipment, message: Message) -> tuple[str, bytes]:
    topic = shipment.address.topic.replace("{key}", message.key or "")
    if shipment.address.options.get("version") != "3.1.1":
        return topic, message.value
    headers: Any = {name: text for name, text in message.headers if name != "trikk-id"}
    head = json.dumps({"id": message.id, "key": message.key, "headers": headers}, separators=(",", ":"))
    return topic, f'{head[:-1]},"value":'.encode() + message.value + b"}"
