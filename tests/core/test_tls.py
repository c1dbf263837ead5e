"""Whom TLS trusts, and what its failures are called: against real handshakes on this machine."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certificates import Authority, Certificate

from trikk.core.errors import UsageError
from trikk.core.network.tls import client_context, explain, look, trusted


@contextlib.contextmanager
def listening(certificate: Certificate | None) -> Iterator[int]:
    """A server that shakes hands once, or answers in plain text; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            plain, _ = server.accept()
            with plain:
                if certificate is None:
                    plain.sendall(b"220 welcome, in plain text, as in 1982\r\n")
                    plain.recv(4096)
                else:
                    with contextlib.suppress(OSError):  # the client has its reasons
                        certificate.server().wrap_socket(plain, server_side=True).close()

        thread = threading.Thread(target=answer)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join()


@pytest.mark.parametrize(
    ("hosts", "days", "name", "ca", "words"),
    [
        (["localhost"], 2, "localhost", "ours", None),
        (["localhost"], 2, "localhost", "another", "an authority that is not trusted here"),
        (["localhost"], 2, "localhost", "", "an authority that is not trusted here"),
        (["localhost"], 2, "127.0.0.1", "ours", "not for the name by which it is called"),
        (["broker.example"], 2, "localhost", "ours", "not for the name by which it is called"),
        (["localhost"], -1, "localhost", "ours", "has expired"),
    ],
)
def test_a_server_is_trusted_or_it_is_said_why_not(
    authority: Authority, stranger: Authority, hosts: list[str], days: int, name: str, ca: str, words: str | None
) -> None:
    made = authority.issue("server", hosts, days=days)
    file = {"ours": authority.ca, "another": stranger.ca}.get(ca, "")
    with listening(made) as port:
        found = look(name, port, client_context(file))
    assert (found and found.lasting) == (words and True)
    assert found is None or (words or "") in found.what


def test_a_server_without_tls_is_told(authority: Authority) -> None:
    with listening(None) as port:
        found = look("localhost", port, client_context(authority.ca))
    assert found is not None
    assert found.what == "it does not speak TLS on this port"


def test_the_address_comes_before_the_environment_before_the_system(
    authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert trusted() == ""
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger.ca))
    assert (trusted(), trusted(authority.ca)) == (str(stranger.ca), str(authority.ca))


def test_files_that_can_not_be_used_are_named_with_the_reason(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = authority.issue("mine"), authority.issue("other")
    locked = authority.issue("locked", passphrase=b"hush")
    for given, words in (
        ((tmp_path / "none.pem",), r"none\.pem can't be used for TLS: No such file"),
        ((mine.key,), r"mine-key\.pem can't be used for TLS: what it wants is not in it"),
        ((authority.ca, tmp_path / "none.pem"), r"none\.pem can't be used for TLS: No such file"),
        ((authority.ca, mine.cert, other.key), "the key is another certificate's"),
        ((authority.ca, mine.cert), r"mine\.pem can't be used for TLS: what it wants is not in it"),
        ((authority.ca, locked.cert, locked.key), "locked with a pass phrase"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            client_context(*given)
        assert caught.value.next
    client_context(authority.ca, mine.both)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match=r"none\.pem") as caught:
        client_context()
    assert "SSL_CERT_FILE" in str(caught.value.next)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tlsv13 alert certificate required (_ssl.c:2580)", "a client's certificate"),
        (
            "error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42",
            "a client's certificate",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)", "does not speak TLS"),
        ("certificate verify failed: CA cert does not include key usage extension (_ssl.c:1000)", "key usage"),
    ],
)
def test_texts_of_other_programs_are_understood(text: str, words: str) -> None:
    found = explain(text)
    assert found is not None
    assert words in found.what
    assert found.lasting


def test_what_may_pass_is_not_called_lasting_and_what_is_no_tls_is_left_alone() -> None:
    broken = explain("error:0A000126:SSL routines::unexpected eof while reading")
    assert broken is not None
    assert not broken.lasting
    assert explain("Connection refused") is None
