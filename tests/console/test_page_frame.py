"""What all pages have in common: who gets them, how they are kept, what they may load, and how they fail."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from tests.console.html_reader import HtmlPage, read_page
from tests.execution.command import Folder, until
from tests.server.served import RunningServer, ServedProject

from trikk.access.identity import Role
from trikk.access.session_cookie import SESSION, cookie_name
from trikk.console.csv_sheet import csv_text
from trikk.console.page_table import ACTIONS, PAGES, Console
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
        unknown = {"cookie": f"{cookie_name(SESSION, running.url)}=trikk_{'a' * 8}_{'b' * 43}"}
        assert "does not count" in client.get("/sign-in", headers=unknown).text
        right = client.post("/sign-in", data={"token": shown, "return_to": "/overview.json"})
        assert (right.status_code, right.headers["location"]) == (303, "/overview.json")
        cookie = right.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "Secure", "Path=/"))
        assert shown not in client.get("/sign-in").text
        signed_in = {"cookie": cookie.partition(";")[0]}
        first = client.get("/", headers=signed_in)
        assert "ada" in first.text
        assert first.headers["cache-control"] == "no-store"  # else Back would show it after the session
        for foreign in ("//evil.test/", "/\\evil.test", "https://evil.test", "/\t/evil.test", "evil.test"):
            sent = client.post("/sign-in", data={"token": shown, "return_to": foreign})
            assert sent.status_code == 422, foreign
        typed = {"token": f"trikk_{'a' * 12}_{'b' * 64}"}
        answers = [client.post("/sign-in", data=typed) for _ in range(12)]
        assert "This token is not known here." in answers[0].text
        assert [answers[0].status_code, answers[-1].status_code] == [401, 429]
        assert "retry-after" in answers[-1].headers
        assert client.post("/sign-in", data={"token": shown}).status_code == 303  # a right one counts on
        until(
            lambda: "sign_in_with_token" in [line["action"] for line in Folder(place.root).good("audit")["lines"]]
        )
        admins = [page.path for page in PAGES if page.role is Role.ADMIN]
        assert admins
        for path in (
            f"{page}{ending}" for page in admins for ending in ("", ".json", ".entries.csv", ".tokens.csv")
        ):
            assert client.get(path, headers=signed_in).status_code == 403, path


def test_who_signs_in_comes_back_to_what_they_wanted(place: ServedProject) -> None:
    with place.server("--no-triggers", "--require-token") as running:
        client, page = running.client, {"accept": "text/html"}
        for wanted, kept in (
            ("/triggers?q=a%26b", "/triggers?q=a%26b"),
            ("/models/caf%C3%A9", "/models/caf%C3%A9"),
            (f"/triggers?q={'x' * 2000}", "/"),
        ):
            sent = client.get(wanted, headers=page)
            assert sent.status_code == 303
            query = parse_qs(urlsplit(sent.headers["location"]).query)
            assert query.get("return_to", ["/"]) == [kept]
            assert client.get(sent.headers["location"]).status_code == 200
        referer = {"referer": f"{running.url}/triggers/daily?tab=ticks", "origin": running.url}
        sent = client.post("/triggers/daily/pause", headers=referer)
        assert sent.headers["location"] == "/sign-in?return_to=%2Ftriggers%2Fdaily%3Ftab%3Dticks"


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
        assert answer.status_code == (403 if headers else 401)


def test_only_a_page_of_ours_has_its_forms_taken(server: RunningServer) -> None:
    """Whatever another site, another port of this machine or another browser can bring along."""
    run = server.run("add", n=1)["id"]
    mine, other = (httpx.get(server.url).headers["set-cookie"].partition(";")[0] for _ in range(2))
    tokens = [_token(server.url, run, cookie) for cookie in (mine, other)]
    own = {"origin": server.url}

    def send(headers: dict[str, str], **fields: str) -> httpx.Response:
        return httpx.post(f"{server.url}/runs/{run}/cancel", data=fields, headers=headers)

    for headers, fields in (
        (own, {}),
        (own, {"form-token": tokens[0]}),  # without its cookie
        (own | {"cookie": mine}, {}),
        (own | {"cookie": mine}, {"form-token": tokens[1]}),
        (own | {"cookie": f"{mine.partition('=')[0]}=x; {mine}"}, {"form-token": ""}),
        (
            own | {"cookie": f"{mine.partition('=')[0]}="},
            {"form-token": hmac.new(b"", b"form", "sha256").hexdigest()},
        ),
        # A page on another port of this machine can set the cookie, and so knows the token, but not its origin.
        ({"origin": "http://127.0.0.1:1", "cookie": mine}, {"form-token": tokens[0]}),
        ({"origin": "null", "cookie": mine}, {"form-token": tokens[0]}),
        ({"origin": server.url, "host": "evil.test", "cookie": mine}, {"form-token": tokens[0]}),
    ):
        assert send(headers, **fields).status_code in (403, 421), (headers, fields)
    right = {"form-token": tokens[0]}
    assert send(own | {"cookie": mine}, **right).status_code in (303, 409)  # the run is over
    fire = {
        "origin": server.url,
        "cookie": f"{cookie_name(SESSION, server.url)}=short; {mine}",
    }  # a remnant of another server's
    odd = httpx.post(f"{server.url}/runs/{run}/replay", data=right | {"key": "\u00e9"}, headers=fire)
    assert odd.status_code == 422
    for back in ("//evil.test", "/\\evil.test", "https://evil.test", "/%0d%0aset-cookie: a=b", "javascript:1", ""):
        sent = httpx.post(f"{server.url}/runs/{run}/replay", data=right | {"back": back}, headers=fire)
        assert sent.status_code == 303
        to = urlsplit(urljoin(server.url, sent.headers["location"]))
        assert f"{to.scheme}://{to.netloc}" == server.url, back
        assert "a=b" not in sent.headers.get("set-cookie", "")


def test_two_servers_on_one_machine_keep_each_others_cookies(place: ServedProject, server: RunningServer) -> None:
    """A browser has one jar for a host's ports: each server finds its own, and sets no other."""
    with place.server("--no-triggers") as second, httpx.Client() as browser:
        run = server.run("add", n=1)["id"]
        first = HtmlPage(browser.get(f"{server.url}/runs/{run}").text).form(f"/runs/{run}/replay")
        assert "set-cookie" in browser.get(second.url).headers
        names = {name for name, _ in browser.cookies.items()}
        assert names == {cookie_name("trikk-form", url) for url in (server.url, second.url)}
        headers = {"origin": server.url}
        sent = browser.post(f"{server.url}{first.action}", data=first.fields, headers=headers)
        assert sent.status_code == 303


def _token(url: str, run: str, cookie: str) -> str:
    page = HtmlPage(httpx.get(f"{url}/runs/{run}", headers={"cookie": cookie}).text)
    return page.form(f"/runs/{run}/replay").fields["form-token"]
