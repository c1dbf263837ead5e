"""The HTTP side: SageMaker's container contract (`/ping`, `/invocations`), and `/metrics` for Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from trikk.serving.http.answers import Answer, refusal
from trikk.serving.http.bodies import Body, too_large
from trikk.serving.http.callers import Callers, Headers
from trikk.serving.http.dispatch import Dispatcher, Served
from trikk.serving.http.refusal import JSON_TYPE, Refused
from trikk.serving.model_processes.predictor import Request
from trikk.serving.options import Options

if TYPE_CHECKING:
    from trikk.serving.http.connections import Connections
    from trikk.serving.http.counters import Metrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_METHODS = {"/ping": ("GET", "HEAD"), "/invocations": ("POST",), "/metrics": ("GET", "HEAD")}
_DRAINED = 50  # times the limit on bodies: read and dropped, so that the client gets to read the answer
_HELD = 50  # times the limit on bodies: what all requests together may hold, 300 MB as it is set

_CLOSE: Headers = [(b"connection", b"close")]  # what is left of the request is not read
_ALLOWED: Headers = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"accept, content-encoding, content-type"),
]


class _Disconnected(Exception):
    """The client has gone before its body was here."""


class App:
    """The ASGI application of one endpoint."""

    def __init__(
        self, options: Options, dispatcher: Dispatcher, metrics: Metrics, connections: Connections
    ) -> None:
        self._options = options
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._connections = connections
        self._callers = Callers(options.host, options.allow_hosts, options.allow_origins)
        self._model = options.model.encode()
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        try:
            origin = self._callers.check(scope["headers"], scope["http_version"]).encode()
        except Refused as error:
            self._connections.say(f"callers {error.status}", f"{error.what}: {error.next}")
            await _send(send, error.status, refusal(error).body, _CLOSE)
            return
        if origin and scope["method"] == "OPTIONS":
            await _send(send, 204, b"", [*_ALLOWED, *_shared(origin)])
            return
        if path not in _METHODS:
            paths = ", ".join(_METHODS)
            answer = refusal(Refused(404, "there is nothing here", next=f"there are: {paths}"))
            await _send(send, 404, answer.body, _CLOSE)
        elif scope["method"] not in _METHODS[path]:
            answer = refusal(Refused(405, f"{path} takes {_METHODS[path][0]}", next=f"use {_METHODS[path][0]}"))
            await _send(send, 405, answer.body, [(b"allow", ", ".join(_METHODS[path]).encode()), *_CLOSE])
        elif path == "/ping":
            await self._ping(send)
        elif path == "/metrics":
            samples, media_type = self._metrics.text()
            await _send(send, 200, samples, kind=media_type)
        else:
            await self._invoke(scope, receive, send, _shared(origin) if origin else [])

    async def _ping(self, send: Send) -> None:
        fleet = self._dispatcher.fleet
        ready = fleet is not None and bool(fleet.idle or fleet.busy)
        about = {"model_version": None} if fleet is None else fleet.about
        body = {"status": "ready" if ready else "no model", "model": self._options.model, **about}
        await _send(send, 200 if ready else 503, json.dumps(body).encode())

    async def _invoke(self, scope: Scope, receive: Receive, send: Send, more: Headers) -> None:
        given = dict(scope["headers"])
        began = time.monotonic()
        parts: list[bytes] = []
        try:
            data = await self._body(given, receive, parts)
            # A slow client is not a slow answer: time counts from the last byte.
            began = time.monotonic()
            body = Body(data, _text(given, b"content-type"), _text(given, b"content-encoding").strip().lower())
            served = await self._dispatcher.submit(Request(body, _text(given, b"accept")))
        except Refused as error:
            served = Served(refusal(error), None)
        except _Disconnected:
            self._metrics.requests.labels("499").inc()
            return
        finally:
            # Whatever came of it: a count that is not taken back would refuse everybody in the end.
            self._held -= sum(map(len, parts))
        answer = served.answer
        self._metrics.requests.labels(str(answer.status)).inc()
        self._metrics.seconds.observe(time.monotonic() - began)
        headers = [*self._headers(answer, served.version), *more]
        await _send(send, answer.status, answer.body, headers, answer.content_type)

    def _headers(self, answer: Answer, version: int | None) -> Headers:
        headers = [(b"x-trikk-model", self._model)]
        if version is not None:
            headers.append((b"x-trikk-model-version", b"%d" % version))
        if answer.id:
            headers.append((b"x-trikk-prediction-id", answer.id.encode()))
        if answer.status == 503:
            headers.append((b"retry-after", b"1"))
        if answer.status == 413:
            headers += _CLOSE
        return headers

    async def _body(self, headers: dict[bytes, bytes], receive: Receive, parts: list[bytes]) -> bytes:
        """The request's body; Refused with 413 if it is larger than allowed, 503 if all together are.

        What is held of it is added to `parts`.
        """
        limit = self._options.max_body
        announced = headers.get(b"content-length", b"")
        large = announced.isdigit() and int(announced[:20]) > limit
        if large and headers.get(b"expect", b"").lower() == b"100-continue":
            raise too_large(limit)  # the client waits for this before it sends anything
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            part = message.get("body", b"")
            size += len(part)
            large = large or size > limit
            if not large:
                parts.append(part)
                self._held += len(part)
                # Before the rest is read: hundreds of large bodies at once would take the machine's memory.
                if self._held > limit * _HELD and not self._connections.drop_slow():
                    raise Refused(503, "too many large requests are being answered", next="try again in a second")
            if not message.get("more_body") or size > limit * _DRAINED:
                break
        if large:
            raise too_large(limit)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _shared(origin: bytes) -> Headers:
    """What tells a browser that a page of that origin may read the answer."""
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


async def _send(send: Send, status: int, body: bytes, more: Headers | None = None, kind: str = JSON_TYPE) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body)), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
