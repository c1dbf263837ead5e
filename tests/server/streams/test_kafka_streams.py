"""Streams from a real Apache Kafka: offsets are in the table's commits, whatever dies when."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from tests.execution.command import until
from tests.server.streams.stream_places import StreamPlace, records
from tests.servers.kafka import Kafka
from tests.servers.shared import free_ports

from trikk.core.clock import SystemClock
from trikk.publishing.broker_address import resolve
from trikk.server.streams import kafka_reader
from trikk.server.streams.kafka_reader import KafkaReader
from trikk.server.streams.stream_set_aside import retry, waiting
from trikk.server.streams.stream_work import StreamWork
from trikk.storage.tables.versioned_tables import Tables, Write
from trikk.streams.stream_state import StreamState


class Topic:
    """A new topic, and the stream that reads it."""

    def __init__(self, kafka: Kafka, place: StreamPlace, partitions: int = 1) -> None:
        self.name = "s" + secrets.token_hex(6)
        self.kafka, self.place = kafka, place
        self.address = kafka.make_topic(self.name, partitions)

    def work(self, **declared: Any) -> StreamWork:
        return self.place.work(
            partial(KafkaReader, resolve(self.address), SystemClock()), self.address, **{"key": (), **declared}
        )

    def send(self, values: Sequence[bytes | None], partition: int = 0, *, abort: bool = False) -> None:
        from confluent_kafka import Producer

        named = {"transactional.id": secrets.token_hex(6)}
        producer = Producer({"bootstrap.servers": self.kafka.host, "log_level": 0, **named})
        producer.init_transactions(30)
        producer.begin_transaction()
        for value in values:
            producer.produce(self.name, value, partition=partition)
        assert producer.flush(30) == 0
        producer.abort_transaction(30) if abort else producer.commit_transaction(30)


def test_each_record_is_a_row_once(kafka: Kafka, place: StreamPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic(kafka, place, partitions=2)
    topic.send(records(1, 2))
    topic.send(records(90, 91), abort=True)
    topic.send(records(3), partition=1)
    work = topic.work()
    assert [row["number"] for row in place.rows(work, 3)] == [1, 2, 3]
    until(lambda: work.turn() == 0 and work.status.lag_messages == 0)  # behind the markers of transactions, too
    real = Tables.write

    def broken(self: Tables, *arguments: Any, **options: Any) -> Any:
        real(self, *arguments, **options)
        monkeypatch.setattr(Tables, "write", real)
        raise OSError("the connection broke after the commit")

    monkeypatch.setattr(Tables, "write", broken)
    topic.send(records(4))
    place.rows(work, 4)
    work.close()
    again = topic.work()  # as the next process does, with nothing in its memory
    topic.send(records(5), partition=1)
    assert [row["number"] for row in place.rows(again, 5)] == [1, 2, 3, 4, 5]
    assert again.status.rows == 5


def test_a_schema_that_changes_in_the_middle_loses_nothing(kafka: Kafka, place: StreamPlace) -> None:
    topic = Topic(kafka, place)
    work = topic.work()
    topic.send(records(1))
    place.rows(work, 1)
    topic.send([*records(2, unit="kW"), b"\xff", None, b'{"number": 3, "value": "high"}', *records(4)])
    assert [row["number"] for row in place.rows(work, 2)] == [1, 4]
    reasons = {entry.body["offset"]: entry.body["why"] for entry in waiting(place.project.journal, "readings")}
    assert "unit" in str(reasons[2])
    assert "at `value`" in str(reasons[5])
    assert len(reasons) == work.status.set_aside == 4
    work.close()
    wider = topic.work(new_columns=True)
    count, left = retry(place.project, wider.stream, by="me", at=1.0)
    assert (count, len(left)) == (1, 3)
    assert retry(place.project, wider.stream, by="me", at=2.0)[0] == 0
    topic.send(records(6, unit="MW"))
    assert [(row["number"], row["unit"]) for row in place.rows(wider, 4)] == [
        (1, None),
        (2, "kW"),
        (4, None),
        (6, "MW"),
    ]


def test_too_many_that_do_not_fit_stop_the_stream_before_it_loses_any(kafka: Kafka, place: StreamPlace) -> None:
    topic = Topic(kafka, place)
    work = topic.work(set_aside=3)
    topic.send(records(1))
    place.rows(work, 1)
    topic.send([*records(2), *(b"poison %d" % number for number in range(5)), *records(3)])
    until(lambda: work.turn() >= 0 and work.status.state is StreamState.STOPPED)
    assert "3 messages are set aside" in work.status.what
    assert [row["number"] for row in place.table()] == [1]  # not even what came before it in the batch is passed
    work.close()
    patient = topic.work(set_aside=10)
    assert [row["number"] for row in place.rows(patient, 3)] == [1, 2, 3]
    assert len(waiting(place.project.journal, "readings")) == 5


def test_records_that_the_broker_has_removed_are_told_of(kafka: Kafka, place: StreamPlace) -> None:
    from confluent_kafka import TopicPartition

    topic = Topic(kafka, place)
    work = topic.work()
    topic.send(records(1))
    place.rows(work, 1)
    work.close()
    topic.send(records(2, 3))
    topic.send(records(4))
    admin = kafka.admin()  # its futures fail when it goes
    for deleted in admin.delete_records([TopicPartition(topic.name, 0, 4)]).values():
        deleted.result(20)
    assert [row["number"] for row in place.rows(topic.work(), 2)][:2] == [1, 4]
    (entry,) = waiting(place.project.journal, "readings")
    assert "had removed" in str(entry.body["why"])


def test_a_topic_that_is_made_anew_and_one_with_more_partitions_are_read_on(
    kafka: Kafka, place: StreamPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka.admin import NewPartitions

    monkeypatch.setattr(kafka_reader, "_PARTITIONS_EVERY", 0.2)
    topic = Topic(kafka, place)
    work = topic.work()
    topic.send(records(1, 2, 3))
    place.rows(work, 3)
    admin = kafka.admin()
    admin.create_partitions([NewPartitions(topic.name, 2)])[topic.name].result(20)
    topic.send(records(4), partition=1)
    assert len(place.rows(work, 4)) == 4
    work.close()
    admin.delete_topics([topic.name])[topic.name].result(20)
    until(lambda: topic.name not in admin.list_topics(timeout=10).topics)
    kafka.make_topic(topic.name, 1)
    topic.send(records(5))
    assert [row["number"] for row in place.rows(topic.work(), 5)] == [1, 2, 3, 4, 5]


def test_two_streams_and_a_merge_share_a_table(kafka: Kafka, place: StreamPlace) -> None:
    import polars as pl

    one, other = Topic(kafka, place), Topic(kafka, place)
    works = [one.work(), other.work()]
    one.send(records(1))
    place.rows(works[0], 1)
    other.send(records(2))
    place.rows(works[1], 2)
    correction = Write("merge", pl.DataFrame({"number": [1], "value": [9.0]}), ("number",))
    place.project.tables.write("readings", correction, identity="by-hand", origin={})
    one.send(records(3))
    other.send(records(4))
    place.rows(works[0], 3)
    rows = place.rows(works[1], 4)
    assert [(row["number"], row["value"]) for row in rows] == [(1, 9.0), (2, 1.0), (3, 1.5), (4, 2.0)]


def test_a_broker_that_is_away_is_told_and_tried_again(place: StreamPlace) -> None:
    address = f"kafka://127.0.0.1:{free_ports(1)[0]}/readings"
    work = place.work(partial(KafkaReader, resolve(address), SystemClock()), address)
    assert work.turn() >= 1.0
    assert work.status.state is StreamState.FAILS
    assert "broker is away" in work.status.what
