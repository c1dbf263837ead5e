"""What a driver and its host say to each other over a stream socket.

A message is a head, which the other end reads, and a load, which it may only hand on: a `StepCall` on its way to
the worker and the worker's `StepResult` on its way back are bytes to the host. So nothing that a step writes on
its pipe can be taken for a message of the host: the lengths come first, and what is no result counts as none.

    driver -> host   Start + StepCall, Kill, AskCodes, AskParts
    host -> driver   Ready + graphs and triggers as JSON, Refused, Codes, Parts, Over + StepResult
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from typing import Any

from trikk.core.record import Record, read_bytes

_CHUNK = 1 << 16
_LENGTHS = struct.Struct("!II")  # bytes of the head, bytes of the load


class Start(Record, frozen=True, tag=True):
    """Fork a worker for the call that is the load."""

    task: str


class Kill(Record, frozen=True, tag=True):
    """Send a signal to the process group of an attempt."""

    task: str
    signal: int


class AskCodes(Record, frozen=True, tag=True):
    """Say for each step the digest of its code; the answer is `Codes`."""

    pipeline: str


class AskParts(Record, frozen=True, tag=True):
    """Say for each step the digests of all parts of its code; the answer is `Parts`."""

    pipeline: str


class Ready(Record, frozen=True, tag=True):
    """The project is imported; the load has `graphs` and `triggers`. `fresh` says why workers are not forked."""

    fresh: str | None
    pid: int = 0  # the host's


class Refused(Record, frozen=True, tag=True):
    """The project can't be imported: a `TrikkError` as JSON."""

    error: dict[str, Any]


class Codes(Record, frozen=True, tag=True):
    """By step the digest of the code that it reaches."""

    codes: dict[str, str]


class Parts(Record, frozen=True, tag=True):
    """By step the digests of all parts of its code, and that of what importing the project does."""

    parts: dict[str, dict[str, str]]
    imports: str


class Over(Record, frozen=True, tag=True):
    """An attempt has ended: its wait status, its peak of memory in bytes, and as the load its answer, if any."""

    task: str
    status: int
    peak: int


ToHost = Start | Kill | AskCodes | AskParts
ToDriver = Ready | Refused | Codes | Parts | Over
Message = tuple[Any, bytes]
"""A head and its load."""


def packed(head: Record, load: bytes = b"") -> bytes:
    """A message as it travels."""
    text = head.to_bytes()
    return _LENGTHS.pack(len(text), len(load)) + text + load


class Wire:
    """One end of a connection between a driver and its host.

    Args:
        sock: the socket.
        heads: what the other end sends: `ToHost` or `ToDriver`.
    """

    def __init__(self, sock: socket.socket, heads: Any) -> None:
        self.sock = sock
        self._heads = heads
        self._buffer = bytearray()

    def fileno(self) -> int:
        """The socket's descriptor, for selectors."""
        return self.sock.fileno()

    def send(self, head: Record, load: bytes = b"") -> None:
        """Send one message; raises OSError if the other end is gone."""
        self.sock.sendall(packed(head, load))

    def exchange(self, head: Record, load: bytes = b"") -> list[Message]:
        """Send, and take in what the other end says meanwhile: two that both wait to be heard would wait for ever.

        Raises:
            OSError: if the other end is gone.
        """
        left, received = memoryview(packed(head, load)), list[Message]()
        ready = select.poll()
        ready.register(self, select.POLLIN | select.POLLOUT)
        while left:
            events = ready.poll()[0][1]
            if events & select.POLLIN:
                messages = self.receive()
                if messages is None:
                    raise ConnectionResetError
                received += messages
            elif events & select.POLLOUT:
                with contextlib.suppress(BlockingIOError):
                    left = left[self.sock.send(left, socket.MSG_DONTWAIT) :]
            else:
                raise BrokenPipeError
        return received

    def receive(self) -> list[Message] | None:
        """The messages that have arrived whole, waiting for the first bytes; None if the other end is gone."""
        try:
            data = self.sock.recv(_CHUNK)
        except ConnectionResetError:
            return None
        if not data:
            return None
        self._buffer += data
        messages: list[Message] = []
        start = 0
        while len(self._buffer) - start >= _LENGTHS.size:
            head_size, load_size = _LENGTHS.unpack_from(self._buffer, start)
            head_at = start + _LENGTHS.size
            load_at = head_at + head_size
            end = load_at + load_size
            if len(self._buffer) < end:
                break
            head = read_bytes(bytes(self._buffer[head_at:load_at]), self._heads)
            messages.append((head, bytes(self._buffer[load_at:end])))
            start = end
        del self._buffer[:start]
        return messages
