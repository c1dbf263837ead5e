"""Messages on their way: each once on each channel, tried again with pauses, given up in the end, many as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.alerts.servers import MailServer, WebServer

from trikk.alerts.config import alert_settings
from trikk.alerts.delivery.sender import BACK_OFF, deliver
from trikk.alerts.incidents.book import INDEX, Book, subject_of
from trikk.alerts.incidents.incident import SENDING
from trikk.alerts.incidents.lifecycle import decide
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.rule import Point, Reading, Severity
from trikk.execution.project import Project
from trikk.runs.claims import Claim
from trikk.runs.journals.lease import Holder
from trikk.runs.outbox import Progress, State, next_step

HOUR = 3600.0
DEAD: dict[str, Any] = {"host": "", "boot": "", "pid": 0, "started": 0.0}


class Post:
    """A project with open incidents and channels."""

    def __init__(self, root: Path, channels: dict[str, str], more: str = "") -> None:
        listed = "".join(f"{name} = {json.dumps(address)}\n" for name, address in channels.items())
        (root / "trikk.toml").write_text(f'name = "city"\n[alerts]\n{more}\n[alerts.channels]\n{listed}')
        self.root = root
        self.project = Project.open(root)
        self.settings = alert_settings(self.project.settings)
        self.now = 1.6e9

    def open(self, *names: str, severity: str = "alarm") -> None:
        for name in names:
            rule = FigureRule(name=name, when="mae > 1", severity=Severity(severity))
            point = Point("a", self.now, self.now, True, "mae > 1 (it is 2)", 1.0)
            reading = Reading(rule, "people", f"people: {name}", (point,))
            decision = decide(None, reading, self.now)
            assert decision
            channels = self.settings.route(severity)
            Book(self.project.journal).apply(None, reading.cause, decision, at=self.now, channels=channels)

    def send(self, after: float = 0.0) -> tuple[list[str], list[str]]:
        """States of the attempts that were made, as "channel state"; and errors."""
        self.now += after
        book = Book(self.project.journal)
        found, errors = deliver(self.project, self.settings, book.unfinished(), self.now)
        return [f"{one['channel']} {one['state']}" for one in found], errors


def test_a_message_is_sent_once_on_each_channel(
    tmp_path: Path, web_server: WebServer, mail_server: MailServer
) -> None:
    post = Post(tmp_path, {"hook": web_server.address(), "mail": mail_server.address(), "book": "file:a.jsonl"})
    post.open("loss")
    assert sorted(post.send()[0]) == ["book delivered", "hook delivered", "mail delivered"]
    assert post.send(9 * HOUR) == ([], [])
    assert (len(web_server.got), len(mail_server.mails)) == (1, 1)
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 1


def test_a_channel_that_is_away_delays_only_its_own_messages(tmp_path: Path, web_server: WebServer) -> None:
    post = Post(tmp_path, {"hook": web_server.address(), "book": "file:a.jsonl"})
    web_server.status = 503
    post.open("loss")
    assert sorted(post.send()[0]) == ["book delivered", "hook failed"]
    assert post.send(30)[0] == []
    assert post.send(30)[0] == ["hook failed"]
    assert post.send(60)[0] == []
    web_server.status = 200
    assert post.send(60)[0] == ["hook delivered"]
    (incident,) = Book(post.project.journal).all()
    assert incident.delivery("opened", "hook").attempts == 3


def test_a_channel_that_stays_away_is_given_up_and_recorded(tmp_path: Path) -> None:
    post = Post(tmp_path, {"book": "file:taken/x.jsonl"})
    (tmp_path / "taken").write_text("a file")
    post.open("loss")
    seen = [state for _ in range(12) for state in post.send(9 * HOUR)[0]]
    assert seen == ["book failed"] * 8 + ["book given up"]
    (incident,) = Book(post.project.journal).all()
    assert "8 attempts in 3 days failed" in incident.delivery("opened", "book").why


def test_a_wrong_address_is_an_error_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-T0ken")
    post = Post(tmp_path, {"bad": "nosuch://${TOKEN}", "unset": "json://${NOT_SET}", "book": "file:a.jsonl"})
    post.open("loss")
    states, errors = post.send()
    assert sorted(states) == ["bad failed", "book delivered", "unset failed"]
    assert ["channel bad" in errors[0], "NOT_SET" in errors[1]] == [True, True]
    written = json.dumps([entry.body for entry in post.project.journal.history("incident")])
    assert "s3cr3t" not in written + str(errors)


def test_to_ask_which_incidents_are_open_writes_nothing(tmp_path: Path) -> None:
    post = Post(tmp_path, {"book": "file:a.jsonl"})
    post.open("a", "b")
    post.send()
    journal, (first, second) = post.project.journal, Book(post.project.journal).open()
    Book(journal).resolve(first.id, by="ada", why="mended", at=post.now)
    listed = journal.entries(INDEX)
    assert [one.id for one in Book(journal).open()] == [second.id]
    assert journal.entries(INDEX) == listed
    assert [one.id for one in Book(journal).unfinished()] == [second.id]
    assert len(journal.entries(INDEX)) == len(listed) + 1


def test_many_at_once_are_one_message(tmp_path: Path, web_server: WebServer) -> None:
    post = Post(tmp_path, {"hook": web_server.address()}, more="digest = 3")
    post.open("a", "b", "c", "d")
    assert post.send()[0] == ["hook delivered"] * 4
    (got,) = web_server.got
    assert got["title"] == "[city] 4 incidents: 4 open or worse"
    assert all(f"people: {name}" in got["message"] for name in "abcd")
    assert post.send(HOUR)[0] == []


def test_of_two_processes_one_sends(tmp_path: Path, web_server: WebServer) -> None:
    post = Post(tmp_path, {"hook": web_server.address()})
    post.open("loss")
    for incidents in [Book(post.project.journal).unfinished() for _ in range(2)]:
        deliver(post.project, post.settings, incidents, post.now)
    assert len(web_server.got) == 1


def test_what_a_killed_process_was_sending_is_sent_again(tmp_path: Path, web_server: WebServer) -> None:
    post = Post(tmp_path, {"hook": web_server.address()})
    post.open("loss")
    book = Book(post.project.journal)
    (incident,) = book.unfinished()
    host = {**DEAD, "host": Holder.current().host, "pid": 2**22 + 1}

    body: dict[str, Any] = {"message": "opened", "channel": "hook", "attempt": 1, "holder": host}
    post.project.journal.add(subject_of(incident.id), SENDING, body, at=post.now, identity="opened/hook/1")
    assert post.send()[0] == ["hook delivered"]
    (incident,) = book.all()
    assert incident.delivery("opened", "hook").attempts == 2


def test_a_channel_that_is_gone_is_given_up(tmp_path: Path) -> None:
    post = Post(tmp_path, {"hook": "json://127.0.0.1:1"})
    post.open("loss")
    (tmp_path / "trikk.toml").write_text('name = "city"\n')
    post.settings = alert_settings(Project.open(tmp_path).settings)
    assert post.send()[0] == ["hook given up"]


def test_who_sends_on_another_host_is_waited_for_but_not_for_ever() -> None:
    sending = Progress()
    sending.begin(Claim(Holder(**DEAD), since=1.0), at=1.0)
    assert next_step(sending, BACK_OFF, now=60.0, alive=None).do == "wait"
    assert next_step(sending, BACK_OFF, now=1000.0, alive=None).do == "send"
    assert next_step(sending, BACK_OFF, now=1e9, alive=True).do == "wait"
    assert BACK_OFF.give_up is not None
    assert next_step(sending, BACK_OFF, now=1.0 + BACK_OFF.give_up, alive=False).do == "give up"


def test_a_channel_that_is_away_for_a_weekend_delays_its_message() -> None:
    delivery, now, tried = Progress(), 1e9, 0
    while now < 1e9 + 2.5 * 24 * HOUR:
        if next_step(delivery, BACK_OFF, now=now, alive=False).do == "send":
            tried += 1
            delivery.begin(Claim(Holder(**DEAD), now), now)
            delivery.end(State.FAILED, now, "away")
        now += 60.0
    assert next_step(delivery, BACK_OFF, now=now + HOUR, alive=False).do == "send"
    assert tried < 80
