"""The console in a real browser: each page, in light, dark and on a phone; and what takes a script."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.console.in_chromium import new_context, route_of
from tests.execution.command import Folder
from tests.fuzz_server import known_names, make_project
from tests.server.served import RunningServer, ServedProject
from tests.servers.chromium import axe_script, chromium
from tests.servers.shared import free_ports

from trikk.access.tokens import revoke, shown_id
from trikk.console.page_table import PAGES

__all__ = ["chromium"]

_SERIOUS = ("serious", "critical")
_OF_COLOURS = ["color-contrast", "link-in-text-block"]
_PHONE = {"width": 360, "height": 740}
_NOT_PAGES = re.compile(r"\.(json|csv)$|^/(api|static|live|metrics|artifacts/[^/]+/view)")


NOT_IN_THIS_PROJECT = {
    "/streams/{stream}",
    "/reports/{report}",
    "/monitors/{monitor}/predictions/{prediction}",
}


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
    context = new_context(chromium, server.url)
    opened = context.new_page()
    opened.troubles = []
    opened.on("pageerror", lambda error: opened.troubles.append(str(error)))
    opened.on("console", lambda said: opened.troubles.append(said.text) if said.type == "error" else None)
    yield opened
    assert opened.troubles == []
    context.close()


def every_page(page: Any, *others: str) -> Iterator[str]:
    """An address of each page, and of each of its tabs, that links lead to; it is open when given."""
    waiting, seen = ["/", "/search?q=people", *others], {("/", ""), ("/search", "")}
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
            tab = parse_qs(parts.query).get("tab", [""])[0]
            if (
                parts.netloc == urlsplit(page.url).netloc
                and route
                and (route, tab) not in seen
                and not _NOT_PAGES.search(parts.path)
            ):
                seen.add((route, tab))
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))


def complaints(page: Any, within: str, **options: Any) -> list[str]:
    """What axe finds in a part of the open page, in which its script is, that is serious."""
    asked = {"resultTypes": ["violations"], **options}
    found = page.evaluate("([within, asked]) => axe.run(within, asked)", [within, asked])
    return [
        f"{v['id']}: {node['html'][:160]} ({node['failureSummary'][:200]})"
        for v in found["violations"]
        if v["impact"] in _SERIOUS
        for node in v["nodes"][:3]
    ]


def test_every_page_can_be_used_by_everybody(page: Any, place: ServedProject) -> None:
    wrong, routes = [], set()
    runs = [run.id for run in place.project.journal.runs(pipeline="fill")]
    failed = place.project.journal.runs(pipeline="fragile", limit=1)[0].id
    others = (f"/runs/{runs[0]}?tab=outputs", f"/compare?runs={','.join(runs[:2])}", f"/runs/{failed}/resume")
    for address in every_page(page, *others):
        routes.add(route_of(urlsplit(address).path))
        page.evaluate(axe_script())
        page.emulate_media(color_scheme="light")
        # What is around the page itself is the same on all.
        within = "main" if address != "/" else "html"
        wrong += [f"{address}: {complaint}" for complaint in complaints(page, within)]
        page.emulate_media(color_scheme="dark")  # other colours, and nothing else
        wrong += [f"{address} in dark: {complaint}" for complaint in complaints(page, within, runOnly=_OF_COLOURS)]
        page.set_viewport_size(_PHONE)
        if (width := page.evaluate("document.documentElement.scrollWidth")) > _PHONE["width"]:
            wrong.append(f"{address} is {width} pixels wide on a phone")
        page.set_viewport_size({"width": 1280, "height": 900})
    assert wrong == []
    assert {known.path for known in PAGES} - routes == NOT_IN_THIS_PROJECT  # links lead to all others


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


def test_a_reason_outlives_what_happens_meanwhile(page: Any, server: RunningServer) -> None:
    """Somebody has typed it, and is about to press the button."""
    page.goto("/triggers/often")
    page.wait_for_timeout(500)
    page.fill("input[name=why]", "the source is away")
    page.keyboard.press("Tab")
    server.post("/triggers/often/fire", None, 201)
    page.wait_for_timeout(1500)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The trigger is paused.")
    assert page.is_visible("text=the source is away")
    server.post("/triggers/often/unpause")


def test_pages_that_nobody_sees_keep_no_connection(page: Any, server: RunningServer) -> None:
    """A browser has six to a server: a seventh page would never come."""
    page.goto("/triggers/often")
    readers = server.metric("trikk_event_streams")
    others = []
    for _ in range(7):
        other = page.context.new_page()
        other.goto("/triggers/often")
        others.append(other)
        other.wait_for_timeout(200)
        hide(other, is_hidden=True)
    assert server.metric("trikk_event_streams") <= readers + 1
    server.post("/triggers/often/pause", {"why": "unseen"})
    others[0].wait_for_timeout(500)
    assert not others[0].is_visible("text=unseen")
    hide(others[0], is_hidden=False)
    others[0].wait_for_selector("text=unseen")
    server.post("/triggers/often/unpause")
    for other in others:
        other.close()


def hide(page: Any, *, is_hidden: bool) -> None:
    """As when another page is shown in its window; a browser without a screen takes all pages for seen."""
    page.evaluate(
        "isHidden => { Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        is_hidden,
    )


def test_a_session_ends_and_nothing_of_it_is_left(chromium: Any, place: ServedProject) -> None:
    """Its server goes and comes back under an open page, the reader signs out, another's token ends."""
    folder, names = Folder(place.root), ("ada", "bob")
    ada, bob = (folder.trikk("token", "create", name, "--role", "operator").out.strip() for name in names)
    [port] = free_ports(1)
    page = new_context(chromium, f"http://127.0.0.1:{port}").new_page()
    with place.server(f"--port={port}", "--no-triggers", "--require-token"):
        page.goto("/triggers/daily")
        page.fill("input[name=token]", ada)
        page.keyboard.press("Enter")
        page.wait_for_url("**/triggers/daily")
        page.wait_for_timeout(500)
    page.wait_for_selector("body.stale")
    with place.server(f"--port={port}", "--no-triggers", "--require-token") as server:
        page.wait_for_selector("body:not(.stale)")
        server.client.headers["authorization"] = f"Bearer {bob}"
        server.post("/triggers/daily/pause", {"why": "by bob"})
        page.wait_for_selector("text=by bob")

        page.goto("/triggers/daily.json")
        page.goto("/triggers")
        page.click("text=Sign out")
        page.wait_for_url("**/sign-in")
        assert page.context.cookies() == []
        for _ in range(3):
            page.go_back()
            page.wait_for_selector("text=/Sign in to|it takes a token/")
            assert "by bob" not in page.content()

        page.goto("/triggers/daily")
        page.fill("input[name=token]", bob)
        page.keyboard.press("Enter")
        page.wait_for_selector("text=by bob")
        page.wait_for_timeout(500)
        revoke(place.project.journal, shown_id(bob), by="ada", now=time.time())
        page.wait_for_url("**/sign-in?return_to=%2Ftriggers%2Fdaily")
        assert page.is_visible("text=does not count, or no longer")
    page.context.close()
