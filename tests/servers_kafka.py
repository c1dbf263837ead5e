"""A real Apache Kafka for tests: its jars from Maven, one server for all the processes of a test run.

Maven puts the jars into a folder in the user's cache once; a node in KRaft mode, which is broker and controller at
once, is up about two seconds after its start. Worker processes of one run share it: the first that needs it starts
it, under a lock, and it ends with the process that has started them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VERSION = "4.1.1"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>trikk</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
</dependency></dependencies></project>
"""
_SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
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
_FETCH_SECONDS = 240
_ATTEMPTS = 3
_kept: list[subprocess.Popen[bytes]] = []  # not ended when the fixture is: other test processes may still need it


@dataclass(frozen=True, slots=True)
class Kafka:
    """A server on the loopback that makes no topics by itself."""

    host: str

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
    folder = tmp_path_factory.getbasetemp()
    shared = "PYTEST_XDIST_WORKER" in os.environ
    folder = (folder.parent if shared else folder) / "kafka"
    folder.mkdir(exist_ok=True)
    try:
        with _locked(folder / "lock"):
            note = folder / "server.json"
            if not note.exists():
                note.write_text(json.dumps(_start_or_reason(folder, os.getppid() if shared else os.getpid())))
            found = json.loads(note.read_text())
    except OSError as error:
        pytest.skip(f"no Apache Kafka: {error}")
    if "reason" in found:
        pytest.skip(f"no Apache Kafka: {found['reason']}")
    return Kafka(found["host"])


def _start_or_reason(folder: Path, owner: int) -> dict[str, str]:
    try:
        host, process = start(fetch_jars(), folder, owner)
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        return {"reason": str(error)[-300:]}
    _kept.append(process)
    return {"host": host}


def fetch_jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven if it is not there yet; RuntimeError if that can't be."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise RuntimeError(f"there is no {program}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trikk-tests"
    jars = cache / f"kafka-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        if not jars.exists():
            half = cache / f"kafka-{VERSION}.part"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            (half / "pom.xml").write_text(_POM.format(version=VERSION))
            command = ["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={half / 'jars'}"]
            made = subprocess.run(
                command, cwd=half, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
            )
            if made.returncode or not list((half / "jars").glob("kafka-server-*.jar")):
                raise RuntimeError(f"mvn could not fetch it: {(made.stdout + made.stderr).strip()[-200:]}")
            (half / "jars").rename(jars)
            shutil.rmtree(half, ignore_errors=True)
    return jars


def start(
    jars: Path, folder: Path, owner: int, port: int | None = None, settings: str = ""
) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a server; returns `host:port` and its process, which ends when the process `owner` has ended."""
    for _ in range(_ATTEMPTS):
        chosen, controller = (port, *_free_ports(1)) if port else _free_ports(2)
        fresh = not (folder / "data").exists()
        config = folder / "server.properties"
        config.write_text(_SETTINGS.format(port=chosen, controller=controller, folder=folder) + settings)
        java = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
        with (folder / "log").open("ab") as log:
            if fresh:
                form = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(config)]
                subprocess.run(form, check=True, stdout=log, stderr=log, timeout=_SECONDS)
            server = [*java, "kafka.Kafka", str(config)]
            process = subprocess.Popen(
                [sys.executable, __file__, str(owner), *server],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if _answers(process, chosen):
            return f"127.0.0.1:{chosen}", process
        stop(process)
    text = (folder / "log").read_text(errors="replace").strip()
    raise RuntimeError(f"the server did not start: {text[-250:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and its keeper at once, as a crash would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(OSError, KafkaException),
            socket.create_connection(("127.0.0.1", port), timeout=1),
        ):
            AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}).list_topics(timeout=5)
            return True
        time.sleep(0.1)
    return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _keep(owner: int, command: list[str]) -> None:
    """Run the server until it ends or `owner` does."""
    server = subprocess.Popen(command, preexec_fn=_die_with_parent)
    while server.poll() is None:
        if not Path(f"/proc/{owner}").exists():
            server.kill()
        time.sleep(0.5)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    _keep(int(sys.argv[1]), sys.argv[2:])
