"""Messages of real MQTT brokers: each is given until it is settled, whatever dies when."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from tests.servers.mqtt import USER, Mqtt

from trikk.core.clock import SystemClock
from trikk.core.errors import BrokerError
from trikk.pipeline.parameters.trigger_event import Event
from trikk.publishing import publish
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.sources.messages.message_address import reading_address
from trikk.server.sources.messages.mqtt_source import MqttSource
from trikk.server.sources.payloads import LARGEST
from trikk.server.sources.source_memory import Memory

_SECONDS = 30


class Topic:
    """A new topic, and the sources that read what is below it."""

    def __init__(self, broker: Mqtt) -> None:
        self.broker = broker
        self.name = "t" + secrets.token_hex(6)
        self.journal = MemoryJournal()
        self.sources: list[MqttSource] = []

    def source(self, id_place: str = "") -> MqttSource:
        address = reading_address(self.broker.address(f"{self.name}/#"))
        memory = Memory(self.journal, "t", self.name)  # a session of its own
        self.sources.append(MqttSource("t", "city", address, self.journal, memory, SystemClock(), id_place))
        return self.sources[-1]

    def send(self, *payloads: bytes, level: str = "a", retain: bool = False, qos: int = 1) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        protocol = paho.MQTTv5 if self.broker.version == "5" else paho.MQTTv311
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        if self.broker.password:
            client.username_pw_set(USER, self.broker.password)
        ready = threading.Event()
        client.on_connect = lambda *_: ready.set()
        host, _, port = self.broker.host.rpartition(":")
        client.connect(host, int(port))
        client.loop_start()
        assert ready.wait(20)
        for payload in payloads:
            client.publish(f"{self.name}/{level}", payload, qos, retain).wait_for_publish(20)
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def topic_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mqtt], Topic]]:
    topics: list[Topic] = []

    def new(broker: Mqtt) -> Topic:
        monkeypatch.setenv("MQTT_PASSWORD", broker.password)
        topics.append(Topic(broker))
        return topics[-1]

    yield new
    for topic in topics:
        for source in topic.sources:
            source.close()


def begin(topic: Topic) -> None:
    """Have a session and leave it: the broker keeps what comes, and gives all of it at once (HiveMQ gives one
    after the other to whoever is connected)."""
    source = topic.source()
    assert source.look() == []
    source.close()


def wait_for(source: MqttSource, number: int, *, settle: bool = True) -> list[Event]:
    events: dict[str, Event] = {}
    deadline = time.monotonic() + _SECONDS
    while len(events) < number and time.monotonic() < deadline:
        given = source.look()
        events.update((event.id, event) for event in given)
        if settle:
            source.settle(given)
    assert len(events) == number, events
    return list(events.values())


def break_off(source: MqttSource) -> None:
    """As when the network breaks: the broker has no word of it, nor what was acknowledged last."""
    connection = source._connection
    connection._client.socket().shutdown(socket.SHUT_RDWR)
    deadline = time.monotonic() + _SECONDS
    while not connection.trouble:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_messages_are_events_and_equal_ones_are_two(mqtt5: Mqtt, topic_of: Callable[[Mqtt], Topic]) -> None:
    topic = topic_of(mqtt5)
    source = topic.source()
    assert source.look() == []
    topic.send(b'{"a": 1}', b"go", b"go", level="x/y")
    events = wait_for(source, 3)
    assert [event.payload for event in events] == [{"a": 1}, "go", "go"]
    assert {event.topic for event in events} == {f"{topic.name}/x/y"}
    assert source.look() == []


def test_what_is_not_settled_comes_again_after_a_restart_and_what_came_meanwhile(
    mqtt5: Mqtt, topic_of: Callable[[Mqtt], Topic]
) -> None:
    topic = topic_of(mqtt5)
    begin(topic)
    topic.send(b"1", b"2", b"3")
    killed = topic.source()
    given = wait_for(killed, 3, settle=False)
    killed.settle(given[:1])
    killed.close()
    topic.send(b"4")
    assert [event.payload for event in wait_for(topic.source(), 3)] == [2, 3, 4]


def test_a_broken_connection_gives_no_message_twice(mqtt5: Mqtt, topic_of: Callable[[Mqtt], Topic]) -> None:
    topic = topic_of(mqtt5)
    begin(topic)
    topic.send(b"1", b"2", b"3")
    source = topic.source()
    given = wait_for(source, 3, settle=False)
    break_off(source)
    source.settle(given[:2])  # the runs of two are written down, and the broker does not hear of it
    topic.send(b"4")
    with pytest.raises(BrokerError, match="away"):
        source.look()
    for _ in range(3):
        assert source.look() == [given[2]]
    source.settle([given[2]])
    assert [event.payload for event in wait_for(source, 1)] == [4]
    source.close()
    assert topic.source().look() == []  # the broker has every acknowledgement


def test_what_trikk_publishes_has_its_own_id(mqtt5: Mqtt, topic_of: Callable[[Mqtt], Topic]) -> None:
    topic = topic_of(mqtt5)
    source = topic.source()
    source.look()
    rows = pl.DataFrame({"stop": ["s1", "s2"], "load": [1, 2]})
    report = publish(rows, mqtt5.address(f"{topic.name}/{{key}}"), key="stop")
    first, second = wait_for(source, 2)
    assert (first.id, second.id) == (report["first_id"], report["last_id"])
    assert (first.key, first.payload) == ("s1", {"stop": "s1", "load": 1})


def test_what_trikk_publishes_over_the_old_protocol_has_its_own_id(
    mqtt3: Mqtt, topic_of: Callable[[Mqtt], Topic]
) -> None:
    topic = topic_of(mqtt3)
    source = topic.source()
    source.look()
    rows = pl.DataFrame({"stop": ["s1"], "load": [1]})
    report = publish(rows, mqtt3.address(f"{topic.name}/{{key}}"), key="stop")
    [event] = wait_for(source, 1)
    assert (event.id, event.key, event.payload) == (report["first_id"], "s1", {"stop": "s1", "load": 1})


def test_a_message_that_the_topic_remembers_from_before_is_no_event(
    mqtt5: Mqtt, mqtt3: Mqtt, topic_of: Callable[[Mqtt], Topic]
) -> None:
    for broker in (mqtt5, mqtt3):
        topic = topic_of(broker)
        topic.send(b"old", retain=True)
        source = topic.source()
        assert source.look() == []
        topic.send(b"new", retain=True)
        assert [event.payload for event in wait_for(source, 1)] == ["new"]


def test_a_poison_message_is_set_aside_whole_and_holds_up_nothing(
    mqtt5: Mqtt, topic_of: Callable[[Mqtt], Topic], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topic_of(mqtt5)
    source = topic.source()
    source.look()
    monkeypatch.setattr("trikk.server.sources.payloads.LARGEST", 100)  # the broker takes no message of that size
    assert LARGEST > 100
    topic.send(b"\xff", b"x" * 101, b"1")
    assert [event.payload for event in wait_for(source, 1)] == [1]
    entries = topic.journal.entries("source/t/set-aside")
    assert [entry.body["bytes"] for entry in entries] == [1, 101]
    assert entries[0].body["payload"] == "/w=="
    assert source.set_aside[0] == 2
    source.close()
    assert topic.source().look() == []


def test_a_message_is_known_by_the_id_in_its_payload_where_its_trigger_names_it(
    mqtt5: Mqtt, topic_of: Callable[[Mqtt], Topic]
) -> None:
    topic = topic_of(mqtt5)
    source = topic.source("$.order.number")
    source.look()
    topic.send(b'{"order": {"number": 17}}', b'{"order": 17}', b'{"order": {"number": "b-1"}, "again": true}')
    assert [event.id for event in wait_for(source, 2)] == ["17", "b-1"]
    (entry,) = topic.journal.entries("source/t/set-aside")
    assert "no id at $.order.number" in str(entry.body["why"])


def test_of_two_servers_one_has_the_session_and_the_other_takes_it_over(
    mqtt5: Mqtt, topic_of: Callable[[Mqtt], Topic]
) -> None:
    topic = topic_of(mqtt5)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as another:
        me = Holder.current()
        owner = Holder(me.host, me.boot, another.pid, 0)
        body = {"holder": owner.to_json(), "adoption": topic.name}
        topic.journal.add("source/t", "source.begun", body, at=1)  # type: ignore[arg-type]
        source = topic.source()
        assert source.look() == []
        assert source._connection is None
        another.kill()
        another.wait()
    source.look()
    topic.send(b"1")
    assert [event.payload for event in wait_for(source, 1)] == [1]
    taken: Any = dict(body)
    topic.journal.add(
        "source/t", "source.moved", taken | {"holder": Holder("elsewhere", "b", 1, 1).to_json()}, at=2
    )
    assert source.look() == []  # of a host that no beat tells of: it is gone
    assert source._connection is not None


def test_a_wrong_password_and_a_broker_that_is_away_are_said(mqtt5: Mqtt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "wr0ng-s3cret")
    for written, words in (
        (mqtt5.address("a/+"), "the user may not connect"),
        ("mqtt://127.0.0.1:9/a", "is away"),
    ):
        journal = MemoryJournal()
        memory = Memory(journal, "t", "1")
        source = MqttSource("t", "city", reading_address(written), journal, memory, SystemClock())
        with pytest.raises(BrokerError, match=words) as refused:
            source.look()
        assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize("topic", ["a/+/c", "a/#", "a/+", "a/b"])
def test_a_topic_may_have_wildcards(topic: str) -> None:
    address = reading_address(f"mqtt://host/{topic}?version=3.1.1")
    assert (address.topic, address.options) == (topic, {"version": "3.1.1"})
    assert address.label == f"mqtt://host:1883/{topic}"
