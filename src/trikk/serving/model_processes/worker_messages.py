"""Messages between the front and a worker: a JSON head and any number of byte strings after it.

    4 bytes   length of everything that follows, big-endian
    4 bytes   length of the head
    head      a JSON object; its "sizes" are the lengths of the parts
    parts     as they are

Both ends are processes of one endpoint, over a socket pair that nobody else holds.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trikk.core.record import Record


class Order(StrEnum):
    """What the front has a worker do."""

    PRELOAD = "preload"
    LOAD = "load"
    ANSWER = "answer"


class LogSpec(Record, frozen=True):
    """What is logged of a prediction."""

    # name and type of the key's columns and the slot's, in order, as the table holds them
    fields: list[tuple[str, str]]
    inputs: bool  # whether the model's inputs are, as JSON
    value: str  # the type of the table's values; "" where it is not known yet


class LoadSpec(Record, frozen=True):
    """What a worker needs to load a version."""

    version: dict[str, Any]  # a `ModelVersion` as JSON
    code: str  # the folder with the code that it was made with
    artifacts: str  # where the project's artifacts are
    log: LogSpec | None  # what is logged; None for nothing
    max_bytes: int  # of a body
    max_rows: int  # of a body


_LENGTHS = struct.Struct(">II")
PREFIX = 4
"""Bytes that say how long the rest of a message is."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one end tells the other."""

    head: dict[str, Any]
    parts: list[bytes]


def pack(head: dict[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    """A message as it travels."""
    text = json.dumps({**head, "sizes": [len(part) for part in parts]}, separators=(",", ":")).encode()
    total = PREFIX + len(text) + sum(len(part) for part in parts)
    return b"".join((_LENGTHS.pack(total, len(text)), text, *parts))


def length(prefix: bytes) -> int:
    """How many bytes follow the first four of a message."""
    return int.from_bytes(prefix, "big")


def unpack(rest: bytes) -> Message:
    """A message from everything after its first four bytes."""
    at = PREFIX + int.from_bytes(rest[:PREFIX], "big")
    head = json.loads(rest[PREFIX:at])
    parts = []
    for size in head.pop("sizes"):
        parts.append(rest[at : at + size])
        at += size
    return Message(head, parts)


def receive(sock: socket.socket) -> Message | None:
    """The next message from a blocking socket; None if the other end is gone."""
    prefix = _exactly(sock, PREFIX)
    rest = None if prefix is None else _exactly(sock, length(prefix))
    return None if rest is None else unpack(rest)


def _exactly(sock: socket.socket, count: int) -> bytes | None:
    received = bytearray(count)
    view = memoryview(received)
    while view:
        try:
            size = sock.recv_into(view)
        except ConnectionResetError:
            return None
        if not size:
            return None
        view = view[size:]
    return bytes(received)
