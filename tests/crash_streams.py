"""Kill a server that reads a stream, while numbered records are sent: each has to be in the table once.

    python -m tests.crash_streams --kills 100 [--seed N] (kafka | mqtt | folder)

`trikk serve` is killed with SIGKILL at random moments and started again: while it starts, reads, or stores. Two
servers run at the same time every third time. Brokers are those of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
from tests.crash import PATIENCE, Difference

from trikk.execution.project import Project

Send = Callable[[list[bytes]], None]
SETTINGS = """name = "plant"
[streams.readings]
from = "{source}"
table = "readings"
key = ["sensor", "number"]
every = "200ms"
"""


def record(number: int) -> bytes:
    return json.dumps({"number": number, "sensor": f"s{number % 7}", "value": number / 2}).encode()


class Sender(threading.Thread):
    """Sends numbered records, some at a time, until it is told to stop."""

    def __init__(self, send: Send, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self._send, self._rng = send, rng
        self._stop_sending = threading.Event()

    def run(self) -> None:
        while not self._stop_sending.wait(self._rng.uniform(0, 0.05)):
            count = self._rng.randrange(1, 40)
            self._send([record(number) for number in range(self.sent, self.sent + count)])
            self.sent += count

    def stop(self) -> int:
        """How many were sent."""
        self._stop_sending.set()
        self.join()
        return self.sent


@contextmanager
def to_kafka(host: str, topic: str) -> Iterator[Send]:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": host})  # its futures fail when it goes
    admin.create_topics([NewTopic(topic, 3)])[topic].result(30)
    producer = Producer({"bootstrap.servers": host, "log_level": 0, "enable.idempotence": True})

    def send(records: list[bytes]) -> None:
        for value in records:
            producer.produce(topic, value)
        assert producer.flush(30) == 0

    yield send


@contextmanager
def to_mqtt(host: str, topic: str, user: str = "", password: str = "") -> Iterator[Send]:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(8)  # HiveMQ takes 10, and ends the connection of who sends more
    if user:
        client.username_pw_set(user, password)
    name, _, port = host.rpartition(":")
    client.connect(name, int(port))
    client.loop_start()

    def send(records: list[bytes]) -> None:
        for sent in [client.publish(topic, value, 1) for value in records]:
            sent.wait_for_publish(30)

    yield send
    client.disconnect()
    client.loop_stop()


@contextmanager
def to_folder(inbox: Path) -> Iterator[Send]:
    inbox.mkdir(parents=True)

    def send(records: list[bytes]) -> None:
        name = f"{time.time_ns()}.jsonl"
        (inbox / f".{name}").write_bytes(b"\n".join(records) + b"\n")
        (inbox / f".{name}").rename(inbox / name)

    yield send


class Site:
    """A project whose server is killed."""

    def __init__(self, root: Path, source: str, **variables: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "trikk.toml").write_text(SETTINGS.format(source=source))
        (root / "pipelines.py").write_text("")
        self.root = root
        self.variables = variables
        self.project = Project.open(root)

    def begin(self) -> subprocess.Popen[str]:
        with (self.root / "server.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "trikk.cli.main", "serve", "--port=0"],
                cwd=self.root,
                env={**os.environ, **self.variables},
                stdout=log,
                stderr=log,
                text=True,
            )

    def numbers(self) -> pl.Series:
        """The numbers in the table."""
        if self.project.tables.version("readings") is None:
            return pl.Series([], dtype=pl.Int64)
        return self.project.tables.scan("readings").select("number").collect()["number"]

    def wait_for(self, count: int) -> None:
        """Wait until the table has so many rows at least."""
        until = time.monotonic() + PATIENCE
        while len(self.numbers()) < count:
            if time.monotonic() > until:
                raise Difference(
                    f"{self.root}: after {PATIENCE} s the table has {len(self.numbers())} of {count} rows"
                )
            time.sleep(0.1)


def attack(site: Site, send: Send, kills: int, seed: int) -> dict[str, int]:
    """Kill a server so many times; how many records were sent, and in how many versions of the table they are.

    Raises:
        Difference: if a record is missing, or is there twice; the project stays.
    """
    rng = random.Random(seed)
    servers = [site.begin()]
    send([record(number) for number in range(1)])
    time.sleep(0.5)
    first = 0
    while first == 0:  # a session of MQTT has to be there before what is sent is kept
        send([record(0)])
        time.sleep(0.3)
        first = len(site.numbers())
    sender = Sender(send, rng)
    sender.start()
    for number in range(kills):
        if number % 3 == 2:
            servers.append(site.begin())
        if number % 4:
            site.wait_for(len(site.numbers()) + 1)
            time.sleep(rng.uniform(0.0, 1.0))
        else:
            time.sleep(rng.uniform(0.0, 3.0))
        victim = servers.pop(0)
        victim.kill()
        if victim.wait(PATIENCE) != -signal.SIGKILL:
            raise Difference(f"{site.root}: a server had ended by itself")
        if not servers:
            servers.append(site.begin())
    sent = sender.stop()
    try:
        site.wait_for(sent)
        time.sleep(1)
    finally:
        for server in servers:
            server.terminate()
        codes = [server.wait(PATIENCE) for server in servers]
    numbers = site.numbers()
    if sorted(numbers) != list(range(sent)):
        missing = sorted(set(range(sent)) - set(numbers))[:5]
        raise Difference(f"{site.root}: {len(numbers)} rows of {sent} records; missing {missing}")
    if any(codes) or "Traceback" in (site.root / "server.log").read_text():
        raise Difference(f"{site.root}: servers ended with {codes}, or have logged a stack trace")
    return {"records": sent, "versions": site.project.tables.version("readings") or 0}


def main() -> int:
    """Print figures; exit code 1, with the seed and the project's folder, at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", choices=("kafka", "mqtt", "folder"))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--host", help="of the broker")
    options = parser.parse_args()
    root, began = Path(tempfile.mkdtemp(prefix="trikk-crash-")) / "project", time.monotonic()
    topic = f"plant-{options.seed}"
    with ExitStack() as stack:
        if options.source == "kafka":
            site, send = Site(root, f"kafka://{options.host}/{topic}"), to_kafka(options.host, topic)
        elif options.source == "mqtt":
            site, send = Site(root, f"mqtt://{options.host}/{topic}/+"), to_mqtt(options.host, f"{topic}/a")
        else:
            site, send = Site(root, "inbox/*.jsonl"), to_folder(root / "inbox")
        try:
            tally = attack(site, stack.enter_context(send), options.kills, options.seed)
        except (Difference, AssertionError) as error:
            print(f"seed {options.seed}: {error}", file=sys.stderr)
            return 1
    print(f"{options.kills} kills, {tally}, seed {options.seed}, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
