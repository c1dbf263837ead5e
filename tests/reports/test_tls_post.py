"""Mail to servers that want TLS and a password: it comes, or it is said why not, and nobody can listen in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.certificates import Authority
from tests.reports.world import monthly
from tests.servers.shared import free_ports
from tests.servers.tls import PASSWORD, USER, Mail, Wire, mail, wire

from trikk.core.errors import ProjectError
from trikk.core.settings import load_settings
from trikk.mailing import mail_server as module
from trikk.mailing.mail_server import Outcome, Smtp
from trikk.reports.report_config import report_settings
from trikk.reports.sending.deliveries import QUEUED, Delivery
from trikk.reports.sending.send_pages import send_outstanding
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.storage.artifacts import Artifacts
from trikk.storage.stores.memory_store import MemoryStore

WRONG = "wr0ng-Passw0rd"
SUBJECT = "Figures that are nobody's business"
TEXT = f"Subject: {SUBJECT}\r\nContent-Type: text/plain\r\n\r\nall of them\r\n".encode()
STARTTLS, AT_ONCE = "smtp", "smtps"


@pytest.fixture(params=[STARTTLS, AT_ONCE])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(scheme: str, authority: Authority) -> Iterator[Mail]:
    pytest.importorskip("aiosmtpd", reason="no mail server: aiosmtpd is not installed")
    with mail(authority.issue("mail", ["localhost"]).server(), at_once=scheme == AT_ONCE) as found:
        yield found


@pytest.fixture
def ear(server: Mail) -> Iterator[Wire]:
    with wire(server.port) as found:
        yield found


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)


class Place:
    """A project's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def settle(self, smtp: str) -> Any:
        (self.root / "trikk.toml").write_text(f'name = "city"\n[reports]\nsmtp = "{smtp}"\n')
        return report_settings(load_settings(self.root))

    def give(self, smtp: str) -> Outcome:
        """Hand a mail over to one address."""
        settings = self.settle(smtp)
        given_to = Smtp(settings.server, ("", "reports@city.example"))
        try:
            return given_to.give(TEXT, ["team@city.example"], "mail")
        finally:
            given_to.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def address(scheme: str, port: int, ca: Path | str = "", host: str = "localhost") -> str:
    return f"{scheme}://{USER}:${{MAIL_PASSWORD}}@{host}:{port}" + (f"?ca={ca}" if ca else "")


def why(outcome: Outcome) -> str:
    assert (outcome.reached, outcome.refused) == ([], {})
    return outcome.failed["team@city.example"]


def test_a_mail_comes_in_tls_with_a_password_and_nobody_can_listen_in(
    place: Place, server: Mail, ear: Wire, scheme: str, authority: Authority
) -> None:
    assert place.give(address(scheme, ear.port, authority.ca)).reached == ["team@city.example"]
    assert [one["Subject"] for one in server.mails] == [SUBJECT]
    assert server.logins == [PASSWORD]
    assert ear.sent
    assert not ear.has(PASSWORD)
    assert not ear.has(SUBJECT)


def test_the_authority_may_stand_in_the_project_or_in_the_environment(
    place: Place, server: Mail, scheme: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.root / "certs").mkdir()
    (place.root / "certs" / "ca.pem").write_bytes(authority.ca.read_bytes())
    assert place.give(address(scheme, server.port, "certs/ca.pem")).reached
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    assert place.give(address(scheme, server.port)).reached
    assert len(server.mails) == 2


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("unknown", "its certificate is from an authority that is not trusted here; name a file"),
        ("stranger", "its certificate is from an authority that is not trusted here; name a file"),
        ("name", "its certificate is not for the name by which it is called"),
        ("missing", "none.pem can't be used for TLS: No such file or directory"),
    ],
)
def test_a_server_that_is_not_to_be_trusted_gets_nothing_and_it_is_said_why(
    place: Place,
    server: Mail,
    ear: Wire,
    scheme: str,
    authority: Authority,
    stranger: Authority,
    case: str,
    words: str,
) -> None:
    ca = {"unknown": "", "stranger": stranger.ca, "name": authority.ca, "missing": "none.pem"}[case]
    told = why(place.give(address(scheme, ear.port, ca, "127.0.0.1" if case == "name" else "localhost")))
    assert words in told
    assert (server.logins, server.mails) == ([], [])
    assert not ear.has(PASSWORD)
    assert not ear.has(SUBJECT)
    assert not ear.has("team@city.example")


