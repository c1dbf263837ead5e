from __future__ import annotations

import io
import os
import random
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.publishing.kills import MOMENTS, check_each_once, finish, kill_after, kill_at, new_topic, topic_of
from tests.publishing.publisher import context_for, rows_for
from tests.servers.kafka import USER, Kafka, start
from tests.servers.shared import free_ports, stop

from trikk.core.errors import BrokerError, PermanentError
from trikk.publishing import kafka as transport
from trikk.publishing import publish
from trikk.publishing.broker_messages import publication_of
from trikk.publishing.row_encoding import encode
from trikk.runs.context import StepContext, entered


def test_rows_arrive_with_key_value_and_headers(kafka: Kafka, tmp_path: Path) -> None:
    to = new_topic(kafka)
    rows = rows_for(10).with_columns(model=pl.lit("people"), model_version=pl.Series([1] * 5 + [2] * 5))
    with entered(context_for(tmp_path)):
        made = publish(rows, to, key="key")
    messages = {dict(m.headers())["trikk-id"].decode(): m for m in kafka.read(topic_of(to))}
    assert len(messages) == made["messages"] == 10
    first, last = messages[made["first_id"]], messages[made["last_id"]]
    assert (first.key(), last.key()) == (b"s0", b"s2")
    assert first.value() == b'{"key":"s0","row":0,"value":0.0,"model":"people","model_version":1}'
    headers = {k: v.decode() for k, v in last.headers()}
    assert headers == {
        "content-type": "application/json",
        "trikk-run": "r1",
        "trikk-schema": made["schema"][:16],
        "trikk-model": "people",
        "trikk-model-version": "2",
        "trikk-id": made["last_id"],
    }


def test_a_key_goes_to_the_partition_that_a_java_producer_chooses(kafka: Kafka) -> None:
    to = new_topic(kafka)
    publish(pl.DataFrame({"key": ["foobar"], "value": [1]}), to, key="key")
    # org.apache.kafka.common.utils.Utils.murmur2("foobar") is -790332482 (the client's own UtilsTest)
    assert kafka.read(topic_of(to))[0].partition() == (-790332482 & 0x7FFFFFFF) % 3


def test_publishing_again_under_the_same_identity_sends_nothing(kafka: Kafka) -> None:
    to = new_topic(kafka)
    made = [publish(rows_for(100), to, key="key", identity="one") for _ in range(2)]
    assert made[0] == made[1]
    assert len(kafka.read(topic_of(to))) == 100
    with pytest.raises(PermanentError, match="100 messages of other rows were published as one before"):
        publish(rows_for(101), to, key="key", identity="one")
    publish(rows_for(100), to, key="key", identity="two")
    assert len(kafka.read(topic_of(to))) == 200


def test_publishers_killed_at_every_moment_are_resumed_and_each_message_is_there_once(
    kafka: Kafka, tmp_path: Path
) -> None:
    to, count, chance = new_topic(kafka), 14_500, random.Random(7)
    for moment in MOMENTS:
        kill_at(tmp_path, to, count, moment)
    for _ in range(2):
        kill_after(tmp_path, to, count, chance.uniform(0, 0.2))
    finish(tmp_path, to, count)
    check_each_once(kafka, to, count)


def test_a_resumed_attempt_goes_on_behind_what_is_known_where_the_broker_has_forgotten(
    kafka: Kafka, tmp_path: Path
) -> None:
    to = new_topic(kafka)
    context = context_for(tmp_path)
    begin(context, to, 100, sent=40)
    with entered(context):
        publish(rows_for(100), to, key="key")
    assert len(kafka.read(topic_of(to))) == 60


def test_an_attempt_that_broke_off_before_the_brokers_memory_begins_is_not_repeated_blindly(
    kafka: Kafka, tmp_path: Path
) -> None:
    to = new_topic(kafka)
    context = context_for(tmp_path)
    begin(context, to, 100, broke_off=time.time() - 8 * 86_400)
    with entered(context), pytest.raises(PermanentError, match="more than 7 days ago") as caught:
        publish(rows_for(100), to, key="key")
    assert publication_of("r1/publish", f"kafka:{topic_of(to)}") in str(caught.value.next)
    assert kafka.read(topic_of(to)) == []


def begin(context: StepContext, to: str, count: int, *, sent: int = 0, broke_off: float | None = None) -> None:
    """Write down what an earlier attempt would have."""
    publication = publication_of("r1/publish", f"kafka:{topic_of(to)}")
    messages = encode(rows_for(count), publication, key="key", form="json", headers={}, model=None)
    subject, ledger = f"publication/{publication}", context.journal
    ledger.add(subject, "publication.begun", {"digest": messages.digest}, at=0.0)
    if broke_off is not None:
        ledger.add(subject, "publication.sending", {}, at=broke_off)
    if sent:
        ledger.add(subject, "publication.stopped", {"sent": sent}, at=0.0)


