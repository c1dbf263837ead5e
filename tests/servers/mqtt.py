"""Real MQTT brokers for tests: HiveMQ from Maven, which speaks MQTT 5, and amqtt, which speaks 3.1.1.

HiveMQ takes one user only, in TLS too, and packets of at most 10,000 bytes, for tests of refusals; amqtt takes
everyone, and another one takes one user in TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import secrets
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority
from tests.servers.java import JAVA, fetch_jars
from tests.servers.shared import answers, free_ports, launch, shared, stop

VERSION = "2025.5"
LARGEST = 10_000
USER = "publisher"
_OPENS = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in ("java.lang", "java.nio", "sun.nio.ch")]
_CONFIG = """<?xml version="1.0"?>
<hivemq>
<listeners><tcp-listener><port>{port}</port><bind-address>127.0.0.1</bind-address></tcp-listener>{tls}</listeners>
<mqtt><packets><max-packet-size>{largest}</max-packet-size></packets>
<queued-messages><max-queue-size>100000</max-queue-size></queued-messages></mqtt>
<persistence><mode>in-memory</mode></persistence>
<anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
</hivemq>
"""
_TLS = """<tls-tcp-listener><port>{port}</port><bind-address>127.0.0.1</bind-address><tls><keystore>
<path>{store}</path><password>{word}</password><private-key-password>{word}</private-key-password>
</keystore></tls></tls-tcp-listener>"""
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Mqtt:
    """A broker on the loopback; without a password it takes everyone.

    Attributes:
        host: where it listens.
        version: of the protocol.
        password: of `USER`.
        ca: the authority of its certificate; empty if it does not speak TLS.
        strict: where it wants a certificate of its clients too.
    """

    host: str
    version: str
    password: str = ""
    ca: str = ""
    strict: str = ""

    def address(self, topic: str) -> str:
        """Where to publish to; the password stands in the variable MQTT_PASSWORD."""
        who = f"{USER}:${{MQTT_PASSWORD}}@" if self.password else ""
        options = ["version=3.1.1"] * (self.version != "5") + [f"ca={self.ca}"] * bool(self.ca)
        address = f"{'mqtts' if self.ca else 'mqtt'}://{who}{self.host}/{topic}"
        return f"{address}?{'&'.join(options)}" if options else address

    @contextlib.contextmanager
    def listening(self, topic: str) -> Iterator[list[Any]]:
        """The messages that come while the block runs."""
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        found: list[Any] = []
        ready = threading.Event()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if self.version == "5" else paho.MQTTv311
        )
        if self.password:
            client.username_pw_set(USER, self.password)
        client.on_message = lambda _client, _data, message: found.append(message)
        client.on_subscribe = lambda *_: ready.set()
        if self.ca:
            client.tls_set(ca_certs=self.ca)
        name, _, port = self.host.rpartition(":")
        client.connect(name, int(port))
        client.subscribe(topic, 1)
        client.loop_start()
        assert ready.wait(20)
        try:
            yield found
        finally:
            client.disconnect()
            client.loop_stop()


def wait_for(found: list[Any], count: int) -> list[Any]:
    """Wait until so many messages have come."""
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def mqtt5(tmp_path_factory: pytest.TempPathFactory) -> Mqtt:
    """A broker that speaks MQTT 5; the test is skipped, with the reason, where it can't be had."""
    host, password, *_ = _hivemq(tmp_path_factory)
    return Mqtt(host, "5", password)


@pytest.fixture(scope="session")
def mqtt5_tls(tmp_path_factory: pytest.TempPathFactory) -> Mqtt:
    """The same broker in TLS."""
    _, password, *more = _hivemq(tmp_path_factory)
    if not more:
        pytest.skip("no certificates: cryptography is not installed")
    return Mqtt(more[0], "5", password, more[1])


