"""Subscriptions by REST, by link and by command, on a real server that asks others for a token."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.execution.command import Folder
from tests.server.served import RunningServer, ServedProject
from tests.servers.mail_server import MailServer

from trikk.access.audit import read_page
from trikk.mailing.topics.links import CONFIRM, UNSUBSCRIBE, Ticket, link_key, signed
from trikk.mailing.topics.subscriptions import of_topic, subscribers

ANA = "ana@city.example"


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, mails: MailServer) -> ServedProject:
    settings = (
        f'name = "served"\n[alerts]\nurl = "https://trikk.city.example"\n'
        f'[reports]\nsmtp = "smtp://127.0.0.1:{mails.port}"\n'
    )
    return ServedProject(tmp_path_factory.mktemp("topics") / "project", settings=settings)


@pytest.fixture(scope="module")
def token(place: ServedProject) -> dict[str, str]:
    shown = Folder(place.root).trikk("token", "create", "team", "--role", "operator").out.strip()
    return {"authorization": f"Bearer {shown}"}


@pytest.fixture(scope="module")
def server(place: ServedProject, token: dict[str, str]) -> Iterator[RunningServer]:
    with place.server("--require-token", "--allow-host", "trikk.city.example") as running:
        yield running


def test_from_the_question_to_one_click(
    place: ServedProject, server: RunningServer, token: dict[str, str], mails: MailServer
) -> None:
    journal = place.project.journal
    assert server.client.get("/api/v1/subscriptions").status_code == 401
    server.client.headers.update(token)
    assert server.post("/subscriptions", {"topic": "no/topic", "address": ANA}, 422)["next"].startswith(
        "use a name"
    )
    asked = server.post("/subscriptions", {"topic": "city", "address": ANA}, 202)
    assert (asked["changed"], asked["subscription"]["state"], asked["subscription"]["by"]) == (
        True,
        "asked",
        "team",
    )
    server.post("/subscriptions", {"topic": "table/totals", "address": ANA, "agreed": True})
    del server.client.headers["authorization"]

    ((_, question),) = mails.mails
    url = re.search(
        r"https://trikk\.city\.example(/confirm\?token=\S+)", question.get_body(("plain",)).get_content()
    )
    assert url is not None
    page = server.client.get(url[1])
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert 'method="post"' in page.text
    assert subscribers(journal, "city") == []
    own = {"origin": server.url, "content-type": "application/x-www-form-urlencoded"}
    assert server.client.post(url[1], content="List-Unsubscribe=One-Click", headers=own).status_code == 200
    assert subscribers(journal, "city") == [ANA]

    leave = "/unsubscribe?token=" + signed(link_key(place.root / ".trikk"), Ticket(UNSUBSCRIBE, "city", ANA))
    assert "no more mails of city?" in server.client.get(leave).text
    server.client.head(leave)
    assert subscribers(journal, "city") == [ANA]
    # As a mail program does: no cookie, no token, no Origin.
    form = {"content-type": "application/x-www-form-urlencoded"}
    once = server.client.post(leave, content="List-Unsubscribe=One-Click", headers=form)
    assert once.status_code == 200
    assert subscribers(journal, "city") == []
    assert server.client.post(leave, content="List-Unsubscribe=One-Click", headers=form).status_code == 200
    assert "does not get mails" in server.client.get(leave).text
    lines = [line for line in read_page(journal, 100).lines if line.kind == "link"]
    assert [(line.action, line.who, line.target, line.outcome) for line in lines] == [
        ("unsubscribe_by_link", ANA, {"topic": "city"}, "done"),
        ("confirm_by_link", ANA, {"topic": "city"}, "done"),
    ]
    foreign = server.client.post(leave, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    bad = [leave[:-2] + "AA", leave.replace("/unsubscribe", "/confirm"), "/unsubscribe?token=%F0%9F%90%9F"]
    assert [server.client.post(path).status_code for path in bad] == [422, 422, 422]
    assert "<p>This link is not valid: use the link of a mail as it is" in server.client.get(bad[0]).text
    again = server.client.post(url[1], headers=own)
    assert (again.status_code, again.headers["content-type"]) == (422, "text/html; charset=utf-8")
    nasty = signed(link_key(place.root / ".trikk"), Ticket(CONFIRM, "city", "<script>@city.example"))
    assert "<script>@" not in server.client.get(f"/confirm?token={nasty}").text


def test_pages_of_the_list_and_the_commands(
    place: ServedProject, server: RunningServer, token: dict[str, str]
) -> None:
    folder = Folder(place.root)
    for number in range(3):
        folder.good("subscribe", "lines", f"p{number}@city.example", "--agreed")
    refused = folder.trikk("subscribe", "lines", "p@city.example,q@city.example", "--agreed")
    assert (refused.code, "not a mail address" in refused.err) == (2, True)
    server.client.headers.update(token)
    first = server.get("/subscriptions", topic="lines", limit=2)
    folder.good("subscribe", "lines", "a@city.example", "--agreed")  # shifts no page
    rest = server.get("/subscriptions", topic="lines", limit=2, cursor=first["next"])
    addresses = [one["address"] for one in [*first["subscriptions"], *rest["subscriptions"]]]
    assert (addresses, rest["next"]) == ([f"p{n}@city.example" for n in range(3)], None)
    removed = server.post("/subscriptions/remove", {"topic": "lines", "address": "p0@city.example"})
    assert removed == {"subscription": None, "changed": True}
    assert folder.good("unsubscribe", "lines", "p1@city.example")["changed"]
    listed = folder.good("subscriptions", "lines")["subscriptions"]
    assert [one["address"] for one in listed] == ["a@city.example", "p2@city.example"]
    assert "p2@city.example" in folder.trikk("subscriptions").out
    assert set(of_topic(place.project.journal, "lines")) == {"a@city.example", "p2@city.example"}
