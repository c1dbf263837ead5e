"""Predictions to Apache Kafka: by trikk, which checks and encodes every row, and by the bare client."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator

import confluent_kafka
import polars as pl
from tests.servers.kafka import Kafka, start
from tests.servers.shared import stop

from benchmarks.ways import Ready, Unavailable
from benchmarks.ways.commands import fresh
from trikk.publishing import publish
from trikk.publishing.row_encoding import encode

SETTINGS = {"log_level": 0, "linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 2_000_000}


def predictions(count: int) -> pl.DataFrame:
    """Rows of a predictions table."""
    rows = pl.int_range(count, eager=True)
    return pl.DataFrame(
        {
            "prediction_id": "5f1c0a9e7b3d2c48-" + rows.cast(pl.String),
            "sensor": "sensor-" + (rows % 21).cast(pl.String),
            "slot": (rows * 3_600_000).cast(pl.Datetime("ms")),
            "value": rows * 0.37,
            "model": pl.Series(["people"]).new_from_index(0, count),
            "model_version": pl.Series([3]).new_from_index(0, count),
        }
    )


@contextlib.contextmanager
def broker(send: Callable[[str, str], None]) -> Iterator[Ready]:
    """A server, and a sending to a new topic of it."""
    topics: list[str] = []
    try:
        texts, process = start(fresh("kafka"), os.getpid())
    except RuntimeError as error:
        raise Unavailable(str(error)) from error
    kafka = Kafka(*texts)

    def before() -> None:
        topics.append(kafka.make_topic("t" + secrets.token_hex(6)).rpartition("/")[2])

    try:
        yield Ready(lambda: send(kafka.host, topics[-1]), before=before)
    finally:
        stop(process)


def by_trikk(size: int) -> contextlib.AbstractContextManager[Ready]:
    """From the frame to the last commit; with its progress written into its transactions."""
    rows = predictions(size)

    def send(host: str, topic: str) -> None:
        publish(rows, f"kafka://{host}/{topic}", key="sensor", identity=secrets.token_hex(8))

    return broker(send)


def by_client(size: int, *how: str) -> contextlib.AbstractContextManager[Ready]:
    """The very same messages, encoded before the clock runs, in one transaction.

    Args:
        size: how many.
        how: `dumps` encodes each row by json.dumps while the clock runs; `bare` has no headers, no transaction.
    """
    rows, bare = predictions(size), "bare" in how
    headers = {"trikk-run": "r" * 12}
    messages = encode(rows, "0" * 24, key="sensor", form="json", headers=headers, model=("people", 3))
    values, keys, shared = messages.values.to_list(), rows["sensor"].to_list(), list(messages.kinds[0])

    def send(host: str, topic: str) -> None:
        more = {} if bare else {"transactional.id": secrets.token_hex(8)}
        producer = confluent_kafka.Producer({**SETTINGS, "bootstrap.servers": host, **more})
        if not bare:
            producer.init_transactions(30)
            producer.begin_transaction()
        produce = producer.produce
        for i, row in enumerate(rows.iter_rows(named=True) if "dumps" in how else values):
            value = json.dumps(row, default=str) if "dumps" in how else row
            if bare:
                produce(topic, value, keys[i])
            else:
                produce(topic, value, keys[i], headers=[*shared, ("trikk-id", f"000000000000000000000000-{i}")])
            if i % 10_000 == 0:
                producer.poll(0)
        if producer.flush(60):
            raise RuntimeError("the server did not take all messages within a minute")
        if not bare:
            producer.commit_transaction(60)

    return broker(send)
