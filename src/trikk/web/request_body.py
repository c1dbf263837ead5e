"""A request's body, read within limits: of one body, and of all that are being read and answered together."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Protocol

from trikk.web.refused import Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_WRITTEN_AT_ONCE = 1 << 20  # bytes
_DRAINED = 50  # times the limit on bodies: read and dropped, so that the client gets to read the answer
_HELD = 50  # times the limit on bodies: what all requests together may hold, 300 MB for one of 6 MB


class Disconnected(Exception):
    """The client has gone before its body was here."""


class Room(Protocol):
    """Who makes room when the bodies of all requests together are too large."""

    def drop_slow(self) -> bool:
        """End the request that has been on its way for longest; False if there is none."""


class RequestBodies:
    """The bodies of all requests to one server.

    Args:
        limit: bytes of one.
        room: who ends slow requests when all together are too large.
    """

    def __init__(self, limit: int, room: Room) -> None:
        self._limit = limit
        self._room = room
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> AsyncIterator[bytes]:
        """The body of one request; it counts towards what all together may hold until the block's end.

        Raises:
            Refused: 413 if it is larger than allowed, 503 if all together are.
            Disconnected: if the client has gone.
        """
        parts: list[bytes] = []
        try:
            await self._take(headers, receive, parts)
            yield parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            # Whatever came of it: a count that is not taken back would refuse everybody in the end.
            self._held -= sum(map(len, parts))

    @contextlib.asynccontextmanager
    async def read_to_file(
        self, headers: dict[bytes, bytes], receive: Receive, path: Path, limit: int
    ) -> AsyncIterator[Path]:
        """The body of one request in a file, which is gone at the block's end; a megabyte of it is in memory.

        Args:
            headers: of the request.
            receive: gives its body.
            path: of the file, in a folder that is made for it.
            limit: bytes that it may have.

        Raises:
            Refused: 413 if it is larger than allowed.
            Disconnected: if the client has gone.
            OSError: if it can't be written.
        """
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > limit:
            raise too_large(limit)
        await asyncio.to_thread(path.parent.mkdir, parents=True)
        try:
            with path.open("xb") as file:
                size, parts, held, is_more = 0, list[bytes](), 0, True
                while is_more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    part, is_more = message.get("body", b""), bool(message.get("more_body"))
                    size, held = size + len(part), held + len(part)
                    parts.append(part)
                    if size > limit:
                        raise too_large(limit)
                    if held > _WRITTEN_AT_ONCE or not is_more:
                        await asyncio.to_thread(file.write, b"".join(parts))
                        parts, held = [], 0
            yield path
        finally:
            await asyncio.to_thread(shutil.rmtree, path.parent, ignore_errors=True)

    async def _take(self, headers: dict[bytes, bytes], receive: Receive, parts: list[bytes]) -> None:
        limit = self._limit
        announced = headers.get(b"content-length", b"")
        large = announced.isdigit() and int(announced[:20]) > limit
        if large and headers.get(b"expect", b"").lower() == b"100-continue":
            raise too_large(limit)  # the client waits for this before it sends anything
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            size += len(part)
            large = large or size > limit
            if not large:
                parts.append(part)
                self._held += len(part)
                # Before the rest is read: hundreds of large bodies at once would take the machine's memory.
                if self._held > limit * _HELD and not self._room.drop_slow():
                    raise Refused(503, "too many large requests are being answered", next="try again in a second")
            if not message.get("more_body") or size > limit * _DRAINED:
                break
        if large:
            raise too_large(limit)


def too_large(limit: int) -> Refused:
    """The refusal of a body with more bytes than allowed."""
    return Refused(413, f"the body is larger than {limit:,} bytes", next="send it in pieces")
