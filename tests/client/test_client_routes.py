"""The client has a method for each route, which sends what the route takes and returns what it gives."""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from starlette.routing import compile_path

from trikk.client.rest_client import Client
from trikk.client.rest_transport import Reply, Transport
from trikk.server.http.documents.run_documents import EventDocument
from trikk.server.http.doors import LONGEST
from trikk.server.http.request_keys import Keyed
from trikk.server.http.route_table import ROUTES
from trikk.server.http.routes import BYTES_TYPE, EVENTS_TYPE, HTML_TYPE, Route
from trikk.web.refused import JSON_TYPE

LEFT_OUT = {
    "readyz": "load balancers ask it",
    "metrics": "Prometheus asks it",
    "call_webhook": "whoever has the webhook's secret signs its calls",
    **dict.fromkeys(("sign_in", "end_sign_in", "sign_out"), "people's browsers go there"),
    **dict.fromkeys(
        ("show_unsubscribe_page", "follow_unsubscribe_link", "show_confirm_page", "follow_confirm_link"),
        "mails have links to it",
    ),
}
NO_REQUEST = {"close"}
WORDS = {
    "parameters": {"n": 1}, "run": "abc", "replay": "abc", "step": "fit[3]", "runs": ["abc", "def"],
    "code": "locked", "state": "failed", "digest": "a" * 64, "since": "2026-11-30", "pipelines": ["add"],
    "first": "2026-11-29", "last": "2026-11-30", "incident": "loss/a=b/c-1", "window": "2026-11-29",
    "slice": "a=b", "role": "viewer", "expires": "90d", "versions": [1, "champion"], "address": "ada@example.org",
    "topic": "city", "log": "fit.1.log", "day": "2026-11-29",
}  # fmt: skip
NUMBERS = {"before", "tail", "rows", "most", "after", "limit", "offset", "begin"}
# Where another method has a parameter of that name and another kind.
BY_METHOD = {("timeline", "since"): 1.5, ("timeline", "until"): 2.5, ("table", "version"): 3,
             ("monitor", "last"): 7, ("costs", "by"): "model", ("monitor", "kind"): "day", ("drift", "last"): 7,
             ("changes", "since"): "folder", ("rows", "version"): 3, ("column", "version"): 3,
             ("rows", "where"): [("sensor", "=", "a")]}  # fmt: skip


class Sent(Exception):
    """A request that goes no further."""


class Recorder:
    """Takes the place of a transport."""

    def __init__(self) -> None:
        self.method = self.path = ""
        self.query: Mapping[str, str] = {}
        self.body: bytes | None = None
        self.fields: Mapping[str, str] = {}
        self.repeats = self.at_length = False

    def ask(
        self,
        method: str,
        path: str,
        query: Any = None,
        body: Any = None,
        fields: Any = None,
        *,
        repeats: bool,
        at_length: bool = False,
    ) -> Reply:
        self.method, self.path, self.query, self.body = method, path, query or {}, body
        self.fields, self.repeats, self.at_length = fields or {}, repeats, at_length
        raise Sent

    def stream(self, path: str, fields: Any, *, silence: float) -> Any:
        self.method, self.path, self.query, self.body, self.fields = "GET", path, {}, None, fields
        raise Sent


def methods() -> list[str]:
    return [n for n, _ in inspect.getmembers(Client, inspect.isfunction) if n[0] != "_" and n not in NO_REQUEST]


def called(name: str, tmp_path: Path) -> Recorder:
    """Call a method with all that it takes."""
    client, recorder = Client("http://127.0.0.1:1", by="ada"), Recorder()
    client._transport = typing.cast(Transport, recorder)
    given: dict[str, Any] = {}
    for parameter in list(inspect.signature(getattr(Client, name)).parameters.values())[1:]:
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            fallback = (
                True if parameter.annotation == "bool" else 5 if parameter.name in NUMBERS else parameter.name
            )
            given[parameter.name] = BY_METHOD.get((name, parameter.name), WORDS.get(parameter.name, fallback))
    if name == "download":
        given["target"] = tmp_path / "artifact"
    if name == "ingest":
        given["path"] = tmp_path / "days.csv"
        given["path"].write_text("n\n1\n2\n3")
    with contextlib.suppress(Sent):
        next(getattr(client, name)(**given))  # lists and events begin when they are asked for the first one
    assert recorder.method, name
    return recorder


def route_of(recorder: Recorder) -> Route:
    return next(r for r in ROUTES if r.method == recorder.method and compile_path(r.path)[0].match(recorder.path))


def test_each_route_has_a_method_that_sends_and_returns_what_it_says(tmp_path: Path) -> None:
    reached: dict[str, str] = {}
    for name in methods():
        sent = called(name, tmp_path)
        route = route_of(sent)
        assert route.operation not in reached, (name, reached)
        reached[route.operation] = name
        msgspec.convert(dict(sent.query), route.query, strict=False)
        is_keyed = "idempotency-key" in sent.fields
        assert is_keyed == (route.fields is Keyed), name
        assert sent.repeats == (is_keyed or not route.changes) or route.content == EVENTS_TYPE, name
        assert sent.at_length == (route.longest > LONGEST), (
            name
        )  # else it would stop waiting before the server does
        if route.body is Path:
            assert sent.fields["content-length"] == "7"
            assert sent.query["by"] == "ada"
        elif route.changes:
            assert sent.body is not None
            body = msgspec.json.decode(sent.body, type=route.body)  # names that it does not know are refused
            assert getattr(body, "by", "ada") == "ada", name
        returns = typing.get_type_hints(getattr(Client, name))["return"]
        if route.content == JSON_TYPE and typing.get_origin(returns) is Iterator:
            (item,) = typing.get_args(returns)
            assert list[item] in typing.get_type_hints(route.answer).values(), name  # type: ignore[valid-type]
        else:
            by_content = {EVENTS_TYPE: Iterator[EventDocument], BYTES_TYPE: Path, HTML_TYPE: str}
            assert returns == by_content.get(route.content, route.answer), name
    operations = {route.operation for route in ROUTES}
    assert set(LEFT_OUT) <= operations, "a route that is left out is not there"
    assert operations - set(reached) == set(LEFT_OUT)
