"""Runs by REST, against a real server: started once, shown as the command shows them, refused in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.execution.command import Folder, until
from tests.server.served import RunningServer, ServedProject

from trikk.runs.journals.journal import Cause
from trikk.runs.journals.ledger import Added
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.server.http.request_keys import COUNTS_FOR, KeyedRequest, run_for
from trikk.server.schedule.trigger_standing import adopt
from trikk.triggers import Cron
from trikk.triggers.declared import Declared
from trikk.web.refused import Refused

ADD = {"pipeline": "add", "parameters": {"n": 1}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server("--allow-origin", "https://app.example") as running:
        yield running


def test_an_allowed_page_may_ask_and_read(server: RunningServer) -> None:
    asks = {"origin": "https://app.example", "access-control-request-method": "POST"}
    for answer in (
        server.client.options("/api/v1/runs", headers=asks),
        server.client.get("/healthz", headers=asks),
    ):
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in server.client.get("/healthz").headers


def test_a_run_is_started_and_shown_as_the_command_shows_it(server: RunningServer, place: ServedProject) -> None:
    answer = server.client.post("/api/v1/runs", json=ADD)
    assert answer.status_code == 201
    run = answer.json()
    assert run["state"] in ("queued", "running")
    assert run["origin"] == {"kind": "request", "by": "local"}
    assert answer.headers["location"] == f"/api/v1/runs/{run['id']}"
    ended = server.ended(run["id"])
    assert ended["state"] == "succeeded"
    assert ended["parameters"] == {"n": 1, "note": ""}
    assert ended == Folder(place.root).good("show", run["id"])
    assert run["id"] in [row["id"] for row in server.get("/runs", pipeline="add", state="succeeded")["runs"]]
    assert server.get("/runs", pipeline="nightly")["runs"] == []


def test_a_repeated_request_gets_the_same_run(server: RunningServer) -> None:
    body = {"pipeline": "add", "parameters": {"n": 2}}
    first = server.post("/runs", body, 201, **{"Idempotency-Key": "two"})
    again = server.post("/runs", body, 200, **{"Idempotency-Key": "two"})
    assert again["id"] == first["id"]
    problem = server.post("/runs", {**body, "parameters": {"n": 3}}, 409, **{"Idempotency-Key": "two"})
    assert first["id"] in problem["what"]
    # The key counts for one pipeline: another one's run is another run.
    waits = {"pipeline": "fragile", "parameters": {"file": "x"}}
    assert server.post("/runs", waits, 201, **{"Idempotency-Key": "two"})["id"] != first["id"]
    assert server.post("/runs", body, 201)["id"] != first["id"]


def test_pages_of_runs_are_not_shifted_by_new_ones(server: RunningServer, place: ServedProject) -> None:
    for n in range(5):
        place.project.journal.create(f"paged{n}", "paged", {}, at=float(n))
    first = server.get("/runs", pipeline="paged", limit=2)
    place.project.journal.create("paged5", "paged", {}, at=5.0)
    second = server.get("/runs", pipeline="paged", limit=2, cursor=first["next"])
    last = server.get("/runs", pipeline="paged", limit=2, cursor=second["next"])
    pages = [[row["id"] for row in page["runs"]] for page in (first, second, last)]
    assert pages == [["paged4", "paged3"], ["paged2", "paged1"], ["paged0"]]
    assert last["next"] is None
    assert server.get("/runs", 404, cursor="no such place")["next"]


def test_a_document_that_the_client_has_is_not_sent_again(server: RunningServer) -> None:
    run = server.run("add", n=11)["id"]
    first = server.client.get(f"/api/v1/runs/{run}")
    for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = server.client.get(f"/api/v1/runs/{run}", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = server.client.get(f"/api/v1/runs/{run}", headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
    head = server.client.head(f"/api/v1/runs/{run}")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(first.content)))
    # Of a run that goes on, so that the stream has no end.
    waits = server.post("/runs", {"pipeline": "waits", "parameters": {"file": "never"}}, 201)["id"]
    stream = server.client.head(f"/api/v1/runs/{waits}/events")
    assert (stream.status_code, stream.headers["content-type"][:17]) == (200, "text/event-stream")
    server.client.post(f"/api/v1/runs/{waits}/cancel")


def test_of_many_callers_with_one_key_each_gets_the_one_run(server: RunningServer) -> None:
    body = {"pipeline": "add", "parameters": {"n": 4}}
    answers: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            answers.append(client.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "many"}))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_key_counts_for_seven_days() -> None:
    journal, begun, at = MemoryJournal(), [], 1_000_000.0

    def asked(now: float, request: KeyedRequest) -> tuple[str, bool]:
        def begin(cause: Cause) -> Added:
            begun.append(f"run{len(begun)}")
            return journal.create_once(begun[-1], "add", {"parameters": {}}, cause, at=now)

        return run_for(journal, request, now, begin)

    request = KeyedRequest("add", {"n": 5}, "someone", "weekly")
    assert asked(at, request) == ("run0", True)
    assert asked(at + COUNTS_FOR - 1, request) == ("run0", False)
    assert asked(at + COUNTS_FOR, request) == ("run1", True)
    assert asked(at + COUNTS_FOR + 1, request) == ("run1", False)
    assert asked(at + 2 * COUNTS_FOR - 1, replace(request, pipeline="sub")) == ("run2", True)
    # Another caller's key is another key, and without one each request is another.
    assert asked(at, replace(request, caller="another")) == ("run3", True)
    assert [asked(at, replace(request, key="")) for _ in range(2)] == [("run4", True), ("run5", True)]
    with pytest.raises(Refused, match="another request"):
        asked(at + COUNTS_FOR + 2, replace(request, asked={"n": 6}))


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"pipeline": "add", "parameters": {"n": "one"}}, 422, "n: 'one' does not fit"),
        ({"pipeline": "add"}, 422, "n: missing"),
        ({"pipeline": "add", "parameters": {"n": 1, "m": 2}}, 422, "m: no such parameter"),
        ({"pipeline": "ad", "parameters": {"n": 1}}, 404, "no pipeline 'ad'"),
        ({"pipeline": "../add"}, 422, "$.pipeline"),
        ({"pipeline": "add", "parameters": [1]}, 422, "$.parameters"),
        ({"pipeline": "add", "parameter": {"n": 1}}, 422, "parameter"),
        ({"pipeline": 5}, 422, "$.pipeline"),
        ([], 422, "object"),
        ("", 422, "object"),
    ],
)  # fmt: skip
def test_a_wrong_request_says_what_is_wrong(server: RunningServer, body: Any, status: int, says: str) -> None:
    answer = server.client.post("/api/v1/runs", json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert says in problem["what"]
    assert problem["what"] == problem["detail"]
    assert problem["next"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b'{"pipeline": "\\ud800"}', {}, 400),
        (b'{"pipeline": "add", "parameters": {"n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", {}, 400),
        (b'{"pipeline": "add", "parameters": {"n": NaN}}', {}, 400),
        (b'{"pipeline": "add", "parameters": {"n": 1e999}}', {}, 422),
        (b'{"pipeline": "add", "parameters": {"n": %s}}' % (b"1" * 5000), {}, 422),
        (json.dumps(ADD).encode(), {"content-type": "text/plain"}, 415),
        (json.dumps(ADD).encode(), {"content-encoding": "gzip"}, 415),
        (b" " * 1_000_001, {}, 413),
        (json.dumps(ADD).encode(), {"idempotency-key": ""}, 400),
        (json.dumps(ADD).encode(), {"idempotency-key": "k" * 256}, 400),
        (json.dumps(ADD).encode(), {"origin": "https://evil.example"}, 403),
        (json.dumps(ADD).encode(), {"host": "rebound.example"}, 421),
    ],
)  # fmt: skip
def test_a_hostile_request_is_refused_before_anything_is_begun(
    server: RunningServer, content: bytes, headers: dict[str, str], status: int
) -> None:
    before = server.metric('trikk_http_requests_total{route="/api/v1/runs",status="201"}')
    sent = {"content-type": "application/json", **headers}
    answer = server.client.post("/api/v1/runs", content=content, headers=sent)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) >= {"title", "status", "detail", "what", "where", "next"}
    assert server.metric('trikk_http_requests_total{route="/api/v1/runs",status="201"}') == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/runs/nosuchrun000", 404),
        ("GET", "/api/v1/runs/..%2f..%2fetc", 404),
        ("GET", "/api/v1/runs/%00", 404),
        ("GET", "/api/v1/runs/nosuchrun000/events", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/runs?limit=0", 422),
        ("GET", "/api/v1/runs?limit=x", 422),
        ("GET", "/api/v1/runs?state=happy", 422),
        ("GET", "/api/v1/runs?colour=red", 422),
        ("GET", "/api/v1/runs?limit=1&limit=2", 400),
        ("GET", "/api/v1/runs?limit", 400),
        ("GET", "/api/v1/runs?pipeline=%ff", 400),
        ("DELETE", "/api/v1/runs", 405),
        ("OPTIONS", "/api/v1/runs", 204),
        ("HEAD", "/api/v1/runs", 200),
    ],
)  # fmt: skip
def test_a_wrong_path_or_query_says_so(server: RunningServer, method: str, path: str, status: int) -> None:
    answer = server.client.request(method, path)
    assert answer.status_code == status, answer.text
    if status in (204, 405):
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    if status >= 400:
        assert answer.json()["next"]


def test_a_server_that_ends_leaves_its_runs_to_themselves(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "project")
    with place.server() as server:
        run = server.post("/runs", {"pipeline": "waits", "parameters": {"file": "go"}}, 201)["id"]
        server.ended(run, "running")
    assert place.project.is_driven(run)
    (place.root / "go").touch()
    with place.server() as server:
        assert server.ended(run)["state"] == "succeeded"


def test_a_project_whose_code_does_not_load_is_served_as_far_as_it_goes(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "project", pipelines="import nothing_like_that\n")
    daily = Declared("add", Cron("0 4 * * *", name="daily"), "pipelines.py:1")
    adopt(place.project.journal, daily, datetime.now(UTC))  # by an earlier server
    with place.server() as server:
        listed = server.get("/triggers")
        assert [row["name"] for row in listed["triggers"]] == ["daily"]
        assert "nothing_like_that" in listed["trouble"]["what"]
        assert server.post("/triggers/daily/pause")["paused"]
        assert server.post("/triggers/daily/fire", None, 503)["next"]
        assert server.get("/runs")["runs"] == []
        assert "nothing_like_that" in server.post("/runs", ADD, 503)["what"]
        page = server.client.get("/pipelines/add/start")
        assert (page.status_code, page.headers["retry-after"], "nothing_like_that" in page.text) == (
            503,
            "2",
            True,
        )
        ready = server.client.get("/readyz")
        assert ready.status_code == 503
        assert "nothing_like_that" in ready.json()["problems"][0]["what"]
        assert server.client.get("/healthz").status_code == 200
        (place.root / "pipelines.py").write_text("")
        assert ready.json()["code"]["trouble"]["next"]
        until(lambda: server.client.get("/readyz").status_code == 200)
        (place.root / "pipelines.py").write_text("import nothing_either\n")
        until(lambda: server.client.get("/readyz").json()["problems"])
        again = server.client.get("/readyz")
        assert (again.status_code, again.json()["status"]) == (200, "ready"), "it goes on with what it has loaded"
        assert "nothing_either" in again.json()["problems"][0]["what"]
