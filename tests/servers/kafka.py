"""A real Apache Kafka for tests: one node in KRaft mode, which is broker and controller at once."""

from __future__ import annotations

import functools
import importlib.util
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority
from tests.servers.java import JAVA, fetch_jars
from tests.servers.shared import answers, free_ports, launch, shared, stop

VERSION = "4.1.1"
USER = "publisher"
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CONTROLLER://127.0.0.1:{controller},{listeners}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,TLS:SSL,SASL_TLS:SASL_SSL
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
_TLS_SETTINGS = """ssl.keystore.type=PEM
ssl.keystore.location={pair}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.tls.ssl.client.auth=required
listener.name.sasl_tls.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_tls.plain.sasl.jaas.config={login} required user_{user}="{password}";
listener.name.sasl_tls.scram-sha-512.sasl.jaas.config={scram} required;
"""
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
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
        tls: where it takes everyone who has a certificate of its authority; empty for nowhere.
        locked_tls: where it takes `USER` only, in TLS.
        folder: its files; certificates are in it.
    """

    host: str
    locked: str
    password: str
    tls: str = ""
    locked_tls: str = ""
    folder: str = ""

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
    secured = functools.partial(start, tls=importlib.util.find_spec("cryptography") is not None)
    try:
        return Kafka(*shared(tmp_path_factory.getbasetemp(), "kafka", secured))
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no Apache Kafka: {error}")


def start(
    folder: Path, owner: int, port: int | None = None, settings: str = "", *, tls: bool = False
) -> tuple[list[str], subprocess.Popen[bytes]]:
    """Start a server whose data are in a folder; returns the attributes of `Kafka`, and its process.

    Args:
        folder: a new one, or that of a server that has ended, whose messages the new one has.
        owner: the process with which it ends.
        port: to listen on; any if not given.
        settings: more lines of its properties.
        tls: whether it listens in TLS too; in a new folder only.
    """
    jars = fetch_jars("org.apache.kafka", "kafka_2.13", VERSION)
    java, log = [*JAVA, "-cp", f"{jars}/*"], folder / "log"
    names = {"login": _LOGIN, "scram": _SCRAM, "user": USER, "password": secrets.token_hex(8)}
    if tls:
        settings += _TLS_SETTINGS.format(**_certificates(folder / "certificates"), **names)
    for _ in range(_ATTEMPTS):
        free, controller, *others = free_ports(5 if tls else 3)
        where = [f"127.0.0.1:{port or free}", f"127.0.0.1:{others[0]}", *(f"localhost:{p}" for p in others[1:])]
        kinds = ("PLAINTEXT", "SASL_PLAINTEXT", "TLS", "SASL_TLS")
        listeners = ",".join(f"{kind}://{place}" for kind, place in zip(kinds, where, strict=False))
        config = folder / "server.properties"
        config.write_text(
            _SETTINGS.format(folder=folder, controller=controller, listeners=listeners, **names) + settings
        )
        if not (folder / "data").exists():
            form = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(config)]
            subprocess.run(form, check=True, capture_output=True, timeout=_SECONDS)
        process = launch([*java, "kafka.Kafka", str(config)], log, owner)
        ports = [int(place.rpartition(":")[2]) for place in where]
        if all(answers(process, one, _SECONDS) for one in ports) and _serves(ports[0]):
            return [*where[:2], names["password"], *where[2:], *([str(folder)] if tls else [])], process
        stop(process)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace').strip()[-250:]}")


def _certificates(folder: Path) -> dict[str, Path]:
    """The server's own, and one for a client; another server has none of theirs."""
    authority = Authority(folder)
    authority.issue("client")
    return {"pair": authority.issue("server", ["localhost"]).both, "ca": authority.ca}


def _serves(port: int) -> bool:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}).list_topics(timeout=_SECONDS)
    except KafkaException:
        return False
    return True
