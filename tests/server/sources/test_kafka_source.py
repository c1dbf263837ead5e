"""Messages of a real Apache Kafka: each is given until it is settled, whatever dies when."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.kafka import USER, Kafka, start
from tests.servers.shared import free_ports, stop

from trikk.core.clock import SystemClock
from trikk.core.errors import BrokerError
from trikk.pipeline.parameters.trigger_event import Event
from trikk.publishing.broker_address import resolve
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.sources.messages import kafka_source
from trikk.server.sources.messages.kafka_batches import Batches
from trikk.server.sources.messages.kafka_source import KafkaSource
from trikk.server.sources.payloads import LARGEST
from trikk.server.sources.source_memory import Memory

_SECONDS = 60


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most looks of a test find nothing, and that a broker is away is found out by waiting."""
    monkeypatch.setattr(kafka_source, "_WAIT", 0.1)
    monkeypatch.setattr(kafka_source, "_ANSWER", 2.0)


class Topic:
    """A new topic, and the sources that read it."""

    def __init__(self, kafka: Kafka, partitions: int = 1) -> None:
        self.name = "t" + secrets.token_hex(6)
        self.kafka = kafka
        self.address = (
            kafka.make_topic(self.name, partitions) if partitions else f"kafka://{kafka.host}/{self.name}"
        )
        self.journal = MemoryJournal()
        self.sources: list[KafkaSource] = []

    def source(self, adoption: str = "1", batches: Batches | None = None) -> KafkaSource:
        memory = Memory(self.journal, "t", adoption)
        made = KafkaSource("t", "city", resolve(self.address), memory, SystemClock(), batches)
        self.sources.append(made)
        return made

    def send(self, *values: bytes | None, partition: int = 0, **more: Any) -> None:
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.kafka.host, "log_level": 0, "message.max.bytes": 1_000_000})
        for value in values:
            producer.produce(self.name, value, partition=partition, **more)
        assert producer.flush(20) == 0


@pytest.fixture
def topic_of(kafka: Kafka) -> Iterator[Callable[..., Topic]]:
    topics: list[Topic] = []

    def new(partitions: int = 1) -> Topic:
        topics.append(Topic(kafka, partitions))
        return topics[-1]

    yield new
    for topic in topics:
        for source in topic.sources:
            source.close()


