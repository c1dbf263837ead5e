"""Pages that come to those who subscribe to them: once, later, in part, or as files."""

from __future__ import annotations

import email
import email.policy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.reports.world import World, day, monthly, window
from tests.servers.mail_server import MailServer

from trikk.core.errors import DefinitionError, PermanentError, ProjectError
from trikk.core.settings import load_settings
from trikk.mailing.topics import links
from trikk.mailing.topics.subscriptions import subscribe, unsubscribe
from trikk.reports.report_config import report_settings
from trikk.reports.sending import send_pages
from trikk.reports.sending.deliveries import Delivery
from trikk.reports.sending.send_pages import deliver, send_outstanding
from trikk.runs.context import StepContext
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore

pytest.importorskip("reportlab")


@pytest.fixture
def server() -> Iterator[MailServer]:
    found = MailServer()
    found.start()
    yield found
    found.stop()


Pages = tuple[list[dict[str, Any]], list[Path]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Pages]:
    """The pages of March, and those after a correction."""
    world = World()
    found = [kept(world, tmp_path_factory.mktemp("first"))]
    world.put(window(day(6), {"north": 9.0, "south": 9.0}, at=day(1, 4), why="values were corrected"))
    return [*found, kept(world, tmp_path_factory.mktemp("second"))]


def kept(world: World, folder: Path) -> Pages:
    run = world.make(monthly(), period="2020-03")
    folders = [shutil.copytree(made, folder / str(i)) for i, made in enumerate(run.output("render"))]
    return run.output("collect"), [Path(found) for found in folders]


class Place:
    """A project's folder from which pages are sent."""

    def __init__(self, root: Path, pages: list[Pages]) -> None:
        self.root = root
        self.pages = pages
        self.ledger = MemoryJournal()
        self.artifacts = Artifacts(MemoryStore())
        self.runs = 0
        self.write("")

    def write(self, settings: str) -> None:
        (self.root / "trikk.toml").write_text(f'name = "city"\n[reports]\n{settings}\n')

    def send(self, *, everybody: bool = False, corrected: bool = False, dry: bool = False, **options: Any) -> Any:
        """Deliver the page on everything, or all pages, as the run's step does."""
        self.runs += 1
        context = StepContext(
            run=f"run{self.runs}",
            recorded_in=f"run{self.runs}",
            pipeline="report_monthly",
            step="deliver",
            item=None,
            attempt=1,
            dry=dry,
            moment=day(2, 4).timestamp(),
            environment="main",
            root=self.root,
            state_dir=self.root / ".trikk",
            artifacts=self.artifacts,
            tables=None,
            journal=self.ledger,
            as_of=True,
        )
        contents, folders = self.pages[corrected]
        most = 2 if everybody else 1
        return deliver(monthly(**options).spec, contents[:most], folders[:most], context)

    def retry(self, **options: Any) -> list[Delivery]:
        settings = load_settings(self.root)
        state = self.root / ".trikk"
        specs = {"monthly": monthly(**options).spec}
        return send_outstanding(self.ledger, self.artifacts, settings, state, specs, at=day(3, 4).timestamp())


@pytest.fixture
def place(tmp_path: Path, pages: list[Pages]) -> Place:
    return Place(tmp_path, pages)


def at(server: MailServer) -> str:
    return f'smtp = "smtp://127.0.0.1:{server.port}"\nsender = "City <reports@city.example>"'


def test_each_page_comes_once_to_its_own_people(place: Place, server: MailServer) -> None:
    place.write(at(server) + '\n[reports.subscribers]\nacme = ["boss@acme.example"]')
    sent = place.send(everybody=True)
    assert [one["reached"] for one in sent] == [["team@city.example"], ["boss@acme.example", "ops@acme.example"]]
    place.send(everybody=True)
    assert [people for people, _ in server.mails] == [
        ["team@city.example"],
        ["ops@acme.example", "boss@acme.example"],
    ]
    mail = server.mails[1][1]
    assert (mail["From"], mail["Subject"]) == ("City <reports@city.example>", "People, March 2020")
    assert b"south" not in mail.as_bytes()