@pytest.mark.parametrize("moment", ["send", "_produce", "_flush", "offsets", "commit"])
def test_a_process_that_was_overtaken_can_not_send_and_is_told_for_good(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    to, calls = new_topic(kafka), {"offsets": 1, "commit": 2}
    name = "_retried" if moment in calls else moment
    plain = getattr(transport.Sender, name)
    seen = 0

    def overtaken(sender: transport.Sender, *given: Any, **options: Any) -> Any:
        nonlocal seen
        seen += moment not in calls or sender._consumer is not None
        if seen == calls.get(moment, 0) + 1:  # calls that are retried: what was committed, offsets, commit
            monkeypatch.setattr(transport.Sender, name, plain)
            publish(rows_for(50), to, key="key", identity="one")
        return plain(sender, *given, **options)

    monkeypatch.setattr(transport.Sender, name, overtaken)
    with pytest.raises(PermanentError, match="another attempt of this publication has taken over"):
        publish(rows_for(50), to, key="key", identity="one", patience=5)
    assert len(kafka.read(topic_of(to))) == 50


def test_a_topic_that_is_not_there_is_named(kafka: Kafka) -> None:
    with pytest.raises(PermanentError, match="there is no such topic") as caught:
        publish(rows_for(3), f"kafka://{kafka.host}/missing", patience="300ms")
    assert "create the topic" in str(caught.value.next)


def test_a_message_that_is_too_large_is_named_and_nothing_is_sent(kafka: Kafka) -> None:
    to = new_topic(kafka, **{"max.message.bytes": "5000"})
    rows = pl.DataFrame({"text": ["a", "b" * 5000, "c"]})
    with pytest.raises(PermanentError, match=r"row 1 makes a message of .* the broker takes 5,000"):
        publish(rows, to)
    assert kafka.read(topic_of(to), isolation="read_uncommitted") == []
    publish(rows_for(2000), to)  # batches are cut to what the topic takes
    assert len(kafka.read(topic_of(to))) == 2000


def test_a_message_that_the_broker_refuses_after_all_takes_the_transaction_with_it(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    to = new_topic(kafka, **{"cleanup.policy": "compact"})
    with (
        entered(context_for(tmp_path)),
        pytest.raises(PermanentError, match="does not take the messages") as caught,
    ):
        publish(rows_for(10), to)  # a compacted topic wants keys
    assert "10 of 10 messages wait" in str(caught.value.next)
    assert kafka.read(topic_of(to)) == []


def test_a_wrong_password_is_told_from_a_broker_that_is_away(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = new_topic(kafka)
    locked = f"kafka://{USER}:${{KAFKA_PASSWORD}}@{kafka.locked}/{topic_of(to)}"
    monkeypatch.setenv("KAFKA_PASSWORD", "hush%2Fhush")
    with pytest.raises(PermanentError, match="does not know the user, or not this password") as caught:
        publish(rows_for(3), locked, patience=20)
    said = f"{caught.value} {caught.value.next}"
    assert "does KAFKA_PASSWORD hold %40" in said  # it may have been encoded by hand
    assert "hush" not in said
    monkeypatch.setenv("KAFKA_PASSWORD", kafka.password)
    assert publish(rows_for(3), locked)["to"] == f"kafka://{kafka.locked}/{topic_of(to)}"
    assert len(kafka.read(topic_of(to))) == 3


def test_avro_is_read_back_with_the_schema_that_was_written_down(kafka: Kafka, tmp_path: Path) -> None:
    to, context = new_topic(kafka), context_for(tmp_path)
    with entered(context):
        made = publish(rows_for(5), to, key="key", format="avro")
    [entry] = context.journal.entries(f"stream/{made['to']}")
    schema = fastavro.parse_schema(entry.body["schema"])
    assert entry.identity == made["schema"]
    messages = kafka.read(topic_of(to))
    read: list[Any] = [fastavro.schemaless_reader(io.BytesIO(m.value()), schema, None) for m in messages]
    assert sorted(r["row"] for r in read) == [0, 1, 2, 3, 4]
    assert dict(messages[0].headers())["content-type"] == b"avro/binary"


@pytest.mark.slow
def test_a_broker_that_dies_midway_fails_the_attempt_and_the_next_one_sends_the_rest(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "own"
    place.mkdir()
    soon = "broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n"  # that it may come back
    address, process = start(place, os.getpid(), settings=soon)
    own = Kafka(*address)
    try:
        publish(rows_for(1), new_topic(own))  # its coordinators are up now
        to = new_topic(own)
        monkeypatch.setattr(transport, "BATCH_ROWS", 1000)
        produce = transport.Sender._produce

        def dies(sender: transport.Sender, begin: int, end: int) -> None:
            produce(sender, begin, end)
            if begin == 2000:
                stop(process)

        monkeypatch.setattr(transport.Sender, "_produce", dies)
        context = context_for(tmp_path)
        with entered(context), pytest.raises(BrokerError, match="the broker is away") as caught:
            publish(rows_for(5000), to, key="key", patience="500ms")
        assert "3,000 of 5,000 messages wait" in str(caught.value.next)
        monkeypatch.setattr(transport.Sender, "_produce", produce)
        _, process = start(place, os.getpid(), port=int(own.host.rpartition(":")[2]), settings=soon)
        with entered(context_for(tmp_path)):
            publish(rows_for(5000), to, key="key")
        check_each_once(own, to, 5000)
    finally:
        stop(process)


def test_a_broker_that_is_away_is_waited_for_a_while_and_everything_waits(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with (
        entered(context_for(tmp_path)),
        pytest.raises(BrokerError, match=r"the broker is away: .*refused") as caught,
    ):
        publish(rows_for(1500), f"kafka://127.0.0.1:{port}/t", patience="300ms")
    assert "1,500 of 1,500 messages wait" in str(caught.value.next)
    assert "trikk resume r1" in str(caught.value.next)


@given(st.lists(st.integers(0, 120), min_size=1, max_size=40), st.integers(1, 9))
def test_transactions_cover_every_row_once_and_keep_their_bounds(lengths: list[int], rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "BATCH_ROWS", rows)
        patch.setattr(transport, "BATCH_BYTES", 100)
        ends, column = [0], pl.Series(lengths)
        while ends[-1] < len(lengths):
            ends.append(transport._end_of_batch(column, ends[-1]))
    assert ends[-1] == len(lengths)
    for begin, end in pairwise(ends):
        assert 0 < end - begin <= rows
        assert sum(lengths[begin:end]) <= 100 or end - begin == 1
