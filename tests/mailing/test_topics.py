"""Topics: who subscribes, who is asked, what links may do, and what subscribers get."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.servers.mail_server import MailServer

from trikk.core.errors import Conflict, UsageError
from trikk.execution.project import Project
from trikk.mailing.letter_outbox import Recipients, queue, send_letters
from trikk.mailing.letters import Letter
from trikk.mailing.mail_server import Outcome, Smtp
from trikk.mailing.topics.links import CONFIRM, UNSUBSCRIBE, VARIABLE, Ticket, link_key, signed
from trikk.mailing.topics.subscribing import add_subscriber, follow_link, look_at_link, remove_subscriber
from trikk.mailing.topics.subscriptions import ANSWER_WITHIN, Standing, check_topic, of_topic, subscribers


@pytest.fixture
def server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def project(tmp_path: Path, server: MailServer) -> Iterator[Project]:
    (tmp_path / "trikk.toml").write_text(
        f'name = "city"\n[alerts]\nurl = "https://trikk.city.example"\n'
        f'[reports]\nsmtp = "smtp://127.0.0.1:{server.port}"\n'
    )
    project = Project.open(tmp_path)
    yield project
    project.close()


def token_of(text: str) -> str:
    match = re.search(r"https://trikk\.city\.example/\w+\?token=([\w-]+)", text)
    assert match is not None
    return match[1]


def send(project: Project, identity: str, *to: str) -> Letter:
    body = {"subject": "city", "text": "news", "html": "<html><body><p>news</p></body></html>"}
    queue(project.journal, identity, body, Recipients.of(project.journal, to), at=5.0)
    send_letters(project.journal, project.artifacts, project.settings, project.state_dir, at=5.0)
    return Letter.read(project.journal, identity)


def test_who_is_asked_gets_nothing_before_the_link_is_followed_once(project: Project, server: MailServer) -> None:
    asked = add_subscriber(project, "city", "ana@city.example", by="bo", agreed=False, at=1.0)
    assert asked.subscription is not None
    assert asked.subscription.state is Standing.ASKED
    assert not add_subscriber(project, "city", "ana@city.example", by="bo", agreed=False, at=2.0).changed
    ((to, question),) = server.mails
    assert to == ["ana@city.example"]
    token = token_of(question.get_body(("plain",)).get_content())
    assert send(project, "a/1", "topic:city").queued == {}
    ticket, standing = look_at_link(project, token, CONFIRM)
    assert (ticket.address, standing and standing.state) == ("ana@city.example", "asked")
    assert subscribers(project.journal, "city") == []  # to look changes nothing
    follow_link(project, token, CONFIRM, at=3.0)
    follow_link(project, token, CONFIRM, at=4.0)
    assert subscribers(project.journal, "city") == ["ana@city.example"]
    assert send(project, "a/2", "topic:city").reached == ["ana@city.example"]
    # Unsubscribed, the old question is no longer one: its link lets nobody in again.
    remove_subscriber(project, "city", "ana@city.example", by="ana", at=6.0)
    with pytest.raises(UsageError, match="expired, or was taken back"):
        follow_link(project, token, CONFIRM, at=7.0)
    again = add_subscriber(project, "city", "ana@city.example", by="bo", agreed=False, at=8.0).subscription
    assert again is not None
    late = signed(link_key(project.state_dir), Ticket(CONFIRM, "city", "ana@city.example", again.seq))
    with pytest.raises(UsageError, match="expired"):
        follow_link(project, late, CONFIRM, at=8.0 + ANSWER_WITHIN)


def test_each_subscriber_gets_a_mail_of_their_own_with_a_link_that_ends_it(
    project: Project, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("ana@city.example", "bo@city.example"):
        add_subscriber(project, "city", address, by=address, agreed=False, at=1.0)  # their own
    assert send(project, "a/1", "topic:city", "bo@city.example").progress.state == "delivered"
    (named, plain), (to, mail) = server.mails
    assert (named, plain["List-Unsubscribe"]) == (["bo@city.example"], None)  # named and subscribed: one mail
    assert (to, mail["To"]) == (["ana@city.example"], "ana@city.example")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = token_of(mail["List-Unsubscribe"])
    html = mail.get_body(("html",)).get_content()
    assert html.index(token) < html.index("</body>")
    assert token in mail.get_body(("plain",)).get_content()
    assert mail["Message-ID"] != plain["Message-ID"]
    look_at_link(project, token, UNSUBSCRIBE)
    assert len(subscribers(project.journal, "city")) == 2
    # Whoever leaves while a mail is on its way does not get it.
    server.stop()
    waiting = send(project, "a/2", "topic:city")
    assert len(waiting.failed) == 2
    follow_link(project, token, UNSUBSCRIBE, at=6.0)
    server.start()
    send_letters(project.journal, project.artifacts, project.settings, project.state_dir, at=500.0)
    assert [to for to, _ in server.mails[2:]] == [["bo@city.example"]]
    follow_link(project, token, UNSUBSCRIBE, at=7.0)  # twice is once
    # What is not signed by this project, or for something else, does nothing.
    key = link_key(project.state_dir)
    assert (project.state_dir / "link.key").stat().st_mode & 0o777 == 0o600
    forged = signed(b"x" * 32, Ticket(UNSUBSCRIBE, "city", "bo@city.example"))
    other = signed(key, Ticket(UNSUBSCRIBE, "city", "bo@city.example"))
    for bad, purpose in (
        (forged, UNSUBSCRIBE),
        (other, CONFIRM),
        ("", UNSUBSCRIBE),
        ("é", UNSUBSCRIBE),
        ("A" * 9, CONFIRM),
    ):
        with pytest.raises(UsageError, match="not valid"):
            follow_link(project, bad, purpose, at=8.0)
    monkeypatch.setenv(VARIABLE, "k" * 32)
    with pytest.raises(UsageError, match="not valid"):
        follow_link(project, other, UNSUBSCRIBE, at=8.0)
    assert subscribers(project.journal, "city") == ["bo@city.example"]


def test_a_process_that_dies_among_many_subscribers_sends_few_again(
    project: Project, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"p{number}@city.example" for number in range(120)]
    for address in people:
        add_subscriber(project, "city", address, by="x", agreed=True, at=1.0)
    give = Smtp.give

    def dies(smtp: Smtp, message: bytes, recipients: Sequence[str], name: str) -> Outcome:
        if len(server.mails) == 110:
            raise KeyboardInterrupt
        return give(smtp, message, recipients, name)

    with monkeypatch.context() as patch:
        patch.setattr(Smtp, "give", dies)
        with pytest.raises(KeyboardInterrupt):
            send(project, "a/1", "topic:city")
    send_letters(project.journal, project.artifacts, project.settings, project.state_dir, at=100.0)
    letter = Letter.read(project.journal, "a/1")
    assert (sorted(letter.reached), letter.progress.state) == (sorted(people), "delivered")
    assert len(server.mails) == 120 + 10  # those after the last fifty that were written down
    assert len({mail["Message-ID"] for _, mail in server.mails}) == 120


def test_what_can_t_be_answered_or_named_is_refused(project: Project, tmp_path: Path) -> None:
    for topic in ("", "a b", "../x", "city/x", "table/a/b", "report/a/b/c", "table/"):
        with pytest.raises(UsageError):
            check_topic(topic)
    with pytest.raises(UsageError, match="not a mail address"):
        add_subscriber(project, "city", "a@b,c@d", by="x", agreed=True, at=1.0)
    project.settings.alerts.pop("url")
    with pytest.raises(UsageError, match="no address on the web") as caught:
        add_subscriber(project, "city", "ana@city.example", by="bo", agreed=False, at=1.0)
    assert "--agreed" in str(caught.value)
    assert of_topic(project.journal, "city") == {}


def test_two_changes_at_once_are_both_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    add = project.journal.add
    meanwhile = ["bo@city.example"]

    def raced(subject: str, *args: object, **how: object) -> object:
        if subject.startswith("topic/") and meanwhile:
            add_subscriber(project, "city", meanwhile.pop(), by="x", agreed=True, at=1.0)
        return add(subject, *args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(project.journal, "add", raced)
    add_subscriber(project, "city", "ana@city.example", by="x", agreed=True, at=1.0)
    assert subscribers(project.journal, "city") == ["bo@city.example", "ana@city.example"]

    def always(*_: object, **__: object) -> object:
        raise Conflict("somebody else")

    monkeypatch.setattr(project.journal, "add", always)
    with pytest.raises(Conflict, match="being changed by others"):
        remove_subscriber(project, "city", "ana@city.example", by="x", at=2.0)


def test_a_topic_of_sns_gets_the_text(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with moto.mock_aws():
        sns = boto3.client("sns", region_name="eu-central-1")
        arn = sns.create_topic(Name="city")["TopicArn"]
        add_subscriber(project, "city", f"sns:{arn}", by="x", agreed=False, at=1.0)
        letter = send(project, "a/1", "topic:city", f"sns:{arn[:-4]}gone")
        from moto.sns import sns_backends

        ((_, text, subject, *_),) = sns_backends[arn.split(":")[4]]["eu-central-1"].topics[arn].sent_notifications
    assert (text.strip(), subject) == ("news", "city")
    assert letter.reached == [f"sns:{arn}"]
    assert "SNS refused the message: NotFound" in letter.failed[f"sns:{arn[:-4]}gone"]
