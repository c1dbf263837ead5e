"""Messages over a stream socket: one JSON document a line."""

from __future__ import annotations

import json
import socket
from typing import Any

_CHUNK = 1 << 16


def encode(message: dict[str, Any]) -> bytes:
    """A message as it travels."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Wire:
    """One end of a connection between a driver and its host."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()

    def fileno(self) -> int:
        """The socket's descriptor, for selectors."""
        return self.sock.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; raises OSError if the other end is gone."""
        self.sock.sendall(encode(message))

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have arrived, waiting for the first bytes; None if the other end is gone."""
        try:
            data = self.sock.recv(_CHUNK)
        except ConnectionResetError:
            return None
        if not data:
            return None
        self._buffer += data
        if b"\n" not in data:
            return []
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        return [json.loads(line) for line in lines if line]
