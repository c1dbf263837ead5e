"""A server's looks: in a process of their own, which runs nothing and holds nothing up."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, lives, until

from trikk.core.clock import SystemClock
from trikk.execution.project import Project
from trikk.runs.states import RunStatus
from trikk.server.presence import looks as looks_module
from trikk.server.presence.beats import Presence
from trikk.server.presence.looks import Looks
from trikk.server.presence.served_code import ServedCode
from trikk.server.queue.warm_launcher import open_launcher

WATCHED = Path(__file__).parents[2] / "alerts" / "watched_project"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose monitor has never been evaluated, and was far off for weeks."""
    root = tmp_path_factory.mktemp("looked_at") / "watched"
    shutil.copytree(WATCHED, root, ignore=shutil.ignore_patterns("__pycache__", ".trikk"))
    Folder(root).good("run", "fill", "-p", f"day={days_ago(40)}", "-p", "error=15", "-p", "days=40")
    return root


def days_ago(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days)


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Folder:
    return Folder(Path(shutil.copytree(filled, tmp_path / "watched")))


class Server:
    """What a server has of looks, and how a test waits for one."""

    def __init__(self, folder: Folder) -> None:
        self.project = Project.open(folder.root)
        self.code = ServedCode(self.project.settings, SystemClock())
        self.code.read()
        self.launcher = open_launcher(self.project)
        self.looks = Looks(self.code, SystemClock(), self.launcher)
        self.presence = Presence(self.project.journal, SystemClock())
        self.presence.start(self.code.current.release)

    def begin(self) -> Any:
        self.presence.turn(0.0)
        self.looks.soon()
        self.looks.turn(0.0)
        return self.looks._looking

    def look(self) -> None:
        self.begin()
        until(self.is_done)

    def is_done(self) -> bool:
        self.looks.turn(0.0)
        return self.looks._looking is None  # of looks a minute apart each has a process of its own

    def waiting(self) -> dict[str, str]:
        """The runs that wait, by pipeline; pipelines that have two are refused."""
        rows = self.project.journal.runs(state=RunStatus.QUEUED, limit=None)
        waiting = {row.pipeline: row.id for row in rows}
        assert len(waiting) == len(rows)
        return waiting


@pytest.fixture
def server(folder: Folder) -> Iterator[Server]:
    one = Server(folder)
    yield one
    one.looks.close()
    one.launcher.close()
    one.project.close()


def begun(server: Server) -> int:
    """A look's process, which was begun and is stopped before it could answer."""
    looking = server.begin()
    until(lambda: looking._read() or looking._answer)
    return int(looking._answer.split()[0])


def sent(folder: Folder) -> list[str]:
    return [json.loads(line)["incident"] for line in folder.lines("sent.jsonl")]


def test_evaluations_and_starts_are_queued_once_however_many_servers_look(folder: Folder, server: Server) -> None:
    other = Server(folder)
    try:
        for one in (server, other):
            one.begin()
        for one in (server, other):
            until(one.is_done)
        run = server.waiting()["watch_people"]
        other.look()
        assert folder.good("watch", "--once")["evaluated"] == []
        assert server.waiting() == {"watch_people": run}

        folder.good("resume", run)
        for one in (server, other):
            one.begin()
        for one in (server, other):
            until(one.is_done)
        assert sent(folder) == ["people.loss-1"]
        assert set(server.waiting()) == {"train"}, "the evaluation is not due again"
        assert folder.lines("trained.txt") == [], "nothing is run by a look"

        run = server.waiting()["train"]
        assert server.project.journal.row(run).origin["incident"] == "people.loss-1"
        assert folder.good("watch", "--once")["started"] == []
        folder.good("resume", run)
        assert folder.lines("trained.txt") == [f"{days_ago(0)} 2"]
        server.look()
    finally:
        other.looks.close()
        other.launcher.close()
        other.project.close()
    (shown,) = folder.good("incidents")["incidents"]
    assert [(start["run"], start["state"]) for start in shown["starts"]] == [(run, "succeeded")]
    kinds = [entry["kind"] for entry in folder.good("incidents", "people.loss-1")["timeline"]]
    assert [kind for kind in kinds if kind.startswith("start.")] == ["start.queued", "start.done"]
    assert server.waiting() == {}


