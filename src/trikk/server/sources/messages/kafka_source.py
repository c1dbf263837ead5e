"""Messages of a topic of Kafka, each of which is an event, or several together (`kafka_batches`).

A message is known by topic, partition, offset and its own time, since a topic that is removed and made anew
counts from zero again. How far the messages have their runs is committed to the broker under a group of the
trigger's own, after the runs are written down: what a process leaves that is killed in between is read again, and
found to be written down. Servers of one project are one group, and the broker gives each some partitions.

A group that nobody has used for a week is forgotten by the broker. So how far it was is also in the ledger, now
and then, and where it began: at the end of each partition when the trigger was adopted. A partition that came
later is read from its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from trikk.core.clock import Clock
from trikk.core.digests import digest_bytes
from trikk.core.errors import BrokerError, MissingExtra
from trikk.core.text import shorten
from trikk.pipeline.parameters.trigger_event import Event
from trikk.publishing.broker_address import Address
from trikk.publishing.kafka_errors import PREFIX, Seen, lasting_cause
from trikk.publishing.kafka_topic import configuration, leave
from trikk.server.sources.messages.kafka_batches import Batches, Range
from trikk.server.sources.payloads import Unreadable, read_headers, read_payload
from trikk.server.sources.source_memory import Kind, Memory

_AT_ONCE = 100  # messages that a look gives
_WAIT = 1.0  # seconds that a look waits for a message
_ANSWER = 5.0  # seconds in which a broker that is there answers
_FAR = 1_000  # messages after which the ledger says how far it is
_MOVED_ON = ("ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "REBALANCE_IN_PROGRESS", "_STATE", "_NO_OFFSET")
"""A commit that fails so is not missed: another server has the partition, and reads from the last one."""
_NO_TOPIC = ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC")


class KafkaSource:
    """A topic as a source of events; arguments as of `Source` and `Memory`.

    Args:
        trigger: the trigger's name.
        project: the project's name, so that two projects do not share a group.
        address: the broker and the topic.
        memory: where it began, and how far it was.
        clock: for messages without a time, and entries.
        batches: collects messages that are one event together; None for each by itself.
    """

    every = 0.0

    def __init__(
        self,
        trigger: str,
        project: str,
        address: Address,
        memory: Memory,
        clock: Clock,
        batches: Batches | None = None,
    ) -> None:
        self.trigger = trigger
        self.place = f"{address.label} for {trigger}"
        self.set_aside = (0, "")
        self._address = address
        self._memory = memory
        self._clock = clock
        self._group = f"{PREFIX}{project}-{trigger}-{digest_bytes(memory.adoption.encode())[:8]}"
        self._seen = Seen()
        self._consumer: Any = None
        self._pending: dict[str, Event] = {}
        self._positions: dict[int, int] = {}  # up to which everything has its run, or was set aside
        self._batches = batches
        self._topic_id = ""
        self._commits: dict[int, int] = {}  # what was committed last
        self._paused = False
        self._offsets: dict[str, int] = {}
        self._written: dict[str, int] = {}

    def look(self) -> list[Event]:
        """The messages that are not settled; if there are none, those that have come within a second.

        Raises:
            BrokerError: if the broker is away or refuses.
            MissingExtra: if confluent-kafka is not installed.
        """
        try:
            import confluent_kafka
        except ImportError:
            raise MissingExtra("messages from Kafka", "kafka") from None
        try:
            if self._consumer is None:
                self._open()
            if self._pending:
                self._hold(paused=True)
                return list(self._pending.values())
            self._hold(paused=False)
            if self._batches is None or not self._batches.to_close(self._clock.monotonic()):
                for message in self._received():
                    self._take(message)
            if self._batches is not None:
                self._close_batches(self._batches)
            if not self._pending:
                self._ask()
                self._commit()  # past what was set aside, and what could not be committed before
        except confluent_kafka.KafkaException as error:
            raise self._failed(error.args[0]) from None
        except TimeoutError:
            raise self._failed(None) from None
        return list(self._pending.values())

    def settle(self, events: Sequence[Event]) -> None:
        """Commit how far the messages have their runs; what is not committed is given again, and found."""
        for event in events:
            del self._pending[event.id]
        self._commit()

    def close(self) -> None:
        """Leave the group, so that another server has its partitions at once; waits some seconds at most."""
        if self._consumer is not None:
            leave(self._consumer, _ANSWER)
            self._consumer = None

    # ---- beginning

    def _open(self) -> None:
        from confluent_kafka import Consumer

        self._seen.refusal, self._seen.last = None, ""
        settings = configuration(self._address, self._seen, _ANSWER) | {
            "group.id": self._group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "on_commit": self._committed,
            "auto.offset.reset": "earliest",  # of a partition that came later, or whose oldest messages are gone
            "queued.max.messages.kbytes": 16_384,
        }
        consumer = Consumer(settings)
        try:
            self._begin(consumer)
            consumer.subscribe([self._address.topic], on_revoke=self._left, on_lost=self._left)
        except BaseException:
            consumer.close()
            raise
        self._consumer = consumer

    def _begin(self, consumer: Any) -> None:
        """Make sure that the group has a place in each partition; as a member of it, it could not any more."""
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

        topic = self._address.topic
        described = consumer.list_topics(topic, timeout=_ANSWER).topics[topic]
        numbers = [] if described.error is not None else sorted(described.partitions)
        if described.error is not None and described.error.name() not in _NO_TOPIC:
            raise self._failed(described.error)
        offsets = self._began(consumer, numbers)
        if described.error is not None:  # nothing is in it: all that will be is new
            raise self._failed(described.error)
        places = consumer.committed([TopicPartition(topic, number) for number in numbers], timeout=_ANSWER)
        unknown = [place.partition for place in places if place.offset < 0 and str(place.partition) in offsets]
        if unknown:
            first = [TopicPartition(topic, number, offsets[str(number)]) for number in unknown]
            # Not by the consumer: its commit waits for the broker without a limit.
            admin = self._admin()  # kept: the answers of one that is dropped never come
            altered = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self._group, first)])
            altered[self._group].result(timeout=_ANSWER)

        if self._batches is not None:
            self._topic_id = self._read_topic_id()

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient(configuration(self._address, self._seen, _ANSWER))

    def _read_topic_id(self) -> str:
        """What tells a topic from another that had its name; the same for all where the broker knows no ids."""
        from confluent_kafka import TopicCollection

        topic = self._address.topic
        admin = self._admin()  # kept, as above
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER)
        return str(described[topic].result(timeout=_ANSWER).topic_id)

    def _began(self, consumer: Any, numbers: list[int]) -> dict[str, int]:
        """Where each partition begins, by its number: after what was there when the trigger was adopted."""
        from confluent_kafka import TopicPartition

        latest = self._memory.latest()
        if latest is None:
            ends = {}
            for number in numbers:
                place = TopicPartition(self._address.topic, number)
                _, ends[str(number)] = consumer.get_watermark_offsets(place, timeout=_ANSWER, cached=False)
            self._memory.begin_or_move(Kind.BEGUN, {"offsets": ends}, self._clock.now())
            latest = self._memory.latest() or {"offsets": ends}
        self._offsets = dict(latest["offsets"])
        self._written = dict(self._offsets)
        return self._offsets

    # ---- reading

    def _received(self) -> list[Any]:
        first = self._consumer.poll(_WAIT)
        return [] if first is None else [first, *self._consumer.consume(_AT_ONCE - 1, timeout=0)]

    def _take(self, message: Any) -> None:
        """Take in a message, or set it aside with the reason: it must not hold up those behind it."""
        error = message.error()
        if error is not None:
            if error.name() in (*_NO_TOPIC, "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"):
                raise self._failed(error)
            self._seen(error)
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        kind, milliseconds = message.timestamp()
        identity = f"{topic}/{partition}/{offset}@{milliseconds if kind else 0}"
        self._positions[partition] = offset + 1
        try:
            event = Event(
                id=identity,
                kind="message",
                at=datetime.fromtimestamp(milliseconds / 1000 if kind else self._clock.now(), UTC),
                topic=topic,
                key=(message.key() or b"").decode(errors="backslashreplace")[:1000],
                payload=read_payload(message.value()),
                headers=read_headers(message.headers() or []),
            )
        except (Unreadable, OverflowError, ValueError, OSError) as error:  # the last three: a time that is none
            why = str(error)
            size = len(message.value() or b"")
            about = {"topic": topic, "partition": partition, "offset": offset, "bytes": size}
            self._memory.set_aside(identity, why, about, self._clock.now())
            self.set_aside = (self.set_aside[0] + 1, f"{identity}: {why}")
        else:
            if self._batches is None:
                self._pending[identity] = event
            else:
                self._batches.take(partition, offset, event, self._clock.monotonic())
        if self._batches is not None and not self._batches.passed(partition, offset):
            self._topic_id = self._read_topic_id()  # it counts from zero again: the topic was made anew

    def _close_batches(self, batches: Batches) -> None:
        """Give the batches that are closed, each after its offsets were written down."""
        for partition in batches.to_close(self._clock.monotonic()):
            latest, now = dict(self._memory.latest() or {"offsets": {}}), self._clock.now()
            written = dict(latest.get("batches", {}))
            last = written.get(str(partition))
            batch = batches.close(partition, None if last is None else Range(*last), self._topic_id)
            if batch is None:
                continue
            body = {"offsets": latest["offsets"], "batches": written | {str(partition): list(batch.range)}}
            if not batch.is_known and self._memory.begin_or_move(Kind.MOVED, body, now) is None:
                batches.put_back(partition, batch)  # another server has written meanwhile: the next look reads it
                continue
            event = batch.event(partition)
            self._pending[event.id] = event

    def _left(self, consumer: Any, places: list[Any]) -> None:  # noqa: ARG002 - the client's signature
        """Another server has some partitions now: it reads again what is in no batch yet."""
        for place in places:
            self._commits.pop(place.partition, None)
            if self._batches is not None:
                self._batches.forget(place.partition)
                self._positions.pop(place.partition, None)

    def _hold(self, *, paused: bool) -> None:
        """Let nothing more come while messages wait, and stay a member of the group all the same."""
        if paused:
            self._consumer.pause(self._consumer.assignment())
            message = self._consumer.poll(0)
            if message is not None:  # of a partition that was assigned just now
                self._take(message)
        elif self._paused:
            self._consumer.resume(self._consumer.assignment())
        self._paused = paused

    def _ask(self) -> None:
        """Find out whether the broker is there, if the client has complained; it does not say when it is well."""
        if self._seen.refusal is None and not self._seen.last:
            return
        refusal, self._seen.refusal, self._seen.last = self._seen.refusal, None, ""
        try:
            self._consumer.list_topics(self._address.topic, timeout=_ANSWER)
        except Exception:
            self._seen.refusal = self._seen.refusal or refusal
            raise

    # ---- how far

    def _commit(self) -> None:
        """Commit up to the first message without a run in each partition."""
        from confluent_kafka import TopicPartition

        topic = self._address.topic
        positions = dict(self._positions)
        for event in self._pending.values():
            number, offset = event.id.partition("@")[0].split("/")[-2:]
            partition = int(number)
            if partition in positions:
                positions[partition] = min(positions[partition], int(offset.partition("-")[0]))
        for partition in positions if self._batches is not None else ():
            first = self._batches.first(partition)  # type: ignore[union-attr]
            positions[partition] = min(positions[partition], positions[partition] if first is None else first)
        self._positions = {p: far for p, far in self._positions.items() if self._pending or positions[p] < far}
        positions = {p: far for p, far in positions.items() if self._commits.get(p) != far}
        if not positions:
            return
        self._commits |= positions
        # In the background, since the client waits for a broker that is away without a limit.
        self._consumer.commit(
            offsets=[TopicPartition(topic, partition, offset) for partition, offset in positions.items()]
        )
        self._offsets |= {str(partition): offset for partition, offset in positions.items()}
        if sum(offset - self._written.get(number, 0) for number, offset in self._offsets.items()) >= _FAR:
            self._note()

    def _committed(self, error: Any, places: list[Any]) -> None:
        """The client says how a commit went; one that has failed is made again."""
        if error is not None and error.name() not in _MOVED_ON:
            failed = {place.partition: place.offset for place in places}
            self._positions = failed | self._positions
            self._commits = {p: far for p, far in self._commits.items() if p not in failed}

    def _note(self) -> None:
        """Write down how far the topic is, with what other servers have written of their partitions."""
        latest = self._memory.latest() or {"offsets": {}}
        known = dict(latest["offsets"])
        far: dict[str, Any] = known | {
            number: max(offset, known.get(number, 0)) for number, offset in self._offsets.items()
        }
        body = {"offsets": far, **({"batches": latest["batches"]} if "batches" in latest else {})}
        if self._memory.begin_or_move(Kind.MOVED, body, self._clock.now()) is not None:
            self._written = far

    def _failed(self, error: Any) -> BrokerError:
        """The error for what the client says."""
        label = self._address.label
        cause = lasting_cause(self._address, self._seen.refusal or error, reading=True)
        if cause is not None:
            return BrokerError(cause[0], where=label, next=cause[1])
        said = self._seen.last or ("it does not answer" if error is None else error.str())
        text = shorten(self._address.hide(said), 300)
        return BrokerError(f"the broker is away: {text}", where=label, next="nothing is lost: it is tried again")