def test_who_subscribes_to_a_report_s_topic_gets_a_mail_of_their_own(
    place: Place, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[str] = []

    def leaving(*arguments: Any) -> links.Leaving:
        signed.append(arguments[-1])
        return links.leaving(*arguments)

    monkeypatch.setattr(send_pages, "leaving", leaving)
    place.write(at(server))
    for topic, address in (("report/monthly", "ana@city.example"), ("report/monthly/acme", "boss@acme.example")):
        subscribe(place.ledger, topic, address, by="x", agreed=True, at=0.0)
    subscribe(place.ledger, "report/monthly", "team@city.example", by="x", agreed=True, at=0.0)  # is named, too
    place.send(everybody=True)
    place.send(everybody=True)
    assert signed == ["ana@city.example", "boss@acme.example"]  # not again for those who have it
    people = ["team@city.example"], ["ana@city.example"], ["ops@acme.example"], ["boss@acme.example"]
    assert [to for to, _ in server.mails] == [*people]
    mails = [mail for _, mail in server.mails]
    assert [mail["List-Id"] for mail in mails] == [
        None,
        "<report.monthly.trikk>",
        None,
        "<report.monthly.acme.trikk>",
    ]
    assert len({mail["Message-ID"] for mail in mails}) == 4
    assert "trikk unsubscribe report/monthly ana@city.example" in mails[1].get_body(("plain",)).get_content()
    unsubscribe(place.ledger, "report/monthly", "ana@city.example", by="x", how="by hand", at=1.0)
    place.send(corrected=True)
    assert [to for to, _ in server.mails[4:]] == [["team@city.example"]]


def test_another_page_of_the_period_is_sent_again(place: Place, server: MailServer) -> None:
    place.write(at(server))
    place.send()
    place.send(corrected=True)
    assert len({mail["Message-ID"] for _, mail in server.mails}) == 2


def test_somebody_who_subscribes_later_gets_it_and_the_others_not_again(place: Place, server: MailServer) -> None:
    place.write(at(server))
    place.send()
    place.write(at(server) + '\n[reports.subscribers.monthly]\n"*" = ["new@city.example"]')
    place.send()
    assert [people for people, _ in server.mails] == [["team@city.example"], ["new@city.example"]]


def test_a_mail_server_that_is_away_delays_the_mail_and_fails_nothing(place: Place, server: MailServer) -> None:
    server.stop()
    place.write(at(server))
    (sent,) = place.send()
    assert (sent["reached"], list(sent["failed"])) == ([], ["team@city.example"])
    assert "refused" in sent["failed"]["team@city.example"]
    server.start()
    (tried,) = place.retry()
    assert (tried.reached, tried.failed) == ({"smtp": ["team@city.example"]}, {})
    assert place.retry() == []
    assert len(server.mails) == 1


def test_whoever_does_not_subscribe_any_more_gets_nothing_more(place: Place, server: MailServer) -> None:
    server.stop()
    place.write(at(server) + '\n[reports.subscribers]\n"*" = ["gone@city.example"]')
    place.send()
    server.start()
    place.write(at(server))
    (tried,) = place.retry()
    assert tried.reached == {"smtp": ["team@city.example"]}
    place.write(at(server) + '\n[reports.subscribers]\n"*" = ["new@city.example"]')
    (sent,) = place.send(recipients={})
    assert (sent["recipients"], sent["failed"]) == (["new@city.example"], {})
    (sent,) = place.send(corrected=True, recipients={"*": ["team@city.example"]})
    assert [people for people, _ in server.mails[-2:]] == [
        ["new@city.example"],
        ["team@city.example", "new@city.example"],
    ]
    place.write(at(server))
    (sent,) = place.send(recipients={})
    assert sent["recipients"] == []
    server.stop()
    place.send(recipients={"*": ["late@city.example"]})
    server.start()
    settings = load_settings(place.root)
    left = send_outstanding(place.ledger, place.artifacts, settings, place.root / ".trikk", {}, at=0.0)
    assert left == []  # of a report that is not declared any more


def test_only_the_newest_page_is_sent_when_the_server_is_back(place: Place, server: MailServer) -> None:
    server.stop()
    place.write(at(server))
    place.send()
    place.send(corrected=True)
    server.start()
    place.retry()
    assert len(server.mails) == 1
    assert place.retry() == []


def test_addresses_are_refused_for_good_or_tried_again_one_by_one(place: Place, server: MailServer) -> None:
    place.write(at(server))
    people = ["team@city.example", "gone@city.example", "full@city.example"]
    server.answers = {"gone@city.example": "550 no such user", "full@city.example": "452 mailbox full"}
    (sent,) = place.send(recipients={"*": people})
    assert sent["reached"] == ["team@city.example"]
    assert sent["refused"] == {"gone@city.example": "550 no such user"}
    assert sent["failed"] == {"full@city.example": "452 mailbox full"}
    server.answers = {}
    place.retry(recipients={"*": people})
    assert [found for found, _ in server.mails] == [["team@city.example"], ["full@city.example"]]


def test_without_a_mail_server_mails_become_files(place: Place) -> None:
    place.send()
    place.send()
    (file,) = (place.root / ".trikk" / "outbox").iterdir()
    mail: Any = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (mail["To"], mail["From"]) == ("team@city.example", "trikk@localhost")


def test_nobody_is_written_to_without_being_asked(place: Place) -> None:
    assert place.send(recipients={})[0]["recipients"] == []
    assert not (place.root / ".trikk" / "outbox").exists()
    run = World().make(monthly(), period="2020-03", customer="*", state_dir=place.root / ".trikk")
    assert run.run.steps["deliver"].state == "skipped"


def test_a_replay_sends_nothing(place: Place) -> None:
    with pytest.raises(PermanentError):
        place.send(dry=True)


@pytest.mark.parametrize("alive", [True, False])
def test_a_mail_that_another_process_is_sending_is_left_to_it_while_it_lives(place: Place, alive: bool) -> None:
    (place.root / ".trikk").mkdir()
    (place.root / ".trikk" / "outbox").write_text("in the way")
    place.send()
    (place.root / ".trikk" / "outbox").unlink()
    me = Holder.current()
    holder = me if alive else Holder(me.host, "another boot", me.pid, me.started)
    body = {"digest": "", "recipients": [], "kind": "file", "holder": holder.to_json()}
    place.ledger.add("report/monthly/delivery/2020-03/*", "delivery.sending", body, at=day(2, 4).timestamp())
    assert len(place.retry()) == (0 if alive else 1)


@pytest.mark.parametrize(
    "wrong",
    [
        'smtp = "http://mail"',
        'smtp = "smtp://"',
        'smtp = "smtp://host:99999"',
        "smtp = 5",
        'sender = "Bad\\nBcc: x@y.example <a@b.example>"',
        'sender = "a b"',
        'server = "x"',
        "subscribers = 1",
        '[reports.subscribers]\nacme = "ops@acme.example"',
        '[reports.subscribers]\nacme = ["ops@acme.example, x@y.example"]',
        '[reports.subscribers]\n"a/../b" = ["ops@acme.example"]',
    ],
)
def test_settings_that_can_not_be_used_are_refused(place: Place, wrong: str) -> None:
    place.write(wrong)
    with pytest.raises(ProjectError) as refused:
        report_settings(load_settings(place.root))
    assert refused.value.next


def test_a_password_comes_from_the_environment_and_is_shown_nowhere(
    place: Place, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(f'smtp = "smtp://me:${{MAIL_PASSWORD}}@127.0.0.1:{server.port}"')
    with pytest.raises(ProjectError, match="MAIL_PASSWORD"):
        report_settings(load_settings(place.root))
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2@")
    found = report_settings(load_settings(place.root))
    assert found.server is not None
    assert found.server.password == "hunter2@"
    (sent,) = place.send()
    assert sent["failed"]
    told = [str(entry) for entry in place.ledger.history("report/")]
    assert "hunter2" not in "".join([*told, repr(found), str(sent)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipients": {"*": ["a@b.example\nBcc: x@y.example"]}},
        {"recipients": {"*": ["Team <a@b.example>"]}},
        {"recipients": {"*": "a@b.example"}},
        {"recipients": {"other": ["a@b.example"]}},
        {"customers": {"ac/me": ["north"]}},
        {"customers": {"acme": "north"}},
        {"customer_slice": ""},
        {"title": "People\nBcc: x@y.example"},
        {"period": "year"},
        {"monitors": []},
        {"timezone": "Europe/Atlantis"},
        {"template": "../page.html.j2"},
        {"notebook": "page.html"},
        {"schedule": "monthly"},
        {"recipients": ["team@city.example"]},
        {"customers": ["acme"]},
    ],
    ids=str,
)
def test_a_definition_that_can_not_work_is_refused_where_it_is(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as refused:
        monthly(**wrong)
    assert refused.value.next
    assert ".py" in str(refused.value.where)
