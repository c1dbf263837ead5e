from __future__ import annotations

import random
import secrets
import signal
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from tests.publishing.publisher import context_for, rows_for, start_publisher
from tests.servers_kafka import Kafka

from trikk.core.errors import PermanentError
from trikk.publishing import publish
from trikk.publishing.messages import publication_of
from trikk.runs.context import entered

PUBLISHER = Path(__file__).with_name("publisher.py")
MOMENTS = ["begin", "produce", "marker", "commit", "sent", "committed"]


def topic_of(address: str) -> str:
    return address.rpartition("/")[2]


def new_topic(kafka: Kafka, **settings: str) -> str:
    return kafka.make_topic("t" + secrets.token_hex(6), **settings)


def finish(folder: Path, to: str, count: int) -> None:
    out, err = (process := start_publisher(folder, to, count)).communicate(timeout=90)
    assert process.returncode == 0, err
    assert out.split() == ["ready", str(count)]


def check_each_once(kafka: Kafka, to: str, count: int) -> None:
    messages = kafka.read(topic_of(to))
    ids = Counter(dict(m.headers())["trikk-id"].decode() for m in messages)
    assert set(ids.values()) == {1}
    publication = publication_of("r1/publish", f"kafka:{topic_of(to)}")
    assert set(ids) == {f"{publication}-{row}" for row in range(count)}
    values = sorted(int(m.value().split(b'"row":')[1].split(b",")[0]) for m in messages)
    assert values == list(range(count))


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


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_publisher_that_dies_is_resumed_and_each_message_is_there_once(
    kafka: Kafka, tmp_path: Path, moment: str
) -> None:
    to = new_topic(kafka)
    process = start_publisher(tmp_path, to, 3500, moment)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert len(kafka.read(topic_of(to))) in ({2000} if moment == "committed" else {1000, 2000})
    finish(tmp_path, to, 3500)
    check_each_once(kafka, to, 3500)


def test_publishers_killed_at_random_moments_leave_each_message_once(kafka: Kafka, tmp_path: Path) -> None:
    check_kills(kafka, tmp_path, kills=4, count=20_000, seed=7)


def check_kills(kafka: Kafka, folder: Path, kills: int, count: int, seed: int) -> int:
    """Kill publishers of one publication at random moments, then let one finish; how many kills hit."""
    to, chance, hits = new_topic(kafka), random.Random(seed), 0
    for _ in range(kills):
        process = start_publisher(folder, to, count)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.5))
        hits += process.poll() is None
        process.kill()
        process.communicate()
    finish(folder, to, count)
    check_each_once(kafka, to, count)
    return hits