def _hivemq(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Where it listens, its password, where it listens in TLS, and the file of its authority."""
    pytest.importorskip("paho.mqtt", reason="no client of MQTT: paho-mqtt is not installed")
    try:
        address: list[str] = shared(tmp_path_factory.getbasetemp(), "mqtt", _start_hivemq)
        return address
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no broker of MQTT 5: {error}")


def _start_hivemq(folder: Path, owner: int) -> tuple[list[str], subprocess.Popen[bytes]]:
    jars = fetch_jars("com.hivemq", "hivemq-community-edition-embedded", VERSION)
    (port, tls), password = free_ports(2), "s3cr3t-" + secrets.token_hex(8)
    for name in ("conf", "data", "extensions"):
        (folder / name).mkdir(exist_ok=True)
    address, listener = [f"127.0.0.1:{port}", password], ""
    if importlib.util.find_spec("cryptography") is not None:
        authority = Authority(folder / "certificates")
        store = authority.issue("server", ["localhost"]).keystore(password)
        address += [f"localhost:{tls}", str(authority.ca)]
        listener = _TLS.format(port=tls, store=store, word=password)
    (folder / "conf/config.xml").write_text(_CONFIG.format(port=port, tls=listener, largest=LARGEST))
    source = Path(__file__).with_name("Broker.java")
    command = [*JAVA, *_OPENS, "-cp", f"{jars}/*", str(source), str(folder), USER, password]
    process = launch(command, folder / "log", owner)
    if not all(answers(process, one, _SECONDS) for one in ([port, tls] if listener else [port])):
        stop(process)
        raise RuntimeError(f"HiveMQ did not start: {(folder / 'log').read_text(errors='replace').strip()[-250:]}")
    return address, process


@pytest.fixture(scope="session")
def mqtt3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mqtt]:
    """A broker that speaks MQTT 3.1.1 only, in a process of its own."""
    pytest.importorskip("paho.mqtt", reason="no client of MQTT: paho-mqtt is not installed")
    pytest.importorskip("amqtt", reason="no broker of MQTT: amqtt is not installed")
    [port] = free_ports(1)
    with _amqtt(tmp_path_factory.mktemp("amqtt"), port):
        yield Mqtt(f"127.0.0.1:{port}", "3.1.1")


@pytest.fixture(scope="session")
def mqtt_tls(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Mqtt]:
    """A broker that speaks MQTT 3.1.1 in TLS, and takes one user only."""
    pytest.importorskip("paho.mqtt", reason="no client of MQTT: paho-mqtt is not installed")
    pytest.importorskip("amqtt", reason="no broker of MQTT: amqtt is not installed")
    from pwdlib.hashers.argon2 import Argon2Hasher

    folder, password = tmp_path_factory.mktemp("amqtt-tls"), "s3cr3t-" + secrets.token_hex(8)
    hasher = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    (folder / "users").write_text(f"{USER}:{hasher.hash(password)}\n")
    pair = authority.issue("broker", ["localhost"])
    port, strict = free_ports(2)
    with _amqtt(folder, port, strict, folder / "users", pair.cert, pair.key, authority.ca):
        yield Mqtt(f"localhost:{port}", "3.1.1", password, str(authority.ca), f"localhost:{strict}")


@contextlib.contextmanager
def _amqtt(folder: Path, *arguments: object) -> Iterator[None]:
    """A process with a broker; the arguments are those of `_serve`."""
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "tests.servers.mqtt", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=log, stderr=log)
    try:
        if not answers(process, int(str(arguments[0])), _SECONDS):
            pytest.skip("no broker of MQTT: amqtt did not start")
        yield
    finally:
        process.kill()
        process.wait()


async def _serve(
    port: str, strict: str = "", users: str = "", cert: str = "", key: str = "", ca: str = ""
) -> None:
    from amqtt.broker import Broker

    class Strict(Broker):  # type: ignore[misc]
        """Has no setting for it by itself."""

        @staticmethod
        def _create_ssl_context(listener: Any) -> ssl.SSLContext:
            context: ssl.SSLContext = Broker._create_ssl_context(listener)
            if listener["bind"].endswith(strict):
                context.verify_mode = ssl.CERT_REQUIRED
            return context

    way = {"ssl": True, "certfile": cert, "keyfile": key, "cafile": ca} if users else {}
    who = (
        {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": users}}
        if users
        else {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    )
    names = {"default": port, **({"strict": strict} if strict else {})}
    listeners = {name: {"type": "tcp", "bind": f"127.0.0.1:{place}", **way} for name, place in names.items()}
    await Strict({"listeners": listeners, "plugins": who}).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
