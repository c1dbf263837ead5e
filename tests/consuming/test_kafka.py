from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import polars as pl
import pytest
from tests.consuming import reading_runs
from tests.servers.kafka import Kafka

from trikk import PermanentError, Table, kafka, pipeline, publish, step
from trikk.consuming import topic_reading
from trikk.consuming.avro_messages import AvroReader
from trikk.core.errors import DefinitionError
from trikk.publishing.broker_address import resolve
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import run_inline


def new_topic(broker: Kafka, **settings: str) -> str:
    return broker.make_topic(f"t{os.urandom(6).hex()}", **settings)


def send(broker: Kafka, address: str, values: Iterable[bytes | None], *, commit: bool = True) -> Any:
    """Send in one transaction, whose mark is an offset without a message; returns the producer, which is in it."""
    from confluent_kafka import Producer

    producer = Producer(
        {"bootstrap.servers": broker.host, "transactional.id": os.urandom(6).hex(), "log_level": 0}
    )
    producer.init_transactions(10)
    producer.begin_transaction()
    for value in values:
        producer.produce(address.rpartition("/")[2], value)
    producer.flush(10)
    if commit:
        producer.commit_transaction(10)
    return producer


def ids(*numbers: int) -> list[bytes]:
    return [json.dumps({"id": number}).encode() for number in numbers]


def test_each_run_reads_what_the_table_has_not_taken_in(kafka: Kafka, tmp_path: Path) -> None:
    address, tables = new_topic(kafka), Tables(str(tmp_path))
    nightly = reading_runs.reading(address, 1000)
    send(kafka, address, ids(1, 2, 3))
    aborted = send(kafka, address, ids(99), commit=False)
    aborted.abort_transaction(10)
    first = run_inline(nightly, tables=tables)
    assert first.state == "succeeded", first.error
    result = first.output("kafka")[2]
    assert (result["messages"], result["set_aside"], result["left"]) == (3, 0, 0)
    assert all(position[1] is None for position in result["positions"])
    read = next(event.body for event in first.events if event.kind == "source.read")
    assert read["messages"] == 3
    # What changes its form in the middle is set aside with the reason, and the rest is read.
    send(kafka, address, [*ids(4), b'{"id":"5"}', b'{"id":6,"new":1}', b'{"ID":7}', None, b"\xff", *ids(8)])
    for count, more in ((7, 5), (0, 0)):
        run = run_inline(nightly, tables=tables)
        assert run.state == "succeeded", run.error
        result = run.output("kafka")[2]
        assert (result["messages"], result["set_aside"], result["left"]) == (count, more, 0)
    assert sorted(tables.scan("readings").collect().rows()) == [(n, 2 * n) for n in (1, 2, 3, 4, 8)]
    aside = tables.scan("readings_set_aside").collect()
    assert aside.height == 5
    assert "expected `int`, got `str`, at `id`" in aside["reason"].to_list()
    assert (
        aside.filter(pl.col("row").is_null())["reason"].item()
        == "it has no value: it says that its key is deleted"
    )


def test_an_open_transaction_is_read_when_it_is_over(kafka: Kafka, tmp_path: Path) -> None:
    address, tables = kafka.make_topic(f"t{os.urandom(6).hex()}", partitions=1), Tables(str(tmp_path))
    nightly = reading_runs.reading(address, 1000)
    send(kafka, address, ids(1))
    late = send(kafka, address, ids(2), commit=False)
    send(kafka, address, ids(3))
    assert run_inline(nightly, tables=tables).output("kafka")[2]["messages"] == 1
    late.commit_transaction(10)
    assert run_inline(nightly, tables=tables).output("kafka")[2]["messages"] == 2
    assert tables.scan("readings").collect()["id"].to_list() == [1, 2, 3]


