"""Where messages go: `kafka://host/topic`, `mqtt://host/topic/{key}`, `stream:name`; secrets by reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import parse_qsl, unquote

from trikk.core.errors import UsageError
from trikk.core.names import check_name
from trikk.core.network.addresses import REFERENCE, Filled, fill, refuse_secrets

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])\Z")
MQTT_WILDCARD = re.compile(r"(?<=/)[+#](?=/|\Z)")
"""A level of a topic that stands for others: in what is read, never in what is published."""
_KAFKA_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_PORTS = {"kafka": 9092, "kafkas": 9093, "mqtt": 1883, "mqtts": 8883}
_TLS = {"ca", "cert", "key"}
_OPTIONS: dict[str, set[str]] = {"kafka": {"mechanism"} | _TLS, "mqtt": {"version", "retain"} | _TLS}
_CHOICES = {
    "mechanism": {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"},
    "version": {"5", "3.1.1"},
    "retain": {"true", "false"},
}
HINT = "use kafka://host:port/topic, kafkas://user:${PASSWORD}@host/topic, mqtt://host/topic/{key} or stream:name"


class Transport(StrEnum):
    """What carries messages."""

    KAFKA = "kafka"
    MQTT = "mqtt"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages go, with its secrets in place: only `label` may be shown, logged or stored.

    Attributes:
        kind: what carries the messages.
        topic: the topic, for MQTT with `{key}` where the key goes; the stream's name.
        hosts: `host:port`, one or more.
        secure: whether the connection is encrypted.
        user: the user, empty for none.
        password: its password.
        options: what stands after `?`.
        filled: the address with the values that came from the environment; None if none did.
    """

    kind: Transport
    topic: str
    hosts: tuple[str, ...] = ()
    secure: bool = False
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    filled: Filled | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """The address without user, password and options: what results, events and errors call it."""
        if self.kind == Transport.STREAM:
            return f"stream:{self.topic}"
        return f"{self.kind}{'s' if self.secure else ''}://{','.join(self.hosts)}/{self.topic}"

    @property
    def files(self) -> tuple[str, str, str]:
        """The files for TLS: authorities to trust, the client's certificate, its key; "" for none."""
        ca, cert, key = (self.options.get(name, "") for name in ("ca", "cert", "key"))
        return ca, cert, key

    def advice(self, mend: str) -> str:
        """What to do where a login fails, with what may be wrong with the values."""
        return self.filled.advice(mend) if self.filled else mend

    def hide(self, text: str) -> str:
        """Return `text` with every secret in it replaced by ***."""
        return self.filled.hide(text) if self.filled else text


def check_address(to: str) -> None:
    """Check an address as it is written, without looking at the environment.

    Raises:
        UsageError: if it is of no known kind, is written wrongly, or holds a password, which is not repeated.
    """
    if not isinstance(to, str):
        raise UsageError("messages are published to an address, which is a text", next=HINT)
    if not REFERENCE.fullmatch(to):
        _parse(REFERENCE.sub("x", to), written=to)
        refuse_secrets(to, "the address")


def resolve(to: str, environment: Mapping[str, str] | None = None) -> Address:
    """Read an address and put the environment's values in the place of `${NAME}`, as `fill` does.

    Raises:
        UsageError: as `check_address`, and if a variable is not set.
    """
    check_address(to)
    filled = fill(to, environment)
    return replace(_parse(filled.text, written=to), filled=filled)


def _parse(text: str, written: str) -> Address:
    scheme, colon, rest = text.partition(":")
    if scheme == Transport.STREAM and colon:
        return Address(Transport.STREAM, check_name("stream", rest))
    if scheme not in _PORTS or not rest.startswith("//"):
        raise UsageError("messages can't be published to an address of this kind", next=HINT)
    kind = Transport(scheme.removesuffix("s"))
    path, _, query = rest[2:].partition("?")
    authority, slash, topic = path.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    if not slash or not topic:
        raise UsageError("the address names no topic", where=_shown(written), next=HINT)
    _check_topic(kind, topic)
    return Address(
        kind,
        topic,
        tuple(_host(host, _PORTS[scheme]) for host in hosts.split(",")),
        scheme.endswith("s"),
        unquote(user),
        unquote(password),
        _options(scheme, kind, query),
    )


def _host(text: str, default: int) -> str:
    bare = re.sub(r":\d{1,5}\Z", "", text)
    port = int(text[len(bare) + 1 :] or default)
    if not _HOST.match(bare) or not 0 < port < 65536:
        raise UsageError("the address names no host, or a host or port that can't be one", next=HINT)
    return f"{bare}:{port}"


def _check_topic(kind: Transport, topic: str) -> None:
    if kind == Transport.KAFKA and (not _KAFKA_TOPIC.match(topic) or topic in (".", "..")):
        raise UsageError(
            f"{topic[:60]!r} can't name a topic of Kafka",
            next="use letters, digits, '.', '_' and '-', at most 249",
        )
    plain = topic.replace("{key}", "")
    unfit = any(c in plain for c in "+#{}\x00") or len(topic.encode()) > 1000 or topic[0] == "$"
    if kind == Transport.MQTT and unfit:
        raise UsageError(
            f"{topic[:60]!r} can't name a topic of MQTT",
            next="leave out + # $ and braces; {key} stands for the message's key",
        )


def _options(scheme: str, kind: str, query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name not in _OPTIONS[kind]:
            raise UsageError(
                f"{name!r} is not an option of a {kind} address", next=f"there are: {sorted(_OPTIONS[kind])}"
            )
        if name in _CHOICES and value not in _CHOICES[name]:
            raise UsageError(f"the option {name} is not understood", next=f"use one of {sorted(_CHOICES[name])}")
        if name in _TLS and not value:
            raise UsageError(f"the option {name} names no file", next=f"write {name}=FILE, or leave it out")
        if name in _TLS and scheme == kind:
            raise UsageError(f"the option {name} is for TLS, and {kind}:// is without", next=f"write {kind}s://")
    if "key" in options and "cert" not in options:
        raise UsageError("the option key is of no use without a certificate", next="add cert=FILE")
    return options


def _shown(written: str) -> str:
    """An address as it is written, without the part in which a password may stand."""
    scheme, _, rest = written.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
