"""Records of a topic of Kafka, read from where the table is.

How far a partition was brought into the table is in the table's commits, not at the broker: so there is no group,
and nothing is committed. All partitions are read by one consumer; new ones are seen within a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trikk.consuming.message_rows import Read
from trikk.core.clock import Clock
from trikk.core.errors import BrokerError, MissingExtra
from trikk.core.text import shorten
from trikk.publishing.broker_address import Address
from trikk.publishing.kafka_errors import PREFIX, Seen, lasting_cause
from trikk.publishing.kafka_topic import configuration, leave
from trikk.server.streams.stream_columns import Columns
from trikk.server.streams.stream_reader import Lag, PositionsOf, SetAside
from trikk.storage.positions import Advance

_ANSWER = 5.0  # seconds in which a broker that is there answers
_AT_ONCE = 20_000  # records that one call of the client gives: they are objects until they are read as rows
_PARTITIONS_EVERY = 60.0  # seconds
_NOT_THERE = ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION")


class KafkaReader:
    """A topic as what a stream reads; methods as of `StreamReader`.

    Args:
        address: the broker and the topic.
        clock: for looking at new partitions.
    """

    stalled = False

    def __init__(self, address: Address, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._seen = Seen()
        self._consumer: Any = None
        self._cluster = ""
        self._stored: dict[int, int | None] = {}  # where the table is, by partition
        self._done: dict[int, int] = {}  # up to where everything is stored
        self._next: dict[int, int] = {}  # from where to read on
        self._newest = 0.0  # when the last record came that was read, seconds since 1970; 0 if it does not say
        self._stored_until = 0.0  # the same of what is stored
        self._look = 0.0

    def begin(self, positions: PositionsOf) -> list[SetAside]:
        """Go to where the table is in each partition; what the broker has removed before is given back."""
        try:
            import confluent_kafka
        except ImportError:
            raise MissingExtra("a stream from Kafka", "kafka") from None
        settings = configuration(self._address, self._seen, _ANSWER) | {
            "group.id": f"{PREFIX}stream",  # the client wants one; nothing is ever committed for it
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",  # records that are gone are told of, not passed over
            "enable.partition.eof": True,  # says where a partition ends, behind the markers of transactions
            "queued.max.messages.kbytes": 16_384,
            "fetch.wait.max.ms": 100,
        }
        self._consumer = confluent_kafka.Consumer(settings)
        try:
            return self._assign(positions)
        except confluent_kafka.KafkaException as error:
            raise self._failed(error.args[0]) from None

    def read(self, room: int, wait: float) -> Sequence[Any]:
        """The records that come; errors as of `StreamReader`."""
        import confluent_kafka

        if self._clock.monotonic() >= self._look:
            self._check_partitions()
        try:
            received: list[Any] = self._consumer.consume(min(room, _AT_ONCE), wait)
        except confluent_kafka.KafkaException as error:
            raise self._failed(error.args[0]) from None
        records = []
        for message in received:  # in their order: a partition's end stands behind its records
            if message.error() is None:
                self._next[message.partition()] = message.offset() + 1
                records.append(message)
            else:
                self._take_news(message)
        if records:
            self._newest = _moment(records[-1])
            self._stored_until = self._stored_until or _moment(records[0])
        elif self._seen.refusal is not None or self._seen.last:
            self._ask()
        return records

    def rows(self, messages: Sequence[Any], columns: Columns) -> Read:
        """Records as rows."""
        return columns.read([message.value() for message in messages], [self._address.topic] * len(messages))

    def size(self, message: Any) -> int:
        """Bytes of its value."""
        return len(message)

    def describe(self, message: Any) -> SetAside:
        """It is known by topic, partition, offset and its time: a topic that is made anew counts from zero."""
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        about = {"topic": topic, "partition": partition, "offset": offset}
        identity = f"{topic}/{partition}/{offset}@{message.timestamp()[1]}"
        return SetAside(identity, "", about, message.value())

    def advances(self) -> tuple[Advance, ...]:
        """How far the partitions move on from which something has come."""
        return tuple(
            Advance(self._source(partition), self._stored[partition], offset)
            for partition, offset in self._next.items()
            if offset != self._stored[partition]
        )

    def settle(self) -> None:
        """The table is as far as everything that was given."""
        self._stored |= self._next
        self._done |= self._next
        self._stored_until = self._newest

    def lag(self) -> Lag:
        """Records behind the newest, as the client knows it from its last answer."""
        from confluent_kafka import KafkaException, TopicPartition

        if self._consumer is None:
            return Lag()
        behind = 0
        for partition, done in self._done.items():
            try:
                _, end = self._consumer.get_watermark_offsets(
                    TopicPartition(self._address.topic, partition), cached=True
                )
            except KafkaException:
                continue
            behind += max(0, end - done)
        return Lag(behind, self._stored_until or None) if behind else Lag()

    def close(self) -> None:
        """Leave the broker; waits some seconds at most."""
        if self._consumer is not None:
            leave(self._consumer, _ANSWER)
            self._consumer = None

    # ---- partitions

    def _source(self, partition: int) -> str:
        return f"kafka/{self._cluster}/{self._address.topic}/{partition}"

    def _partitions(self) -> list[int]:
        described = self._consumer.list_topics(self._address.topic, timeout=_ANSWER)
        topic = described.topics[self._address.topic]
        if topic.error is not None:
            raise self._failed(topic.error)
        self._cluster = described.cluster_id or ""
        self._look = self._clock.monotonic() + _PARTITIONS_EVERY
        return sorted(topic.partitions)

    def _assign(self, positions: PositionsOf) -> list[SetAside]:
        from confluent_kafka import TopicPartition

        numbers = self._partitions()
        known = positions([self._source(number) for number in numbers])
        gone, places = [], []
        for number in numbers:
            place = TopicPartition(self._address.topic, number)
            first, end = self._consumer.get_watermark_offsets(place, timeout=_ANSWER, cached=False)
            stored = self._stored[number] = known[self._source(number)]
            # A topic that was made anew begins before where the table is.
            place.offset = first if stored is None or stored > end else max(stored, first)
            self._next[number] = self._done[number] = place.offset
            if stored is not None and stored < first:
                gone.append(self._removed(number, stored, first))
            places.append(place)
        self._consumer.assign(places)
        return gone

    def _removed(self, partition: int, stored: int, first: int) -> SetAside:
        topic = self._address.topic
        about = {"topic": topic, "partition": partition, "offset": stored}
        why = f"the broker had removed {first - stored:,} records before they were read"
        return SetAside(f"{topic}/{partition}/{stored}-{first}", why, about)

    def _check_partitions(self) -> None:
        """Begin anew where the topic has more partitions."""
        from confluent_kafka import KafkaException

        try:
            numbers = self._partitions()
        except KafkaException as error:
            raise self._failed(error.args[0]) from None
        if numbers != sorted(self._stored):
            raise BrokerError("the topic's partitions have changed", where=self._address.label, next="it goes on")

    # ---- what the client says

    def _take_news(self, message: Any) -> None:
        """Take in what is no record: a partition's end, or an error; one that lasts is raised."""
        error = message.error()
        name = error.name()
        if name == "_PARTITION_EOF":
            partition = message.partition()
            if self._done[partition] == self._next[partition]:
                self._done[partition] = message.offset()
            self._next[partition] = message.offset()
        elif name in (*_NOT_THERE, "TOPIC_AUTHORIZATION_FAILED", "_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"):
            raise self._failed(error)
        else:
            self._seen(error)

    def _ask(self) -> None:
        """Find out whether the broker is there, if the client has complained; it does not say when it is well."""
        from confluent_kafka import KafkaException

        self._seen.last = ""
        refusal, self._seen.refusal = self._seen.refusal, None
        try:
            self._consumer.list_topics(self._address.topic, timeout=_ANSWER)
        except KafkaException as error:
            raise self._failed(refusal or error.args[0]) from None

    def _failed(self, error: Any) -> BrokerError:
        label = self._address.label
        cause = lasting_cause(self._address, self._seen.refusal or error, reading=True)
        if cause is not None:
            return BrokerError(cause[0], where=label, next=cause[1])
        text = shorten(self._address.hide(error.str() or self._seen.last), 300)
        return BrokerError(f"the broker is away: {text}", where=label, next="nothing is lost: it is tried again")


def _moment(message: Any) -> float:
    """When a record came, seconds since 1970; 0 if it does not say."""
    kind, milliseconds = message.timestamp()
    return milliseconds / 1000 if kind else 0.0
