"""An actor of the cluster that takes what steps log while they go on, until the driver's process fetches it.

Workers can't reach a driver, which listens nowhere; both can reach an actor.
"""

from __future__ import annotations

import asyncio

Piece = tuple[str, float, int, bytes]
"""An attempt's id, for how many seconds it has been going on, and bytes of its log from a place on."""
WAIT = 20.0
"""Seconds after which `drain` gives an empty list."""
_ROOM = 32_000_000  # bytes that wait to be fetched


class LogSink:
    """The actor. What it has when its node dies is lost to the log; the step is not."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._size = 0
        self._changed = asyncio.Condition()

    async def put(self, task: str, seconds: float, begin: int, data: bytes) -> None:
        """Take the next piece of a log; returns when it has room."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._size < _ROOM)
            self._pieces.append((task, seconds, begin, data))
            self._size += len(data)
            self._changed.notify_all()

    async def drain(self) -> list[Piece]:
        """All pieces that have come, in the order of each attempt; waits for one for up to `WAIT` seconds."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: bool(self._pieces)), WAIT)
            except TimeoutError:
                return []
            pieces, self._pieces, self._size = self._pieces, [], 0
            self._changed.notify_all()
            return pieces
