"""Readers of a table are told that it is late and that it is there again; the team is told through its topic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.publishing.publisher import context_for
from tests.servers.mail_server import MailServer

from trikk.alerts.config import alert_settings
from trikk.alerts.delivery.reader_notices import is_watched, topics_of
from trikk.core.errors import ProjectError
from trikk.execution.project import Project
from trikk.execution.queued_run import RunQueue
from trikk.mailing.topics.subscribing import add_subscriber, remove_subscriber
from trikk.publishing import publish
from trikk.runs.context import entered
from trikk.server.presence.project_look import Watched, look_at
from trikk.storage.tables.table_write import Write

START = datetime(2020, 3, 1, tzinfo=UTC)
SILENT = """
[[alerts.rule]]
name = "silent"
kind = "data did not come"
table = "readings"
time = "at"
within = "2h"
"""


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def mails() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


class Readings:
    """A table in a project that is looked at, without code."""

    def __init__(self, root: Path, port: int) -> None:
        self.root, self.port, self.count = root, port, 0
        self.write("", SILENT)

    def write(self, channel: str, rules: str) -> None:
        (self.root / "trikk.toml").write_text(
            f'name = "city"\ntimezone = "Europe/Oslo"\n[reports]\nsmtp = "smtp://127.0.0.1:{self.port}"\n'
            f"[alerts]\ndefaults = false\n[alerts.channels]\n{channel}\n{rules}"
        )
        self.project = Project.open(self.root)

    def add(self, hours: float) -> None:
        self.count += 1
        rows = Write("append", pl.DataFrame({"at": [at(hours)]}))
        self.project.tables.write("readings", rows, identity=f"{self.count}", origin={})

    def look(self, hours: float) -> Watched:
        return look_at(self.project, RunQueue(self.project, {}), at(hours))

    def subscribe(self, topic: str, address: str) -> None:
        add_subscriber(self.project, topic, address, by="x", agreed=True, at=0.0)


@pytest.fixture
def readings(tmp_path: Path, mails: MailServer) -> Iterator[Readings]:
    place = Readings(tmp_path, mails.port)
    yield place
    place.project.close()


def subjects(mails: MailServer) -> list[tuple[str, Any]]:
    return [(to[0], str(mail["Subject"])) for to, mail in mails.mails]


def test_readers_hear_of_a_late_table_and_of_its_end_once_each(readings: Readings, mails: MailServer) -> None:
    readings.add(0.0)
    readings.subscribe("table/readings", "ana@city.example")
    readings.subscribe("table/other", "no@city.example")
    readings.look(1.0)
    assert mails.mails == []
    first = readings.look(2.5)
    readings.look(2.6)
    readings.look(9.0)
    late = "[city] late: table readings, expected by 2020-03-01 03:00 CET"
    assert subjects(mails) == [("ana@city.example", late)]
    assert "mailed    notice/readings.silent-1/opened/table/readings: 1 of 1 have it" in first.lines
    text = mails.mails[0][1].get_body(("plain",)).get_content()
    assert "No row since 2020-03-01 01:00 CET" in text
    assert "trikk incidents" not in text
    assert "trikk unsubscribe table/readings ana@city.example" in text
    # Its end reaches who has come since, and not who has left.
    readings.subscribe("table/readings", "bo@city.example")
    remove_subscriber(readings.project, "table/readings", "ana@city.example", by="x", at=1.0)
    readings.add(9.5)
    readings.look(10.0)
    assert subjects(mails)[1:] == [("bo@city.example", "[city] there again: table readings")]
    assert "expected by 2020-03-01 03:00 CET" in mails.mails[1][1].get_body(("plain",)).get_content()


def test_readers_of_what_is_published_hear_that_it_is_late_and_there_again(
    readings: Readings, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = 'name = "old"\nkind = "nothing was published"\nstream = "forecast"\nwithin = "26h"\n'
    readings.write("", f"[[alerts.rule]]\n{published}")
    readings.subscribe("stream/forecast", "ana@city.example")
    (note,) = readings.look(30.0).notes
    assert note == "forecast.old was not judged: no run has published anything there yet"
    publish_forecast(readings, "monday", 31.0, monkeypatch)
    readings.look(31.0 + 26)
    assert mails.mails == []
    readings.look(31.0 + 27)
    publish_forecast(readings, "monday", 60.0, monkeypatch)  # an attempt that finds it done
    readings.look(60.1)
    late = "[city] late: stream forecast, expected by 2020-03-03 10:00 CET"
    assert subjects(mails) == [("ana@city.example", late)]
    text = mails.mails[0][1].get_body(("plain",)).get_content()
    assert "Nothing was published since 2020-03-02 08:00 CET." in text
    publish_forecast(readings, "tuesday", 61.0, monkeypatch)
    readings.look(62.0)
    assert subjects(mails)[1:] == [("ana@city.example", "[city] there again: stream forecast")]
    assert is_watched(
        readings.project.settings, alert_settings(readings.project.settings).rules, "stream/forecast"
    )
    readings.write("", f"[[alerts.rule]]\n{published}".replace('"forecast"', '"stream:forecast"'))
    with pytest.raises(ProjectError, match="names 'stream:forecast'"):
        alert_settings(readings.project.settings)


def publish_forecast(readings: Readings, run: str, hours: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish a row as a step of a run."""
    project = readings.project
    context = replace(context_for(project.root, run), journal=project.journal, state_dir=project.settings.state)
    monkeypatch.setattr("trikk.publishing.publication_records.time.time", lambda: at(hours).timestamp())
    with entered(context):
        publish(pl.DataFrame({"sensor": ["a"]}), "stream:forecast", key="sensor")
    monkeypatch.undo()


def test_the_team_s_topic_gets_incidents_once_the_mail_server_is_there(
    readings: Readings, mails: MailServer
) -> None:
    readings.write('duty = "topic:oncall"', SILENT)
    readings.add(0.0)
    readings.subscribe("oncall", "kim@city.example")
    mails.stop()
    watched = readings.look(2.5)
    assert [one["state"] for one in watched.outcome.delivered] == ["delivered"]  # to the outbox
    assert "refused" in watched.lines[-1].lower()
    mails.start()
    readings.look(2.6)
    assert subjects(mails) == [("kim@city.example", "[city] ALARM: readings: no data for more than 2 h 00 min")]
    mail = mails.mails[0][1]
    assert "trikk incidents ack readings.silent-1" in mail.get_body(("plain",)).get_content()
    assert mail["List-Id"] == "<oncall.trikk>"


def test_a_rule_that_goes_says_so_and_who_subscribes_in_vain_can_know(
    readings: Readings, mails: MailServer
) -> None:
    readings.add(0.0)
    readings.subscribe("table/readings", "ana@city.example")
    readings.look(2.5)
    rules = alert_settings(readings.project.settings).rules
    assert [is_watched(readings.project.settings, rules, t) for t in ("table/readings", "table/x", "city")] == [
        True,
        False,
        True,
    ]
    readings.write("", "")
    readings.look(3.0)
    assert subjects(mails)[1:] == [("ana@city.example", "[city] no longer watched: table readings")]
    assert topics_of(readings.project.settings, "readings") == ["table/readings"]
    streamed = replace(readings.project.settings, streams={"plant": {"table": "readings"}, "wrong": 1})
    assert topics_of(streamed, "readings") == ["table/readings", "stream/plant"]
