"""What people do by pages: the same as by the API, and written down alike."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.console.html_reader import HtmlPage, read_page, send_form
from tests.execution.command import until
from tests.server.served import RunningServer, ServedProject

from trikk.access.session_cookie import SESSION, cookie_name
from trikk.access.tokens import shown_id

PIPELINES = """
from datetime import date

from trikk import approval, pipeline, step, when
from trikk.triggers import Cron, Webhook


@step
def work(day: date) -> str:
    return str(day)


DAILY = Cron("0 4 * * *", timezone="Europe/Oslo", name="daily")


@pipeline(triggers=[DAILY, Webhook("orders", secret="${HOOK_SECRET}", name="orders")])
def nightly(day: date):
    "Work <b>hard</b>."
    work(day)


@pipeline
def asks():
    with when(approval("publish <i>all</i>?")):
        work(date(2026, 1, 1))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("operating") / "project", PIPELINES)


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server("--no-triggers") as running:
        first = running.client.get("/").headers["set-cookie"]
        running.client.headers["cookie"] = first.partition(";")[0]
        yield running


def sent(client: httpx.Client, page: HtmlPage, action: str, **values: str) -> HtmlPage:
    """Press a button, and read the page that follows."""
    answer = send_form(client, page.form(action), **values)
    assert answer.status_code == 303, answer.text
    return read_page(client, answer.headers["location"])


def test_a_trigger_is_paused_fired_and_unpaused(place: ServedProject, server: RunningServer) -> None:
    client = server.client
    name = "daily"
    page = read_page(client, "/triggers")
    assert f"/triggers/{name}" in page.links
    assert "when it happens" in page.text
    page = sent(client, read_page(client, f"/triggers/{name}"), f"/triggers/{name}/pause", why="<b>holidays</b>")
    assert "The trigger is paused." in page.text
    assert "<b>holidays</b>" in page.text
    assert page.html.count("<b>") == 0
    page = sent(client, page, f"/triggers/{name}/unpause")
    assert "fires again" in page.text
    answer = send_form(client, page.form(f"/triggers/{name}/fire"), **{"for": "2026-11-30", "back": ""})
    assert answer.headers["location"].startswith("/runs/")
    run = answer.headers["location"].split("?")[0].removeprefix("/runs/")
    assert place.project.journal.row(run).origin["tick"] == "2026-11-30T03:00:00+00:00"
    wrong = send_form(client, page.form(f"/triggers/{name}/fire"), **{"for": "nonsense"})
    assert wrong.status_code == 422
    assert "nonsense" in HtmlPage(wrong.text).text
    lines = client.get("/settings/audit.json").json()["lines"]
    assert [line["action"] for line in lines[:4]] == [
        "fire_trigger",
        "fire_trigger",
        "unpause_trigger",
        "pause_trigger",
    ]
    assert [line["target"].get("made") for line in lines[1:4]] == [f"/api/v1/runs/{run}", None, None]


def test_a_form_without_its_token_does_nothing(server: RunningServer) -> None:
    client = server.client
    page = read_page(client, "/triggers/orders")
    forged = send_form(client, page.form("/triggers/orders/pause"), **{"form-token": "0" * 64})
    assert forged.status_code == 403
    assert client.get("/triggers/orders.json").json()["paused"] is False


def test_what_a_run_asks_is_decided(place: ServedProject, server: RunningServer) -> None:
    client = server.client
    run = client.post("/api/v1/runs", json={"pipeline": "asks"}).json()["id"]
    until(lambda: place.project.journal.row(run).state == "waiting", 30)
    page = read_page(client, "/approvals")
    assert "publish <i>all</i>?" in page.text
    assert "<i>" not in page.html
    page = sent(client, page, f"/runs/{run}/approve", why="looks right")
    assert "Approved." in page.text
    assert "Nothing waits for a decision." in page.text
    until(lambda: place.project.journal.row(run).state == "succeeded", 30)