def test_a_run_that_is_overtaken_writes_nothing(kafka: Kafka, tmp_path: Path) -> None:
    address, tables = new_topic(kafka), Tables(str(tmp_path))
    send(kafka, address, ids(*range(20)))
    overtaking = reading_runs.reading(address, 5)

    @step
    def overtaken(rows: pl.DataFrame) -> pl.DataFrame:
        assert run_inline(overtaking, tables=tables).state == "succeeded"
        return rows.with_columns(double=pl.col("id"))

    @pipeline
    def slow() -> None:
        rows = reading_runs.kafka(address, Table("readings"))
        Table("readings").append(overtaken(rows))

    run = run_inline(slow, tables=tables)
    assert run.state == "failed"
    assert "another run has brought messages of it" in (run.error or "")
    assert tables.scan("readings").collect().height == 5


def test_messages_that_are_gone_are_not_skipped_without_a_word(kafka: Kafka, tmp_path: Path) -> None:
    from confluent_kafka import TopicPartition

    address, tables = kafka.make_topic(f"t{os.urandom(6).hex()}", partitions=1), Tables(str(tmp_path))
    topic = address.rpartition("/")[2]
    nightly = reading_runs.reading(address, 2)
    send(kafka, address, ids(*range(10)))
    assert run_inline(nightly, tables=tables).state == "succeeded"
    place = TopicPartition(topic, 0, 5)
    admin = kafka.admin()  # a request ends with its client
    admin.delete_records([place])[place].result(timeout=30)
    run = run_inline(nightly, tables=tables)
    assert "messages 2 to 4 are gone; it holds 5 to 10" in (run.error or "")

    @pipeline
    def skipping() -> None:
        rows = reading_runs.kafka(address, Table("readings"), gaps="skip")
        Table("readings").append(reading_runs.doubled(rows))

    run = run_inline(skipping, tables=tables)
    assert run.output("kafka")[2]["skipped"] == 3
    assert tables.scan("readings").collect()["id"].to_list() == [0, 1, 5, 6, 7, 8, 9]

    def at_first(sources: Sequence[str]) -> dict[str, int | None]:
        return dict.fromkeys(sources, 0)

    reading = topic_reading.read_topic(resolve(address), at_first, limit=9, skip_gaps=True, patience=30)
    assert (reading.skipped, len(reading.messages)) == (5, 5)


def test_memory_is_bounded_by_bytes_and_the_rest_is_left(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_reading, "BYTES", 100)
    monkeypatch.setattr(topic_reading, "_CHUNK", 10)
    address, tables = kafka.make_topic(f"t{os.urandom(6).hex()}", partitions=1), Tables(str(tmp_path))
    send(kafka, address, ids(*range(100)))
    result = run_inline(reading_runs.reading(address, 1000), tables=tables).output("kafka")[2]
    assert result["messages"] < 30
    assert result["messages"] + result["left"] == 101  # with the mark of the transaction


def test_avro_is_read_by_the_schema_that_was_written_down(kafka: Kafka, tmp_path: Path) -> None:
    address = new_topic(kafka)

    @step
    def counted(night: int) -> pl.DataFrame:
        frame = pl.DataFrame({"id": [1, 2], "at": pl.Series([0, None]).cast(pl.Datetime("us", "UTC"))})
        return frame if night == 1 else frame.with_columns(id=pl.col("id").cast(pl.String))

    @pipeline
    def sending(night: int) -> None:
        publish(counted(night), address, "id", format="avro")

    @pipeline
    def reading() -> None:
        rows = reading_runs.kafka(address, Table("readings"), format="avro")
        Table("readings").append(rows)

    tables = Tables(str(tmp_path))
    sent = run_inline(sending, night=1)
    assert run_inline(reading, tables=tables, journal=sent.journal).state == "succeeded"
    stored = tables.scan("readings").collect()
    assert dict(stored.schema) == {"id": pl.Int64, "at": pl.Datetime("us", "UTC")}
    assert sorted(stored["id"]) == [1, 2]
    assert run_inline(sending, night=2, journal=sent.journal).state == "succeeded"  # its schema changes
    send(kafka, address, [b"\x02"])
    run = run_inline(reading, tables=tables, journal=sent.journal)
    assert run.output("kafka")[2]["set_aside"] == 3
    reasons = set(tables.scan("readings_set_aside").collect()["reason"])
    assert reasons == {"expected `int`, got `str`, at `id`", "it names no schema: give schema="}


