"""`python -m benchmarks.publishing`: 500,000 predictions to Kafka, by trikk and by the bare client, in turns.

The bare client sends the very same messages (keys, values that are encoded already, headers) in one transaction.
trikk starts from the frame: it checks and encodes every row, and writes its progress into its transactions. Shown
beside them: the bare client as most would write it (`json.dumps` for each row), and without headers and
transaction.
Processor seconds of this process are shown too: they say more on a busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import confluent_kafka
import polars as pl
from tests.servers.java import stop
from tests.servers.kafka import Kafka, start

from trikk.publishing import publish
from trikk.publishing.row_encoding import encode

TARGET = 1.3
_SETTINGS = {"log_level": 0, "linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 2_000_000}

CONTENDERS: dict[str, dict[str, bool] | None] = {
    "bare client, same messages": {"transaction": True, "headers": True},
    "trikk publish": None,
    "bare client, json.dumps": {"transaction": True, "headers": True, "dumps": True},
    "bare client, no headers, no transaction": {},
}


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


def by_trikk(host: str, topic: str, rows: pl.DataFrame) -> None:
    """What is measured: from the frame to the last commit."""
    publish(rows, f"kafka://{host}/{topic}", key="sensor", identity=secrets.token_hex(8))


def by_client(host: str, topic: str, rows: pl.DataFrame, **how: Any) -> Callable[[], None]:
    """The bare client with the same messages; what it sends is made before the clock runs."""
    messages = encode(
        rows, "0" * 24, key="sensor", form="json", headers={"trikk-run": "r" * 12}, model=("people", 3)
    )
    values, keys, shared = messages.values.to_list(), rows["sensor"].to_list(), list(messages.kinds[0])
    transaction, headers, dumps = (how.get(name) for name in ("transaction", "headers", "dumps"))

    def send() -> None:
        more = {"transactional.id": secrets.token_hex(8)} if transaction else {}
        producer = confluent_kafka.Producer({**_SETTINGS, "bootstrap.servers": host, **more})
        if transaction:
            producer.init_transactions(30)
            producer.begin_transaction()
        produce = producer.produce
        for i, row in enumerate(rows.iter_rows(named=True) if dumps else values):
            value = json.dumps(row, default=str) if dumps else row
            if headers:
                produce(topic, value, keys[i], headers=[*shared, ("trikk-id", f"000000000000000000000000-{i}")])
            else:
                produce(topic, value, keys[i])
            if i % 10_000 == 0:
                producer.poll(0)
        producer.flush()
        if transaction:
            producer.commit_transaction(60)

    return send


@contextlib.contextmanager
def broker(mock: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    """A server and what makes topics on it: real Kafka, or the client's own mock cluster."""
    if mock:
        holder: Any = confluent_kafka.Producer({"test.mock.num.brokers": 3, "log_level": 0})
        brokers = holder.list_topics(timeout=20).brokers.values()
        yield ",".join(f"{b.host}:{b.port}" for b in brokers), lambda: "t" + secrets.token_hex(6)
        return
    with tempfile.TemporaryDirectory() as folder:
        text, process = start(Path(folder), os.getpid())
        kafka = Kafka(*text.split())
        try:
            yield kafka.host, lambda: kafka.make_topic("t" + secrets.token_hex(6)).rpartition("/")[2]
        finally:
            stop(process)


def main() -> int:
    """Measure in turns and print; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publishing", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--mock", action="store_true", help="the client's mock cluster instead of Apache Kafka")
    options = parser.parse_args()
    rows = predictions(options.rows)
    with broker(options.mock) as (host, topic):
        times = measure(host, topic, rows, options.repeat)
    floor = [statistics.median(column) for column in zip(*times["bare client, same messages"], strict=True)]
    print(f"{'':42} seconds    ratio  processor    ratio  messages/s")
    for name, seconds in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*seconds, strict=True))
        ratios = wall / floor[0], cpu / floor[1]
        print(
            f"{name:42} {wall:7.2f} {ratios[0]:7.2f}x {cpu:10.2f} {ratios[1]:7.2f}x {options.rows / wall:11,.0f}"
        )
    ratio = statistics.median(t[0] for t in times["trikk publish"]) / floor[0]
    verdict = "met" if ratio <= TARGET else "MISSED"
    print(f"target: within {TARGET} of the bare client with the same messages: {ratio:.2f}, {verdict}")
    return int(ratio > TARGET)


def measure(
    host: str, topic: Callable[[], str], rows: pl.DataFrame, repeat: int
) -> dict[str, list[tuple[float, float]]]:
    """Seconds and processor seconds of each contender; all of them once, then all of them again."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
    for turn in range(repeat + 1):
        for name, how in CONTENDERS.items():
            where = topic()
            send = partial(by_trikk, host, where, rows) if how is None else by_client(host, where, rows, **how)
            began, cpu = time.perf_counter(), time.process_time()
            send()
            if turn:  # the first is for warming up
                times[name].append((time.perf_counter() - began, time.process_time() - cpu))
            del send  # its lists would slow the next one's memory down
    return times


if __name__ == "__main__":
    sys.exit(main())
