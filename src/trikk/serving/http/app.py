"""The HTTP side: SageMaker's container contract (`/ping`, `/invocations`), and `/metrics` for Prometheus."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from trikk.access.identity import Role
from trikk.serving.http.answers import Answer, refusal
from trikk.serving.http.bodies import Body
from trikk.serving.http.dispatch import Dispatcher, Served
from trikk.serving.model_processes.predictor import Request
from trikk.serving.options import Options
from trikk.web.callers import Headers, address_of
from trikk.web.proxies import Proxies
from trikk.web.refused import JSON_TYPE, Refused
from trikk.web.request_body import Disconnected, Receive, RequestBodies, Scope, Send

if TYPE_CHECKING:
    from trikk.access.guard import Guard
    from trikk.serving.http.counters import Metrics
    from trikk.web.connections import Connections
    from trikk.web.server_certificate import ServerCertificate

_METHODS = {"/ping": ("GET", "HEAD"), "/invocations": ("POST",), "/metrics": ("GET", "HEAD")}
_CLOSE: Headers = [(b"connection", b"close")]  # what is left of the request is not read
_ALLOWED: Headers = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"accept, authorization, content-encoding, content-type"),
]


class App:
    """The ASGI application of one endpoint."""

    def __init__(
        self,
        options: Options,
        dispatcher: Dispatcher,
        metrics: Metrics,
        connections: Connections,
        guard: Guard,
        certificate: ServerCertificate | None,
    ) -> None:
        self._options = options
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._connections = connections
        self._guard = guard
        self._proxies = Proxies(options.trust_proxies)
        self._callers = options.callers(certificate)
        self._model = options.model.encode()
        self._bodies = RequestBodies(options.max_body, connections)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope = self._proxies.resolve(scope)
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
        elif (refused := await self._refused(scope)) is not None:
            more = [(name.encode(), value.encode()) for name, value in refused.headers.items()]
            more += [*_CLOSE, *(_shared(origin) if origin else [])]
            await _send(send, refused.status, refusal(refused).body, more)
        elif path == "/metrics":
            samples, media_type = self._metrics.text()
            await _send(send, 200, samples, kind=media_type)
        else:
            await self._invoke(scope, receive, send, _shared(origin) if origin else [])

    async def _refused(self, scope: Scope) -> Refused | None:
        """Why somebody may not ask; None if they may. Nothing of the body is read before."""
        address, identity = address_of(scope), None
        try:
            identity = await self._guard.identify(scope["headers"], address)
            self._guard.admit(identity, Role.VIEWER, address)
        except Refused as error:
            self._guard.refusals.note(identity, address, "call_endpoint", {"model": self._options.model}, error)
            self._metrics.requests.labels(str(error.status)).inc()
            return error
        return None

    async def _ping(self, send: Send) -> None:
        fleet = self._dispatcher.fleet
        ready = fleet is not None and bool(fleet.idle or fleet.busy)
        about = {"model_version": None} if fleet is None else fleet.about
        body = {"status": "ready" if ready else "no model", "model": self._options.model, **about}
        await _send(send, 200 if ready else 503, json.dumps(body).encode())

    async def _invoke(self, scope: Scope, receive: Receive, send: Send, more: Headers) -> None:
        given = dict(scope["headers"])
        began = time.monotonic()
        try:
            async with self._bodies.read(given, receive) as data:
                # A slow client is not a slow answer: time counts from the last byte.
                began = time.monotonic()
                body = Body(data, _text(given, b"content-type"), _text(given, b"content-encoding").strip().lower())
                served = await self._dispatcher.submit(Request(body, _text(given, b"accept")))
        except Refused as error:
            served = Served(refusal(error), None)
        except Disconnected:
            self._metrics.requests.labels("499").inc()
            return
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


def _shared(origin: bytes) -> Headers:
    """What tells a browser that a page of that origin may read the answer."""
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


async def _send(send: Send, status: int, body: bytes, more: Headers | None = None, kind: str = JSON_TYPE) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body)), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
