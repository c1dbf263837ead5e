"""The console in a real browser: each page, in light, dark and on a phone; and what takes a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.routing import compile_path
from tests.fuzz_server import known_names, make_project
from tests.server.served import RunningServer, ServedProject
from tests.servers.chromium import axe_script, chromium

from trikk.console.page_table import PAGES

__all__ = ["chromium"]

_SERIOUS = ("serious", "critical")
_PHONE = {"width": 360, "height": 740}
_NOT_PAGES = re.compile(r"\.(json|csv)$|^/(api|static|live|metrics|artifacts/[^/]+/view)")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return make_project(tmp_path_factory.mktemp("chromium") / "project")


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server() as running:
        known_names(running)
        yield running


@pytest.fixture
def page(chromium: Any, server: RunningServer) -> Iterator[Any]:
    context = chromium.new_context(base_url=server.url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    opened = context.new_page()
    opened.troubles = []
    opened.on("pageerror", lambda error: opened.troubles.append(str(error)))
    opened.on("console", lambda said: opened.troubles.append(said.text) if said.type == "error" else None)
    yield opened
    assert opened.troubles == []
    context.close()


def route_of(path: str) -> str:
    """Which page of the table an address is; "" for none."""
    for known in PAGES:
        pattern, _, _ = compile_path(known.path)
        if pattern.match(path):
            return known.path
    return ""


def every_page(page: Any) -> Iterator[str]:
    """An address of each page that links lead to, and of the one that a form does; it is open when it is given."""
    waiting, seen = ["/", "/search?q=people"], {"/", "/search"}
    while waiting:
        address = waiting.pop(0)
        answer = page.goto(address)
        assert answer.status == 200, f"{address}: {answer.status}"
        yield address
        for link in page.eval_on_selector_all(
            "a[href]", "links => links.map(link => new URL(link.getAttribute('href'), location).href)"
        ):
            parts = urlsplit(link)
            route = route_of(parts.path)
            if (
                parts.netloc == urlsplit(page.url).netloc
                and route not in ("", *seen)
                and not _NOT_PAGES.search(parts.path)
            ):
                seen.add(route)
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))


def complaints(page: Any) -> list[str]:
    """What axe finds on the open page that is serious."""
    page.evaluate(axe_script())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for v in found["violations"]
        if v["impact"] in _SERIOUS
        for node in v["nodes"][:3]
    ]


def test_every_page_can_be_used_by_everybody(page: Any) -> None:
    wrong, routes = [], set()
    for address in every_page(page):
        routes.add(route_of(urlsplit(address).path))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            wrong += [f"{address} in {scheme}: {complaint}" for complaint in complaints(page)]
        page.set_viewport_size(_PHONE)
        if (width := page.evaluate("document.documentElement.scrollWidth")) > _PHONE["width"]:
            wrong.append(f"{address} is {width} pixels wide on a phone")
        page.set_viewport_size({"width": 1280, "height": 900})
    print("WRONG", *wrong, sep="\n")
    assert wrong == []
    assert routes >= {known.path for known in PAGES if "{" not in known.path}  # links lead to all of them


def test_what_is_looked_for_is_opened_by_keys(page: Any, place: ServedProject) -> None:
    run = place.project.journal.runs(limit=1)[0].id
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type(run[:7])
    page.wait_for_selector(f"dialog a[href='/runs/{run}']")
    is_closed = "!document.querySelector('dialog[open]')"
    page.keyboard.press("Escape")
    page.wait_for_function(is_closed)  # a browser closes it when it comes to it
    page.keyboard.press("?")
    assert page.is_visible("dialog#keys")
    page.keyboard.press("Escape")
    page.wait_for_function(is_closed)
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/triggers")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.getAttribute('href')").startswith("/triggers/")


def test_a_page_shows_at_once_what_has_changed(page: Any, server: RunningServer) -> None:
    page.goto("/triggers/daily")
    page.wait_for_timeout(500)  # its stream is open
    page.fill("input[name=why]", "half a sentence")
    server.post("/triggers/daily/pause", {"why": "<i>by somebody else</i>"})
    page.wait_for_selector("text=It is paused.")
    assert page.is_visible("text=<i>by somebody else</i>")
    assert page.input_value("input[name=why]") == "half a sentence"  # nobody's typing is thrown away
    server.post("/triggers/daily/unpause")
    page.wait_for_selector("text=It is paused.", state="detached")
