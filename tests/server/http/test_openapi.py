"""The description of the API: made from the table of routes, whole, and what a client can be made from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

from starlette.routing import Match

from trikk.access.session_cookie import SESSION
from trikk.server.http.openapi import description
from trikk.server.http.route_table import ROUTES
from trikk.server.http.web_app import WebApp

DOCUMENT = description(ROUTES)


def test_every_route_is_described_and_every_reference_leads_somewhere() -> None:
    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert len(operations) == len(ROUTES)  # else two have one name
    for route in ROUTES:
        method, path, operation = operations[route.operation]
        assert (method, path) == (route.method, re.sub(r":\w+}", "}", route.path))
        assert operation["summary"].endswith((".", ":", ";")) or operation["description"], route.path
        in_path = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path)
        assert all("pattern" in p["schema"] for p in operation["parameters"] if p["in"] == "path")
        assert {"400", "403", "421", "500", "503"} < operation["responses"].keys()
        assert ("requestBody" in operation) == route.changes
    # A pair as a type (`tuple[int, int]`) is no schema of JSON Schema 2020-12 as msgspec writes it.
    assert '"items": [' not in json.dumps(DOCUMENT)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        place = DOCUMENT
        for name in reference.split("/"):
            place = place[name]


def test_each_path_leads_to_its_own_route() -> None:
    router = WebApp._routed(cast(WebApp, None), ROUTES, cast(Any, None))
    for route in ROUTES:
        path = re.sub(r"\{(\w+)(:path)?\}", r"some-\1-1", route.path)
        scope = {"type": "http", "path": path, "method": route.method, "headers": []}
        found = next(each for each in router.routes if each.matches(scope)[0] is Match.FULL)
        assert cast(Any, found).endpoint._methods[route.method] is route, route.path


def test_programs_show_tokens_and_browsers_their_sessions() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert (schemes["token"]["scheme"], schemes["session"]["in"]) == ("bearer", "cookie")
    assert schemes["session"]["name"] == SESSION
    start = DOCUMENT["paths"]["/api/v1/gc"]["post"]
    assert start["security"] == [{"token": ["admin"]}, {"session": ["admin"]}, {}]
    assert DOCUMENT["paths"]["/healthz"]["get"]["security"] == []


def test_the_page_on_the_server_names_each_route() -> None:
    page = (Path(__file__).parents[3] / "docs" / "server.md").read_text()
    names = {f"/{part}" for route in ROUTES for part in route.path.split("/") if part and part[0] != "{"}
    assert {name for name in names if not re.search(rf"{name}\b", page)} == set()


def test_header_fields_queries_and_streams_are_described() -> None:
    start = DOCUMENT["paths"]["/api/v1/runs"]["post"]
    key = next(p for p in start["parameters"] if p["in"] == "header")
    assert (key["name"], key["required"], key["schema"]["maxLength"]) == ("idempotency-key", False, 255)
    assert start["responses"]["201"]["headers"].keys() == {"Location"}
    assert {"200", "201", "404", "409", "413", "415", "422"} <= start["responses"].keys()
    listing = DOCUMENT["paths"]["/api/v1/runs"]["get"]
    schemas = {p["name"]: p["schema"] for p in listing["parameters"]}
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20} | {
        "description": "How many of them at most."
    }
    assert "null" not in json.dumps(schemas)
    stream = DOCUMENT["paths"]["/api/v1/runs/{run}/events"]["get"]["responses"]["200"]["content"]
    assert stream["text/event-stream"]["schema"] == {"$ref": "#/components/schemas/StreamedEvent"}
