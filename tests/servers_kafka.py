"""A real Apache Kafka for tests: one node in KRaft mode, which is broker and controller at once."""

from __future__ import annotations

import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.servers_java import JAVA, answers, fetch_jars, free_ports, launch, shared, stop

VERSION = "4.1.1"
USER = "publisher"
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SASL_PLAINTEXT://127.0.0.1:{locked}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{locked}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} required user_{user}="{password}";
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=16777216
"""
_CLUSTER = "dHJpa2stdGVzdHMtMDAwMQ"
_SECONDS = 60
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Kafka:
    """A server on the loopback that makes no topics by itself.

    Attributes:
        host: where it takes everyone.
        locked: where it takes `USER` only.
        password: of that user.
    """

    host: str
    locked: str
    password: str

    def admin(self) -> Any:
        """A client for administration."""
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.host, "log_level": 0})

    def make_topic(self, name: str, partitions: int = 3, **settings: str) -> str:
        """Make a topic; returns the address to publish to."""
        from confluent_kafka.admin import NewTopic

        admin = self.admin()  # a request ends with its client
        admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(timeout=30)
        return f"kafka://{self.host}/{name}"

    def read(self, topic: str, *, isolation: str = "read_committed") -> list[Any]:
        """Every message in a topic, up to its end, as any consumer of that isolation sees it."""
        from confluent_kafka import Consumer, KafkaError, TopicPartition

        settings = {
            "bootstrap.servers": self.host,
            "group.id": "reader",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "log_level": 0,
        }
        consumer = Consumer(settings)
        try:
            places = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, place, 0) for place in places])
            found: list[Any] = []
            ended: set[int] = set()
            deadline = time.monotonic() + _SECONDS
            while len(ended) < len(places):
                assert time.monotonic() < deadline, "the topic could not be read to its end"
                for message in consumer.consume(10_000, timeout=0.1):
                    if message.error() is None:
                        found.append(message)
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
            return found
        finally:
            consumer.close()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Kafka:
    """The server; the test is skipped, with the reason, where it can't be had."""
    pytest.importorskip("confluent_kafka", reason="no client of Kafka: confluent-kafka is not installed")
    try:
        return Kafka(*shared(tmp_path_factory.getbasetemp(), "kafka", start).split())
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no Apache Kafka: {error}")


def start(
    folder: Path, owner: int, port: int | None = None, settings: str = ""
) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a server whose data are in a folder; returns the attributes of `Kafka`, and its process.

    Args:
        folder: a new one, or that of a server that has ended, whose messages the new one has.
        owner: the process with which it ends.
        port: to listen on; any if not given.
        settings: more lines of its properties.
    """
    jars = fetch_jars("org.apache.kafka", "kafka_2.13", VERSION)
    java, log = [*JAVA, "-cp", f"{jars}/*"], folder / "log"
    names: dict[str, object] = {"folder": folder, "login": _LOGIN, "user": USER, "password": secrets.token_hex(8)}
    for _ in range(_ATTEMPTS):
        free, controller, locked = free_ports(3)
        chosen = port or free
        config = folder / "server.properties"
        config.write_text(_SETTINGS.format(port=chosen, controller=controller, locked=locked, **names) + settings)
        if not (folder / "data").exists():
            form = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(config)]
            subprocess.run(form, check=True, capture_output=True, timeout=_SECONDS)
        process = launch([*java, "kafka.Kafka", str(config)], log, owner)
        if answers(process, chosen, _SECONDS) and _serves(chosen):
            return f"127.0.0.1:{chosen} 127.0.0.1:{locked} {names['password']}", process
        stop(process)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace').strip()[-250:]}")


def _serves(port: int) -> bool:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}).list_topics(timeout=_SECONDS)
    except KafkaException:
        return False
    return True
