"""Predictions to Apache Kafka, and records of Kafka and MQTT into a table: by trikk, and by the bare clients."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import deltalake
import msgspec
import paho.mqtt.client as paho
import polars as pl
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.servers.kafka import Kafka, start
from tests.servers.shared import free_ports, stop

from benchmarks.ways import Ready, Unavailable
from benchmarks.ways.commands import fresh
from trikk.core.clock import SystemClock
from trikk.publishing import publish
from trikk.publishing.row_encoding import encode
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.sources.messages.message_address import reading_address
from trikk.server.streams.kafka_reader import KafkaReader
from trikk.server.streams.mqtt_reader import MqttReader
from trikk.server.streams.stream_work import StreamWork
from trikk.storage.tables.versioned_tables import Tables
from trikk.streams.stream_declaration import Stream

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


# ---- records into a table

BATCH = 20_000
KEY = ("sensor", "number")
Fill = Callable[[str, int], None]
"""Sends so many records to a topic."""


def record(number: int) -> bytes:
    """A sensor's record."""
    at = f"2026-11-30T10:{number // 60_000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}Z"
    value = {"sensor": f"s{number % 500}", "number": number, "at": at, "value": number / 7, "quality": "good"}
    return json.dumps(value).encode()


@contextlib.contextmanager
def filled(size: int, kind: str, read: Callable[[str, str, Path], None]) -> Iterator[Ready]:
    """A broker, and the reading of a new topic of it that has all records, into a new table."""
    topics: list[str] = []
    with (apache_kafka if kind == "kafka" else mosquitto)() as (host, fill):

        def before() -> None:
            topics.append("t" + secrets.token_hex(6))
            fill(topics[-1], size)

        def run() -> Path:
            top = fresh("tables")
            read(host, topics[-1], top)
            return top

        def answer(top: Path) -> list[float]:
            rows = pl.scan_delta(str(top / "readings")).select(pl.len(), pl.col("number", "value").sum()).collect()
            return list(map(float, rows.row(0)))

        yield Ready(run, answer, before)


def stream_by_trikk(size: int, kind: str) -> contextlib.AbstractContextManager[Ready]:
    """What the thread of a server does for a stream: rows, key, offsets, commit, acknowledgements."""

    def read(host: str, topic: str, top: Path) -> None:
        clock, address = SystemClock(), reading_address(f"{kind}://{host}/{topic}")
        stream = Stream(name="s", source=address.label, table="readings", key=KEY, rows=BATCH)
        make = KafkaReader if kind == "kafka" else MqttReader
        arguments: Any = (address, clock) if kind == "kafka" else (address, "bench", BATCH, 1.0, clock)
        work = StreamWork(
            stream, lambda: make(*arguments), Tables(str(top)), MemoryJournal(), clock, lambda: False
        )
        while work.status.rows < size:
            work.turn()
            if work.status.what:
                raise RuntimeError(work.status.what)
        work.close()

    return filled(size, kind, read)


def stream_by_client(size: int, kind: str) -> contextlib.AbstractContextManager[Ready]:
    """The same batches by hand: rows whose key is new, offsets in the commit, synced, then acknowledged."""

    def read(host: str, topic: str, top: Path) -> None:
        (by_consumer if kind == "kafka" else by_paho)(host, topic, top / "readings", size)

    return filled(size, kind, read)


