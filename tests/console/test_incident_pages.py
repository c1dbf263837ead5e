"""Incidents as pages: the open ones first, one's whole story, and what people do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.console.html_reader import read_page, send_form
from tests.execution.command import until
from tests.server.served import RunningServer, ServedProject

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.decision import Change, Decision, Opening
from trikk.alerts.rules.kinds import read_rule
from trikk.alerts.rules.rule import Point, Severity

DAY = 1_600_000_000.0
NASTY = "people.loss/site=a/b <i>?&%"
"""A slice's value may hold anything: the cause, and so the id and the address, too."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    settings = 'name = "served"\n[server]\nlook = "6h"\n'
    return ServedProject(tmp_path_factory.mktemp("incidents") / "project", settings=settings)


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    book = Book(place.project.journal)
    opened(book, "people.before", DAY, Severity.INFO)
    with place.server("--no-triggers") as running:
        # The server's first look takes an incident without a rule for over; the next one is in six hours.
        until(lambda: not book.get("people.before-1").is_open)
        first = running.client.get("/").headers["set-cookie"]
        running.client.headers["cookie"] = first.partition(";")[0]
        yield running


def opened(book: Book, cause: str, at: float, severity: Severity, part: tuple[str, str] | None = None) -> None:
    """Open an incident of a rule on figures, which has told two channels."""
    rule = read_rule({"name": "loss", "kind": "figures", "monitor": "people", "when": "wape > 0.3"})
    point = Point("2020-09-13", at, at, True, "day 2020-09-13: wape > 0.3 (it is <b>0.6</b>)", 1.0)
    opening = Opening(
        rule=rule.to_json(), subject="people", part=part, title="people: <b>wape</b>", severity=severity, since=at
    )
    decision = Decision(Change.OPENED, f"opened/{at}", "it is bad", tell=True, point=point, opening=opening)
    assert book.apply(book.latest(cause), cause, decision, at=at, channels=("mail", "pager"))


def test_open_incidents_come_first_and_are_acknowledged_and_resolved(
    place: ServedProject, server: RunningServer
) -> None:
    client, book = server.client, Book(place.project.journal)
    for day in range(33):  # two pages of resolved ones
        opened(book, "people.loss", DAY + day, Severity.WARNING)
        book.resolve(f"people.loss-{day + 1}", by="ada", why=f"over {day}", at=DAY + day + 0.5)
    opened(book, "people.late", DAY + 50, Severity.INFO)
    opened(book, NASTY, DAY + 60, Severity.ALARM, ("site", "a/b <i>?&%"))
    page = read_page(client, "/incidents")
    assert "Open: 2" in page.text
    assert page.html.count("<b>") == page.html.count("<i>") == 0
    order = [page.html.index(text) for text in ("site=a/b", "people.late-1", "people.loss-33", "people.loss-4<")]
    assert order == sorted(order)
    assert "people.loss-3<" not in page.html
    older = next(address for address, text in page.links.items() if text == "Older ones")
    assert "people.loss-3<" in read_page(client, older).html
    assert "Open: 1" in read_page(client, "/incidents?severity=alarm&text=WAPE&subject=people").text
    assert "No open incident fits." in read_page(client, "/incidents?subject=nobody").text
    address = f"/incidents/{quote(NASTY)}-1"
    assert address in page.links

    page = read_page(client, address)
    assert page.html.count("<b>") == page.html.count("<i>") == 0
    assert "mail" in page.text
    assert "/monitors/people" in page.links
    assert f"/monitors/people/cases?window=2020-09-13&slice={quote('site=a/b <i>?&%', safe='')}".replace(
        "%20", "+"
    ) in (page.links)
    known = send_form(client, page.form(f"{address}/acknowledge"), why="looking <u>at</u> it")
    assert known.headers["location"] == f"{address}?done=acknowledge_incident"
    page = read_page(client, known.headers["location"])
    assert "The incident is acknowledged." in page.text
    assert "looking <u>at</u> it" in page.text
    assert send_form(client, page.form(f"{address}/resolve"), why="").status_code == 422
    over = send_form(client, page.form(f"{address}/resolve"), why="mended")
    page = read_page(client, over.headers["location"])
    assert "mended" in page.text
    assert all("/resolve" not in form.action for form in page.forms)
    assert book.get(f"{NASTY}-1").resolved_why == "mended"
    assert client.get(f"{address}.json").json()["state"] == "resolved"
    assert "looking <u>at</u> it" in client.get(f"{address}.timeline.csv").text
    assert client.get("/incidents.incidents.csv").text.count("\n") == 37


def test_an_incident_is_muted_and_noted(place: ServedProject, server: RunningServer) -> None:
    client, book, address = server.client, Book(place.project.journal), "/incidents/people.quiet-1"
    opened(book, "people.quiet", DAY + 70, Severity.WARNING)
    page = read_page(client, address)
    form = page.form(f"{address}/mute")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:00", form.fields["until"])  # by the project's clock, ahead
    assert send_form(client, form, why="").status_code == 422
    past = send_form(client, form, until="2020-01-01T00:00", why="late")
    assert (past.status_code, "which is past" in past.text) == (422, True)
    done = send_form(client, form, until="2099-01-02T03:04", why="it is <b>replaced</b>")
    page = read_page(client, done.headers["location"])
    assert "The incident is muted. " in page.text
    assert "Muted until 2099-01-02 03:04:00 by" in page.text
    assert "so nobody is told: it is <b>replaced</b>" in page.text
    assert "until 2099-01-02 03:04 UTC: it is <b>replaced</b>" in page.text  # in its timeline
    assert "muted until 01-02 03:04" in read_page(client, "/incidents").text
    assert "muted" in read_page(client, "/").text
    send_form(client, page.form(f"{address}/unmute"))
    page = read_page(client, address)
    assert "so nobody is told" not in page.text
    form = page.form(f"{address}/note")
    for _ in range(2):
        sent = send_form(client, form, text="a <i>fair</i>\nin town")
    page = read_page(client, sent.headers["location"])
    assert page.html.count("a &lt;i&gt;fair&lt;/i&gt;\nin town</p>") == 1
    assert [note["text"] for note in client.get(f"{address}.json").json()["notes"]] == ["a <i>fair</i>\nin town"]
    send_form(client, page.form(f"{address}/resolve"), why="over")
    assert f"{address}/note" in {form.action for form in read_page(client, address).forms}


def test_an_incident_that_is_not_there_is_told(server: RunningServer) -> None:
    assert "there is no incident" in read_page(server.client, "/incidents/nothing-1", 404).text
    assert "there is no incident" in read_page(server.client, "/incidents?cursor=nothing-1", 404).text
