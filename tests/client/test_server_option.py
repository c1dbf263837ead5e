"""`--server URL`: commands in an empty folder say of a server what they say in its project's folder."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Done, Folder, until
from tests.fuzz_server import make_project
from tests.server.served import RunningServer, ServedProject

from trikk.cli.main import COMMANDS, cli, main
from trikk.server.http.route_table import ROUTES

Command = Callable[..., Done]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return make_project(tmp_path_factory.mktemp("whole") / "project")


@pytest.fixture
def here(place: ServedProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command in the project's folder."""

    def call(*arguments: str) -> Done:
        monkeypatch.chdir(place.root)
        monkeypatch.delenv("TRIKK_SERVER", raising=False)
        return _called(arguments, capsys)

    return call


@pytest.fixture
def there(
    server: RunningServer,
    token: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """The same in an empty folder, of the server."""

    def call(*arguments: str) -> Done:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TRIKK_SERVER", server.url)
        monkeypatch.setenv("TRIKK_TOKEN", token)
        return _called(arguments, capsys)

    return call


def _called(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> Done:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    said = capsys.readouterr()
    return Done(int(ended.value.code or 0), said.out, said.err)


@pytest.fixture(scope="module")
def runs(place: ServedProject, server: RunningServer) -> dict[str, str]:
    """A run of each kind, by what became of it."""
    folder = Folder(place.root)
    states = {"add": ("-p", "n=1"), "fragile": ("-p", "file=none"), "asks": ("-p", "n=2")}
    ids = {name: folder.trikk("run", name, *given, "--json").json["id"] for name, given in states.items()}
    period = ("--from", "2020-04-01", "--to", "2020-04-02")
    assert folder.trikk("backfill", "fill", *period, "-p", "error=11", "-p", "days=1").code == 0
    (incident, *_) = folder.trikk("incidents", "--all", "--json").json["incidents"]
    return {
        "succeeded": ids["add"],
        "failed": ids["fragile"],
        "waiting": ids["asks"],
        "incident": incident["id"],
    }


OPERATIONS = {route.operation for route in ROUTES}
# What only the project's folder tells: how many more there are, what else could be done.
_HINT = re.compile(
    r"^(\d+ of .* runs; more: |they are fired by |next: |a server is there|no server is|servers carry )"
)
LOOKS = [
    ("pipelines",),
    ("pipelines", "add"),
    ("runs",),
    ("runs", "--all"),
    ("runs", "-n", "2"),
    ("runs", "--state", "failed"),
    ("show", "{succeeded}"),
    ("show", "{failed}"),
    ("show", "{waiting}"),
    ("show", "{succeeded}", "total"),
    ("logs", "{failed}"),
    ("logs", "{succeeded}", "total"),
    ("gc", "--dry-run"),
    ("compare", "{succeeded}", "{waiting}"),
    ("compare", "{succeeded}", "{waiting}", "--all"),
    ("artifacts", "{succeeded}"),
    ("artifacts", "{failed}"),
    ("approvals",),
    ("costs",),
    ("costs", "--by", "step"),
    ("timeline",),
    ("timeline", "--from", "2020-03-01", "--to", "2020-03-09"),
    ("subscriptions",),
    ("audit",),
    ("audit", "--limit", "2"),
    ("audit", "--limit", "2", "--before", "9"),
    ("token", "list"),
    ("token", "list", "--all"),
    ("tables",),
    ("tables", "totals"),
    ("tables", "totals", "--version", "0", "-n", "0"),
    ("triggers",),
    ("triggers", "daily"),
    ("streams",),
    ("incidents",),
    ("incidents", "--all"),
    ("incidents", "{incident}"),
    ("channels",),
    ("report",),
    ("report", "--retry"),
    ("monitor",),
    ("monitor", "people"),
    ("monitor", "people", "--last", "1"),
    ("monitor", "people", "--window", "2020-03-02"),
    ("monitor", "people", "--window", "2020-03-02", "--worst", "3"),
    ("monitor", "people", "--worst", "2"),
    ("models",),
    ("models", "list", "--environment", "staging"),
    ("models", "people"),
    ("models", "people:1"),
    ("models", "people@champion"),
    ("models", "people", "--at", "1970-01-01"),
    ("models", "compare", "people", "1", "2"),
    ("backfills",),
    ("backfills", "last"),
    ("features",),
    ("features", "get", "loads", "line=4", "stop=1"),
    ("features", "get", "loads", "line=5", "stop=1", "--at", "2031-01-01T00:00:00+00:00"),
    ("tail",),
    ("tail", "forecast"),
    ("tail", "stream:forecast", "-n", "2"),
    ("tail", "forecast", "-n", "0"),
    ("people",),
    ("explain", "answer-1"),
    ("explain", "answer-1", "--table", "answers", "--rows"),
    (
        "backtest",
        "people",
        "--when",
        "mae > X",
        "--known-ok",
        "2020-03-01:2020-03-01",
        "--event",
        "2020-03-02",
        "--to",
        "2020-03-03",
    ),
    ("backtest", "people", "--alarm", "loss", "--from", "2020-03-02", "--to", "2020-03-03", "--windows", "1"),
    ("backtest", "people", "--metric", "mae", "--to", "2020-03-03", "--all"),
    ("ab", "people", "column:value", "column:value", "--least-days", "2", "--from", "2020-03-01"),
    ("ab", "people", "column:value", "table:predictions", "--all"),
]


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_a_command_shows_what_it_shows_in_the_folder(
    words: tuple[str, ...], runs: dict[str, str], here: Command, there: Command
) -> None:
    named = [word.format(**runs) for word in words]
    for form in ([], ["--json"]):
        near, far = here(*named, *form), there(*named, *form)
        assert (near.code, near.err) == (0, "")
        if form:
            assert far.json == near.json
        else:
            assert lines(far.out) == lines(near.out)
        assert (far.code, far.err) == (0, "")


def newest(here: Command, pipeline: str) -> dict[str, Any]:
    """The newest run of a pipeline: triggers may have begun one of another meanwhile."""
    run: dict[str, Any] = here("runs", "--pipeline", pipeline, "-n", "1", "--json").json["runs"][0]
    return run


def lines(text: str) -> list[str]:
    return [re.sub(", [0-9]+ at once;", ";", line) for line in text.splitlines() if not _HINT.match(line)]


def test_a_wrong_request_is_refused_with_the_same_words(here: Command, there: Command) -> None:
    for words in [("run", "ad"), ("run", "add", "-p", "n=many"), ("run", "add"), ("pipelines", "ad")]:
        near, far = here(*words, "--json"), there(*words, "--json")
        assert near.code == far.code == 2
        assert near.error == far.error


def test_a_run_is_started_followed_resumed_replayed_and_decided(
    here: Command, there: Command, tmp_path: Path
) -> None:
    good = there("run", "add", "-p", "n=7")
    assert good.code == 0
    assert "total: succeeded in" in good.err
    assert "1 row into table totals" in good.err
    run = newest(here, "add")
    assert run["origin"]["by"] == "ada"
    assert good.out.startswith(f"run {run['id']} succeeded in ")
    again = there("replay", run["id"])
    assert again.code == 0
    assert f"is identical to run {run['id']}: 2 of 2 steps" in again.out
    file = tmp_path / "file"
    bad = there("run", "fragile", "-p", f"file={file}")
    failed = newest(here, "fragile")["id"]
    assert bad.code == 1
    assert "ValueError: not yet" in bad.err
    assert f"next: trikk resume {failed}" in bad.err
    file.touch()
    went_on = there("resume", failed[:8])
    assert went_on.code == 0
    assert "run.created" not in went_on.err
    assert went_on.err.count("fails: ") == 1  # what was told before is not told again
    asks = there("run", "asks", "-p", "n=3")
    waiting = newest(here, "asks")["id"]
    assert asks.code == 3
    assert f"next: trikk approve {waiting}" in asks.out
    assert there("approve", waiting, "--why", "it is right").code == 0
    until(lambda: here("show", waiting, "--json").json["state"] == "succeeded")
    (decided,) = here("show", waiting, "--json").json["approvals"]
    assert (decided["why"], decided["by"].split()[0]) == ("it is right", "ada")


def test_logs_are_followed_to_the_runs_end(here: Command, there: Command, runs: dict[str, str]) -> None:
    assert there("run", "broken", "-p", "why=x").code == 1
    run = newest(here, "broken")["id"]
    followed = there("logs", run, "-f")
    assert followed.out == here("logs", run, "-f").out
    assert "the last words" in followed.out
    assert there("logs", run, "-f", "--json").code == 2


def test_a_run_goes_on_when_whoever_follows_it_stops(
    place: ServedProject, server: RunningServer, token: str, tmp_path: Path, here: Command, there: Command
) -> None:
    follower = Folder(tmp_path).start(
        "run", "waits", "-p", f"file={tmp_path / 'go'}", "--server", server.url, TRIKK_TOKEN=token
    )
    until(lambda: "running" in there("runs", "--pipeline", "waits").out)
    time.sleep(0.2)
    follower.send_signal(signal.SIGINT)
    done = Folder(tmp_path).end(follower)
    run = newest(here, "waits")
    assert done.code == 1
    assert f"run {run['id']} goes on; look: trikk --server {server.url} show {run['id']}" in done.err
    assert run["state"] == "running"
    stopped = there("cancel", run["id"])
    assert stopped.out.startswith(f"run {run['id']}: ")
    until(lambda: there("show", run["id"], "--json").json["state"] == "cancelled")


def test_what_commands_change_is_changed_on_the_server(
    here: Command, there: Command, server: RunningServer
) -> None:
    assert there("triggers", "pause", "daily", "--why", "holidays", "--by", "bob").out.startswith(
        "trigger daily is paused"
    )
    paused = here("triggers", "daily", "--json").json
    assert paused["paused"]
    assert (paused["happened"][0]["by"], paused["happened"][0]["why"]) == ("ada for bob", "holidays")
    assert there("triggers", "unpause", "daily").out == "trigger daily is not paused\n"
    fired = there("fire", "daily", "--for", "2026-11-30T04:00")
    again = there("fire", "daily", "--for", "2026-11-30T04:00", "--json")
    assert f"run {again.json['id']} of nightly is queued" in fired.out
    filled = there(
        "backfill", "fill", "--from", "2020-05-01", "--to", "2020-05-02", "-p", "error=11", "--queue", "--json"
    )
    assert there("backfills", "pause", "last", "--why", "later").code == 0
    assert here("backfills", filled.json["id"], "--json").json["state"] in ("paused", "succeeded")
    assert (
        "a server begins the days by itself"
        in there("backfill", "fill", "--from", "2020-05-01", "--to", "2020-05-02").err
    )
    new = there("token", "create", "bob", "--role", "viewer", "--expires", "1d")
    assert new.out.startswith("trikk_")
    assert there("token", "revoke", "bob").out.endswith("is revoked\n")
    assert there("subscribe", "city", "sns:arn:aws:sns:eu-west-1:123456789012:city", "--agreed").code == 0
    assert [one["topic"] for one in here("subscriptions", "--json").json["subscriptions"]] == ["city"]
    assert there("unsubscribe", "city", "sns:arn:aws:sns:eu-west-1:123456789012:city").code == 0
    incident = here("incidents", "--json").json["incidents"][0]["id"]
    assert here("incidents", "ack", incident).out.startswith(f"{incident}: acknowledged by ")
    until = "2099-01-01T00:00"
    assert (
        "muted by root until 2099-01-01"
        in there("incidents", "mute", incident, "--until", until, "--why", "a test").out
    )
    assert "so nobody is told: a test" in here("incidents", incident).out
    assert "(acknowledged, muted until 2099-01-01" in there("incidents").out
    assert there("incidents", "mute", incident, "--why", "a test").code == 2
    assert there("incidents", "note", incident, "--why", "a fair").out == f"{incident}: noted by root\n"
    assert "noted by ada for root: a fair" in here("incidents", incident).out
    assert here("incidents", "unmute", incident).out.startswith(f"{incident}: unmuted by ")
    assert there("incidents", "resolve", incident, "--why", "a test").out == f"{incident}: resolved by root\n"
    assert there("incidents", "resolve", incident, "--why", "a test").code == 2
    assert "people@champion in main: version 2 -> version 1" in there("models", "rollback", "people").out
    assert "version 1 -> version 2" in there("models", "promote", "people", "2", "--why", "better").out
    lines = here("audit", "--json", "--limit", "200").json["lines"]
    asked = {line["action"] for line in lines if line["who"] == "ada"}
    assert {"pause_trigger", "fire_trigger", "begin_backfill", "create_token", "resolve_incident"} <= asked
    # A command calls a change as the API does, so that one word finds both.
    commanded = {line["action"] for line in lines if line["kind"] == "command"}
    assert {"begin_backfill", "acknowledge_incident", "create_token"} <= commanded <= OPERATIONS


def test_a_file_is_loaded_by_a_server_as_in_the_folder(here: Command, there: Command, tmp_path: Path) -> None:
    near, far = tmp_path / "near.csv", tmp_path / "far.csv"
    for file in (near, far):
        file.write_text("day,n\n1,2\n2,3\n")
    first = here("ingest", "near", str(near), "--key", "day")
    second = there("ingest", "far", str(far), "--key", "day")
    assert second.out == first.out.replace("near", "far")
    again = there("ingest", "far", str(far), "--key", "day", "--json").json
    assert (again["new"], again["equal"]) == (0, 2)
    assert there("ingest", "far", str(near), str(far)).code == 2
    assert there("ingest", "far", str(far), "--merge").code == 2


def test_what_a_server_can_not_do_is_refused_and_nothing_is_done_here(there: Command, tmp_path: Path) -> None:
    for words, problem in [
        (("init", "new"), "can't be had from a server"),
        (("sweep", "add"), "can't be had from a server"),
        (("run", "add", "--inline"), "--inline is of no use with a server"),
        (("artifacts", "last", "total", "--out", "total.json"), "--out is of no use with a server"),
        (("artifacts", "last", "total"), "a server lists what a run made, and shows none of it"),
    ]:
        done = there(*words)
        assert done.code == 2
        assert problem in done.err
    assert not list(tmp_path.iterdir())
    assert there("sweep", "--help").code == 0


def test_the_token_comes_from_a_file_or_the_environment(
    server: RunningServer,
    token: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "token").write_text(f"{token}\n")
    monkeypatch.chdir(tmp_path)
    words = ("--server", server.url, "runs", "--json")
    assert _called(words, capsys).code == 2  # none
    monkeypatch.setenv("TRIKK_TOKEN_FILE", str(tmp_path / "token"))
    assert _called(words, capsys).code == 0
    monkeypatch.setenv("TRIKK_TOKEN_FILE", str(tmp_path / "nothing"))
    assert "TRIKK_TOKEN_FILE can't be read" in _called(words, capsys).err
    options = {name for command in COMMANDS for name in _options(command)}
    assert "--server" in options
    assert "--token" not in options


def _options(command: str) -> set[str]:
    import click

    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    return {text for option in found.params for text in option.opts}
