"""A project with some of everything: by REST what commands show of it, and all of it against schemathesis."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.envs import python_of
from tests.execution.command import Folder, until
from tests.fuzz_server import fuzz, make_project
from tests.server.served import RunningServer, ServedProject

from trikk.access.identity import Identity, IdentityKind, Role
from trikk.access.tokens import begin_session, revoke
from trikk.client.rest_client import Client
from trikk.core.digests import digest_bytes
from trikk.core.errors import UnknownName

SECONDS = 30


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return make_project(tmp_path_factory.mktemp("whole") / "project")


@pytest.fixture(scope="module")
def folder(place: ServedProject) -> Folder:
    return Folder(place.root)


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server() as running:
        yield running


def test_a_runs_details_are_those_of_the_commands(server: RunningServer, folder: Folder) -> None:
    run, other = server.run("broken", why="the disk is full")["id"], server.run("add", n=3)["id"]
    assert server.get(f"/runs/{run}/logs") == folder.good("logs", run)
    assert "the last words" in server.get(f"/runs/{run}/logs", step="falls")["logs"][0]["text"]
    assert len(server.get(f"/runs/{run}/logs", tail=5)["logs"][0]["text"]) == 5
    assert server.get(f"/runs/{run}/logs", 404, step="rises")["next"]
    assert server.get(f"/runs/{other}/artifacts") == folder.good("artifacts", other)
    shown = server.get(f"/runs/{other}/steps/total")
    assert shown == folder.good("show", other, "total")
    assert shown["previews"][0]["head"] == [{"n": 3}]
    compared = server.get("/comparison", runs=f"{run},{other}")
    assert compared == folder.good("compare", run, other)
    assert ["broken", "add"] in [row["values"] for row in compared["rows"]]


def test_a_file_is_sent_and_loaded_once(server: RunningServer, place: ServedProject, tmp_path: Path) -> None:
    days = tmp_path / "days.csv"
    with days.open("w") as file:
        file.write("day,note\n")
        file.writelines(f"{n},{'x' * 1000}\n" for n in range(30_000))
    with Client(server.url, by="ada") as client:
        loaded = client.ingest("days", days, key="day", types="day=Int32")
        assert (loaded["rows"], loaded["files"], loaded["columns"]["day"]) == (30_000, ["days.csv"], "Int32")
        assert client.ingest("days", days, key="day")["new"] == 0
        assert client.table("days").history[0].run is None
    assert not list((place.root / ".trikk" / "uploads").iterdir())
    path = "/api/v1/tables/days/ingest"
    for query, status in [
        ({"file": "../x.csv"}, 422),
        ({"file": "x.exe"}, 422),
        ({}, 422),
        ({"file": "*.csv"}, 422),
    ]:
        assert server.client.post(path, params=query, content=b"a\n1\n").status_code == status, query
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.putrequest("POST", f"{path}?file=x.csv")
    connection.putheader("content-length", str(10**12))  # it is refused before anything of it is sent
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert not list((place.root / ".trikk" / "uploads").iterdir())


def test_a_log_is_read_on_from_where_it_was(server: RunningServer, place: ServedProject) -> None:
    run = server.run("broken", why="x")["id"]
    log = place.root / ".trikk" / "runs" / run / "falls.1.log"
    log.write_bytes(b"one\n\xc3")  # the first half of a letter
    (whole,) = server.get(f"/runs/{run}/logs", step="falls")["logs"]
    assert (whole["text"], whole["begins"], whole["ends"]) == ("one\n\ufffd", 0, 5)
    (part,) = server.get(f"/runs/{run}/logs", log="falls.1.log", begin=2)["logs"]
    assert (part["text"], part["begins"], part["ends"]) == ("e\n", 2, 4)
    log.write_bytes("one\n\u00e4 two".encode())
    (rest,) = server.get(f"/runs/{run}/logs", log="falls.1.log", begin=part["ends"])["logs"]
    assert (rest["text"], rest["ends"]) == ("\u00e4 two", 10)
    assert server.get(f"/runs/{run}/logs", 404, log="driver.log")["next"]
    assert server.get(f"/runs/{run}/logs", 422, begin=4)["next"]


def test_a_project_is_checked_and_cleaned_up(server: RunningServer, folder: Folder) -> None:
    # Its models' artifacts are made up: that is found.
    assert server.get("/doctor") == folder.trikk("doctor", "--json").json
    assert server.get("/doctor")["healthy"] is False
    would = server.get("/gc", keep_last=1)
    assert would == folder.good("gc", "--dry-run", "--keep-last", "1")
    assert server.post("/gc")["forgotten"] == 0
    assert server.get("/gc", 422, older_than="long")["next"]


def test_a_run_tells_what_it_is_locked_to_and_who_used_what_it_made(
    server: RunningServer, place: ServedProject
) -> None:
    first, second = server.run("add", n=1), server.run("counting")
    lock = server.get(f"/runs/{second['id']}/lock")
    code = (place.root / "pipelines.py").read_bytes()
    assert lock["files"]["pipelines.py"] == digest_bytes(code)
    assert lock["packages"]["polars"] == pl.__version__
    assert lock["lock"] == second["lock"]
    assert server.client.get(f"/api/v1/artifacts/{lock['files']['pipelines.py']}").content == code
    (place.root / "pipelines.py").write_bytes(code + b"\n# changed\n")
    try:
        changed = server.get(f"/runs/{second['id']}/changes", since="folder")
        assert [(file["path"], file["change"]) for file in changed["files"]] == [("pipelines.py", "changed")]
        assert changed["files"][0]["diff"].splitlines()[-1] == "+# changed"
    finally:
        (place.root / "pipelines.py").write_bytes(code)
    alike = server.get(f"/runs/{second['id']}/changes", since=first["id"])
    assert (alike["since"], alike["files"], alike["packages"]) == (first["id"], [], [])
    assert server.get(f"/runs/{second['id']}/changes")["since"] is None  # it is the first of its pipeline
    assert [node["name"] for node in server.get(f"/runs/{second['id']}/graph")["nodes"]] == [
        "count",
        "append_sums",
    ]
    version = second["lock"]["tables"]["totals"]
    below, above = (server.get(f"/runs/{run['id']}/lineage") for run in (second, first))
    assert [(t["table"], t["version"], t["run"], t["step"]) for t in below["tables"]] == [
        ("totals", version, first["id"], "append_totals")
    ]
    assert below["written"][0]["table"] == "sums"
    (written,) = above["written"]
    assert (written["version"], [reader["run"] for reader in written["readers"]]) == (version, [second["id"]])
    assert above["is_whole"]


def test_a_table_shows_rows_versions_and_who_read_it(server: RunningServer) -> None:
    runs = [server.run("add", n=n) for n in (30, 10, 20)]
    reader = server.run("counting")
    shown = server.get("/tables/totals/rows", sort="-n", where=json.dumps([["n", ">", 9]]), limit=2)
    assert (shown["count"], shown["rows"], shown["columns"]) == (3, [{"n": 30}, {"n": 20}], {"n": "Int64"})
    version = reader["lock"]["tables"]["totals"]
    earlier = server.get("/tables/totals/rows", sort="n", version=version - 2, where='[["n", ">=", 10]]', offset=0)
    assert earlier["rows"] == [{"n": 30}]
    assert server.get("/tables/totals/rows", 422, sort="nosuch")["next"]
    assert server.get("/tables/totals/rows", 422, where='[["n", "contains", "1"]]')["next"]
    assert server.get("/tables/totals/rows", 422, where="n > 9")["next"]
    column = server.get("/tables/totals/column", column="n", version=version)
    assert (column["most"], column["nulls"], column["dtype"]) == (30, 0, "Int64")
    assert sum(count for _, _, count in column["bins"]) == column["rows"] > 3
    assert server.get("/tables/totals/column", 422, column="nosuch")["next"]
    page = server.get("/tables/totals/versions", limit=2)
    assert [one["run"] for one in page["versions"]] == [runs[2]["id"], runs[1]["id"]]
    assert all(one["added_bytes"] and not one["columns"] for one in page["versions"])
    rest = server.get("/tables/totals/versions", cursor=page["next"])
    assert rest["versions"][0]["version"] == version - 2
    assert rest["versions"][-1]["columns"] == [{"column": "n", "before": None, "after": "Int64"}]
    assert rest["next"] is None
    readers = server.get("/tables/totals/readers", limit=1)
    assert [(one["run"], one["version"]) for one in readers["readers"]] == [(reader["id"], version)]
    assert server.get("/tables/nosuch/readers", 404)["next"]


def test_a_backfill_is_begun_paused_and_cancelled(server: RunningServer, folder: Folder) -> None:
    asked = {"pipelines": ["fill"], "from": "2020-04-01", "to": "2020-04-03", "parameters": {"error": "11"}}
    begun = server.post("/backfills", asked, 201)["id"]
    until(lambda: server.get(f"/backfills/{begun}")["state"] == "succeeded")
    whole = server.get(f"/backfills/{begun}")
    assert whole == folder.good("backfills", begun)
    assert [day["day"] for day in whole["runs"]] == ["2020-04-01", "2020-04-02", "2020-04-03"]
    assert server.post(f"/backfills/{begun}/pause", {"why": "late"}, 409)["next"]
    waits = {"pipelines": ["waiting"], "from": "2020-04-01", "to": "2020-04-03"}
    assert server.post("/backfills", waits, 404)["next"]
    asked["parameters"] = {"error": "eleven"}
    assert "error" in server.post("/backfills", asked, 422)["what"]
    endless = server.post("/backfills", {"pipelines": ["train"], "from": "2021-01-01", "to": "2021-12-31",
                                         "parameters": {"weeks": "2"}}, 201)["id"]  # fmt: skip
    assert server.post(f"/backfills/{endless}/pause", {"why": "late", "by": "ada"})["state"] == "paused"
    assert server.post(f"/backfills/{endless}/resume", {"code": "locked"})["state"] == "open"
    assert server.post(f"/backfills/{endless}/cancel")["state"] == "cancelled"
    newest = server.get("/backfills", limit=1)
    assert [one["id"] for one in newest["backfills"]] == [endless]
    assert server.get("/backfills", cursor=newest["next"])["backfills"][0]["id"] == begun


def test_models_move_and_incidents_are_resolved(server: RunningServer, folder: Folder) -> None:
    assert server.post("/models/people/rollback", {"alias": "champion", "why": "worse"})["move"]["version"] == 1
    assert server.post("/models/people/rollback", {"alias": "champion"}, 409)["next"]
    moved = server.post("/models/people/promote", {"alias": "champion", "version": "2", "by": "ada"})["move"]
    assert (moved["version"], moved["former"], moved["by"]) == (2, 1, "ada")
    assert server.post("/models/people/promote", {"alias": "champion", "version": "2"})["move"] is None
    assert server.post("/models/people/approve", {"alias": "champion"}, 409)["next"]
    compared = server.get("/models/people/comparison", versions="1,2")
    assert compared == folder.good("models", "compare", "people", "1", "2")
    (incident,) = (one for one in server.get("/incidents")["incidents"] if one["cause"].startswith("people"))
    resolved = server.post(f"/incidents/{incident['id']}/resolve", {"why": "it was a test", "by": "ada"})
    assert (resolved["state"], resolved["resolved_by"]) == ("resolved", "ada")
    assert server.post(f"/incidents/{incident['id']}/resolve", {"why": "again"}, 409)["next"]


def test_a_channel_is_tested_and_reports_are_listed(
    server: RunningServer, folder: Folder, place: ServedProject
) -> None:
    listed = server.get("/channels")
    assert listed == folder.good("channels")
    assert listed["channels"] == [
        {"name": "file", "kind": "file", "gets": ["alarm", "warning", "info"], "what": "", "next": ""}
    ]
    before = set((place.root / ".trikk" / "alerts").glob("*.eml"))
    sent = server.post("/channels/file/test", {"by": "ada"})
    (mail,) = set((place.root / ".trikk" / "alerts").glob("*.eml")) - before
    assert sent["subject"] == "[served] test of channel file"
    assert "ada has sent this" in mail.read_text()
    assert server.post("/channels/nosuch/test", None, 404)["next"]
    line = folder.good("audit", "--limit", "9")["lines"]
    assert ("test_channel", "file") in [(one["action"], one["target"].get("channel")) for one in line]
    assert server.get("/reports") == folder.good("report")
    assert server.get("/reports/nosuch/page", 404)["next"]
    assert server.get("/reports/nosuch/deliveries")["deliveries"] == []
    assert server.post("/reports/send")["deliveries"] == []


def test_a_model_tells_who_held_an_alias_when_and_who_uses_it(server: RunningServer, folder: Folder) -> None:
    at = {"at": "1970-01-01T00:00:01.5+00:00"}  # between the two moves
    assert server.get("/models/people/holders", **at)["aliases"] == {"champion": 1}
    assert server.get("/models/people/holders", at="1970-01-01", alias="champion")["aliases"] == {"champion": 2}
    assert server.get("/models/people/holders", at="1970-01-01", environment="staging")["aliases"] == {}
    assert server.get("/models/people/holders", 422, at="the day before")["next"]
    assert server.get("/models/people/versions/champion") == folder.good("models", "people@champion")
    assert server.get("/models/people/versions/9", 404)["next"]
    run = server.run("judging")
    number = run["lock"]["models"]["people@champion"]["version"]
    use = {"pipeline": "judging", "step": "judge", "reference": "people@champion", "version": number}
    assert server.get("/models/people/uses")["uses"] == [use]
    assert server.get("/models/people/uses", environment="staging")["uses"] == [{**use, "version": None}]
    users = server.get("/models/people/users", limit=1)["readers"]
    assert [(user["run"], user["version"]) for user in users] == [(run["id"], number)]
    guarded = server.post("/models/people/require-approval", {"alias": "champion", "environment": "staging"})
    assert guarded["required"]
    asked = {"alias": "champion", "version": "1", "environment": "staging"}
    assert server.post("/models/people/promote", asked)["move"]["state"] == "requested"
    assert server.get("/models", environment="staging")["models"][0]["pending"][0]["version"] == 1
    told = {"alias": "shadow", "version": "1", "at": "2020-03-01", "why": "as it was then"}
    moved = server.post("/models/people/promote", told)["move"]
    assert (moved["at"], moved["recorded"] > moved["at"]) == (1583020800.0, True)
    assert server.get("/models/people/holders", at="2020-03-03")["aliases"]["shadow"] == 1


def test_features_are_served_and_synced(server: RunningServer, folder: Folder) -> None:
    (line,) = server.get("/features")["features"]
    assert {"features": [line]} == folder.good("features")
    assert (line["name"], line["entities"], line["behind"], line["error"]) == ("loads", 3, 0, None)
    served = server.get("/features/loads/entity", key='{"line": "4", "stop": 1}')
    assert served == {"features": {"line": "4", "stop": 1, "mean": 0.5}, "missing": None, "why": ""}
    assert server.get("/features/loads/entity", key='{"line": "4", "stop": "77"}')["missing"] == "unknown"
    for key in ("line=4", '{"line": "4"}', '{"line": "4", "stap": 1}', '{"line": "4", "stop": 1.5}', "[]"):
        assert server.get("/features/loads/entity", 422, key=key)["next"], key
    for stop in (2**63, -(2**70), "9" * 3900):
        key = json.dumps({"line": "4", "stop": stop})
        assert server.get("/features/loads/entity", key=key)["missing"] == "unknown", stop
    for at in ("0001-01-01T00:00:00+14:00", "2020-01-01T00:00:00+00:00", "noon"):
        assert server.get("/features/loads/entity", 422, key='{"line": "4", "stop": 1}', at=at)["next"], at
    assert server.get("/features/laods/entity", 404, key='{"line": "4"}')["next"]
    assert server.post("/features/loads/sync")["entities"] == 0
    assert server.post("/features/loads/sync", {"rebuild": True, "by": "ada"})["entities"] == 3
    assert server.post("/features/loads/sync", {"to": "redis://elsewhere/0"}, 422)["next"]
    assert ("sync_features", "loads") in [
        (line["action"], line["target"].get("features")) for line in server.get("/audit")["lines"]
    ]


def test_published_messages_are_read_page_by_page(server: RunningServer, folder: Folder) -> None:
    assert server.get("/published") == folder.good("tail")
    whole = server.get("/published/forecast/messages")
    assert whole == folder.good("tail", "forecast")
    assert [message["offset"] for message in whole["messages"]] == [0, 1, 2]
    last = server.get("/published/forecast/messages", limit=1)
    assert last["messages"] == whole["messages"][2:]
    behind = server.get("/published/forecast/messages", after=0, limit=1)
    assert behind["messages"] == whole["messages"][1:2]
    assert server.get("/published/forecast/messages", after=2)["messages"] == []
    assert server.get("/published/nosuch/messages", 404)["next"]


def test_people_are_listed_and_a_person_s_sessions_end_together(
    server: RunningServer, folder: Folder, place: ServedProject
) -> None:
    def begin(environment: str, at: float) -> str:
        anna = Identity("anna@example.com", IdentityKind.PERSON, Role.OPERATOR, environment)
        session, _ = begin_session(place.project.journal, anna, by="17 at https://id", now=at, lasts=3600.0)
        return session.id

    now = time.time()
    main, staging = (
        [begin("main", now - 60), begin("main", now), begin("main", now - 86_400)],
        begin("staging", now),
    )
    known = server.get("/people")
    assert known == folder.good("people")
    people = {person["environment"]: person for person in known["people"]}
    assert (people["main"]["sessions"], people["main"]["role"]) == (2, "operator")
    assert (known["roles"], known["issuer"]) == ({}, "")
    assert revoke(place.project.journal, main[0], by="ada", now=now, environment="main").id == main[0]
    with pytest.raises(UnknownName):
        revoke(place.project.journal, staging, by="ada", now=now, environment="main")
    server.post("/tokens/anna@example.com/revoke")
    states = {token["id"]: token["state"] for token in server.get("/tokens")["tokens"]}
    assert {states[session] for session in [*main, staging]} == {"revoked"}


def test_what_is_watched_is_that_of_the_commands(server: RunningServer, folder: Folder) -> None:
    cases = server.get("/monitors/people/cases", window="2020-03-02", most=3)
    assert cases["cases"] == folder.good("monitor", "people", "--window", "2020-03-02", "--worst", "3")["cases"]
    assert len(cases["cases"]) == 3
    (newest,) = server.get("/monitors/people/cases", most=1)["cases"]
    assert newest["slot"] >= "2020-03-03"  # a look may have found more by now
    assert "kind of window" in server.get("/monitors/people/cases", 404, kind="hour")["what"]
    window = server.get("/monitors/people/windows/2020-03-02")
    assert window == folder.good("monitor", "people", "--window", "2020-03-02")
    assert server.get("/monitors/people/windows/2031-01-01", 404)["next"]
    assert server.get("/monitors/people/drift", 422)["next"]  # it declares none
    period = {"known_ok_from": "2020-03-01", "known_ok_to": "2020-03-01", "to": "2020-03-02"}
    replayed = server.get("/monitors/people/backtest", alarm="loss", **period)
    assert replayed["rule"]["name"] == "loss"
    assert server.get("/monitors/people/backtest", 422, known_ok_from="2020-03-01")["next"]
    assert server.get("/monitors/people/backtest", 422, events="2020-02-31")["next"]
    refused = server.get("/monitors/people/backtest", 422, **{"from": "0001-01-01", "to": "9999-12-31"})
    assert "more than 3,000 nights" in refused["what"]
    compared = server.get("/monitors/people/ab", first="column:value", second="column:value", least_days=2)
    assert compared["difference"] == 0.0
    assert server.get("/monitors/people/ab", 422, first="column:value", second="column:value", metric="os:abort")
    assert server.get("/timeline")["happenings"] == folder.good("timeline")["happenings"]
    assert server.get("/approvals") == folder.good("approvals")
    (this,) = server.get("/servers")["servers"]
    assert (this["lives"], this["fires"], this["left"]) == (True, True, None)
    assert server.get("/predictions/nosuch", 404)["next"]


@pytest.mark.slow
def test_every_answer_is_as_it_is_described(server: RunningServer, place: ServedProject, tmp_path: Path) -> None:
    python_of("schemathesis")  # skipped before anything is started, where there is none
    done = fuzz(server, tmp_path, SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.project.journal.check() == []
