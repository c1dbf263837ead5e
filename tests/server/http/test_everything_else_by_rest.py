"""The rest of the API against a real server: actions on runs, triggers, what is stored and watched."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from tests.execution.command import Folder, until
from tests.server.served import PIPELINES, RunningServer, ServedProject
from tests.servers.dogstatsd import Agent

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.decision import Change, Decision, Opening
from trikk.alerts.rules.rule import Rule, Severity
from trikk.server.http.route_table import ROUTES
from trikk.server.http.routes import Route
from trikk.server.sources.webhook_signature import read_secret, sign
from trikk.telemetry.metrics.metric_table import METRICS

SECRET, FORMER = (base64.b64encode(letter * 32).decode() for letter in (b"s", b"f"))
MORE = """

from trikk import approval
from trikk.triggers import Cron, FileArrived, Webhook


@step
def publish(n: int) -> int:
    return n


DAILY = Cron("0 4 * * *", timezone="Europe/Oslo", name="daily")
CALLED = Webhook("orders", secret="${HOOK_SECRET}", former_secret="${OLD_SECRET}", name="orders")
UNSIGNED = Webhook("bills", secret="${NO_SECRET}", name="bills")


@pipeline(triggers=[DAILY, CALLED, UNSIGNED, FileArrived("inbox/*.csv", name="inbox")])
def nightly(n: int = 1):
    publish(n)


@pipeline
def asks(n: int):
    publish(n, after=approval("publish?", shows={"n": n}))