def test_an_evaluation_that_cannot_be_started_is_tried_again_after_a_pause(folder: Folder, server: Server) -> None:
    server.look()
    pipelines = (folder.root / "pipelines.py").read_text()
    folder.write(pipelines="import nothing_of_that_name\n")
    folder.trikk("resume", server.waiting()["watch_people"])
    folder.write(pipelines=pipelines)
    server.look()
    rows = server.project.journal.runs(pipeline="watch_people", limit=None)
    assert len(rows) == 1


def test_parameters_that_do_not_fit_are_said_with_the_incident(folder: Folder, server: Server) -> None:
    toml = (folder.root / "trikk.toml").read_text()
    rule = (
        '[[alerts.rule]]\nname = "failed"\nkind = "run failed"\nstarts = "train"\nparameters = { weeks = "x" }\n'
    )
    folder.write(trikk=toml + rule)
    server.code.read()
    folder.failed("run", "broken", "-p", "why=no rows today")
    server.look()
    (shown,) = folder.good("incidents")["incidents"]
    assert [(start["run"], start["state"]) for start in shown["starts"]] == [("", "failed")]
    assert "weeks" in shown["starts"][0]["why"]


def test_a_look_that_hangs_or_dies_is_ended_and_the_next_one_goes_on(
    folder: Folder, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder.failed("run", "broken", "-p", "why=no rows today")
    os.killpg(begun(server), signal.SIGKILL)
    until(lambda: server.looks.turn(0.0) and server.looks._looking is None)
    process = begun(server)
    os.killpg(process, signal.SIGSTOP)
    monkeypatch.setattr(looks_module, "LONGEST", 0.1)
    until(lambda: server.looks.turn(0.0) and server.looks._looking is None)
    until(lambda: not lives(process))
    monkeypatch.setattr(looks_module, "LONGEST", 60.0)
    server.look()
    assert sent(folder) == ["broken.failed-1"]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert ["halfway" in errors[0], "ended, after" in errors[1]] == [True, True]


def test_code_that_does_not_load_opens_an_incident_that_resolves_when_it_does(
    folder: Folder, server: Server
) -> None:
    pipelines = (folder.root / "pipelines.py").read_text()
    folder.write(pipelines="import nothing_of_that_name\n")
    server.code.read()
    server.look()
    (shown,) = folder.good("incidents")["incidents"]
    assert (shown["id"], shown["rule"]["kind"]) == ("_project.code-1", "code does not load")
    assert "nothing_of_that_name" in shown["opened_why"]
    assert shown["point"]["facts"]["where"]
    assert server.waiting() == {}, "nothing is evaluated by code that is not there"
    folder.write(trikk="name = \n", pipelines=pipelines)
    server.code.read()
    server.look()
    assert len(sent(folder)) == 1, "a trikk.toml that is being edited stops no look"
    folder.write(trikk=(WATCHED / "trikk.toml").read_text())
    server.code.read()
    server.look()
    assert folder.good("incidents")["incidents"] == []
    assert set(server.waiting()) == {"watch_people"}


def test_a_server_whose_code_does_not_count_looks_at_nothing(folder: Folder, server: Server) -> None:
    looks = Looks(server.code, SystemClock(), server.launcher, may_look=lambda: False)
    assert looks.turn(0.0) > 1.0
    assert looks._looking is None


REPORT = """
from trikk import Report
monthly = Report("monthly", monitors=[people], schedule="* * * * *")
"""


def test_reports_are_made_beside_the_looks(folder: Folder, server: Server) -> None:
    folder.write(pipelines=(folder.root / "pipelines.py").read_text() + REPORT)
    begun = datetime.now(UTC) - timedelta(hours=1)
    folder.good("watch", "--once", "--now", begun.isoformat())
    server.code.read()
    server.look()
    assert server.looks._reporting is not None
    until(lambda: server.looks.turn(0.0) and server.looks._reporting is None)
    rows = server.project.journal.runs(pipeline="report_monthly", limit=None)
    assert [row.state for row in rows] == ["succeeded"]
