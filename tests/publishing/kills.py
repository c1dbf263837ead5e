"""Kill publishers and count what a reader sees; `python -m tests.publishing.kills --kills 60` does it at length.

Each round is one publication to a real Kafka: attempts are killed with SIGKILL, some at each chosen moment of a
transaction and the others at random, until the last one is left alone. A `read_committed` reader must then see
each id exactly once.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.publishing.publisher import context_for, rows_for, start_publisher
from tests.servers.kafka import Kafka, start
from tests.servers.shared import stop

from trikk.publishing import publish
from trikk.publishing.broker_messages import publication_of
from trikk.runs.context import entered

MOMENTS = ("begin", "produce", "marker", "commit", "sent", "committed")


def new_topic(kafka: Kafka, **settings: str) -> str:
    """The address of a fresh topic."""
    return kafka.make_topic("t" + secrets.token_hex(6), **settings)


def topic_of(address: str) -> str:
    """The topic of an address."""
    return address.rpartition("/")[2]


def kill_at(folder: Path, to: str, count: int, moment: str, **variables: str) -> None:
    """Start an attempt that kills itself at a moment of its second transaction."""
    process = start_publisher(folder, to, count, moment, **variables)
    _, err = process.communicate(timeout=90)
    assert process.returncode == -signal.SIGKILL, err


def kill_after(folder: Path, to: str, count: int, seconds: float) -> bool:
    """Kill an attempt some time after it has begun; whether it was still alive."""
    process = start_publisher(folder, to, count)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    hit = process.poll() is None
    process.kill()
    process.communicate()
    return hit


def finish(folder: Path, to: str, count: int) -> None:
    """Resume and leave it alone."""
    with entered(context_for(folder)):
        assert publish(rows_for(count), to, key="key")["messages"] == count


def check_each_once(kafka: Kafka, to: str, count: int) -> None:
    """A reader of what is committed sees each message once, and its row is that of its id."""
    found = [(dict(m.headers())["trikk-id"].decode(), m.value()) for m in kafka.read(topic_of(to))]
    ids = Counter(name for name, _ in found)
    publication = publication_of("r1/publish", f"kafka:{topic_of(to)}")
    assert set(ids) == {f"{publication}-{row}" for row in range(count)}, "messages are missing"
    assert set(ids.values()) == {1}, "messages are there twice"
    for name, value in found:
        assert f'"row":{name.rpartition("-")[2]},'.encode() in value


def main() -> int:
    """Kill so many publishers; print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.publishing.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, kills, missed, rounds = random.Random(options.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as base:
        (server := Path(base, "kafka")).mkdir()
        address, process = start(server, os.getpid())
        kafka = Kafka(*address)
        try:
            while kills < options.kills:
                (folder := Path(base, str(rounds))).mkdir()
                to = new_topic(kafka)
                for _ in range(8):
                    if chance.random() < 0.5:
                        delay = {"DEATH_DELAY": str(chance.choice([0.0, 0.0005, 0.001, 0.002, 0.005]))}
                        kill_at(folder, to, options.rows, chance.choice(MOMENTS), **delay)
                        kills += 1
                    elif kill_after(folder, to, options.rows, chance.uniform(0, 0.6)):
                        kills += 1
                    else:
                        missed += 1
                        break
                finish(folder, to, options.rows)
                check_each_once(kafka, to, options.rows)
                rounds += 1
                print(f"{rounds} publications, {kills} kills: each message once", flush=True)
        finally:
            stop(process)
    print(f"{missed} attempts were over before their kill")
    return 0


if __name__ == "__main__":
    sys.exit(main())