"""


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, agent: Agent) -> ServedProject:
    settings = f'name = "served"\n[telemetry]\ndogstatsd = "{agent.address}"\n'
    place = ServedProject(tmp_path_factory.mktemp("served"), PIPELINES + MORE, settings)
    (place.root / "inbox").mkdir()
    return place


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server(HOOK_SECRET=SECRET, OLD_SECRET=FORMER) as running:
        yield running


@pytest.fixture(scope="module")
def added(server: RunningServer) -> dict[str, object]:
    run = server.run("add", n=7)
    assert run["state"] == "succeeded"
    return run


def test_a_failed_run_is_resumed_once_however_often_it_is_asked(
    server: RunningServer, place: ServedProject
) -> None:
    run = server.run("fragile", file="ready")
    assert run["state"] == "failed"
    (place.root / "ready").touch()
    for _ in range(2):
        assert server.post(f"/runs/{run['id']}/resume", {"why": "it is there now"}, 202)["id"] == run["id"]
    resumed = server.ended(run["id"])
    assert (resumed["state"], resumed["resumed"]) == ("succeeded", 1)
    assert place.project.journal.check() == []
    assert server.post(f"/runs/{run['id']}/resume", None, 409)["next"]


def test_a_run_is_cancelled_and_goes_on(server: RunningServer, place: ServedProject) -> None:
    run = server.post("/runs", {"pipeline": "waits", "parameters": {"file": "go"}}, 201)["id"]
    server.ended(run, "running")
    answer = server.client.post(f"/api/v1/runs/{run}/cancel", json={"by": "ada"})
    assert answer.status_code in (200, 202)
    assert server.ended(run)["state"] == "cancelled"
    assert server.post(f"/runs/{run}/cancel")["state"] == "cancelled"
    assert "ada" in str([e.body for e in place.project.journal.events(run)])
    (place.root / "go").touch()
    server.post(f"/runs/{run}/resume", None, 202)
    assert server.ended(run)["state"] == "succeeded"
    assert server.post(f"/runs/{run}/cancel", None, 409)["code"] == "run"


def test_a_run_is_replayed_and_compared(server: RunningServer, added: dict[str, object]) -> None:
    key = {"Idempotency-Key": "prove it"}
    replay = server.post(f"/runs/{added['id']}/replay", None, 201, **key)
    assert server.post(f"/runs/{added['id']}/replay", None, 200, **key)["id"] == replay["id"]
    ended = server.ended(replay["id"])
    assert (ended["state"], ended["origin"]) == ("succeeded", {"kind": "replay", "of": added["id"]})
    comparison = server.get(f"/runs/{replay['id']}/comparison")
    assert comparison["identical"]
    assert comparison["of"] == added["id"]
    assert {step["verdict"] for step in comparison["steps"]} == {"identical"}
    assert server.get(f"/runs/{added['id']}/comparison", 409)["next"]
    assert server.post("/runs/nosuchrun000/replay", None, 404)["next"]


def test_a_trigger_is_shown_fired_and_paused(server: RunningServer, place: ServedProject) -> None:
    listed = server.get("/triggers")["triggers"]
    assert listed == Folder(place.root).good("triggers")
    assert [row["name"] for row in listed] == ["daily", "orders", "bills", "inbox"]
    tick = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    run = server.post("/triggers/daily/fire", {"for": tick, "by": "ada"}, 201)
    assert run["origin"]["trigger"] == "daily"
    assert server.post("/triggers/daily/fire", {"for": tick}, 200)["id"] == run["id"]
    assert server.ended(run["id"])["state"] == "succeeded"
    assert server.post("/triggers/daily/pause", {"why": "holiday"})["paused"]
    assert server.get("/triggers/daily")["next"] is None
    assert server.post("/triggers/daily/pause", {"until": "2099-01-01T04:00"})["coming"][0].startswith(
        "2099-01-01"
    )
    assert server.post("/triggers/daily/pause", {"until": "2020-01-01"}, 422)["next"]
    assert not server.post("/triggers/daily/unpause")["paused"]
    (place.root / "inbox" / "oslo.csv").write_text("n\n1\n")
    of_file = server.post("/triggers/inbox/fire", {"path": "inbox/oslo.csv"}, 201)
    assert server.post("/triggers/inbox/fire", {"path": "inbox/oslo.csv"}, 200)["id"] == of_file["id"]
    assert "no file that inbox/*.csv means" in server.post("/triggers/inbox/fire", {"path": "a.csv"}, 422)["what"]
    assert server.post("/triggers/weekly/fire", None, 404)["next"]
    assert server.post("/triggers/daily/fire", {"for": "soon"}, 422)["next"]


def test_a_signed_call_starts_one_run(server: RunningServer, place: ServedProject) -> None:
    body, now = b'{"order": 7}', int(time.time())

    def call(at: int, signature: str, hook: str = "orders") -> httpx.Response:
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}
        return server.client.post(f"/hooks/{hook}", content=body, headers=headers)

    right = sign(read_secret(SECRET, "orders"), "msg_1", now, body)
    first = call(now, right)
    assert first.status_code == 201, first.text
    again = call(now, right)
    assert (again.status_code, again.json()["run"]) == (200, first.json()["run"])
    assert call(now, sign(read_secret(FORMER, "orders"), "msg_1", now, body)).json()["run"] == first.json()["run"]
    assert server.ended(first.json()["run"])["origin"] == {"kind": "trigger", "trigger": "orders", "tick": "msg_1"}
    assert call(now, right[:-4] + "AAA=").status_code == 401
    assert call(now - 1, right).status_code == 401
    assert call(now, right, "others").status_code == 401
    ours_to_mend = call(now, right, "bills")
    assert (ours_to_mend.status_code, "NO_SECRET" in ours_to_mend.text) == (503, False), (
        "it is worth calling again"
    )
    assert "NO_SECRET is not set" in place.log()
    (serving,) = server.get("/servers")["servers"]
    assert "NO_SECRET is not set" in serving["says"]["source bills"]["what"], "told before anybody calls"
    server.post("/triggers/orders/pause")
    by_hand = server.post("/triggers/orders/fire", {"id": "msg_1", "payload": {"order": 7}}, 200)
    assert by_hand["id"] == first.json()["run"]
    later = sign(read_secret(SECRET, "orders"), "msg_2", now, body)
    waiting = {"webhook-id": "msg_2", "webhook-timestamp": str(now), "webhook-signature": later}
    assert server.client.post("/hooks/orders", content=body, headers=waiting).status_code == 503
    server.post("/triggers/orders/unpause")
    assert SECRET not in place.log()


def test_a_file_that_arrives_starts_a_run(server: RunningServer, place: ServedProject) -> None:
    (place.root / "inbox" / "day.csv").write_text("n\n1\n")
    runs = until(lambda: [r for r in server.get("/runs")["runs"] if r["origin"].get("trigger") == "inbox"])
    assert server.ended(runs[0]["id"])["state"] == "succeeded"


def test_what_a_run_asks_is_decided_by_rest(server: RunningServer) -> None:
    run = server.post("/runs", {"pipeline": "asks", "parameters": {"n": 3}}, 201)["id"]
    assert server.ended(run, "waiting")["approvals"][0]["question"] == "publish?"
    assert server.post(f"/runs/{run}/approve", {"why": " "}, 422)["next"]
    decided = server.post(f"/runs/{run}/approve", {"why": "it is good", "by": "ada"})
    assert (decided["approvals"][0]["by"], decided["approvals"][0]["why"]) == ("ada", "it is good")
    assert server.ended(run)["state"] == "succeeded"
    assert server.post(f"/runs/{run}/refuse", {"why": "no"}, 409)["next"]


def test_tables_and_artifacts_are_shown(
    server: RunningServer, place: ServedProject, added: dict[str, object]
) -> None:
    assert [table["name"] for table in server.get("/tables")["tables"]] == ["totals"]
    table = server.get("/tables/totals", rows=1)
    assert table["columns"] == {"n": "Int64"}
    assert len(table["head"]) == 1
    assert server.get("/tables/totals", version=0)["version"] == 0
    assert server.get("/tables/total", 404)["next"] == "did you mean totals?"
    assert server.get("/tables/totals", 422, version=-1)["next"]
    steps: list[dict[str, list[dict[str, str]]]] = added["steps"]  # type: ignore[assignment]
    digest = steps[0]["outputs"][0]["digest"]
    path = f"/api/v1/artifacts/{digest}"
    whole = server.client.get(path)
    assert whole.content == place.project.store.fetch(digest).read_bytes()
    assert whole.headers["etag"] == f'"{digest}"'
    part = server.client.get(path, headers={"range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, whole.content[4:10])
    assert server.client.get(path, headers={"if-none-match": f'"{digest}"'}).status_code == 304
    size = len(whole.content)
    parts = {"bytes=0-": whole.content, "bytes=-3": whole.content[-3:], "bytes=5-5": whole.content[5:6]}
    for wanted, content in parts.items():
        answer = server.client.get(path, headers={"range": wanted})
        assert (answer.status_code, answer.content) == (206, content)
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["content-range"].endswith(f"/{size}")
    for ignored in ("bytes=9-4", "bytes=0-1,4-5", "lines=0-1", "bytes=-"):
        assert server.client.get(path, headers={"range": ignored}).status_code == 200
    changed = server.client.get(path, headers={"range": "bytes=4-9", "if-range": '"another"'})
    assert (changed.status_code, changed.content) == (200, whole.content)
    head = server.client.head(path, headers={"range": "bytes=4-9"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    beyond = server.client.get(path, headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.json()["next"]
    assert server.get(f"/artifacts/{'0' * 64}", 404)["next"]
    assert server.get("/artifacts/trikk.toml", 404)["next"]


def test_incidents_are_shown_and_acknowledged(server: RunningServer, place: ServedProject) -> None:
    now = time.time()
    rule = Rule(name="late").to_json()
    opening = Opening(rule=rule, subject="add", title="add is late", severity=Severity.ALARM, since=now)
    decision = Decision(Change.OPENED, "opened", "it did not come", opening=opening)
    # The server looks once a minute: it takes an incident without a rule for over, and opens its own.
    book, cause = Book(place.project.journal), "late[add=a/b]"
    for _ in range(2):
        opened = book.apply(book.latest(cause), cause, decision, at=now, channels=())
        assert opened is not None
        listed = [one["title"] for one in server.get("/incidents")["incidents"] if one["id"] == opened.id]
        if listed:
            break
    assert listed == ["add is late"]
    name = quote(opened.id)
    known = server.post(f"/incidents/{name}/acknowledge", {"by": "ada", "why": "on it"})
    assert known["acknowledged"] == "ada"
    assert [entry["kind"] for entry in server.get(f"/incidents/{name}")["timeline"]][-1] == "incident.acknowledged"
    muted = server.post(f"/incidents/{name}/mute", {"by": "ada", "why": "on it", "until": "2099-01-01"})
    assert muted["mute"] == {"until": 4070908800.0, "by": "ada", "why": "on it"}
    assert server.post(f"/incidents/{name}/mute", {"why": "x", "until": "2001-01-01"}, 422)["next"]
    noted = server.post(f"/incidents/{name}/note", {"by": "ada", "text": "a fair"})
    assert [note["text"] for note in noted["notes"]] == ["a fair"]
    assert server.post(f"/incidents/{name}/unmute", {"by": "ada"})["mute"]["until"] < time.time() + 60
    assert server.get("/incidents/nothing-1", 404)["next"]


def test_metrics_tell_of_runs_triggers_and_parts(
    server: RunningServer, added: dict[str, object], agent: Agent
) -> None:
    def shows_the_run() -> bool:
        """Whether /metrics has it; the project is measured every five seconds."""
        text = server.client.get("/metrics").text
        return 'trikk_steps_total{outcome="succeeded",pipeline="add",step="total"}' in text

    until(shows_the_run)
    assert server.metric('trikk_runs{state="succeeded"}') >= 1
    assert server.metric('trikk_run_seconds_count{pipeline="add"}') >= 1
    assert server.metric("trikk_trigger_lag_seconds") < 60
    assert server.metric("trikk_parts_failing") == 0
    assert server.metric("trikk_server_fires") == 1
    names = {line.split()[2] for line in server.client.get("/metrics").text.splitlines() if line[:6] == "# TYPE"}
    assert names <= {metric.name for metric in METRICS}
    agent.receive()
    assert ("trikk_server_fires", "project:served") in agent.gauges


def test_costs_are_added_up_as_the_command_does(server: RunningServer, added: dict[str, object]) -> None:
    costs = server.get("/costs", by="step", since="2020-01-01")
    assert costs["total"]["runs"] >= 1
    assert any(line["name"].startswith("add.") and line["seconds"] > 0 for line in costs["lines"])
    assert server.get("/costs", 422, since="2020-02-30")["what"] == "2020-02-30 is not a day"


def test_nothing_is_there_yet(server: RunningServer) -> None:
    assert server.get("/models")["models"] == []
    assert server.get("/models/people", 404)["next"]
    assert server.get("/monitors")["monitors"] == []
    assert server.get("/monitors/people", 404)["next"]


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.method == "POST" and r.body not in (bytes, Path)], ids=lambda r: r.path
)
def test_a_door_that_changes_something_refuses_what_it_does_not_know(server: RunningServer, route: Route) -> None:
    path = re.sub(r"{(\w+)[^}]*}", r"\1-1", route.path)
    answer = server.client.post(path, json={"no such": "thing"})
    assert answer.status_code == 422, answer.text
    assert server.client.post(path, content=b"a=b", headers={"content-type": "text/plain"}).status_code == 415
