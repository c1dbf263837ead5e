"""Channels to mail and web servers that want TLS: trusted or refused with the reason, and nobody can listen in."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.alerts.test_channels import some
from tests.alerts.test_deliver import Post
from tests.certificates import Authority
from tests.servers.shared import free_ports
from tests.servers.tls import PASSWORD, USER, Hook, Mail, Wire, hook, mail, wire

from trikk.alerts.delivery.channels import send
from trikk.alerts.incidents.book import Book
from trikk.core.errors import BrokerError, ProjectError, UsageError
from trikk.core.settings import Settings

WRONG = "wr0ng-Passw0rd"
TOKEN = "t0ken-in-the-path"
TITLE = "people: wape"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    monkeypatch.setenv("TOKEN", TOKEN)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hand(tmp_path: Path) -> Callable[[str], None]:
    return lambda address: send(Settings(root=tmp_path, name="city"), "team", address, some())


@pytest.fixture(params=["starttls", "ssl"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mail_in_tls(mode: str, authority: Authority) -> Iterator[Mail]:
    with mail(authority.issue("mail", ["localhost"]).server(), at_once=mode == "ssl") as found:
        yield found


@pytest.fixture
def ear(mail_in_tls: Mail) -> Iterator[Wire]:
    with wire(mail_in_tls.port) as found:
        yield found


@pytest.fixture
def web(authority: Authority) -> Iterator[Hook]:
    with hook(authority.issue("hook", ["localhost"]).server()) as found:
        yield found


def to_mail(port: int, mode: str, host: str = "localhost", scheme: str = "mailtos") -> str:
    who = f"{USER}:${{MAIL_PASSWORD}}@{host}:{port}"
    return f"{scheme}://{who}?from=trikk@example.com&to=team@example.com&mode={mode}"


def test_a_mail_comes_in_tls_and_nobody_can_listen_in(
    hand: Callable[[str], None],
    mail_in_tls: Mail,
    ear: Wire,
    mode: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    hand(to_mail(ear.port, mode))
    assert TITLE in mail_in_tls.mails[0]["Subject"]
    assert mail_in_tls.logins == [PASSWORD]
    assert not ear.has(PASSWORD)
    assert not ear.has(TITLE)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("unknown", "its certificate is from an authority that is not trusted here; name a file .*SSL_CERT_FILE"),
        ("name", "its certificate is not for the name by which it is called"),
    ],
)
def test_a_mail_server_that_is_not_to_be_trusted_gets_nothing_and_it_is_said_why(
    hand: Callable[[str], None],
    mail_in_tls: Mail,
    ear: Wire,
    mode: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    words: str,
) -> None:
    if case == "name":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with pytest.raises(BrokerError, match=words):
        hand(to_mail(ear.port, mode, "127.0.0.1" if case == "name" else "localhost"))
    assert (mail_in_tls.logins, mail_in_tls.mails) == ([], [])
    assert not ear.has(PASSWORD)
    assert not ear.has(TITLE)


def test_a_wrong_password_is_a_failed_attempt_that_is_written_down_without_it_and_tried_again(
    tmp_path: Path,
    mail_in_tls: Mail,
    mode: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    monkeypatch.setenv("MAIL_PASSWORD", WRONG)
    post = Post(tmp_path, {"mail": to_mail(mail_in_tls.port, mode)})
    post.open("loss")
    assert post.send() == (["mail failed"], [])
    assert mail_in_tls.logins[0] == WRONG
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    assert post.send(60) == (["mail delivered"], [])
    (incident,) = Book(post.project.journal).all()
    assert incident.delivery("opened", "mail").attempts == 2
    written = json.dumps([entry.body for entry in post.project.journal.history("incident")])
    assert "it does not take the user and password" in written
    assert WRONG not in written + caplog.text + "".join(capfd.readouterr())


def test_a_server_without_tls_gets_no_password(
    hand: Callable[[str], None], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail(authority.issue("mail", ["localhost"]).server(), offers=False) as server, wire(server.port) as ear:
        with pytest.raises(BrokerError, match="it offers no TLS"):
            hand(to_mail(ear.port, "starttls"))
        with pytest.raises(BrokerError, match="it does not speak TLS on this port"):
            hand(to_mail(ear.port, "ssl"))
        assert server.logins == []
        assert not ear.has(PASSWORD)


@pytest.mark.parametrize(
    "address", ["mailto://{}:{}@mail.example:587", "mailtos://{}:{}@mail.example?mode=insecure"]
)
def test_an_address_that_would_send_a_password_in_the_clear_is_refused(
    hand: Callable[[str], None], address: str
) -> None:
    with pytest.raises(ProjectError, match="would send its password in the clear") as caught:
        hand(address.format(USER, "${MAIL_PASSWORD}"))
    assert "mailtos://" in str(caught.value.next)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_hook_with_an_authority_of_ones_own_is_trusted_by_a_variable(
    hand: Callable[[str], None], web: Hook, authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(authority.ca))
    before = dict(os.environ)
    hand(f"jsons://localhost:{web.port}/${{TOKEN}}")
    assert TITLE in web.got[0]["title"]
    assert dict(os.environ) == before


def test_what_is_set_for_hooks_alone_comes_first(
    hand: Callable[[str], None],
    web: Hook,
    authority: Authority,
    stranger: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger.ca))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
    hand(f"jsons://localhost:{web.port}/hook")
    assert len(web.got) == 1


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (
            "localhost",
            "its certificate is from an authority that is not trusted here; name a file .*SSL_CERT_FILE",
        ),
        ("127.0.0.1", "its certificate is not for the name by which it is called"),
    ],
)
def test_a_hook_that_is_not_to_be_trusted_gets_nothing_and_it_is_said_why(
    hand: Callable[[str], None],
    web: Hook,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    host: str,
    words: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    if host != "localhost":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with pytest.raises(BrokerError, match=words) as caught:
        hand(f"jsons://{host}:{web.port}/${{TOKEN}}")
    assert web.got == []
    assert TOKEN not in str(caught.value) + repr(caught.value.__cause__)
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if record.name == "apprise")


def test_a_service_that_is_away_is_told_from_one_that_is_not_trusted(hand: Callable[[str], None]) -> None:
    [port] = free_ports(1)
    for address in (f"jsons://localhost:{port}/hook", to_mail(port, "starttls")):
        with pytest.raises(BrokerError, match="nobody listens there"):
            hand(address)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_of_authorities_that_is_missing_is_named(
    hand: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "none.pem"))
    with pytest.raises(UsageError) as caught:
        hand("jsons://localhost:1/hook")
    assert variable in str(caught.value)


def test_a_password_with_letters_that_mail_can_not_carry_is_not_shown(
    hand: Callable[[str], None],
    mail_in_tls: Mail,
    mode: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    monkeypatch.setenv("MAIL_PASSWORD", "schlüssel")
    with pytest.raises(BrokerError, match="letters of ASCII only") as caught:
        hand(to_mail(mail_in_tls.port, mode))
    assert "schl" not in str(caught.value) + repr(caught.value.__cause__)
    assert mail_in_tls.logins == []
