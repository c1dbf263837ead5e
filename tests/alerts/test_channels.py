"""Channels: real receivers get what was meant for them, failures are told, and no secret is."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.alerts.servers import MailServer, WebServer
from tests.servers.moto import MotoServer

from trikk.alerts.delivery.channels import send
from trikk.alerts.delivery.message import Failure, Message, digest, message
from trikk.alerts.incidents.decision import Change, Decision
from trikk.alerts.incidents.incident import Incident, IncidentState
from trikk.alerts.rules.figures import FigureRule
from trikk.alerts.rules.rule import Point
from trikk.core.errors import BrokerError, ProjectError
from trikk.core.settings import Settings


def some(kind: Change = Change.OPENED, name: str = "people.loss-1", **more: Any) -> Message:
    facts: dict[str, Any] = {"window": "2020-03-22", "wape": "0.611", "of <baseline>": "0.94"}
    point = Point("2020-03-22", 1584792000.0, 1584878400.0, True, "wape > 0.3 (it is 0.611)", 1.0, facts)
    rule = FigureRule(name="loss", monitor="people", when="wape > 0.3", starts="train")
    title = "people: wape > 0.3"
    incident = Incident(name, "people.loss", 1, IncidentState.OPEN, rule, "people", title=title)
    incident.since, incident.opened, incident.resolved = 1584702000.0, 1584878400.0, 1584978400.0
    why = "wape > 0.3 (it is 0.611), the 2nd time in a row"
    told = Decision(kind, "opened", why, point=point, at=1584878400.0, channels=("team",))
    return message(incident, told, project="city", zone="Pacific/Auckland", **more)


@pytest.fixture
def hand(tmp_path: Path) -> Callable[..., None]:
    def handed(address: str, what: Message | None = None, channel: str = "team") -> None:
        send(Settings(root=tmp_path, name="city"), channel, address, what or some())

    return handed


def parts(mail: Any) -> tuple[str, str]:
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return text, html


def test_a_message_links_to_its_incident_whatever_its_id_holds() -> None:
    link = "https://trikk.example.com/incidents/people.loss%5Bcity%3DA%23/B%3F%5D-1"
    made = some(name="people.loss[city=A#/B?]-1", url="https://trikk.example.com")
    assert link in made.text
    assert f'href="{link}"' in made.html


def test_a_message_says_what_since_when_how_bad_and_what_to_do() -> None:
    failure = Failure("fit", "ValueError: no rows", tuple(f"line {n}" for n in range(40)))
    made = some(failure=failure, url="https://trikk.example.com")
    assert made.subject == "[city] ALARM: people: wape > 0.3"
    for text in (
        "wape > 0.3 (it is 0.611), the 2nd time in a row",
        "2020-03-21 00:00 NZDT",
        "0.611",
        "fit: ValueError: no rows",
        "line 39",
        "trikk monitor people --window 2020-03-22 --worst 20",
        "trikk incidents ack people.loss-1",
        "https://trikk.example.com/incidents/people.loss-1",
    ):
        assert text in made.text
        assert text in made.html.replace("&gt;", ">").replace("</b>", "")
    assert "line 24" not in made.text
    assert "line 25" in made.text
    assert "of &lt;baseline&gt;" in made.html
    assert "<baseline>" not in made.html


def test_what_a_step_printed_steers_no_terminal_and_no_mail_program() -> None:
    steering = "\x1b[8mhidden\x07\u202etxt"
    failure = Failure("fit", f"ValueError: {steering}\nSubject: x", (f"loading {steering}",))
    made = some(failure=failure)
    for text in (made.text, made.html):
        assert r"loading \x1b[8mhidden\x07\u202etxt" in text
        assert r"\nSubject: x" in text
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_a_digest_steers_nothing_and_long_texts_are_shortened() -> None:
    made = some(failure=Failure("fit", "x" * 100_000, ("y" * 100_000,)))
    assert len(made.text) + len(made.html) < 20_000
    why = "\x1b[8mhidden\u202e" + "z" * 100_000
    both = digest([replace(made, data=made.data | {"why": why}), made], project="city")
    for text in (both.text, both.html):
        assert r"\x1b[8mhidden\u202ezzz" in text
        assert not {"\x1b", "\u202e"} & set(text)
        assert len(text) < 10_000


def test_an_all_clear_says_so_and_asks_for_nothing() -> None:
    made = some(Change.RESOLVED)
    assert made.subject == "[city] resolved: people: wape > 0.3"
    assert "was open for" in made.text
    assert "next:" not in made.text


def test_a_digest_has_a_line_for_each_the_worst_first() -> None:
    made = digest([some(Change.RESOLVED), some(), some()], project="city", url="https://trikk.example.com")
    assert 'href="https://trikk.example.com/incidents"' in made.html
    assert made.subject == "[city] 3 incidents: 2 open or worse, 1 resolved"
    assert made.text.index("ALARM") < made.text.index("resolved: people")
    assert made.text.count("people: wape > 0.3") == 3


def test_a_mail_arrives_with_text_and_page(hand: Callable[..., None], mail_server: MailServer) -> None:
    hand(mail_server.address())
    (mail,) = mail_server.mails
    assert mail["subject"] == "[city] ALARM: people: wape > 0.3"
    assert mail["to"] == "team@example.com"
    text, html = parts(mail)
    assert "0.611" in text
    assert "<table" in html
    assert "http" not in html


def test_a_hook_gets_json(hand: Callable[..., None], web_server: WebServer) -> None:
    hand(web_server.address("hook/a"))
    (got,) = web_server.got
    assert web_server.paths == ["/hook/a"]
    assert got["title"] == "[city] ALARM: people: wape > 0.3"
    assert "trikk monitor people" in got["message"]
    assert got["type"] == "failure"


def test_slack_gets_the_text_and_no_pictures(
    hand: Callable[..., None], web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from apprise.plugins.slack import NotifySlack
    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{web_server.port}/services")
    hand("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ml")
    shown = json.dumps(web_server.got)
    assert "wape > 0.3" in shown or "wape &gt; 0.3" in shown
    assert "github" not in shown


def test_a_topic_of_sns_gets_the_text(
    hand: Callable[..., None], moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    sns, sqs = moto_server.client("sns"), moto_server.client("sqs")
    topic = sns.create_topic(Name="ml")["TopicArn"]
    queue = sqs.create_queue(QueueName="ml")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    hand(f"sns:{topic}")
    body = json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    assert body["Subject"] == "[city] ALARM: people: wape > 0.3"
    assert "trikk monitor people" in body["Message"]
    with pytest.raises(BrokerError, match="NotFound"):
        hand(f"sns:{topic}x")


def test_files_get_lines_or_mails(hand: Callable[..., None], tmp_path: Path) -> None:
    hand("file:alerts.jsonl")
    hand("file:alerts.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["people.loss-1/opened"] * 2
    hand("file:sent")
    hand("file:sent")
    (file,) = (tmp_path / "sent").iterdir()
    assert file.suffix == ".eml"
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert "0.611" in parts(mail)[0]


def test_a_folder_that_can_not_be_written_is_a_failure_for_now(hand: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "there").write_text("a file")
    with pytest.raises(BrokerError, match="channel team"):
        hand("file:there")


SECRET = "s3cr3t-T0ken"


@pytest.mark.parametrize(
    "address",
    [
        "json://user:${TOKEN}@127.0.0.1:1/hook/${TOKEN}",
        "mailto://user:${TOKEN}@127.0.0.1:1?from=a@example.com&to=b@example.com&mode=insecure",
        "nosuch://${TOKEN}",
        "slack://${TOKEN}",
        "${TOKEN}",
        "sns:arn:${TOKEN}",
    ],
)
def test_no_error_shows_a_secret(
    hand: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    with pytest.raises((BrokerError, ProjectError)) as caught:
        hand(address)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)


def test_what_a_server_answers_is_told_without_the_secret(
    hand: Callable[..., None], web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    web_server.status = 500
    with pytest.raises(BrokerError, match="500"):
        hand(web_server.address("${TOKEN}"))


def test_a_variable_that_is_not_set_is_named(hand: Callable[..., None]) -> None:
    with pytest.raises(ProjectError, match=r"alerts\.channels\.team: .*NOT_SET is not set"):
        hand("json://${NOT_SET}")


def test_a_mail_server_that_refuses_is_a_failure_for_now(
    hand: Callable[..., None], mail_server: MailServer
) -> None:
    mail_server.refuses = True
    with pytest.raises(BrokerError, match="channel team"):
        hand(mail_server.address())
    assert mail_server.mails == []
