"""Clients of Kafka: their settings, how they leave, and a look at a topic before anything is sent to it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from trikk.core.errors import PermanentError
from trikk.publishing.kafka_errors import Seen, quiet

if TYPE_CHECKING:
    from trikk.publishing.broker_address import Address
    from trikk.publishing.broker_messages import Messages

LARGEST = 1_000_000
"""Bytes of a message where the broker does not tell its limit: the client's own default."""
RETENTION = 7 * 86_400.0
"""Seconds for which a broker remembers how far a publication is, where it does not tell: Kafka's default."""
_ROOM = 120  # bytes of a record batch around one record
_SECONDS = 3  # for a question that need not be answered: then the defaults above hold


def configuration(address: Address, seen: Seen, patience: float) -> dict[str, Any]:
    """What every client is set up with.

    Source of the names: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
    """
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(address.hosts),
        "client.id": "trikk",
        "error_cb": seen,
        "logger": quiet,
        "socket.timeout.ms": int(1000 * min(60.0, max(1.0, patience))),
        "security.protocol": ("SASL_" if address.user else "") + ("SSL" if address.secure else "PLAINTEXT"),
    }
    if address.user:
        settings |= {
            "sasl.mechanism": address.options.get("mechanism", "PLAIN"),
            "sasl.username": address.user,
            "sasl.password": address.password,
        }
    return settings | (_encrypted(address) if address.secure else {})


def leave(consumer: Any, seconds: float) -> None:
    """Close a consumer, or give up after some seconds.

    While the broker is away, the client waits for it here, and there is no limit to set.
    """
    leaving = threading.Thread(target=consumer.close, daemon=True)
    leaving.start()
    leaving.join(seconds)


def _encrypted(address: Address) -> dict[str, str]:
    """The files for TLS; they are tried first, as the client's own words for a wrong one are hard to read."""
    from trikk.core.network.tls import client_context, trusted

    ca, cert, key = address.files
    client_context(ca, cert, key)
    files = {"ssl.ca.location": trusted(ca), "ssl.certificate.location": cert, "ssl.key.location": key or cert}
    return {name: file for name, file in files.items() if file}


def limits(admin: Any, topic: str, broker: int) -> tuple[int | None, float | None]:
    """What the broker tells of itself; None for what it keeps to itself.

    Returns:
        Bytes that a batch of messages may have in the topic; seconds for which progress is remembered.
    """
    from confluent_kafka.admin import ResourceType  # type: ignore[attr-defined]

    of_broker = _described(admin, ResourceType.BROKER, str(broker))
    if of_broker is None:
        return None, None
    of_topic = _described(admin, ResourceType.TOPIC, topic) or {}
    size = of_topic.get("max.message.bytes") or of_broker.get("message.max.bytes")
    minutes = of_broker.get("offsets.retention.minutes")
    return (int(size) if size else None), (float(minutes) * 60 if minutes else None)


def _described(admin: Any, kind: Any, name: str) -> dict[str, str] | None:
    """The settings of a topic or broker; empty if we may not see them, None if it does not know the question."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]

    resource = ConfigResource(kind, name)
    futures = admin.describe_configs([resource], request_timeout=_SECONDS)
    try:
        entries = futures[resource].result(timeout=2 * _SECONDS)
    except KafkaException as error:
        return None if error.args[0].name() == "_UNSUPPORTED_FEATURE" else {}
    except TimeoutError:
        return {}
    return {key: entry.value for key, entry in entries.items()}


def check_sizes(messages: Messages, limit: int) -> None:
    """Check that every message fits, before any is sent.

    Raises:
        PermanentError: if one does not; it names the row.
    """
    sizes = messages.lengths()
    if messages.keys is not None:
        sizes = sizes + messages.keys.str.len_bytes()
    headers = max(sum(len(k) + len(v.encode()) + 10 for k, v in kind) for kind in messages.kinds)
    largest = max(sizes.to_list()) + headers + len(messages.id_of(len(messages))) + _ROOM
    if largest > limit:
        raise PermanentError(
            f"row {sizes.arg_max()} makes a message of {largest:,} bytes, and the broker takes {limit:,}",
            next="raise max.message.bytes of the topic, or publish less in a row; nothing was sent",
        )
