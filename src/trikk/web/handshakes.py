"""Connections that are still shaking hands for TLS: they count like others, and end when they take too long.

asyncio's own way (`create_server(ssl=...)`) tells nobody of a connection before its handshake is over: thousands
that never get so far would take all descriptors, each for a minute. And it takes 256 kB for each connection.
"""

from __future__ import annotations

import asyncio
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import ssl

_LONGEST, _CLOSING = 10, 5  # seconds


class Room(Protocol):
    """Who counts connections."""

    def admit(self, one: Any) -> bool:
        """Whether there is room for one; it is counted."""

    def forget(self, one: Any) -> None:
        """It counts no longer."""


class Handshake(asyncio.Protocol):
    """One connection from its first byte to the end of its handshake.

    Args:
        every: all connections of the server.
        context: the server's.
        make: makes the connection that begins then, and is to have this one forgotten.

    Attributes:
        since: when it began.
        is_idle: never: it wants something.
        is_reading: always: it may be ended to make room.
    """

    is_idle, is_reading = False, True

    def __init__(
        self, every: Room, context: ssl.SSLContext, make: Callable[[Handshake], asyncio.Protocol]
    ) -> None:
        self.since = time.monotonic()
        self._every = every
        self._context = context
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._every.admit(self):
            self._transport.abort()
            return
        private = _Private(self._make(self), self._context)
        self._transport.set_protocol(private)
        private.connection_made(self._transport)

    def look(self, now: float) -> None:
        """Forget it when it has ended; asyncio ends it when it takes too long."""
        if self._transport.is_closing() or now > self.since + 2 * _LONGEST:
            self.end()

    def end(self, _why: str = "") -> None:
        """End it without a word: there is nobody yet whom one could tell anything."""
        self._every.forget(self)
        self._transport.abort()


class _Private(SSLProtocol):
    """asyncio's TLS, whose every connection takes a buffer of `max_size` at once, by itself 256 kB."""

    max_size = 16_384

    def __init__(self, connection: asyncio.Protocol, context: ssl.SSLContext) -> None:
        nobody: Any = None  # waits for the handshake: `connection_made` tells of it
        super().__init__(
            asyncio.get_running_loop(),
            connection,
            context,
            nobody,
            server_side=True,
            ssl_handshake_timeout=_LONGEST,
            ssl_shutdown_timeout=_CLOSING,
        )
