"""Who may ask a real server for what: tokens, roles, environments, and their end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.execution.command import Folder, until
from tests.server.served import RunningServer, ServedProject

RUNS = "/api/v1/runs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("access") / "project")


@pytest.fixture(scope="module")
def tokens(place: ServedProject) -> dict[str, str]:
    """A token of each role, one of all environments and one of another."""
    folder = Folder(place.root)
    shown = {}
    for name, options in {
        "viewer": (),
        "operator": (),
        "developer": (),
        "admin": (),
        "anywhere": ("--environment", "*"),
        "stranger": ("--environment", "elsewhere"),
    }.items():
        role = name if name in ("viewer", "operator", "developer", "admin") else "admin"
        done = folder.trikk("token", "create", name, "--role", role, *options)
        assert done.code == 0, done.err
        shown[name] = done.out.strip()
    return shown


@pytest.fixture(scope="module")
def server(place: ServedProject, tokens: dict[str, str]) -> Iterator[RunningServer]:
    with place.server("--require-token") as running:
        yield running


def ask(
    server: RunningServer, token: str, method: str = "GET", path: str = RUNS, body: Any = None
) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return server.client.request(method, path, headers=headers, json=body)


def test_a_role_may_do_what_it_may(server: RunningServer, tokens: dict[str, str]) -> None:
    start = ("POST", RUNS, {"pipeline": "add", "parameters": {"n": 1}})
    make = ("POST", "/api/v1/tokens", {"name": "new", "role": "viewer"})
    statuses = {
        name: [ask(server, tokens.get(name, ""), *request).status_code for request in (("GET",), start, make)]
        for name in ("", "viewer", "operator", "developer", "admin", "anywhere", "stranger")
    }
    assert statuses == {
        "": [401, 401, 401],
        "viewer": [200, 403, 403],
        "operator": [200, 201, 403],
        "developer": [200, 201, 403],
        "admin": [200, 201, 201],
        "anywhere": [200, 201, 409],  # that name is taken
        "stranger": [403, 403, 403],
    }
    refused = ask(server, tokens["viewer"], *start)
    assert refused.json()["what"] == "it takes the role operator, and viewer has viewer"
    assert 'scope="operator"' in refused.headers["www-authenticate"]
    assert "is for environment elsewhere, and this is main" in ask(server, tokens["stranger"]).json()["what"]
    assert ask(server, "").headers["www-authenticate"] == 'Bearer realm="trikk"'
    # Who started a run is who showed the token, whatever the body says.
    run = ask(server, tokens["operator"], *start).json()
    assert run["origin"]["by"] == "operator"
    stop = ask(server, tokens["operator"], "POST", f"{RUNS}/{run['id']}/cancel", {"by": "anna"})
    assert stop.status_code in (200, 202, 409)


def test_what_is_open_tells_strangers_nothing(server: RunningServer, tokens: dict[str, str]) -> None:
    assert ask(server, "", path="/healthz").status_code == 200
    assert ask(server, "nonsense", path="/healthz").status_code == 200
    until(lambda: ask(server, "", path="/readyz").status_code == 200)
    assert ask(server, "", path="/readyz").json() == {"status": "ready"}
    assert ask(server, tokens["viewer"], path="/readyz").json()["parts"]
    assert [ask(server, t, path="/metrics").status_code for t in ("", tokens["viewer"])] == [401, 200]
    assert ask(server, "", "POST", "/hooks/none").status_code == 401
    assert ask(server, "", path="/api/v1/nothing").status_code == 404


def test_tokens_by_rest_stay_within_their_environment(server: RunningServer, tokens: dict[str, str]) -> None:
    def make(by: str, **body: str) -> httpx.Response:
        return ask(server, tokens[by], "POST", "/api/v1/tokens", {"role": "admin", **body})

    assert make("admin", name="wide", environment="*").status_code == 403
    assert make("admin", name="far", environment="elsewhere").status_code == 403
    assert make("anywhere", name="far", environment="elsewhere").status_code == 201
    assert make("admin", name="x", expires="soon").status_code == 422
    listed = {by: ask(server, tokens[by], path="/api/v1/tokens").json()["tokens"] for by in ("admin", "anywhere")}
    assert {t["environment"] for t in listed["admin"]} == {"main"}
    assert {t["environment"] for t in listed["anywhere"]} == {"main", "elsewhere", "*"}
    assert "digest" not in json.dumps(listed)
    assert ask(server, tokens["admin"], "POST", "/api/v1/tokens/far/revoke").status_code == 404
    assert ask(server, tokens["anywhere"], "POST", "/api/v1/tokens/far/revoke").json()["state"] == "revoked"


def test_a_revoked_token_ends_within_seconds_and_its_stream_with_it(
    server: RunningServer, tokens: dict[str, str], place: ServedProject, tmp_path: Path
) -> None:
    folder = Folder(place.root)
    leaver = folder.trikk("token", "create", "leaver", "--role", "operator").out.strip()
    waits = {"pipeline": "waits", "parameters": {"file": str(tmp_path / "go")}}
    run = ask(server, leaver, "POST", RUNS, waits).json()["id"]  # known at once
    ends: dict[str, float] = {}

    def follow(name: str, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        with httpx.stream("GET", f"{server.url}{RUNS}/{run}/events", headers=headers, timeout=60) as stream:
            assert stream.status_code == 200
            for _ in stream.iter_bytes():
                ends[f"{name} began"] = time.monotonic()
        ends[name] = time.monotonic()

    followers = [
        threading.Thread(target=follow, args=(n, t)) for n, t in (("leaver", leaver), ("stays", tokens["viewer"]))
    ]
    for follower in followers:
        follower.start()
    until(lambda: {"leaver began", "stays began"} <= ends.keys())
    assert json.loads(folder.trikk("token", "revoke", "leaver", "--json").out)["state"] == "revoked"
    revoked = time.monotonic()
    until(lambda: ask(server, leaver).status_code == 401)
    refused_after = time.monotonic() - revoked
    until(lambda: "leaver" in ends)
    assert refused_after < 20  # one to two seconds, on a machine that is not busy
    assert "stays" not in ends
    assert "was revoked" in ask(server, leaver).json()["what"]
    (tmp_path / "go").touch()
    for follower in followers:
        follower.join(60)
    assert "stays" in ends


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(
    server: RunningServer, tokens: dict[str, str]
) -> None:
    wrong = tokens["admin"][:-1] + ("0" if tokens["admin"][-1] != "0" else "1")
    answers = [ask(server, wrong) for _ in range(15)]
    assert {a.status_code for a in answers} == {401, 429}
    late = answers[-1]
    assert late.status_code == 429
    assert 1 <= int(late.headers["retry-after"]) <= 6
    assert ask(server, tokens["viewer"]).status_code == 200
    assert wrong not in json.dumps([a.json() for a in answers])


def test_every_change_and_refusal_has_a_line_and_no_secret_is_in_it(
    server: RunningServer, tokens: dict[str, str], place: ServedProject
) -> None:
    secret = {"pipeline": "add", "parameters": {"n": 1, "note": "hunter2"}}
    run = ask(server, tokens["operator"], "POST", RUNS, secret).json()["id"]
    assert ask(server, tokens["viewer"], "POST", f"{RUNS}/{run}/cancel", {"why": "no"}).status_code == 403
    assert ask(server, tokens["operator"], "POST", RUNS, {"pipeline": "none"}).status_code == 404
    assert ask(server, tokens["operator"], "POST", RUNS, {"pipe": 1}).status_code == 422

    def lines() -> list[dict[str, Any]]:
        return ask(server, tokens["admin"], path="/api/v1/audit?limit=4").json()["lines"]  # type: ignore[no-any-return]

    until(lambda: sum(line["outcome"] == "refused" for line in lines()) >= 2)
    shown = {(line["who"], line["action"], line["outcome"]): line for line in lines()}
    assert shown.keys() == {
        ("operator", "start_run", "done"),
        ("viewer", "cancel_run", "refused"),
        ("operator", "start_run", "failed"),
        ("operator", "start_run", "refused"),
    }
    done = shown["operator", "start_run", "done"]
    assert (done["target"], done["source"]) == ({"pipeline": "add", "made": f"{RUNS}/{run}"}, "127.0.0.1")
    assert shown["viewer", "cancel_run", "refused"]["target"] == {"run": run}
    assert ask(server, tokens["operator"], path="/api/v1/audit").status_code == 403
    by_page: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = ask(server, tokens["admin"], path=f"/api/v1/audit?limit=3{cursor and '&cursor='}{cursor}").json()
        by_page += page["lines"]
        cursor = page["next"]
    numbers = [line["seq"] for line in by_page]
    assert numbers == sorted(set(numbers), reverse=True)
    first = by_page[-1]  # the command that made the first token
    assert (first["kind"], first["action"], first["outcome"]) == ("command", "create_token", "done")
    assert first["target"] == {"name": "viewer", "role": "viewer"}
    written = "".join(map(repr, place.project.journal.history("")))
    for secret_part in ("hunter2", *(token.rpartition("_")[2] for token in tokens.values())):
        assert secret_part not in written
        assert secret_part not in place.log()
    by_command = Folder(place.root).trikk("audit", "--limit", "1")
    assert by_command.code == 0
    assert "read_audit" in by_command.out  # what was refused last
    Folder(place.root).trikk("cancel", "last")
    (line,) = json.loads(Folder(place.root).trikk("audit", "--limit", "1", "--json").out)["lines"]
    assert (line["action"], line["target"]) == ("cancel_run", {"run": run})  # and not "last"


def test_nobody_is_served_beyond_this_machine_without_a_token(tmp_path: Path) -> None:
    place = ServedProject(tmp_path / "project")
    for options in (("--host", "0.0.0.0"), ("--host", "127.0.0.1", "--require-token")):
        done = Folder(place.root).trikk("serve", "--port", "0", *options)
        assert done.code == 2
        assert "trikk token create" in done.err
        assert "--open-to-all" in done.err
