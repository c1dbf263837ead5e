"""What somebody on call does in an evening, in a real browser, by its keyboard; how people sign in there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.access.test_sign_in import SETTINGS
from tests.console.in_chromium import new_context
from tests.console.test_monitor_pages import FIRST, look, write
from tests.execution.command import Folder, until
from tests.fuzz_server import make_project
from tests.server.served import RunningServer, ServedProject
from tests.servers.chromium import chromium
from tests.servers.identity_provider import SECRET, identity_provider
from tests.servers.shared import free_ports

from trikk.monitoring.monitor_definition import MonitorSpec

__all__ = ["chromium"]

MORE = """

@step(resources=Resources(cpus=0))
def delivery(file: str) -> str:
    while not Path(file).exists():
        time.sleep(0.02)
    return Path(file).read_text()


@step
def read(text: str, file: str) -> int:
    if not Path(file).read_text().isdigit():
        raise ValueError(f"{text!r} is no number")
    return len(text)


@pipeline
def takes_in(file: str):
    read(delivery(file), file)
"""
SIGHTS = MonitorSpec("sights", "guesses", "sights", ("place",), "slot", "count", metrics=("mae",), minimum=2)
_ORDER = 5.0  # seconds within which a page shows what has happened; it is a tenth of that where nothing else runs
_WATCH = """step => {
    window.seen = {};
    const look = () => {
        const rows = [...document.querySelectorAll('[data-part=steps] tbody tr')];
        const row = rows.find(row => row.innerText.startsWith(step));
        const state = row?.querySelector('.state')?.innerText;
        if (state && !(state in window.seen)) window.seen[state] = Date.now() / 1000;
    };
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
    look();
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    served = make_project(tmp_path_factory.mktemp("journeys") / "project", MORE)
    slots = {"place": ["pier"] * 8, "slot": [FIRST + timedelta(hours=6 * n) for n in range(8)]}
    ids = [f"guess-{n}" for n in range(8)]
    write(served, "guesses", {**slots, "value": [float(n) for n in range(8)], "prediction_id": ids})
    write(served, "sights", {**slots, "count": [3.0] * 8})
    look(served, SIGHTS, FIRST + timedelta(days=3))
    return served


@pytest.fixture(scope="module")
def token(place: ServedProject) -> str:
    return Folder(place.root).trikk("token", "create", "ada", "--role", "developer").out.strip()


@pytest.fixture(scope="module")
def server(place: ServedProject, token: str) -> Iterator[RunningServer]:
    with place.server("--no-triggers", "--require-token") as running:
        running.client.headers["authorization"] = f"Bearer {token}"
        yield running


class Keyboard:
    """A browser's window, and somebody without a mouse."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go_to(self, selector: str) -> None:
        """Press Tab until that has the focus, from wherever it is."""
        self.page.wait_for_selector(selector)
        for _ in range(300):
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no key leads to {selector} on {self.page.url}")

    def open(self, selector: str, address: str) -> None:
        """Go there, press Enter, and wait for an address."""
        self.go_to(selector)
        self.press("Enter")
        self.page.wait_for_url(address)

    def reads(self, text: str) -> None:
        """Wait until the page says so."""
        until(lambda: text in self.page.inner_text("body"))


@pytest.fixture
def ada(chromium: Any, server: RunningServer) -> Iterator[Keyboard]:
    page = new_context(chromium, server.url).new_page()
    yield Keyboard(page)
    page.context.close()


def test_an_evening_on_call_by_keyboard(ada: Keyboard, server: RunningServer, token: str, tmp_path: Path) -> None:
    ada.page.goto("/")
    ada.reads("Sign in to")
    ada.type(token)  # its field has the focus
    ada.press("Enter")
    ada.page.wait_for_url(f"{server.url}/")
    run = _start(ada, tmp_path / "delivery.csv")
    _watch_it_fail(ada, server, run, tmp_path / "delivery.csv")
    (tmp_path / "delivery.csv").write_text("12")
    _resume_and_replay(ada, run)
    _look_into_a_case(ada)
    _move_an_alias_and_back(ada)
    _acknowledge(ada)
    ada.open("form[action='/sign-out'] button", "**/sign-in")
    ada.page.goto(f"/runs/{run}")
    ada.reads("Sign in to")


def _start(ada: Keyboard, file: Path) -> str:
    ada.press("Control+k")
    ada.type("takes_in")
    ada.page.wait_for_selector("dialog a[href='/pipelines/takes_in']")
    ada.press("Enter")
    ada.page.wait_for_url("**/pipelines/takes_in")
    ada.open("main a[href='/pipelines/takes_in/start']", "**/start")
    ada.go_to("input[name='texts.file']")
    ada.type(str(file))
    ada.press("Enter")
    ada.page.wait_for_url("**/runs/*done=start_run")
    return str(ada.page.url).partition("?")[0].rpartition("/")[2]


def _watch_it_fail(ada: Keyboard, server: RunningServer, run: str, file: Path) -> None:
    ada.page.wait_for_selector("[data-part=steps] .state.running")
    ada.page.evaluate(_WATCH, "delivery")
    ada.page.wait_for_timeout(1000)
    file.write_text("twelve")
    ada.page.wait_for_selector("[data-part=steps] .state.succeeded")
    ada.reads("is no number")
    ada.reads("ValueError")
    happened = next(e["data"] for e in server.events(run) if e["event"] == "step.succeeded")
    late = ada.page.evaluate("window.seen.succeeded") - happened["at"]
    print(f"shown {1000 * late:.0f} ms after the event")
    assert late < _ORDER


def _resume_and_replay(ada: Keyboard, run: str) -> None:
    ada.open("form[action$='/resume'] button", "**done=resume_run")
    ada.page.wait_for_selector("[data-part=state] .state.succeeded")
    ada.open("form[action$='/replay'] button", "**done=replay_run")
    assert run not in ada.page.url
    ada.page.wait_for_selector("[data-part=state] .state.succeeded")
    ada.open("nav.tabs a[href$='tab=replay']", "**tab=replay")
    ada.reads("different from")  # it reads what the file holds by now


def _look_into_a_case(ada: Keyboard) -> None:
    ada.press("g", "w")
    ada.page.wait_for_url("**/monitors")
    ada.open("main a[href='/monitors/sights']", "**/monitors/sights")
    ada.open("svg a[href*='/cases?']", "**/cases?*")  # a point of the picture
    ada.reads("Cases, worst first")
    ada.open("main a[href*='/predictions/']", "**/predictions/*")
    ada.reads("guess-")


def _move_an_alias_and_back(ada: Keyboard) -> None:
    ada.press("g", "m")
    ada.page.wait_for_url("**/models")
    ada.open("main a[href='/models/people']", "**/models/people")
    ada.open("nav.tabs a[href$='tab=aliases']", "**tab=aliases")
    ada.open("form[action$='/rollback'] button", "**done=roll_back_model")
    ada.reads("The alias was moved back.")
    ada.go_to("form[action$='/promote'] input[name=version]")
    ada.type("2")
    ada.press("Tab")
    ada.type("it was right")
    ada.press("Enter")
    ada.page.wait_for_url("**done=promote_model")
    ada.reads("it was right")


def _acknowledge(ada: Keyboard) -> None:
    ada.press("g", "i")
    ada.page.wait_for_url("**/incidents")
    ada.open("main td a[href^='/incidents/']", "**/incidents/*")
    ada.go_to("form[action$='/acknowledge'] input[name=why]")
    ada.type("I look into it")
    ada.press("Enter")
    ada.reads("Known to ada")


def test_people_sign_in_at_their_provider(chromium: Any, place: ServedProject, tmp_path: Path) -> None:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with identity_provider([f"{url}/api/v1/signed-in"], tmp_path / "provider.log") as provider:
        (place.root / "trikk.toml").write_text(SETTINGS.format(issuer=provider.issuer))
        with place.server(f"--port={port}", "--no-triggers", "--require-token", OIDC_SECRET=SECRET):
            page = new_context(chromium, url).new_page()
            page.goto("/incidents?severity=alarm")
            page.click("text=Sign in with your organisation")
            page.fill("input[name=login]", "olav")
            page.fill("input[name=password]", "any")
            page.keyboard.press("Enter")
            page.click("button[type=submit]")  # he lets trikk know who he is
            page.wait_for_url("**/incidents?severity=alarm")
            assert "olav@example.com" in page.inner_text("header .who")
            page.goto("/triggers/daily")
            assert page.query_selector("form[action='/triggers/daily/pause']")  # as an operator may
            page.goto("/models/people?tab=aliases")
            assert page.query_selector("form[action$='/promote']") is None
            page.click("text=Sign out")
            page.wait_for_url("**/sign-in")
            page.goto("/incidents")
            assert page.is_visible("text=Sign in to")
            page.context.close()
