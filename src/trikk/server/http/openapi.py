"""The API's description, OpenAPI 3.1, made from the table of routes alone: nothing of a route is written twice."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from trikk.access.session_cookie import SESSION
from trikk.core.package import __version__
from trikk.server.http.problems import PROBLEM_TYPE, Problem
from trikk.server.http.routes import API, BYTES_TYPE, EVENTS_TYPE, NAME, PATH_NAMES, Route
from trikk.web.refused import JSON_TYPE

_IN_BRACES = re.compile(r"{(\w+)(?::\w+)?}")
_ANY = (400, 403, 413, 421, 431, 500, 503)
"""What any request may get: it can't be read, comes from a foreign page, is too large, comes under a foreign name,
has too large a head; a bug, a journal that is locked."""
_KNOWN = (401, 429)  # what any may get whose caller has to be known: nobody knows who asks, or they ask too often
_TOKEN, _SESSION = "token", "session"  # the schemes' names


class StreamedEvent(msgspec.Struct, frozen=True):
    """One server-sent event of a stream."""

    data: Annotated[str, Meta(extra_json_schema={"contentMediaType": JSON_TYPE})]
    event: str


def description(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes, as JSON."""
    routes = tuple(routes)
    schemas = _Schemas(routes)
    refusals = sorted({status for route in routes for status in _refusals(route)})
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _IN_BRACES.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "trikk",
            "version": __version__,
            "description": "What a server answers. Documents are those that commands print with --json.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                _TOKEN: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "As `trikk token create` prints it; needed wherever others reach the server.",
                },
                _SESSION: {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SESSION,
                    "description": "A browser has it from `sign-in` on; it counts for this server's own pages. "
                    "At a server on a port of its own, the name ends in that: `__Host-trikk-8750`.",
                },
            },
            "schemas": schemas.components,
            "responses": {str(status): _problem(status) for status in refusals},
        },
    }


class _Schemas:
    """The JSON Schemas of everything that routes take and give."""

    def __init__(self, routes: Iterable[Route]) -> None:
        # In one go, so that two types of one name get names that differ.
        types = [Problem, StreamedEvent, *(kind for route in routes for kind in _types(route))]
        listed, self.components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
        self._of = list(zip(types, listed, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type, most often a reference."""
        return next(schema for known, schema in self._of if known == kind)


def _types(route: Route) -> Iterator[Any]:
    yield route.answer
    yield from () if route.body in (bytes, Path) else (route.body,)
    yield from (kind for _, kind in _path_names(route))
    yield from (given.type for _, given in _parameters(route))


def _path_names(route: Route) -> Iterator[tuple[str, Any]]:
    for name in _IN_BRACES.findall(route.path):
        yield name, Annotated[str, Meta(pattern=PATH_NAMES.get(name, NAME))]


def _parameters(route: Route) -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    for place, struct in (("query", route.query), ("header", route.fields)):
        yield from ((place, given) for given in msgspec.structs.fields(struct))


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    text = inspect.getdoc(route.handler) or ""
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": schemas.of(kind)}
        for name, kind in _path_names(route)
    ]
    if _has_tag(route):
        known = {"type": "string", "description": "The ETag of what the client has."}
        parameters.append({"name": "If-None-Match", "in": "header", "required": False, "schema": known})
    parameters += [
        {
            "name": given.encode_name,
            "in": place,
            "required": given.required,
            "schema": _without_null(schemas.of(given.type), given),
        }
        for place, given in _parameters(route)
    ]
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": text.partition("\n")[0],
        "description": text,
        "tags": [route.path.removeprefix(API).split("/")[1]],
        "parameters": parameters,
        "responses": _responses(route, schemas),
        # {}: on its own machine a server takes no token.
        "security": [] if route.is_open else [{_TOKEN: [route.needs.value]}, {_SESSION: [route.needs.value]}, {}],
    }
    if route.changes:
        operation["requestBody"] = _body(route, schemas)
    return operation


def _without_null(schema: dict[str, Any], given: msgspec.structs.FieldInfo) -> dict[str, Any]:
    """A schema for what is left out rather than null, as in a query; with its default."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    plain = {**schema, "anyOf": kinds} if len(kinds) > 1 else kinds[0] if kinds else schema
    shown = given.default if isinstance(given.default, str | int | float | bool) else None
    return plain if shown is None else {**plain, "default": shown}


def _body(route: Route, schemas: _Schemas) -> dict[str, Any]:
    if route.body in (bytes, Path):
        return {"required": True, "content": {"*/*": {}}}
    required = any(given.required for given in msgspec.structs.fields(route.body))
    return {"required": required, "content": {JSON_TYPE: {"schema": schemas.of(route.body)}}}


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    content = {
        JSON_TYPE: {"schema": schemas.of(route.answer)},
        EVENTS_TYPE: {"schema": schemas.of(StreamedEvent)},
    }.get(route.content, {})
    responses: dict[str, Any] = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            **({"content": {route.content: content}} if status not in (204, 304) else {}),
            **_headers(route, status),
        }
        for status in (*route.statuses, *((304,) if _has_tag(route) else ()))
    }
    for status in _refusals(route):
        # An answer of that status as well (a server that is not ready): it may be either.
        if answer := responses.get(str(status)):
            answer["content"] |= _problem(status)["content"]
        else:
            responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return dict(sorted(responses.items()))


def _problem(status: int) -> dict[str, Any]:
    seconds = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    scheme = {"WWW-Authenticate": {"description": "What is wrong with the token.", "schema": {"type": "string"}}}
    headers = {429: seconds, 503: seconds, 401: scheme}.get(status)
    return {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
        **({"headers": headers} if headers else {}),
    }


def _headers(route: Route, status: int) -> dict[str, Any]:
    """What else an answer of that status says."""
    text = {"type": "string"}
    headers: dict[str, Any] = {}
    if status == 201:
        headers["Location"] = {"description": "Where it is.", "schema": text}
    if status in (200, 206, 304) and _has_tag(route):
        headers["ETag"] = {"description": "For If-None-Match.", "schema": text}
    return {"headers": headers} if headers else {}


def _has_tag(route: Route) -> bool:
    """Whether its answers have an ETag: documents and files do, what streams or is counted anew does not."""
    return not route.changes and route.content in (JSON_TYPE, BYTES_TYPE)


def _refusals(route: Route) -> set[int]:
    statuses = {*_ANY, *route.refusals, *(() if route.is_open else _KNOWN)}
    if "{" in route.path:
        statuses.add(404)
    if route.changes:
        statuses |= {409}
    if route.changes and route.body not in (bytes, Path):
        statuses |= {415, 422}
    if msgspec.structs.fields(route.query):
        statuses.add(422)
    return statuses
