"""The client of MQTT: connects within a time, connects again by itself, and says why it can't."""

from __future__ import annotations

import secrets
import ssl
import threading
import time
from collections import deque
from typing import Any

from trikk.core.errors import BrokerError, PermanentError
from trikk.core.network.tls import Trouble, client_context, explain
from trikk.publishing.broker_address import Address
from trikk.publishing.broker_messages import Message

_REFUSALS = {
    "Unsupported protocol version": "it does not speak MQTT 5: put ?version=3.1.1 behind the address",
    "Bad user name or password": "it does not know the user, or not this password",
    "Not authorized": "the user may not connect, or not use this topic",
    "Banned": "it has shut this client out",
    "Packet too large": "a message is larger than it takes",
    "Topic name invalid": "it does not take this topic",
    "Payload format invalid": "it does not take what the message holds",
    "Retain not supported": "it keeps no last message: leave ?retain=true out",
    "QoS not supported": "it does not acknowledge messages",
}
"""Reasons of MQTT 5 (its chapter 2.4, as paho names them) that waiting does not mend."""
_SILENT = {
    False: "it ends connections at once; does its port want TLS (mqtts://)?",
    True: "it ends connections at once; does it want a client's certificate (cert=FILE and key=FILE)?",
}
INFLIGHT = 100
"""So many messages are under way at once, if the broker takes as many."""
KEEPALIVE = 30
"""Seconds without a word after which either side asks whether the other is there."""
_CONNECT_SECONDS = 5.0


class _Socket(ssl.SSLSocket):
    """Closed if the handshake fails; paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class Client:
    """A connection to the first host of the address that answers; a thread of paho's serves it.

    Attributes:
        acknowledged: number of the packet and what is wrong with it (empty if nothing), as they come.
        woken: set when something has happened.
        window: so many messages may wait for their acknowledgement.
        refusal: why the broker will not have us; empty while it may.
        trouble: the last trouble of any kind.
        tells_refusals: whether the broker can say that it does not take a message, as in MQTT 5 alone.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.acknowledged: deque[tuple[int, str]] = deque()
        self.woken = threading.Event()
        self.window = INFLIGHT
        self.refusal = ""
        self.trouble = ""
        self._connected = threading.Event()
        self._largest: int | None = None
        self.tells_refusals = self._five = address.options.get("version") != "3.1.1"
        self._retain = address.options.get("retain") == "true"
        self._client: Any = None
        self._context = client_context(*address.files) if address.secure else None
        if self._context is not None:
            self._context.sslsocket_class = _Socket
        self._unsafe: Trouble | None = None

    def connect(self, patience: float) -> int | None:
        """Connect; returns how many bytes a packet may have, None if the broker does not say.

        Raises:
            BrokerError: if no host answers within `patience` seconds.
            PermanentError: if the broker refuses.
        """
        deadline, pause = time.monotonic() + patience, 0.05
        while True:
            for host in self.address.hosts:
                if self._try(host, max(0.2, min(_CONNECT_SECONDS, deadline - time.monotonic()))):
                    return self._largest
                self._check()
            if time.monotonic() + pause > deadline:
                raise BrokerError(f"the broker is away: {self.address.hide(self.trouble or 'it does not answer')}")
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def publish(self, topic: str, payload: bytes, message: Message) -> int:
        """Hand a message to the thread that sends; returns the number of its packet."""
        properties = None
        if self._five:
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.properties import Properties

            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            headers = dict(message.headers)
            properties.ContentType = headers.pop("content-type")
            properties.UserProperty = [*headers.items(), *([("trikk-key", message.key)] if message.key else [])]
        return int(self._client.publish(topic, payload, 1, self._retain, properties).mid)

    def close(self) -> None:
        """End the connection and its thread."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _check(self) -> None:
        """Raise PermanentError if waiting does not help."""
        if self._unsafe is not None:
            reason, mend, _ = self._unsafe
            raise PermanentError(
                f"no connection to the broker: {reason}",
                where=self.address.label,
                next=f"{mend}; nothing was sent",
            )
        if self.refusal:
            text = self.address.hide(self.refusal)
            raise PermanentError(
                f"the broker refuses: {text}", where=self.address.label, next=self.address.advice(_MEND)
            )

    def _try(self, host: str, seconds: float) -> bool:
        self.close()
        client = self._make(seconds)
        name, _, port = host.rpartition(":")
        try:
            client.connect(name.strip("[]"), int(port), keepalive=KEEPALIVE, **self._session())
        except (OSError, ValueError) as error:  # the ssl module's errors are among them
            self.trouble = f"{host}: {error}"
            if "handshake" in str(error) and isinstance(error, TimeoutError):
                self.trouble = f"{host}: it answers, but not in TLS"
            self._encryption(error)
            return False
        client.loop_start()
        self._client = client
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and not (self._connected.is_set() or self.refusal or self._unsafe):
            self.woken.wait(0.05)
            self.woken.clear()
        if not self._connected.is_set():
            self.close()
        return self._connected.is_set()

    def _identity(self) -> dict[str, Any]:
        """As whom it connects: somebody new each time."""
        return {"client_id": f"trikk-{secrets.token_hex(8)}"}

    def _session(self) -> dict[str, Any]:
        """What it asks for when it connects, in MQTT 5: nothing."""
        return {}

    def _new_client(self, *arguments: Any, **options: Any) -> Any:
        """The library's client, which connects when it is told."""
        from paho.mqtt.client import Client as PahoClient

        return PahoClient(*arguments, **options)

    def _make(self, seconds: float) -> Any:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        protocol = paho.MQTTv5 if self._five else paho.MQTTv311
        client = self._new_client(CallbackAPIVersion.VERSION2, protocol=protocol, **self._identity())
        client.connect_timeout = seconds
        client.max_inflight_messages_set(INFLIGHT)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(1, 5)
        if self.address.user:
            client.username_pw_set(self.address.user, self.address.password or None)
        if self._context is not None:
            client.tls_set_context(self._context)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_log = self._on_log
        return client

    def _begin(self, client: Any) -> None:
        """Called by the thread of paho's as soon as there is a connection."""

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:  # noqa: ARG002
        if reason.is_failure:
            self._trouble(str(reason))
        else:
            self._largest = getattr(properties, "MaximumPacketSize", None)
            self.window = min(INFLIGHT, getattr(properties, "ReceiveMaximum", INFLIGHT))
            self._begin(client)
            self._connected.set()
            client.on_log = None  # it would be called for each message
        self.woken.set()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:  # noqa: ARG002
        if reason.is_failure:
            silent = not self._connected.is_set() and str(reason) == "Unspecified error"
            self._trouble(_SILENT[self.address.secure] if silent else str(reason))
        self.woken.set()

    def _on_publish(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:  # noqa: ARG002
        text = str(reason) if reason.is_failure else ""
        self.acknowledged.append((number, _REFUSALS.get(text, text)))
        self.woken.set()

    def _on_log(self, client: Any, data: Any, level: int, text: str) -> None:  # noqa: ARG002
        if self._context is not None and "socket" in text:  # the only place where it says why TLS was broken off
            self._encryption(text)

    def _encryption(self, problem: object) -> None:
        trouble = explain(problem)
        if trouble is not None and trouble.lasting:
            self._unsafe = trouble
            self.woken.set()

    def _trouble(self, reason: str) -> None:
        self.trouble = reason
        self.refusal = self.refusal or _REFUSALS.get(reason, "")


_MEND = "mend that and publish again; nothing was sent"