def by_consumer(host: str, topic: str, table: Path, size: int) -> None:
    """From Kafka, by the client alone."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": host, "group.id": "bare", "enable.auto.commit": False, "fetch.wait.max.ms": 100}
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    done = 0
    while done < size:
        messages = consumer.consume(BATCH, 1.0)
        if messages:
            commit(table, [message.value() for message in messages], messages[-1].offset() + 1)
            done += len(messages)
    consumer.close()


def by_paho(host: str, topic: str, table: Path, size: int) -> None:
    """From MQTT, by the client alone."""
    client, received = session_of(), list[Any]()
    arrived = threading.Event()

    def on_message(_: Any, __: Any, message: Any) -> None:
        if message.topic == topic:  # and not what an acknowledgement of the round before came too late for
            received.append(message)
        if len(received) >= BATCH or len(received) + done >= size:
            arrived.set()

    done = 0
    client.on_message = on_message
    connect(client, host, topic)
    while done < size:
        arrived.wait(1.0)
        arrived.clear()
        messages = received[:BATCH]
        if messages:
            commit(table, [message.payload for message in messages], None)
            del received[: len(messages)]
            done += len(messages)
            for message in messages:
                client.ack(message.mid, message.qos)
    time.sleep(0.1)
    client.disconnect()
    client.loop_stop()


def commit(table: Path, values: list[bytes], offset: int | None) -> None:
    """Append the rows whose key is new, with the offset, and force all of it to the disk."""
    rows = pl.DataFrame(list(map(msgspec.json.decode, values))).with_columns(
        pl.col("at").str.to_datetime(time_zone="UTC")
    )
    rows = rows.unique(KEY, keep="first", maintain_order=True)
    if (table / "_delta_log").exists():
        keys = pl.scan_delta(str(table)).select(KEY)
        rows = rows.lazy().join(keys, on=KEY, how="anti", maintain_order="left").collect()
    marks = [] if offset is None else [deltalake.Transaction("topic/0", offset)]
    properties = deltalake.CommitProperties(app_transactions=marks)
    deltalake.write_deltalake(str(table), rows, mode="append", commit_properties=properties)
    newest = max((table / "_delta_log").glob("*.json"))
    added = [json.loads(line)["add"]["path"] for line in newest.read_text().splitlines() if '"add"' in line]
    for path in (newest, *(table / name for name in added), table, table / "_delta_log"):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


@contextlib.contextmanager
def apache_kafka() -> Iterator[tuple[str, Fill]]:
    """A server, and what sends to it."""
    try:
        texts, process = start(fresh("kafka"), os.getpid())
    except RuntimeError as error:
        raise Unavailable(str(error)) from error
    kafka = Kafka(*texts)

    def fill(topic: str, size: int) -> None:
        kafka.make_topic(topic, 1)
        producer = confluent_kafka.Producer({**SETTINGS, "bootstrap.servers": kafka.host})
        for number in range(size):
            producer.produce(topic, record(number))
        producer.flush(60)

    try:
        yield kafka.host, fill
    finally:
        stop(process)


@contextlib.contextmanager
def mosquitto() -> Iterator[tuple[str, Fill]]:
    """A broker of MQTT that sends as many messages as a client wants, and what sends to it."""
    program = shutil.which("mosquitto")
    if program is None:
        raise Unavailable("there is no mosquitto")
    (port,), folder = free_ports(1), fresh("mosquitto")
    more = "allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n"
    (folder / "settings").write_text(f"listener {port} 127.0.0.1\n{more}")
    process = subprocess.Popen([program, "-c", str(folder / "settings")], stderr=subprocess.DEVNULL)
    host = f"127.0.0.1:{port}"
    time.sleep(1)

    def fill(topic: str, size: int) -> None:
        client = session_of()  # of the bare client; trikk's is made by its reader
        connect(client, host, topic)
        client.disconnect()
        client.loop_stop()
        reader = MqttReader(reading_address(f"mqtt://{host}/{topic}"), "bench", BATCH, 1.0, SystemClock())
        reader.begin(dict.fromkeys)
        reader.close()
        sender = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        sender.max_inflight_messages_set(1000)
        sender.connect("127.0.0.1", port)
        sender.loop_start()
        for sent in [sender.publish(topic, record(number), 1) for number in range(size)]:
            sent.wait_for_publish(60)
        sender.disconnect()
        sender.loop_stop()

    try:
        yield host, fill
    finally:
        process.kill()
        process.wait()


def session_of() -> Any:
    """A client with a session that lasts."""
    return paho.Client(CallbackAPIVersion.VERSION2, "bare", protocol=paho.MQTTv5, manual_ack=True)


def connect(client: Any, host: str, topic: str) -> None:
    """Connect to the session, and subscribe."""
    ready, properties = threading.Event(), Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval, properties.ReceiveMaximum = 3600, BATCH
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", int(host.rpartition(":")[2]), clean_start=False, properties=properties)
    client.subscribe(topic, 1)
    client.loop_start()
    ready.wait(20)