def begun(source: KafkaSource) -> KafkaSource:
    """A source that has looked once, which is when it begins."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            assert source.look() == []
        except BrokerError:  # a new topic may have no leader yet, and a new group no coordinator
            if time.monotonic() > deadline:
                raise
        else:
            return source


def wait_for(source: KafkaSource, number: int, *, settle: bool = True) -> list[Event]:
    """What a source gives until there are so many events."""
    events: dict[str, Event] = {}
    deadline = time.monotonic() + _SECONDS
    while len(events) < number and time.monotonic() < deadline:
        given = source.look()
        events.update((event.id, event) for event in given)
        if settle and given:
            source.settle(given)
    assert len(events) == number, events
    return list(events.values())


def test_messages_after_the_adoption_are_events_with_key_and_headers(
    topic_of: Callable[..., Topic],
) -> None:
    topic = topic_of()
    topic.send(b"before")
    source = begun(topic.source())
    topic.send(b'{"a": [1, null]}', key=b"k", headers=[("kind", b"x"), ("odd", b"\xff")])
    topic.send("tekst å".encode(), None)
    first, second, third = wait_for(source, 3)
    assert first.id.startswith(f"{topic.name}/0/1@")
    assert (first.payload, first.key, first.headers, first.topic) == (
        {"a": [1, None]},
        "k",
        {"kind": "x"},
        topic.name,
    )
    assert (second.payload, third.payload) == ("tekst å", None)
    assert abs(first.at.timestamp() - time.time()) < 60


def test_what_is_settled_does_not_come_again_and_the_rest_does(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    killed = begun(topic.source())
    topic.send(*(str(number).encode() for number in range(5)))
    given = wait_for(killed, 5, settle=False)
    assert killed.look() == given
    killed.settle(given[:2])
    assert killed.look() == given[2:]
    killed.close()  # as if it had died: what it has not settled is not committed
    following = topic.source()
    assert [event.id for event in wait_for(following, 3)] == [event.id for event in given[2:]]
    topic.send(b"5")
    assert [event.payload for event in wait_for(following, 1)] == [5]


def test_messages_that_are_taken_together_are_the_same_event_for_the_next_server(
    topic_of: Callable[..., Topic],
) -> None:
    topic = topic_of()
    killed = begun(topic.source(batches=Batches(3, 0.5)))
    topic.send(*(str(number).encode() for number in range(5)), key=b"k")
    (first,) = wait_for(killed, 1)  # settled, and committed in the background
    assert (first.payload, first.keys) == ([0, 1, 2], ["k"] * 3)
    (second,) = wait_for(killed, 1, settle=False)  # by its time, as two have come
    assert second.payload == [3, 4]
    killed.close()  # as if it had died
    topic.send(b"5", b"\xff", b"6")
    following = topic.source(batches=Batches(3, 0.5))
    given = wait_for(following, 2)
    assert given[0].id == second.id
    assert [event.payload for event in given] == [[3, 4], [5, 6]]
    assert first.id.startswith(f"{topic.name}/0/0-2@")
    assert len(topic.journal.entries("source/t/set-aside")) == 1
    following.close()
    assert topic.source(batches=Batches(3, 0.5)).look() == []


def test_messages_that_came_while_no_server_was_there_are_not_lost(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    source = begun(topic.source())
    source.close()
    topic.send(b"1", b"2")
    assert [event.payload for event in wait_for(topic.source(), 2)] == [1, 2]


def test_a_poison_message_is_set_aside_and_holds_up_nothing(
    topic_of: Callable[..., Topic],
) -> None:
    topic = topic_of()
    source = begun(topic.source())
    topic.send(b"\xff\xfe", b"x" * (LARGEST + 1), b"1")
    assert [event.payload for event in wait_for(source, 1)] == [1]
    assert source.set_aside[0] == 2
    entries = topic.journal.entries("source/t/set-aside")
    assert [(entry.body["offset"], entry.body["partition"]) for entry in entries] == [(0, 0), (1, 0)]
    assert "neither JSON nor a text" in str(entries[0].body["why"])
    assert "at most" in str(entries[1].body["why"])
    topic.send(b"\xff")
    deadline = time.monotonic() + _SECONDS
    while len(topic.journal.entries("source/t/set-aside")) < 3 and time.monotonic() < deadline:
        assert source.look() == []
    source.look()  # the one that commits
    source.close()
    following = topic.source()
    topic.send(b"2")
    assert [event.payload for event in wait_for(following, 1)] == [2]
    assert len(topic.journal.entries("source/t/set-aside")) == 3
    assert following.set_aside == (0, "")  # what was set aside is not even read again


def test_aborted_transactions_bring_nothing(topic_of: Callable[..., Topic]) -> None:
    from confluent_kafka import Producer

    topic = topic_of()
    source = begun(topic.source())
    producer = Producer({"bootstrap.servers": topic.kafka.host, "transactional.id": topic.name, "log_level": 0})
    producer.init_transactions(30)
    for value, end in ((b"lost", producer.abort_transaction), (b"1", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic.name, value)
        producer.flush(20)
        end(30)
    assert [event.payload for event in wait_for(source, 1)] == [1]


def test_a_topic_that_is_made_later_is_read_from_its_first_message(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(0)
    source = topic.source()
    with pytest.raises(BrokerError, match="no such topic") as missing:
        source.look()
    assert "create it" in str(missing.value.next)
    topic.kafka.make_topic(topic.name, 1)
    topic.send(b"1")
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(BrokerError):  # a broker may need a moment to know it
            source.look()
            break
    assert [event.payload for event in wait_for(source, 1)] == [1]


def test_servers_of_a_project_share_the_partitions(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(4)
    first, second = begun(topic.source()), topic.source()
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        first.look(), second.look()
        shares = [len(source._consumer.assignment()) for source in (first, second)]
        if shares == [2, 2]:
            break
    assert shares == [2, 2]
    for number in range(0, 8, 4):  # what came twice would be among the second four
        for partition in range(4):
            topic.send(str(number + partition).encode(), partition=partition)
        events = [event.payload for source in (first, second) for event in wait_for(source, 2)]
        assert sorted(events) == [number, number + 1, number + 2, number + 3]


def test_a_trigger_that_is_declared_anew_begins_at_the_end(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    source = begun(topic.source())
    source.close()
    topic.send(b"1")
    again = begun(topic.source("2"))
    topic.send(b"2")
    assert [event.payload for event in wait_for(again, 1)] == [2]


def test_where_the_broker_has_forgotten_the_group_the_ledger_says_how_far_it_was(
    topic_of: Callable[..., Topic], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_source, "_FAR", 2)
    topic = topic_of()
    topic.send(b"before")
    source = begun(topic.source())
    topic.send(b"1", b"2")
    wait_for(source, 2)
    source.close()
    topic.send(b"3")
    admin = topic.kafka.admin()  # a request ends with its client
    admin.delete_consumer_groups([source._group])[source._group].result(timeout=20)
    assert [event.payload for event in wait_for(topic.source(), 1)] == [3]


def test_a_wrong_password_is_said_without_it(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "wr0ng-s3cret")
    address = resolve(f"kafka://{USER}:${{PASSWORD}}@{kafka.locked}/any")
    source = KafkaSource("t", "city", address, Memory(MemoryJournal(), "t", "1"), SystemClock())
    deadline = time.monotonic() + _SECONDS
    while True:
        with pytest.raises(BrokerError) as refused:
            source.look()
        assert "wr0ng" not in str(refused.value)
        if "does not know the user" in str(refused.value):
            break
        assert time.monotonic() < deadline, refused.value  # it may be slow, and then it is taken to be away
    assert refused.value.next


@pytest.mark.slow
def test_a_broker_that_goes_away_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("confluent_kafka")
    [port] = free_ports(1)
    try:
        about, process = start(tmp_path, os.getpid(), port)
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no Apache Kafka: {error}")
    topic = Topic(Kafka(*about))
    source = topic.source()
    try:
        begun(source)
        topic.send(b"1")
        [given] = wait_for(source, 1, settle=False)
        stop(process)
        source.settle([given])
        with pytest.raises(BrokerError, match="the broker is away"):
            wait_for(source, 2)
        _, process = start(tmp_path, os.getpid(), port)
        topic.send(b"2")
        deadline = time.monotonic() + _SECONDS
        payloads: list[Any] = []
        while 2 not in payloads and time.monotonic() < deadline:
            with contextlib.suppress(BrokerError):
                payloads += [event.payload for event in source.look()]
        assert 2 in payloads
    finally:
        source.close()
        stop(process)
