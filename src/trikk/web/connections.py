"""What uvicorn leaves open: how many connections there are, how long one may take, and how large a head is.

uvicorn closes connections that are idle after an answer, pauses a client that sends faster than it is read, and
takes requests of one connection in turn. It has no time limit for a head, a body or a reader, none for a head's
size, and its limit on connections answers 503 to everybody. All that is here, in its protocol's own callbacks and
one look at all connections twice a second; a request that is well costs a few assignments.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trikk.web.handshakes import Handshake
from trikk.web.refused import Refused

if TYPE_CHECKING:
    import ssl

_LOOK = 0.5
_FOR_HEAD, _FOR_BODY, _RATE = 10.0, 20.0, 20_000  # seconds; bytes a second beyond
_IDLE, _CLOSING, _YOUNG = 75.0, 5.0, 1.0  # seconds; what is younger is not ended to make room for others
_MOST_FIELDS, _MOST_HEAD = 100, 65_536  # of a head; bytes
_SAY_AGAIN = 60.0


class Connections:
    """The open connections of one server.

    Args:
        most: how many there may be.
        max_body: bytes of a body, which give a client more time.
        explain: the media type and the body of the answer that says why something is refused.
        log: the logger's name.
    """

    def __init__(
        self, most: int, max_body: int, explain: Callable[[Refused], tuple[str, bytes]], log: str
    ) -> None:
        self.most = most
        self.max_body = max_body
        self.explain = explain
        self._log = logging.getLogger(log)
        self._open: set[Connection | Handshake] = set()
        self._said: dict[str, float] = {}

    def protocol(self, context: ssl.SSLContext | None = None) -> Callable[..., Connection | Handshake]:
        """What uvicorn makes each connection with; with a context for TLS, it begins with a handshake."""
        kind = type("ServerConnection", (Connection,), {"every": self})
        if context is None:
            return kind

        def begin(**given: Any) -> Handshake:
            return Handshake(self, context, lambda handshake: kind(**given).after(handshake))

        return begin

    def admit(self, one: Connection | Handshake) -> bool:
        """Take a new connection; where there are too many, the one that waits longest makes room."""
        self._open.add(one)
        if len(self._open) <= self.most:
            return True
        problem = f"{self.most} connections are open, and there may not be more: the idle and slow ones are closed"
        self.say("room", problem)
        # First those that wait for nothing: a browser's idle connection costs nobody an answer.
        idle = [c for c in self._open if c.is_idle and c is not one]
        return _end_oldest(idle, "") or self.drop_slow()

    def drop_slow(self) -> bool:
        """End the request that has been on its way for longest, if there is one, so that others have its room."""
        before = time.monotonic() - _YOUNG
        slow = [c for c in self._open if c.is_reading and c.since < before]
        return _end_oldest(slow, "the request came too slowly, and others need the room")

    def forget(self, one: Connection | Handshake) -> None:
        """A connection has ended."""
        self._open.discard(one)

    def say(self, about: str, text: str) -> None:
        """Log a line, once a minute for each matter."""
        if (now := time.monotonic()) > self._said.get(about, -_SAY_AGAIN) + _SAY_AGAIN:
            self._said[about] = now
            self._log.warning("%s", text)

    async def sweep(self) -> None:
        """End what takes too long, for ever."""
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            for one in list(self._open):
                one.look(now)

    def trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop's handler: that no more connections can be taken is one line, not a trace for each."""
        if "out of system resource" in context.get("message", ""):
            self.say("files", "no connection can be taken: the process has no file descriptors left (ulimit -n)")
        else:
            loop.default_exception_handler(context)


class Connection(HttpToolsProtocol):
    """One connection.

    Attributes:
        since: when the request that is being read began, or the connection.
        is_reading: whether a request is not wholly here.
        handshake: by which it has begun; None without TLS.
    """

    every: Connections
    handshake: Handshake | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.since = time.monotonic()
        self.is_reading = False
        self._in_head = self._begun = False
        self._taken = self._head = self._fields = 0
        self._unsent = 0
        self._unsent_since = self._closing_since = 0.0
        self._why = Refused(400, "this is not an HTTP request", next="send HTTP/1.1")

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        busy = self.is_reading or self.transport.is_closing()
        return not busy and (self.cycle is None or self.cycle.response_complete)

    def connection_made(self, transport: Any) -> None:
        """Take it, or turn it away."""
        super().connection_made(transport)
        if self.handshake is not None:
            self.every.forget(self.handshake)
        if not self.every.admit(self):
            self._refuse(Refused(503, "too many connections are open", next="try again in a second"))

    def after(self, handshake: Handshake) -> Connection:
        """This one, which begins when the handshake is over."""
        self.handshake = handshake
        return self

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.every.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless it is turned away already."""
        if self.transport.is_closing():
            return
        self._taken += len(data)
        super().data_received(data)
        # httptools tells of a header only when it is whole: a single endless one is seen by its bytes.
        if self._in_head and self._taken > _MOST_HEAD and not self.transport.is_closing():
            self._refuse(_large_head())

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.is_reading = self._in_head = self._begun = True
        self.since = time.monotonic()
        self._taken = self._head = self._fields = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count fields, a chunked body's trailers among them."""
        self._fields += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_url(self, url: bytes) -> None:
        """Count its bytes, too."""
        self._count(len(url))
        super().on_url(url)

    def _count(self, size: int) -> None:
        self._head += size
        if self._fields > _MOST_FIELDS or self._head > _MOST_HEAD:
            self._why = _large_head()
            raise self._why

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is here."""
        self.is_reading = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text
        """Answer what is not a request as everything else is answered."""
        self._refuse(self._why)

    def look(self, now: float) -> None:
        """End it if it takes too long; a slow reader of an answer, too."""
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now > self._closing_since + _CLOSING:
                self.transport.abort()
        elif self.is_reading and now > self.since + self._allowed():
            self.end("the request did not come in time")
        elif not self._begun and now > self.since + _IDLE:
            self.end()
        self._look_at_reader(now)

    def _allowed(self) -> float:
        if self._in_head:
            return _FOR_HEAD
        # A client on a slow line gets time for what it sends, up to the largest body; one that trickles does not.
        return _FOR_BODY + min(self._taken, self.every.max_body) / _RATE

    def _look_at_reader(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._unsent = 0
        elif not self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now > self._unsent_since + _FOR_BODY + (self._unsent - unsent) / _RATE:
            self.transport.abort()

    def end(self, why: str = "") -> None:
        """Close it; where a reason is given, with 408."""
        if why:
            self._refuse(Refused(408, why, next="send it at once, and whole"))
        else:
            self.transport.close()

    def _refuse(self, why: Refused) -> None:
        """Say why and close it; without a word where another answer is on its way."""
        cycle: Any = self.cycle
        self.is_reading = False
        if cycle is not None and not cycle.response_complete:
            if self._in_head or cycle.response_started or self.pipeline:
                self.transport.abort()
                return
            cycle.disconnected = True  # whoever works on it may stop
            cycle.message_event.set()
        kind, body = self.every.explain(why)
        head = f"content-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[why.status] + head.encode() + body)
        self.transport.close()


def _end_oldest(some: list[Connection | Handshake], why: str) -> bool:
    if some:
        min(some, key=lambda one: one.since).end(why)
    return bool(some)


def _large_head() -> Refused:
    problem = f"the head has more than {_MOST_FIELDS} fields or {_MOST_HEAD:,} bytes"
    return Refused(431, problem, next="send fewer and shorter headers")
