"""What a topic of Kafka holds behind some positions, up to its end as it is now, in bounded memory.

Nothing is committed to the broker: how far a topic is read stands where its rows are, so no group's offsets can
run ahead of them, or be forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trikk.core.errors import BrokerError, MissingExtra, PermanentError, TrikkError
from trikk.core.text import shorten
from trikk.publishing.broker_address import Address
from trikk.publishing.kafka_errors import PREFIX, Seen, lasting_cause
from trikk.publishing.kafka_topic import configuration
from trikk.storage.positions import Advance

BYTES = 256_000_000
"""Of the values that one reading takes in."""
_CHUNK = 10_000  # messages that the client hands over at once
_WAIT = 0.5  # seconds that it waits for them


@dataclass(slots=True)
class Reading:
    """Messages in the order of their partitions and offsets.

    Attributes:
        messages: the client's.
        advances: how far each partition was read, from where.
        left: so many offsets were there behind what was read.
        skipped: so many were gone before they could be read.
    """

    messages: list[Any] = field(default_factory=list)
    advances: list[Advance] = field(default_factory=list)
    left: int = 0
    skipped: int = 0


def source_name(cluster: str, topic: str, partition: int) -> str:
    """What a partition is called in a table's log: by the cluster's id, since brokers' addresses change."""
    return f"kafka/{cluster}/{topic}/{partition}"


def read_topic(
    address: Address,
    known: Callable[[Sequence[str]], Mapping[str, int | None]],
    *,
    limit: int,
    skip_gaps: bool,
    patience: float,
) -> Reading:
    """Read a topic from some positions on.

    Args:
        address: the broker and the topic.
        known: gives the position of each source; None to begin with the oldest message.
        limit: so many messages at most; `BYTES` at most, too.
        skip_gaps: whether to go on where messages are gone that have not been read.
        patience: seconds for which a broker that is away is tried.

    Raises:
        PermanentError: if the broker refuses, or messages are gone.
        BrokerError: if it is away.
        MissingExtra: if confluent-kafka is not installed.
    """
    try:
        from confluent_kafka import Consumer, KafkaException
    except ImportError:
        raise MissingExtra("messages from Kafka", "kafka") from None
    seen = Seen()
    settings = configuration(address, seen, patience) | {
        "group.id": f"{PREFIX}reading",  # the client wants one, and the broker never hears of it
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "queued.max.messages.kbytes": 32_768,
    }
    consumer = Consumer(settings)
    try:
        return _Reader(consumer, address, seen, patience).read(known, limit, skip_gaps=skip_gaps)
    except KafkaException as error:
        raise _failed(address, seen, error.args[0]) from None
    finally:
        consumer.close()


class _Reader:
    def __init__(self, consumer: Any, address: Address, seen: Seen, patience: float) -> None:
        self._consumer, self._address, self._seen, self._patience = consumer, address, seen, patience
        self._ends: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._open: set[int] = set()
        self._size = 0

    def read(
        self, known: Callable[[Sequence[str]], Mapping[str, int | None]], limit: int, *, skip_gaps: bool
    ) -> Reading:
        from confluent_kafka import TopicPartition

        topic = self._address.topic
        described = self._consumer.list_topics(topic, timeout=self._patience)
        if (error := described.topics[topic].error) is not None:
            raise _failed(self._address, self._seen, error)
        partitions = sorted(described.topics[topic].partitions)
        sources = {p: source_name(described.cluster_id, topic, p) for p in partitions}
        positions = known(list(sources.values()))
        reading = Reading()
        for partition, source in sources.items():
            place = TopicPartition(topic, partition)
            low, high = self._consumer.get_watermark_offsets(place, timeout=self._patience, cached=False)
            position = positions[source]
            begin = self._begin(source, position, low, high, skip_gaps=skip_gaps)
            reading.skipped += 0 if position is None else max(0, begin - position)
            self._next[partition], self._ends[partition] = begin, high
            if begin < high:
                self._open.add(partition)
        self._consumer.assign([TopicPartition(topic, p, self._next[p]) for p in self._open])
        self._collect(reading, limit)
        reading.messages.sort(key=lambda message: (message.partition(), message.offset()))
        reading.left = sum(max(0, end - self._next[p]) for p, end in self._ends.items())
        reading.advances = [
            Advance(source, positions[source], self._next[p])
            for p, source in sources.items()
            if positions[source] != self._next[p]
        ]
        return reading

    def _begin(self, source: str, position: int | None, low: int, high: int, *, skip_gaps: bool) -> int:
        if position is None:
            return int(low)
        if low <= position <= high:
            return position
        if skip_gaps:
            return int(low)
        gone = f"messages {position:,} to {low - 1:,} are gone" if position < low else "it was made anew"
        raise PermanentError(
            f"{source} can't be read on from {position:,}: {gone}; it holds {low:,} to {high - 1:,}",
            where=self._address.label,
            next='read what is there: gaps="skip"; a longer retention.ms keeps it from happening again',
        )

    def _collect(self, reading: Reading, limit: int) -> None:
        deadline = time.monotonic() + self._patience
        while self._open and len(reading.messages) < limit and self._size < BYTES:
            wanted = min(_CHUNK, limit - len(reading.messages))
            messages = self._consumer.consume(wanted, timeout=_WAIT)
            for message in messages:
                self._take(message, reading)
            if messages:
                deadline = time.monotonic() + self._patience
            elif time.monotonic() > deadline or self._seen.refusal is not None:
                raise _failed(self._address, self._seen, None)

    def _take(self, message: Any, reading: Reading) -> None:
        partition, offset, error = message.partition(), message.offset(), message.error()
        if error is not None and error.name() != "_PARTITION_EOF":
            if error.fatal() or not error.retriable():
                raise _failed(self._address, self._seen, error)
            return
        if partition not in self._open:  # it came meanwhile, and is read another time
            return
        end = self._ends[partition]
        if error is None and offset < end:
            reading.messages.append(message)
            self._size += len(message.value() or b"")
        # Marks of transactions have offsets and are never seen: at the end, the position is behind them.
        self._next[partition] = min(offset, end) if error is not None or offset >= end else offset + 1
        if error is not None or self._next[partition] >= end:
            self._open.discard(partition)


def _failed(address: Address, seen: Seen, error: Any) -> TrikkError:
    cause = lasting_cause(address, seen.refusal or error, reading=True)
    if cause is not None:
        return PermanentError(cause[0], where=address.label, next=cause[1])
    said = seen.last or ("it does not answer" if error is None else error.str())
    return BrokerError(
        f"the broker is away: {shorten(address.hide(said), 300)}",
        where=address.label,
        next="nothing is lost: what is not read yet is read another time",
    )
