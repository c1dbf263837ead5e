"""The ASGI application: who may ask, which route it is, what it takes, and an answer or a problem."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as PathRoute
from starlette.routing import Router

from trikk.access.audit import recorded
from trikk.core.errors import TrikkError
from trikk.core.settings import upload_limit
from trikk.core.text import shorten
from trikk.server.http.conditions import has_it, tag_of
from trikk.server.http.doors import Doors
from trikk.server.http.forms import DONE, FORM_TYPE, joined, read_form
from trikk.server.http.json_answers import encoded
from trikk.server.http.problems import PROBLEM_TYPE, problem_headers, problem_of, status_of
from trikk.server.http.routes import API, NAME, PATH_NAMES, Answer, Call, Pages, Route
from trikk.web.callers import Callers, address_of
from trikk.web.refused import JSON_TYPE, Refused
from trikk.web.request_body import Disconnected, Receive, RequestBodies, Scope, Send

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from trikk.access.guard import Guard
    from trikk.access.identity import Identity
    from trikk.web.connections import Connections
    from trikk.web.proxies import Proxies

_MOST_QUERIES = 50
_NAME_OF_UPLOAD = "upload"
_WRITTEN_DOWN = (
    *("pipeline", "step", "name", "role", "environment", "code", "tick", "until", "rebuild", "why", "by"),
    *("version", "alias", "required", "at", "report", "keep_last", "older_than", "topic", "address", "agreed"),
)
"""What of a body gets into the log of changes. Parameters and payloads do not: they may hold anything."""


class WebApp:
    """The application of one server.

    Args:
        doors: what handlers share.
        probes: the routes that monitoring asks.
        others: gives all other routes, and the pages for people in browsers (None for none), when the first
            request comes that is for none of these.
        proxies: through which requests come.
        callers: from where and under which names it may be asked.
        guard: tells who asks, and what they may.
        bodies: reads bodies within limits.
        connections: says what is refused in the log, not too often.
    """

    def __init__(
        self,
        doors: Doors,
        probes: Iterable[Route],
        others: Callable[[], tuple[Iterable[Route], Pages | None]],
        proxies: Proxies,
        callers: Callers,
        guard: Guard,
        bodies: RequestBodies,
        connections: Connections,
    ) -> None:
        self._doors = doors
        self._pages: Pages | None = None
        self._guard = guard
        self._proxies = proxies
        self._callers = callers
        self._bodies = bodies
        self._connections = connections
        self._load_others = others
        self._loading = asyncio.Lock()
        self._others: Router | None = None
        self._router = self._routed(probes, self._ask_others)

    def _routed(self, routes: Iterable[Route], default: ASGIApp) -> Router:
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        # Last those that would take what is meant for another: an incident's id may have slashes.
        ordered = sorted(by_path.items(), key=lambda item: item[0].endswith(":path}"))
        paths = [PathRoute(path, _Endpoint(self, methods)) for path, methods in ordered]
        return Router(paths, redirect_slashes=False, default=default)

    async def _ask_others(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._others is None:
            try:
                self._others = await self._loaded()
            except Exception as error:  # noqa: BLE001 - as of a handler
                await problem_response(error, connection="close")(scope, receive, send)
                return
        await self._others(scope, receive, send)

    async def _loaded(self) -> Router:
        async with self._loading:
            if self._others is None:  # in a thread: no probe waits for the imports
                routes, self._pages = await self._doors.workers.run(self._load_others, changes=False)
                of_pages = self._pages.routes if self._pages is not None else ()
                self._others = self._routed((*routes, *of_pages), self._nothing_here)
            return self._others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope = self._proxies.resolve(scope)
        try:
            origin = self._callers.check(scope["headers"], scope["http_version"])
        except Refused as error:
            self._connections.say(f"callers {error.status}", f"{error.what}: {error.next}")
            await problem_response(error, connection="close")(scope, receive, send)
            return
        await self._router(scope, receive, _shared(send, origin) if origin else send)

    async def answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to a route."""
        doors, began = self._doors, time.monotonic()
        identity: Identity | None = None
        call: Call | None = None
        try:
            identity = await self._identified(route, scope)
            if not route.is_open:
                identity = self._guard.admit(identity, route.needs, address_of(scope))
            async with self._received(route, scope, receive) as data:
                call = _call(route, scope, data, identity)
                work = partial(_handled, doors, route, call)
                answer = await doors.workers.run(work, changes=route.changes, longest=route.longest)
        except Disconnected:
            doors.metrics.requests.labels(route.path, "499").inc()
            return
        except Exception as error:  # noqa: BLE001 - no client may get a stack trace, nor wait for ever
            response = self._problem(route, error, scope, identity)
            is_denied = isinstance(error, TrikkError) and status_of(error) in (401, 403, 429)
            # What a handler was called for is written down by `_done`.
            if (is_denied or route.changes) if call is None else (is_denied and route.is_open):
                self._guard.refusals.note(
                    identity, address_of(scope), route.operation, scope["path_params"], error
                )
        else:
            response = _response(answer, route, call.headers) if isinstance(answer, Answer) else answer
        if scope["method"] == "HEAD" and isinstance(response, StreamingResponse):
            response.body_iterator = _nothing()  # else a stream of events would go on for nobody
        doors.metrics.requests.labels(route.path, str(response.status_code)).inc()
        doors.metrics.seconds.observe(time.monotonic() - began)
        if type(response) is Response:
            await response(scope, receive, send)
        else:
            await self._stream(response, identity, scope, receive, send)

    def _received(
        self, route: Route, scope: Scope, receive: Receive
    ) -> AbstractAsyncContextManager[bytes] | AbstractAsyncContextManager[Path]:
        """The body of a request; a file where the route takes one."""
        headers = dict(scope["headers"])
        if route.body is not Path:
            return self._bodies.read(headers, receive)
        project = self._doors.site.project
        # A folder of its own, as the file keeps the name that its sender has for it.
        path = project.state_dir / "uploads" / os.urandom(16).hex() / _NAME_OF_UPLOAD
        return self._bodies.read_to_file(headers, receive, path, upload_limit(project.settings))

    def _problem(self, route: Route, error: BaseException, scope: Scope, identity: Identity | None) -> Response:
        if route.is_page and self._pages is not None:
            return self._pages.problem(error, scope, identity)
        return problem_response(error)

    async def _nothing_here(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = Refused(404, "there is nothing here", next=f"{API}/openapi.json lists what there is")
        accepts = dict(scope["headers"]).get(b"accept", b"")
        if self._pages is not None and b"text/html" in accepts and not scope["path"].startswith(API):
            response = self._pages.problem(error, scope, None)
        else:
            response = problem_response(error, connection="close")
        await response(scope, receive, send)

    async def _identified(self, route: Route, scope: Scope) -> Identity | None:
        """Who asks; nothing of the body is read before that is known."""
        try:
            return await self._guard.identify(scope["headers"], address_of(scope), changes=route.changes)
        except Refused:
            if route.is_open:
                return None  # a webhook's sender may have a login of its own
            raise

    async def _stream(
        self, response: Response, identity: Identity | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send what takes its time, as long as the token is valid that it is sent for."""
        answering = asyncio.ensure_future(response(scope, receive, send))
        if not await self._guard.while_valid(identity, answering):
            await send({"type": "http.response.body", "body": b""})


def _handled(doors: Doors, route: Route, call: Call) -> Answer[Any] | Response:
    """What a route answers."""
    answer = _done(doors, route, call)
    return answer if route.then is None else route.then(doors, call, answer)


def _done(doors: Doors, route: Route, call: Call) -> Answer[Any] | Response:
    """What a handler answers; a change is written down before and after."""
    if route.is_open or not route.changes or call.identity is None:
        return route.handler(doors, call)
    said = {name: text for name in _WRITTEN_DOWN if (text := getattr(call.body, name, None)) not in (None, "")}
    target, site = {**call.path, **said}, doors.site
    with recorded(
        site.project.journal, call.identity, call.address, route.operation, target, site.clock
    ) as change:
        answer = route.handler(doors, call)
        if isinstance(answer, Answer) and "location" in answer.headers:  # of a page it says where to go on
            change.made["made"] = answer.headers["location"]
    return answer


class _Endpoint:
    """One path, and the routes of its methods."""

    def __init__(self, app: WebApp, methods: dict[str, Route]) -> None:
        self._app = app
        self._methods = methods
        self._allowed = ", ".join(sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method in self._methods:
            await self._app.answer(self._methods[method], scope, receive, send)
        elif method == "OPTIONS":
            await Response(status_code=204, headers={"allow": self._allowed})(scope, receive, send)
        else:
            error = Refused(405, f"{scope['path']} does not take {method}", next=f"use {self._allowed}")
            await problem_response(error, allow=self._allowed, connection="close")(scope, receive, send)


def _shared(send: Send, origin: str) -> Send:
    """Let a browser give answers to a page of that origin, which may ask."""
    allowed = [
        (b"access-control-allow-origin", origin.encode()),
        (b"access-control-allow-methods", b"GET, POST"),
        (
            b"access-control-allow-headers",
            b"authorization, content-type, idempotency-key, if-none-match, last-event-id, range",
        ),
        (b"access-control-expose-headers", b"etag, location, retry-after, www-authenticate"),
        (b"vary", b"origin"),
    ]

    async def send_shared(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *allowed]}
        await send(message)

    return send_shared


def problem_response(error: BaseException, **headers: str) -> Response:
    """The answer that explains an error."""
    problem = problem_of(error)
    headers |= problem_headers(error, problem)
    return Response(encoded(problem), problem.status, _safe(headers), PROBLEM_TYPE)


def _response(answer: Answer[Any], route: Route, asked: Mapping[str, str]) -> Response:
    """A document, or the word that the client has it already."""
    body = encoded(answer.document)
    if route.changes or answer.status != 200:
        return Response(body, answer.status, _safe(answer.headers), JSON_TYPE)
    tag = tag_of(body)
    # It may be kept, and is asked for each time.
    headers = _safe({**answer.headers, "etag": tag, "cache-control": "private, no-cache"})
    if has_it(tag, asked):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, JSON_TYPE)


def _safe(headers: Any) -> dict[str, str]:
    """Headers of every document: what it is, is not guessed, and it is not kept."""
    return {"cache-control": "no-store", "x-content-type-options": "nosniff", **headers}


async def _nothing() -> AsyncIterator[bytes]:
    for part in tuple[bytes]():
        yield part


def _call(route: Route, scope: Scope, data: bytes | Path, identity: Identity | None) -> Call:
    """What a request says, as its route takes it.

    Raises:
        Refused: 400 if it can't be read, 404 if nothing can have such a name, 415 if the body is of another kind,
            422 if the route does not take it.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1").strip() for name, value in scope["headers"]}
    for kind, name in scope["path_params"].items():
        if not re.search(PATH_NAMES.get(kind, NAME), name):
            raise Refused(
                404, f"there is no {kind} {shorten(name, 60)!r}", next=f"{API}/openapi.json says how they look"
            )
    if scope["method"] == "HEAD":
        headers.pop("range", None)  # RFC 9110, 14.2: a part is asked for by GET alone
    query, fields = _query(route, scope["query_string"]), _fields(route, headers)
    if route.is_page and isinstance(data, bytes):
        body, form = _form(route, headers, data)
    else:
        body, form = _body(route, headers, data), {}
    return Call(
        scope["path_params"],
        query,
        body,
        fields,
        headers,
        identity,
        address_of(scope),
        scope.get("scheme", "http"),
        target_of(scope),
        form,
    )


def target_of(scope: Scope) -> str:
    """The path and query that were asked for, as they are written in an address."""
    query = scope["query_string"].decode("latin-1")
    return quote(scope["path"], safe="/[]:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _fields(route: Route, headers: dict[str, str]) -> Any:
    """The header fields that a route reads; no others are known to it, and all requests have some."""
    # By its names alone: `msgspec.structs.fields` evaluates annotations each time, a fifth of a request's time.
    given = {name: headers[name] for name in route.fields.__struct_encode_fields__ if name in headers}
    return _converted(lambda: msgspec.convert(given, route.fields, strict=False), "the head", 400)


def _query(route: Route, text: bytes) -> Any:
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=not route.is_page,  # a form sends the fields that nobody has filled in, too
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=_MOST_QUERIES,
        )
    except ValueError as error:
        raise Refused(400, "the query can't be read", next="write it as ?name=value&name=value") from error
    given = joined(pairs)
    if len(given) != len(pairs) and not route.is_page:
        raise Refused(400, "the query names something twice", next="give each name once")
    if route.is_page:
        given.pop(DONE, None)
    query = _converted(lambda: msgspec.convert(given, route.query, strict=False), "the query")
    for name, key in zip(query.__struct_fields__, query.__struct_encode_fields__, strict=True):
        if key in given and getattr(query, name) is None:  # msgspec takes the text for it
            raise Refused(422, f"the query does not fit: {key} can't be null", next="leave it out")
    return query


def _body(route: Route, headers: dict[str, str], data: bytes | Path) -> Any:
    if route.body is bytes or isinstance(data, Path):
        return data
    if headers.get("content-encoding", "identity") != "identity":
        raise Refused(415, "the body is encoded", next="send it plain")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if data and kind != JSON_TYPE:
        raise Refused(415, "the body is not said to be JSON", next=f"send Content-Type: {JSON_TYPE}")
    return _converted(lambda: msgspec.json.decode(data or b"{}", type=route.body), "the body")


def _form(route: Route, headers: dict[str, str], data: bytes) -> tuple[Any, dict[str, str]]:
    """The body that a page's form comes to, and the fields that say how it is sent."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if data and kind != FORM_TYPE:
        raise Refused(415, "the body is not said to be a form", next=f"send Content-Type: {FORM_TYPE}")
    given, form = read_form(data)
    return _converted(lambda: msgspec.convert(given, route.body, strict=False), "the form"), form


def _converted(convert: Any, named: str, status: int = 422) -> Any:
    try:
        return convert()
    except msgspec.ValidationError as error:
        raise Refused(
            status, f"{named} does not fit: {error}", next=f"{API}/openapi.json says what each route takes"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"{named} is not JSON: {error}", next="send JSON in UTF-8") from error
    except RecursionError as error:
        raise Refused(400, f"{named} nests too deeply", next="send it flat") from error
