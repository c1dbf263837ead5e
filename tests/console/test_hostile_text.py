"""What people and their code have written becomes no part of a page; pages that they have made stay in frames."""

from __future__ import annotations

import csv
import io
import re
import threading
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from tests.console.hostile_project import MISSING, PAGE, fill_with_hostile_text, make_hostile_project
from tests.console.html_reader import HtmlPage
from tests.console.in_chromium import new_context, route_of
from tests.server.served import RunningServer
from tests.servers.chromium import chromium

__all__ = ["chromium"]

_OF_A_KIND = 3  # pages
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]\d+)?")


class Canary:
    """A server elsewhere that nothing may ask."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(204)
                self.end_headers()

            do_POST = do_GET  # noqa: N815 - the library's name

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    elsewhere = Canary()
    assert httpx.get(f"{elsewhere.url}/sign-of-life").status_code == 204
    assert elsewhere.asked.pop() == "/sign-of-life"
    yield elsewhere
    elsewhere.server.shutdown()
    elsewhere.server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, canary: Canary) -> Iterator[RunningServer]:
    place = make_hostile_project(tmp_path_factory.mktemp("hostile") / "project")
    with place.server("--no-triggers") as running:
        fill_with_hostile_text(running, PAGE.replace("CANARY", canary.url))
        yield running


class Intruders(HTMLParser):
    """Elements that come from what somebody has written."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        foreign = [href for name, href in attrs if name in ("href", "src", "action") and not _is_ours(href or "")]
        if "data-evil" in dict(attrs) or foreign:
            self.elements.append(self.get_starttag_text() or tag)


def _is_ours(address: str) -> bool:
    return address.startswith(("/", "?", "#", "data:image/")) and not address.startswith("//")


@pytest.fixture(scope="module")
def pages(server: RunningServer) -> dict[str, str]:
    """Pages and sheets to which links lead, by address: three of each kind."""
    waiting, seen, kinds = ["/", "/search?q=data-evil", "/search?q=people"], set(), Counter[tuple[str, ...]]()
    answers: dict[str, str] = {}
    while waiting:
        address = waiting.pop(0)
        answer = server.client.get(address, headers={"accept": "text/html"})
        assert answer.status_code == 200, f"{address}: {answer.status_code} {answer.text[:300]}"
        answers[address] = answer.text
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        for link in HtmlPage(answer.text).links:
            found = urljoin(address, link).partition("#")[0]
            kind = kind_of(found)
            if kind and found not in seen and kinds[kind] < _OF_A_KIND and MISSING not in found:
                seen.add(found)
                kinds[kind] += 1
                waiting.append(found)
    return answers


def kind_of(address: str) -> tuple[str, ...]:
    """Which page an address is, which tab of it, and what it is asked for; () for no page and no sheet."""
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    sheet = re.fullmatch(r".*\.(\w+\.csv)", parts.path)
    route = sheet[1] if sheet else route_of(parts.path)
    return (route, *query.get("tab", []), *sorted(query)) if route and not parts.path.startswith("/api/") else ()


def is_html(text: str) -> bool:
    return text.lstrip().startswith("<!DOCTYPE html>")


def test_no_page_holds_what_somebody_has_written(pages: dict[str, str]) -> None:
    wrong, shown = [], 0
    for address, text in pages.items():
        if not is_html(text):
            continue
        shown += "data-evil" in text
        page = HtmlPage(text)
        wrong += [f"{address}: {each}" for each in [*Intruders(text).elements, *page.forbidden, *page.malformed]]
        if "49</b>" in text or "49&lt;/b" in text:
            wrong.append(f"{address}: a template of somebody's was filled in")
    assert wrong == []
    assert shown > 20  # that text is there, and harmless


def test_no_sheet_holds_a_formula(pages: dict[str, str]) -> None:
    sheets = {address: text for address, text in pages.items() if urlsplit(address).path.endswith(".csv")}
    assert sum("HYPERLINK" in text for text in sheets.values()) > 0
    wrong = [
        f"{address}: {cell}"
        for address, text in sheets.items()
        for row in csv.reader(io.StringIO(text))
        for cell in row
        if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and not _NUMBER.fullmatch(cell)
    ]
    assert wrong == []


def test_a_browser_runs_none_of_it(chromium: Any, server: RunningServer, pages: dict[str, str]) -> None:
    page, troubles, seen = new_context(chromium, server.url).new_page(), [], set()
    page.on("console", lambda said: troubles.append(f"{page.url}: {said.text}") if said.type == "error" else None)
    for address in pages:
        kind = kind_of(address)[:2]  # of the many that filter and sort one
        if kind in seen or not is_html(pages[address]):
            continue
        seen.add(kind)
        page.goto(address)
        assert page.evaluate("[window.pwned, document.querySelectorAll('[data-evil]').length]") == [None, 0], (
            address
        )
    frames = [trouble for trouble in troubles if "sandbox" not in trouble]
    assert frames == []
    page.context.close()


def test_a_page_of_a_step_stays_in_its_frame(
    chromium: Any, server: RunningServer, canary: Canary, pages: dict[str, str]
) -> None:
    address, digest = next(
        (address, match[1])
        for address, text in pages.items()
        if (match := re.search(r'<iframe sandbox src="/artifacts/(\w+)/view"', text))
    )
    context = new_context(chromium, server.url)
    page = context.new_page()
    for place in (address, f"/artifacts/{digest}/view"):  # in its frame, and alone
        page.goto(place)
        if place == address:
            page.locator("iframe").first.scroll_into_view_if_needed()
        inside = next(frame for frame in page.frames if frame.url.endswith("/view") or frame is page.frames[-1])
        inside.wait_for_selector("text=a page that a step has made")
        page.wait_for_timeout(500)
        assert page.url.endswith(place)
        assert page.evaluate("window.pwned") is None
        assert inside.title() == ""
    assert canary.asked == []
    # What comes as it is, comes as nothing that a browser would show.
    plain = server.client.get(f"/api/v1/artifacts/{digest}").headers
    assert plain["content-type"].partition(";")[0] == "application/octet-stream"
    assert plain["x-content-type-options"] == "nosniff"
    context.close()