def test_schemas_of_avro_are_looked_up_once_however_many_messages_name_unknown_ones() -> None:
    ledger = MagicMock()
    ledger.entries.return_value = []
    answers = AvroReader(None, ledger, "topic").records([b"\x02"] * 3, ["aa", "bb", "aa"])
    assert answers == [f"its schema {name} is not written down here" for name in ("aa", "bb", "aa")]
    ledger.entries.assert_called_once_with("stream/topic")


def test_a_plain_call_reads_the_whole_topic_or_says_what_does_not_fit(kafka: Kafka) -> None:
    address = new_topic(kafka)
    send(kafka, address, ids(3, 1, 2))
    assert sorted(reading_runs.kafka(address)["id"]) == [1, 2, 3]
    with pytest.raises(PermanentError, match="more than the 2 that were read"):
        reading_runs.kafka(address, limit=2)
    send(kafka, address, [b"odd"])
    with pytest.raises(PermanentError, match="1 of 4 messages do not fit"):
        reading_runs.kafka(address)
    with pytest.raises(PermanentError, match="there is no such topic"):
        reading_runs.kafka(f"kafka://{kafka.host}/none")


@pytest.mark.parametrize(
    ("url", "options", "problem"),
    [
        ("mqtt://h/t", {}, "reads topics of Kafka"),
        ("kafka://u:hunter2@h/t", {}, "password"),
        ("kafka://h/t", {"limit": 0}, "limit"),
        ("kafka://h/t", {"gaps": "fill"}, "gaps"),
        ("kafka://h/t", {"at_most": 2}, "at_most"),
        ("kafka://h/t", {"schema": {}}, "don't go together"),
        ("kafka://h/t", {"types": {"a": "Int"}}, "Int"),
        ("kafka://h/t", {"invalid": "t"}, "is no table"),
    ],
)
def test_what_makes_no_sense_is_refused_at_definition(url: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        kafka(url, **options)


def test_a_pipeline_that_writes_none_of_what_it_reads_is_refused() -> None:
    with pytest.raises(DefinitionError, match="writes none of them into it"):

        @pipeline
        def forgetful() -> None:
            kafka("kafka://h/t", Table("readings"))
            Table("readings").append(reading_runs.doubled(Table("others")))


def test_runs_that_are_killed_anywhere_bring_each_message_once(kafka: Kafka, tmp_path: Path) -> None:
    address = new_topic(kafka)
    count = 3_000
    sender = threading.Thread(
        target=lambda: [
            send(kafka, address, [*ids(*range(n, n + 300)), f"odd {n}".encode()]) for n in range(0, count, 300)
        ]
    )
    sender.start()
    chance, kills = random.Random(4), 0
    while kills < 4:
        process = start(tmp_path, address)
        assert process.stdout is not None
        process.stdout.readline()  # a run is over; another begins
        threading.Timer(chance.uniform(0, 0.5), process.send_signal, [signal.SIGKILL]).start()
        process.communicate(timeout=60)
        kills += 1
    sender.join()
    _, err = start(tmp_path, address).communicate(timeout=60)
    tables = Tables(str(tmp_path))
    assert sorted(tables.scan("readings").collect()["id"]) == list(range(count)), err
    aside = tables.scan("readings_set_aside").collect()
    assert sorted(aside["row"]) == sorted(f"odd {n}" for n in range(0, count, 300))


def start(folder: Path, address: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.consuming.reading_runs", str(folder), address, "97"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
