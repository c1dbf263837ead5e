"""Datadog's agent as far as its UDP socket goes: takes packets, and refuses what is not in their format."""

from __future__ import annotations

import re
import socket
from collections import Counter

LARGEST = 8192  # bytes that an agent reads of a packet, unless it is told otherwise
_LINE = re.compile(
    r"(?P<name>[A-Za-z][\w.]{0,199}):(?P<value>-?\d+(\.\d+)?(e[+-]?\d+)?)\|(?P<kind>[cgh])"
    r"(\|@(?P<rate>\d+(\.\d+)?(e-\d+)?))?(\|#(?P<tags>[^|\n,]+:[^|\n,]+(,[^|\n,]+:[^|\n,]+)*))?"
)

Series = tuple[str, str]
"""A metric's name, and its tags as they were sent, in order."""


class Agent:
    """A socket on loopback, and what came to it.

    Attributes:
        counts: increases by series.
        gauges: the last value of each.
        values: of histograms, how often each value came, by series.
        packets: how many there were.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.counts: Counter[Series] = Counter()
        self.gauges: dict[Series, float] = {}
        self.values: dict[Series, Counter[float]] = {}
        self.packets = 0

    def receive(self) -> None:
        """Take in everything that has come."""
        while True:
            try:
                packet = self._socket.recv(1 << 16)
            except TimeoutError:
                return
            assert len(packet) <= LARGEST
            self.packets += 1
            for line in packet.decode().split("\n"):
                self._take(line)

    def _take(self, line: str) -> None:
        parsed = _LINE.fullmatch(line)
        assert parsed, line
        series, value = (parsed["name"], parsed["tags"] or ""), float(parsed["value"])
        if parsed["kind"] == "g":
            self.gauges[series] = value
        elif parsed["kind"] == "c":
            self.counts[series] += value  # type: ignore[assignment]
        else:
            # As the agent has it: whole numbers, cut off.
            self.values.setdefault(series, Counter())[value] += int(1 / float(parsed["rate"] or 1))

    def close(self) -> None:
        """Take nothing more."""
        self._socket.close()
