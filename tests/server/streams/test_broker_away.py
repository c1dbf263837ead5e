"""A broker is away for an hour: streams and message triggers come back, with all that was sent, once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.execution.command import until
from tests.server.streams.stream_places import StreamPlace, records
from tests.server.streams.test_kafka_streams import Topic as KafkaTopic
from tests.server.streams.test_mqtt_streams import Topic
from tests.servers.kafka import Kafka, start
from tests.servers.mqtt import Mqtt
from tests.servers.relay import Relay
from tests.servers.shared import free_ports, stop

from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.sources.messages import mqtt_source
from trikk.server.sources.messages.message_address import reading_address
from trikk.server.sources.messages.mqtt_source import MqttSource
from trikk.server.sources.source_memory import Memory
from trikk.server.sources.source_threads import WatchedSource
from trikk.server.streams import kafka_reader, mqtt_reader
from trikk.server.streams.stream_work import StreamWork
from trikk.streams.stream_state import StreamState
from trikk.testing.manual_clock import ManualClock

HOUR = 3600.0
MOST_TRIES = 140  # in an hour, of pauses that grow to half a minute


class Footprint:
    """What this process holds: more after each try would be a leak."""

    def __init__(self) -> None:
        self.threads = threading.active_count()
        self.files = sum(1 for _ in Path("/proc/self/fd").iterdir())
        self.bytes = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def check(self) -> None:
        now = Footprint()
        assert now.threads <= self.threads + 5
        assert now.files <= self.files + 5
        assert now.bytes <= self.bytes + 50_000_000


@pytest.fixture
def line(mqtt5: Mqtt, monkeypatch: pytest.MonkeyPatch) -> Relay:
    monkeypatch.setenv("MQTT_PASSWORD", mqtt5.password)
    return Relay(mqtt5.host)


@pytest.fixture
def answers_within(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how many seconds a try waits: a broker that is there gets time, one that is away none."""
    monkeypatch.setattr(mqtt_source, "_WAIT", 0.1)

    def set_to(seconds: float) -> None:
        for module in (mqtt_reader, mqtt_source, kafka_reader):
            monkeypatch.setattr(module, "_ANSWER", seconds)

    return set_to


def stays_away(work: StreamWork, seconds: float = HOUR) -> None:
    """Take the turns of so long without a broker."""
    since, passed, tries = work.status.since, 0.0, 0
    while passed < seconds and tries < MOST_TRIES:
        passed += work.turn()
        tries += 1
    assert tries < MOST_TRIES
    assert (work.status.state, work.status.since) == (StreamState.FAILS, since)
    assert "broker is away" in work.status.what


def test_a_stream_comes_back(
    mqtt5: Mqtt, line: Relay, place: StreamPlace, answers_within: Callable[[float], None]
) -> None:
    topic = Topic(mqtt5, place)
    topic.address = replace(mqtt5, host=line.host).address(f"{topic.name}/+/load")
    with line:
        work = topic.work()
        topic.send(records(1, 2, 3))
        place.rows(work, 3)
        line.cut()
        answers_within(0.05)
        until(lambda: work.turn() > 0)
        before = Footprint()
        topic.send(records(4, 5, 6))  # the broker keeps them for the session
        stays_away(work)
        before.check()
        line.mend()
        answers_within(5.0)
        topic.send(records(7))
        assert [row["number"] for row in place.rows(work, 7)] == [1, 2, 3, 4, 5, 6, 7]
        assert (work.status.state, work.status.what, work.status.left_out) == (StreamState.READS, "", 0)


def test_a_message_trigger_comes_back(
    mqtt5: Mqtt, line: Relay, place: StreamPlace, answers_within: Callable[[float], None]
) -> None:
    topic = Topic(mqtt5, place)
    address = reading_address(replace(mqtt5, host=line.host).address(f"{topic.name}/+/load"))
    journal, clock, given = MemoryJournal(), ManualClock(), list[object]()

    def deliver(_: str, event: Event) -> bool:
        given.append(event.payload["number"])  # type: ignore[index, call-overload]
        return True

    source = MqttSource(topic.name, "city", address, journal, Memory(journal, topic.name, "1"), clock)
    watched = WatchedSource(source, deliver, clock)
    with line:
        watched.turn()
        topic.send(records(1, 2, 3))
        until(lambda: watched.turn() or len(given) == 3)
        line.cut()
        answers_within(0.05)
        until(lambda: watched.turn() or watched.health.away_since is not None)
        away, before, tries = watched.health.away_since, Footprint(), 0
        topic.send(records(4, 5, 6))
        until_then = clock.monotonic() + HOUR
        while clock.monotonic() < until_then and tries < MOST_TRIES:
            clock.advance(max(0.0, watched.due - clock.monotonic()))
            watched.turn()
            tries += 1
        assert tries < MOST_TRIES
        assert watched.health.away_since == away
        before.check()
        line.mend()
        answers_within(5.0)
        topic.send(records(7))
        until(lambda: watched.turn() or len(given) == 7)
        assert sorted(given) == [1, 2, 3, 4, 5, 6, 7]  # type: ignore[type-var]
        assert watched.health.away_since is None
        source.close()


@pytest.mark.slow
def test_a_stream_of_kafka_comes_back(
    tmp_path: Path, place: StreamPlace, answers_within: Callable[[float], None]
) -> None:
    pytest.importorskip("confluent_kafka")
    [port] = free_ports(1)
    try:
        about, process = start(tmp_path, os.getpid(), port)
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no Apache Kafka: {error}")
    try:
        topic = KafkaTopic(Kafka(*about), place)
        topic.send(records(1, 2, 3))
        work = topic.work()
        place.rows(work, 3)
        stop(process)
        answers_within(0.05)
        until(lambda: work.turn() > 0)
        before = Footprint()
        stays_away(work, HOUR / 6)  # a try takes half a second
        before.check()
        _, process = start(tmp_path, os.getpid(), port)
        answers_within(5.0)
        topic.send(records(4))
        assert [row["number"] for row in place.rows(work, 4)] == [1, 2, 3, 4]
        assert (work.status.state, work.status.what) == (StreamState.READS, "")
    finally:
        work.close()
        stop(process)
