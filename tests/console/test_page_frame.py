"""What all pages have in common: who gets them, how they are kept, what they may load, and how they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.console.html_reader import read_page
from tests.execution.command import Folder
from tests.server.served import RunningServer, ServedProject

from trikk.console.csv_sheet import csv_text
from trikk.console.page_table import ACTIONS, Console
from trikk.console.said import SAID
from trikk.server.http.forms import read_form
from trikk.web.refused import Refused


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("console") / "project")


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server("--no-triggers") as running:
        yield running


def test_a_page_runs_nothing_of_others_and_is_asked_for_each_time(server: RunningServer) -> None:
    client = server.client
    first = client.get("/")
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    again = client.get("/", headers={"cookie": first.headers["set-cookie"].partition(";")[0]})
    assert "set-cookie" not in again.headers
    kept = {"if-none-match": again.headers["etag"], "cookie": first.headers["set-cookie"].partition(";")[0]}
    assert client.get("/", headers=kept).status_code == 304
    page = read_page(client, "/")
    assert "/runs" in page.links
    for address in (name for name in page.html.split('"') if name.startswith("/static/")):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_what_goes_wrong_is_told_by_a_page(server: RunningServer) -> None:
    page = read_page(server.client, "/nowhere", 404)
    assert "there is nothing here" in page.text
    assert "/" in page.links
    assert server.client.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert server.client.get("/overview.nothing.csv").status_code == 404
    assert json.loads(server.client.get("/overview.json").content)


def test_a_change_is_told_within_a_moment(place: ServedProject, server: RunningServer) -> None:
    with server.client.stream("GET", "/live", timeout=10) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        place.project.journal.add("test/subject", "happened", {}, at=1.0)
        assert next(line for line in lines if line.startswith("event:")) == "event: changed"


def test_people_sign_in_with_a_token(place: ServedProject) -> None:
    shown = Folder(place.root).trikk("token", "create", "ada", "--role", "viewer").out.strip()
    with place.server("--no-triggers", "--require-token") as running:
        client = running.client
        sent = client.get("/runs?state=failed", headers={"accept": "text/html"})
        assert sent.status_code in (303, 404)
        sent = client.get("/", headers={"accept": "text/html"})
        assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in")
        assert client.get("/overview.json").status_code == 401
        page = read_page(client, "/sign-in")
        assert "Sign in to served" in page.text
        wrong = client.post("/sign-in", data={"token": "nonsense"})
        assert "not a token" in wrong.text
        right = client.post("/sign-in", data={"token": shown, "return_to": "/overview.json"})
        assert (right.status_code, right.headers["location"]) == (303, "/overview.json")
        cookie = right.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "Secure", "Path=/"))
        assert shown not in client.get("/sign-in").text
        signed_in = {"cookie": cookie.partition(";")[0]}
        assert "ada" in client.get("/", headers=signed_in).text
        assert client.post("/sign-in", data={"token": shown, "return_to": "//evil.test/"}).status_code == 422


def test_forms_become_bodies() -> None:
    assert read_form(
        b"why=x&empty=&parameters.day=2020-01-01&parameters.note=&steps[]=a&steps[]=b&form-token=t&back=%2F"
    ) == (
        {"why": "x", "parameters": {"day": "2020-01-01", "note": ""}, "steps": ["a", "b"]},
        {"form-token": "t", "back": "/"},
    )
    for wrong in (b"a=1&a.b=2", b"a=1&a[]=2", b"\xff=1", b"a=%ff"):
        with pytest.raises(Refused):
            read_form(wrong)


def test_a_sheet_holds_no_formulas() -> None:
    rows = [["=1+1", -2.5, None], ["-x", "plain, text", True]]
    assert csv_text(["+a", "b", "c"], rows).splitlines() == [
        "'+a,b,c",
        "'=1+1,-2.5,",
        '\'-x,"plain, text",True',
    ]


def test_the_table_of_pages_is_whole() -> None:
    """Every action has its sentence, every template its file, and no two pages one address."""
    assert {action.does for action in ACTIONS} <= SAID.keys()
    routes = [(route.method, route.path) for route in Console.routes]
    assert len(routes) == len(set(routes))


def test_nothing_but_the_page_to_sign_in_on_is_open() -> None:
    assert {route.path for route in Console.routes if route.is_open} == {"/static/{file}", "/sign-in"}


def test_the_script_is_small() -> None:
    folder = Path(__file__).parents[2] / "src/trikk/console/static"
    assert len((folder / "console.js").read_bytes()) < 30_000


def test_a_form_of_another_site_does_nothing(server: RunningServer) -> None:
    for headers in ({}, {"origin": "https://evil.test"}):
        answer = httpx.post(f"{server.client.base_url}/sign-in", data={"token": "x"}, headers=headers)
        assert answer.status_code == (403 if headers else 200)