def test_a_wrong_password_is_written_down_without_it_and_tried_again(
    place: Place,
    server: Mail,
    scheme: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    ledger, artifacts, subject = MemoryJournal(), Artifacts(MemoryStore()), "report/monthly/delivery/2020-03/*"
    (place.root / "mail.eml").write_bytes(TEXT)
    message = artifacts.save(place.root / "mail.eml").to_json()
    queued: dict[str, Any] = {"digest": "d", "message": message, "recipients": ["team@city.example"], "run": "r1"}
    ledger.add(subject, QUEUED, queued, at=0.0)

    specs = {"monthly": monthly().spec}

    def send(at: float) -> Delivery:
        (tried,) = send_outstanding(
            ledger, artifacts, load_settings(place.root), place.root / ".trikk", specs, at=at
        )
        return tried

    monkeypatch.setenv("MAIL_PASSWORD", WRONG)
    place.settle(address(scheme, server.port, authority.ca))
    assert send(1e6).failed == {"team@city.example": "it does not take the user and password"}
    assert server.logins[0] == WRONG
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    assert send(2e6).reached == {"smtp": ["team@city.example"]}
    assert len(server.mails) == 1
    told = "".join([*map(str, ledger.history("report/")), caplog.text, *capfd.readouterr()])
    assert "it does not take the user and password" in told
    assert WRONG not in told


def test_a_server_that_offers_no_tls_gets_nothing_if_an_authority_is_named(
    place: Place, authority: Authority
) -> None:
    with mail(authority.issue("mail", ["localhost"]).server(), offers=False) as server, wire(server.port) as ear:
        told = why(place.give(address(STARTTLS, ear.port, authority.ca)))
        assert "it offers no TLS" in told
        assert not ear.has(PASSWORD)
        assert not ear.has(SUBJECT)
        told = why(place.give(address(AT_ONCE, ear.port, authority.ca)))
        assert "it does not speak TLS on this port" in told
        assert server.logins == []


def test_a_server_that_offers_no_tls_gets_no_password_beyond_this_machine(
    place: Place, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_here", lambda host: False)
    with mail(authority.issue("mail", ["localhost"]).server(), offers=False) as server, wire(server.port) as ear:
        told = why(place.give(address(STARTTLS, ear.port)))
        assert "it offers no TLS, without which no password is sent" in told
        assert not ear.has(PASSWORD)
        assert not ear.has(SUBJECT)


def test_a_port_that_wants_tls_at_once_is_told_from_a_server_that_is_away(
    place: Place, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.5)
    with mail(authority.issue("mail", ["localhost"]).server(), at_once=True) as server:
        assert "does its port want TLS at once (smtps://)" in why(
            place.give(address(STARTTLS, server.port, authority.ca))
        )
    assert "refused" in why(place.give(address(AT_ONCE, free_ports(1)[0], authority.ca)))


def test_a_password_that_can_not_be_sent_is_told_without_it(
    place: Place, server: Mail, scheme: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "schlüssel")
    told = why(place.give(address(scheme, server.port, authority.ca)))
    assert "letters of ASCII only" in told
    assert "schl" not in told
    assert server.logins == []


def test_a_variable_that_was_encoded_by_hand_is_hinted_at(
    place: Place, server: Mail, scheme: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", quote(PASSWORD, safe=""))
    told = why(place.give(address(scheme, server.port, authority.ca)))
    assert "does MAIL_PASSWORD hold %40 or the like?" in told
    assert "g00d" not in told


@pytest.mark.parametrize("option", ["?verify=no", "?ca=", "?ca=a&x=b"])
def test_there_is_no_option_but_the_authority(place: Place, option: str) -> None:
    with pytest.raises(ProjectError, match=r"reports\.smtp") as refused:
        place.settle(f"smtp://localhost:25{option}")
    assert "ca=FILE" in str(refused.value.next)
