"""A connection to an MQTT broker by which messages come: a session that lasts, each one acknowledged by hand."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from trikk.core.errors import BrokerError
from trikk.publishing.broker_address import Address
from trikk.publishing.mqtt_client import Client


class Subscription(Client):
    """A connection that is not made again when it has broken: whoever has it decides when.

    Args:
        address: the broker and the topic.
        session: the name of the session; the broker has one connection for it.
        kept: seconds for which the broker keeps messages while nobody is connected (MQTT 5).
        under_way: messages that it sends without an acknowledgement (MQTT 5).

    Attributes:
        received: the messages, as they come.
        arrived: set when one has come, or the connection has broken.
    """

    def __init__(self, address: Address, session: str, *, kept: int, under_way: int) -> None:
        super().__init__(address)
        self.received: deque[Any] = deque()
        self.arrived = threading.Event()
        self._name = session
        self._subscribed = threading.Event()
        self._kept = kept
        self._under_way = under_way

    def connect(self, patience: float) -> int | None:
        """Connect and subscribe: what is published from then on is kept. Arguments and errors as of `Client`."""
        largest = super().connect(patience)
        if not self._subscribed.wait(patience):
            raise BrokerError("the broker is away: it does not answer")
        if self.trouble:
            raise BrokerError(f"the broker refuses: {self.trouble}", next=f"grant reading of {self.address.topic}")
        return largest

    def acknowledge(self, message: Any) -> None:
        """Tell the broker that a message need not come again; nothing for one that it does not keep."""
        if message.qos and self._client is not None:
            self._client.ack(message.mid, message.qos)

    def _identity(self) -> dict[str, Any]:
        who: dict[str, Any] = {"client_id": self._name, "manual_ack": True, "reconnect_on_failure": False}
        return who if self._five else {**who, "clean_session": False}

    def _session(self) -> dict[str, Any]:
        if not self._five:
            return {}
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._kept
        properties.ReceiveMaximum = self._under_way
        return {"clean_start": False, "properties": properties}

    def _begin(self, client: Any) -> None:
        from paho.mqtt.subscribeoptions import SubscribeOptions

        self.trouble = ""  # another of the hosts may have had one
        client.on_subscribe = self._on_subscribe
        if self._five:
            never = SubscribeOptions.RETAIN_DO_NOT_SEND
            client.subscribe(self.address.topic, options=SubscribeOptions(qos=1, retainHandling=never))
        else:
            client.subscribe(self.address.topic, 1)

    def _make(self, seconds: float) -> Any:
        client = super()._make(seconds)
        client.on_message = self._on_message
        return client

    def _on_message(self, client: Any, data: Any, message: Any) -> None:  # noqa: ARG002 - paho's signature
        self.received.append(message)
        self.arrived.set()

    def _on_subscribe(self, client: Any, data: Any, mid: int, reasons: Any, properties: Any) -> None:  # noqa: ARG002
        if any(reason.is_failure for reason in reasons):
            self.trouble = "the user may not read this topic"
        self._subscribed.set()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        super()._on_disconnect(client, data, flags, reason, properties)
        if self._connected.is_set():
            self.trouble = self.trouble or str(reason)
            self.arrived.set()
