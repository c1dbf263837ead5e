"""Metrics to Datadog's agent, in its own format over UDP: a line for each, which nobody acknowledges."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence

from trikk.core.errors import BrokerError, UsageError
from trikk.telemetry.metrics.metric_changes import Reading
from trikk.telemetry.metrics.metric_table import MetricKind

_PATIENCE = 2.0  # seconds, should the machine's own buffers be full
_PACKET = 1432  # bytes: what fits a frame of Ethernet, as Datadog's own clients have it
_TAG = 200  # characters that Datadog keeps of a tag, its name included
_MARKS = re.compile(r"[^\w./:-]")  # what ends a tag or a line, or Datadog makes an underscore of
_HALVINGS = 1 << 20


class DogStatsdSink:
    """Datadog's agent.

    Args:
        address: `host:port`, such as `localhost:8125`.
        project: the project's name, which is a tag of each metric.

    Raises:
        UsageError: if it is no address.
    """

    name = "dogstatsd"
    every = 10.0
    most = 1000

    def __init__(self, address: str, project: str) -> None:
        self._host, self._port = parse_address(address)
        self._project = project

    def send(self, readings: Sequence[Reading], at: float) -> None:  # noqa: ARG002 - the agent has a clock
        """Send a line for each gauge, each increase, and each bucket's values as values of its bound."""
        lines = [line for reading in readings for line in self._lines(reading)]
        try:
            # Anew at each push: the agent's address may have changed, and nothing is lost by it.
            family, kind, protocol, _, place = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[
                0
            ]
            with socket.socket(family, kind, protocol) as sending:
                sending.settimeout(_PATIENCE)
                sending.connect(place)
                for packet in _packets(lines):
                    sending.send(packet)
        except OSError as error:
            raise BrokerError(f"DogStatsD is away: {error.strerror or type(error).__name__}") from error

    def _lines(self, reading: Reading) -> Iterator[str]:
        name, tags = reading.metric.name, ",".join(self._tags(reading))
        if reading.metric.kind is MetricKind.GAUGE:
            yield f"{name}:{_plain(reading.value)}|g|#{tags}"
        elif reading.metric.kind is MetricKind.COUNTER:
            yield f"{name}:{_plain(reading.value)}|c|#{tags}"
        for bound, count in reading.counts:
            # A rate says for how many values a line stands. Only those of powers of two are exact.
            left, weight = int(count), _HALVINGS
            while left:
                for _ in range(left // weight):
                    yield f"{name}:{_plain(bound)}|h|@{1 / weight!r}|#{tags}"
                left, weight = left % weight, weight // 2

    def _tags(self, reading: Reading) -> Iterator[str]:
        for label, value in (("project", self._project), *reading.labels):
            yield f"{label}:{_MARKS.sub('_', value)}"[:_TAG]


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`; of an IPv6 address `[::1]:8125`. UsageError if it is none."""
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise UsageError(f"{address[:80]!r} is not an address", next='write dogstatsd = "localhost:8125"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def _packets(lines: Sequence[str]) -> Iterator[bytes]:
    """The lines in packets, of which none is larger than a frame if no line is."""
    packet: list[bytes] = []
    size = 0
    for line in lines:
        encoded = line.encode()
        if packet and size + len(encoded) >= _PACKET:
            yield b"\n".join(packet)
            packet, size = [], 0
        packet.append(encoded)
        size += len(encoded) + 1
    if packet:
        yield b"\n".join(packet)