def test_a_backfill_is_paused_resumed_and_cancelled(server: RunningServer) -> None:
    client = server.client
    wanted = {"pipelines": ["nightly"], "from": "2026-01-01", "to": "2026-03-01", "parameter": "day"}
    backfill = client.post("/api/v1/backfills", json=wanted).json()["id"]
    path = f"/backfills/{backfill}"
    assert path in read_page(client, "/backfills").links
    page = sent(client, read_page(client, path), f"{path}/pause", why="later")
    assert "paused" in page.text
    page = sent(client, page, f"{path}/resume")
    page = sent(client, page, f"{path}/cancel", why="enough")
    assert "cancelled" in page.text
    assert client.get(f"{path}.days.csv").text.startswith("day,pipeline,state,run")
    form = read_page(client, "/pipelines/nightly/backfill").form("/pipelines/nightly/backfill")
    days = {"from": "2026-01-01", "to": "2026-01-02"}
    begun = [send_form(client, form, **days) for _ in "ab"]  # its button was pressed twice
    assert begun[0].headers["location"] == begun[1].headers["location"] != f"{path}?done=begin_backfill"
    other = send_form(client, form, **days | {"to": "2026-01-03"})
    assert (other.status_code, "was used for another request" in other.text) == (409, True)
    client.post(f"/api/v1{begun[0].headers['location'].partition('?')[0]}/cancel", json={})


def test_a_token_is_shown_once_and_revoked(server: RunningServer) -> None:
    client = server.client
    page = read_page(client, "/settings/tokens")
    form = page.form("/settings/tokens")
    made = send_form(client, form, name="ada", role="viewer")
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    shown = next(word for word in HtmlPage(made.text).text.split() if word.startswith("trikk_"))
    page = read_page(client, "/settings/tokens")
    assert shown not in page.html
    revoke = next(form for form in page.forms if form.action.endswith("/revoke"))
    page = sent(client, page, revoke.action)
    assert "The token is revoked." in page.text
    assert [token["state"] for token in client.get("/settings/tokens.json").json()["tokens"]] == ["revoked"]
    lines = client.get("/settings/audit.json").json()["lines"]
    assert [line["action"] for line in lines[:2]] == ["revoke_token", "create_token"]
    assert lines[1]["target"]["made"] == f"/api/v1/tokens/{shown_id(shown)}"
    refused = send_form(client, form, name="1 & 2", role="viewer")
    assert refused.status_code == 422


def test_who_may_only_look_sees_no_buttons(place: ServedProject) -> None:
    with place.server("--no-triggers") as running:
        shown = running.client.post("/api/v1/tokens", json={"name": "eve", "role": "viewer"}).json()["shown"]
    with place.server("--no-triggers", "--require-token") as running:
        client = running.client
        client.headers["cookie"] = f"{cookie_name(SESSION, running.url)}={shown}"
        page = read_page(client, "/triggers/orders")
        assert {form.action for form in page.forms} == {"/search", "/sign-out"}
        read_page(client, "/settings/audit", 403)
        token = page.form("/sign-out").fields["form-token"]
        origin = {"origin": str(client.base_url).rstrip("/")}
        answer = client.post("/triggers/orders/pause", data={"form-token": token}, headers=origin)
        assert answer.status_code == 403
        assert "it takes the role operator" in HtmlPage(answer.text).text
        out = send_form(client, page.form("/sign-out"))
        assert out.headers["location"] == "/sign-in"
        assert f'{cookie_name(SESSION, running.url)}=""' in out.headers["set-cookie"]


def test_anything_is_there_to_be_found(place: ServedProject, server: RunningServer) -> None:
    client = server.client
    run = server.run("nightly", day="2026-01-02")["id"]
    hits = client.get("/search.json", params={"q": run[:6]}).json()["hits"]
    assert {"kind": "run", "title": run, "address": f"/runs/{run}"} in hits
    assert [hit["kind"] for hit in client.get("/search.json?q=NIGHT").json()["hits"]] == ["pipeline"]
    assert "Nothing has that" in read_page(client, "/search?q=%3Cscript%3E").text
    for path in ("/costs?by=step&since=", "/streams", "/settings", "/search", "/reports"):
        read_page(client, path)
    read_page(client, "/reports/monthly", 404)


def test_a_channel_is_sent_a_test(place: ServedProject, server: RunningServer) -> None:
    client = server.client
    page = sent(client, read_page(client, "/settings"), "/channels/file/test")
    assert "A test message was handed over." in page.text
    (mail,) = (place.root / ".trikk" / "alerts").glob("*test*")
    assert "Nothing is wrong." in mail.read_text()
