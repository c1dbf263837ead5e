"""Streams from real MQTT brokers: a message is acknowledged when its row is stored."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.execution.command import until
from tests.server.streams.stream_places import StreamPlace, records
from tests.servers.mqtt import USER, Mqtt

from trikk.core.clock import SystemClock
from trikk.server.sources.messages.message_address import reading_address
from trikk.server.streams import mqtt_inbox
from trikk.server.streams.mqtt_inbox import Arrived
from trikk.server.streams.mqtt_reader import MqttReader
from trikk.server.streams.stream_set_aside import retry, waiting
from trikk.server.streams.stream_work import StreamWork
from trikk.storage.tables.versioned_tables import Tables


class Topic:
    """A new topic, and the stream that reads what is below it."""

    def __init__(self, broker: Mqtt, place: StreamPlace) -> None:
        self.broker, self.place = broker, place
        self.name = "s" + secrets.token_hex(6)
        self.address = broker.address(f"{self.name}/+/load")

    def work(self, **declared: Any) -> StreamWork:
        reader = partial(MqttReader, reading_address(self.address), self.name, 1000, 0.1, SystemClock())
        work = self.place.work(reader, self.address, **declared)
        work.turn()  # has the session: what is sent from now on is kept
        assert work.status.what == ""
        return work

    def send(self, payloads: Sequence[bytes], level: str = "a", qos: int = 1) -> None:
        protocol = paho.MQTTv5 if self.broker.version == "5" else paho.MQTTv311
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        if self.broker.password:
            client.username_pw_set(USER, self.broker.password)
        ready = threading.Event()
        client.max_inflight_messages_set(8)  # HiveMQ takes 10, and ends the connection of who sends more
        client.on_connect = lambda *_: ready.set()
        host, _, port = self.broker.host.rpartition(":")
        client.connect(host, int(port))
        client.loop_start()
        assert ready.wait(20)
        sent = [client.publish(f"{self.name}/{level}/load", payload, qos) for payload in payloads]
        for each in sent:
            each.wait_for_publish(20)
        client.disconnect()
        client.loop_stop()


@pytest.fixture(params=["mqtt5", "mqtt3"])
def topic(request: pytest.FixtureRequest, place: StreamPlace, monkeypatch: pytest.MonkeyPatch) -> Topic:
    broker = request.getfixturevalue(request.param)
    monkeypatch.setenv("MQTT_PASSWORD", broker.password)
    return Topic(broker, place)


def test_each_message_is_a_row_once_by_its_key(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    work = topic.work(topic="place")
    topic.send(records(*range(1, 31)))
    topic.send(records(31), level="b")
    rows = topic.place.rows(work, 31)
    assert {row["number"] for row in rows} == set(range(1, 32))
    assert {row["place"] for row in rows} == {f"{topic.name}/a/load", f"{topic.name}/b/load"}
    if topic.broker.version != "5":
        return  # amqtt 0.12 has no sessions for clients without a name: nothing would come again
    real = Tables.write

    def broken(self: Tables, *arguments: Any, **options: Any) -> Any:
        real(self, *arguments, **options)
        monkeypatch.setattr(Tables, "write", real)
        raise OSError("killed between the commit and the acknowledgement")

    monkeypatch.setattr(Tables, "write", broken)
    topic.send(records(32, 33))
    topic.place.rows(work, 33)
    topic.send(records(34))
    rows = topic.place.rows(work, 34)
    until(lambda: work.turn() == 0 and work.status.lag_messages == 0)
    assert [row["number"] for row in topic.place.table()] == list(range(1, 35))
    assert work.status.left_out >= 1  # what came again


def test_what_comes_while_nobody_reads_is_kept_by_the_broker(topic: Topic) -> None:
    if topic.broker.version != "5":
        pytest.skip("amqtt 0.12 has no sessions for clients without a name")
    topic.work().close()
    topic.send(records(*range(200)))
    assert len(topic.place.rows(topic.work(), 200)) == 200


def test_poison_is_set_aside_whole_and_can_be_tried_again(topic: Topic) -> None:
    work = topic.work()
    topic.send(records(1))
    topic.place.rows(work, 1)
    topic.send([b"\xff\x00", b'{"number": 2, "value": 1.5, "unit": "kW"}'])
    topic.send(records(3))
    assert [row["number"] for row in topic.place.rows(work, 2)] == [1, 3]
    until(lambda: work.turn() == 0 and work.status.set_aside == 2)
    work.close()
    wider = topic.work(new_columns=True)
    count, left = retry(topic.place.project, wider.stream, by="me", at=1.0)
    assert (count, len(left)) == (1, 1)
    assert topic.place.table()[1] == {"number": 2, "value": 1.5, "unit": "kW"}
    assert len(waiting(topic.place.project.journal, "readings")) == 1


@pytest.mark.parametrize("five", [False, True])
@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_packets_are_cut_wherever_the_socket_ends(five: bool, piece: int) -> None:
    def packet(payload: bytes, number: int, first: int) -> bytes:
        body = b"\x00\x03a/b" + (number.to_bytes(2, "big") if number else b"") + (b"\x02\x01\x00" * five) + payload
        size, length = len(body), b""
        while True:
            size, byte = divmod(size, 128)
            length += bytes([byte | (128 if size else 0)])
            if not size:
                return bytes([first]) + length + body

    client = mqtt_inbox._Client(
        CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if five else paho.MQTTv311, client_id="t"
    )
    received: list[Arrived] = []
    client.taken = received.extend
    near, far = socket.socketpair()
    near.setblocking(False)
    client._sock = near
    stream = packet(b"one", 7, 0x32) + packet(b"x" * 500, 8, 0x3B) + packet(b"", 0, 0x30)
    for start in range(0, len(stream), piece):
        far.sendall(stream[start : start + piece])
        client.loop_read()
    assert received == [
        Arrived(b"a/b", b"one", 7, False),
        Arrived(b"a/b", b"x" * 500, 8, True),
        Arrived(b"a/b", b"", 0, False),
    ]
    near.close()
    far.close()


class Broker:
    """Lets at most so many messages be under way, and says nothing of it."""

    def __init__(self, window: int, total: int) -> None:
        self.trouble = ""
        self.arrived = threading.Event()
        self._window, self._left = window, total
        self.received: list[Arrived] = []
        self._fill()

    def _fill(self) -> None:
        count = min(self._window, self._left)
        self._left -= count
        self.received = [Arrived(b"a", payload, 1, False) for payload in records(*range(count))]

    def acknowledge_all(self, numbers: list[int]) -> None:
        assert len(numbers) == self._window
        self._fill()


def test_a_broker_that_waits_for_acknowledgements_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import deque

    from trikk.testing import ManualClock

    clock: Any = ManualClock()
    broker: Any = Broker(20, 100)
    broker.received = deque(broker.received)
    fill: Callable[[], None] = broker._fill
    monkeypatch.setattr(broker, "_fill", lambda: (fill(), setattr(broker, "received", deque(broker.received))))
    monkeypatch.setattr(broker.arrived, "wait", clock.sleep)
    reader = MqttReader(reading_address("mqtt://h/a"), "s", 1000, 1.0, clock)
    reader._inbox = broker
    took = []
    for _ in range(4):
        began, count = clock.monotonic(), 0
        while clock.monotonic() < began + 1.0 and not reader.stalled:
            count += len(reader.read(1000, 0.5))
        assert count == 20
        reader.settle()
        took.append(clock.monotonic() - began)
    assert min(took[:2]) >= 1.0
    assert max(took[2:]) < 0.2
