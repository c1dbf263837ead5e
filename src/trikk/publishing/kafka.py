"""Messages to Apache Kafka, each visible once to a reader with `isolation.level=read_committed`.

Each transaction holds some messages and, as the offset of a group named after the publication, how many messages
have been sent by then. The first thing an attempt does is to begin a new epoch of the publication's transactional
id: whatever an earlier attempt left open is ended by the broker, and a process that still lives is shut out. Then
it reads that offset, which nobody else can move any more, and goes on from there.
See docs/decisions/publishing.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from trikk.core.errors import MissingExtra, PermanentError
from trikk.publishing import kafka_errors as errors
from trikk.publishing.kafka_topic import LARGEST, RETENTION, check_sizes, configuration, limits
from trikk.publishing.shipment import Shipment

T = TypeVar("T")
# A transaction is large enough that its commit costs little beside its messages, and small enough to end long
# before the broker gives it up, on a slow line too.
BATCH_ROWS = 100_000
BATCH_BYTES = 64_000_000
_CHUNK = 10_000  # rows between two looks at what the client has to say
_TRANSACTION_SECONDS = 120
_TOPIC_SECONDS = 5.0  # a topic that the broker makes by itself, or that was made a moment ago, is there by then
_CALL_SECONDS = 5.0  # so that a refusal, which comes in the background, is seen soon
_LOOK_SECONDS = 0.25  # a refusal is heard of when the first call is over


def send_kafka(shipment: Shipment) -> int:
    """Send what is not there yet.

    Returns:
        How many messages were there before.

    Raises:
        PermanentError: if a message is too large, or the broker refuses for good.
        BrokerError: if it is away for longer than `shipment.patience`; what was committed stays, the rest waits.
        MissingExtra: if confluent-kafka is not installed.
    """
    try:
        from confluent_kafka import KafkaException
    except ImportError:
        raise MissingExtra("publishing to Kafka", "kafka") from None
    if not len(shipment.messages):
        return 0
    sender = Sender(shipment)
    try:
        sender.open()
        arrived = sender.sent
        if arrived < len(shipment.messages):
            shipment.records.sending()
            sender.send()
        return arrived
    except KafkaException as error:  # from a call that is not retried
        raise sender.failed(error.args[0]) from error
    except SystemError as error:  # the client calls back while it raises that it can't go on
        if not isinstance(error.__cause__, KafkaException):
            raise
        raise sender.failed(error.__cause__.args[0]) from error
    finally:
        sender.close()


class Sender:
    """One attempt.

    Args:
        shipment: what to send, and where to.

    Attributes:
        sent: so many messages are there, as far as is known.
    """

    def __init__(self, shipment: Shipment) -> None:
        self.shipment = shipment
        self.sent = shipment.records.known.sent
        self._seen = errors.Seen()
        self._name = errors.PREFIX + shipment.messages.publication
        self._client: Any = None
        self._producer: Any = None
        self._consumer: Any = None
        self._retention = RETENTION
        self._committing = False

    def open(self) -> None:
        """Find the topic, shut out earlier attempts, and learn how far they came."""
        from confluent_kafka import Consumer, Producer
        from confluent_kafka.admin import AdminClient

        common = configuration(self.shipment.address, self._seen, self.shipment.patience)
        admin = self._client = AdminClient(dict(common))
        broker = self._topic(admin)
        size, retention = limits(admin, self.shipment.address.topic, broker)
        check_sizes(self.shipment.messages, size or LARGEST)
        self._retention = retention or RETENTION
        self._producer = self._client = Producer(
            common
            | {
                "transactional.id": self._name,
                "transaction.timeout.ms": _TRANSACTION_SECONDS * 1000,
                "message.max.bytes": min(max(size or LARGEST, 1000), 1_000_000_000),
                "batch.size": max(1, min(size or LARGEST, LARGEST)),
                "queue.buffering.max.messages": 2 * BATCH_ROWS,
                "queue.buffering.max.kbytes": 2_000_000,
                "linger.ms": 20,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "delivery.report.only.error": True,
                "on_delivery": self._seen.delivered,
            }
        )
        # First the epoch, then the offset: only when every earlier attempt is shut out does it stand still.
        self._retried(self._producer.init_transactions)
        self._consumer = Consumer(
            common | {"group.id": self._name, "isolation.level": "read_committed", "enable.auto.commit": False}
        )
        self._learn()

    def send(self) -> None:
        """Send the rest, one transaction after the other."""
        lengths = self.shipment.messages.lengths()
        while self.sent < len(self.shipment.messages):
            stop = _end_of_batch(lengths, self.sent)
            try:
                self._transaction(self.sent, stop)
            except BaseException:
                self._abort()
                raise
            self.sent = stop

    def close(self) -> None:
        """Free what the client holds."""
        if self._consumer is not None:
            self._consumer.close()

    def failed(self, error: Any) -> Exception:
        """The error to raise for what a call of the client raised."""
        refusal = errors.refusal(self.shipment, self._seen.refusal or error, self.sent)
        return refusal or errors.away(self.shipment, error, self._seen.last, self.sent)

    def _topic(self, admin: Any) -> int:
        """Wait for the topic; returns the id of a broker."""
        topic = self.shipment.address.topic
        deadline = time.monotonic() + min(self.shipment.patience, _TOPIC_SECONDS)
        while True:
            described = self._retried(lambda wait: admin.list_topics(topic, timeout=wait), first=_LOOK_SECONDS)
            error = described.topics[topic].error
            if error is None:
                return int(next(iter(described.brokers)))
            if time.monotonic() > deadline or not (
                errors.passes(error) or error.name() == "UNKNOWN_TOPIC_OR_PART"
            ):
                raise self.failed(error)
            time.sleep(0.1)

    def _learn(self) -> None:
        """Read how far the publication is; nobody else can move it now."""
        from confluent_kafka import TopicPartition

        place = [TopicPartition(self.shipment.address.topic, 0)]
        [progress] = self._retried(lambda wait: self._consumer.committed(place, timeout=wait))
        known = self.shipment.records.known
        if progress.offset < 0:  # nothing was committed, or it is so long ago that the broker has forgotten it
            if known.open_since is not None and time.time() - known.open_since > self._retention:
                raise self._forgotten()
            return
        if json.loads(progress.metadata or "{}").get("digest") != self.shipment.messages.digest:
            raise self.shipment.other_rows(progress.offset)
        self.sent = max(self.sent, int(progress.offset))

    def _transaction(self, start: int, stop: int) -> None:
        from confluent_kafka import TopicPartition

        self._committing = False
        self._producer.begin_transaction()
        self._produce(start, stop)
        self._flush()
        # The offset goes into the same transaction as the messages: both are there, or neither is.
        marker = json.dumps({"digest": self.shipment.messages.digest, "of": len(self.shipment.messages)})
        place = [TopicPartition(self.shipment.address.topic, 0, stop, metadata=marker)]
        group = self._consumer.consumer_group_metadata()
        self._retried(lambda wait: self._producer.send_offsets_to_transaction(place, group, wait))
        self._committing = True
        self._retried(self._producer.commit_transaction)

    def _produce(self, start: int, stop: int) -> None:
        """The loop in which the time goes: no call in it that is not needed."""
        messages = self.shipment.messages
        produce, poll, topic = self._producer.produce, self._producer.poll, self.shipment.address.topic
        prefix, shared = messages.publication, [list(kind) for kind in messages.kinds]
        for begin in range(start, stop, _CHUNK):
            values, keys, kinds = messages.columns(begin, min(begin + _CHUNK, stop))
            headers = shared[0]
            for i, value in enumerate(values):
                if kinds is not None:
                    headers = shared[kinds[i]]
                produce(topic, value, keys[i], headers=[*headers, ("trikk-id", f"{prefix}-{begin + i}")])
            poll(0)

    def _flush(self) -> None:
        """Wait until the broker has every message; gives up when it has taken none for `patience` seconds."""
        deadline, left = time.monotonic() + self.shipment.patience, -1
        while (now := self._producer.flush(min(self.shipment.patience, _CALL_SECONDS))) > 0:
            if self._seen.refusal is not None or time.monotonic() > deadline:
                raise self.failed(None)
            if now < left:
                deadline = time.monotonic() + self.shipment.patience
            left = now
        if self._seen.refusal is not None:  # told once: a flush after that finds nothing left to send
            raise self.failed(None)

    def _abort(self) -> None:
        """Give the open transaction up, and write down what is known to have arrived."""
        from confluent_kafka import KafkaException

        try:
            self._producer.abort_transaction(min(self.shipment.patience, _CALL_SECONDS))
        except KafkaException:
            if self._committing:
                return  # it may have been committed: the next attempt asks the broker
        self.shipment.records.stopped(self.sent)

    def _retried(self, call: Callable[[float], T], first: float = 1.0) -> T:
        """Call until it goes well, is refused, or `patience` seconds are over; for `first` seconds at first."""
        from confluent_kafka import KafkaException

        deadline, wait, pause = time.monotonic() + self.shipment.patience, first, 0.05
        while True:
            left = deadline - time.monotonic()
            try:
                return call(max(0.1, min(left, wait)))
            except KafkaException as error:
                problem = error.args[0]
            self._client.poll(0)  # lets it complain in its own words
            late = time.monotonic() >= deadline
            if late or self._seen.refusal is not None or problem.fatal() or not errors.passes(problem):
                raise self.failed(problem)
            time.sleep(pause)
            wait, pause = 2 * wait, min(2 * pause, 2.0)

    def _forgotten(self) -> PermanentError:
        days, publication = self._retention / 86_400, self.shipment.messages.publication
        return PermanentError(
            f"an attempt broke off more than {days:.3g} days ago, and the broker has forgotten how far it came",
            where=self.shipment.address.label,
            next=f"look in the topic for ids that begin with {publication}; if there are none,"
            " or if readers drop repeats by trikk-id, publish in a new run",
        )


def _end_of_batch(lengths: Any, start: int) -> int:
    """Where the transaction that begins at `start` ends, by rows and by bytes; at least one row later."""
    sums = lengths.slice(start, BATCH_ROWS).cum_sum()
    return start + max(1, int((sums <= BATCH_BYTES).sum()))
