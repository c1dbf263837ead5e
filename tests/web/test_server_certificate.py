"""A server's certificate: what is refused before anybody listens, and new files that count, or don't."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority

from trikk.core.errors import UsageError
from trikk.web.server_certificate import ServerCertificate, _shown_to_itself


def shown(certificate: ServerCertificate) -> Any:
    """The certificate's number, as a client reads it by a handshake."""
    return _shown_to_itself(certificate.context, certificate._cert)["serialNumber"]


def test_what_no_client_would_take_is_refused_with_a_reason(authority: Authority, tmp_path: Path) -> None:
    good = authority.issue("good", ["localhost"])
    expired = authority.issue("expired", ["localhost"], days=-1)
    locked = authority.issue("locked", ["localhost"], passphrase=b"x")
    client = authority.issue("client")
    text = tmp_path / "text.pem"
    text.write_text("nothing")
    for cert, key, reason in (
        (expired.cert, expired.key, "its certificate has expired"),
        (good.cert, expired.key, "the key is another certificate's"),
        (locked.cert, locked.key, "is locked with a pass phrase"),
        (client.cert, client.key, "purpose"),
        (good.cert, None, "what it wants is not in it"),
        (text, None, "what it wants is not in it"),
        (tmp_path / "none.pem", None, "No such file"),
        (tmp_path, None, "can.t be used for TLS"),
    ):
        with pytest.raises(UsageError, match=reason) as refused:
            ServerCertificate(cert, key)
        assert refused.value.next
    assert ServerCertificate(good.both, None).names == ["localhost"]


def test_new_files_count_when_they_are_whole(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    first, second, third = (authority.issue(f"renewed-{n}", ["localhost"]) for n in range(3))
    shutil.copy(first.cert, cert)
    shutil.copy(first.key, key)
    certificate = ServerCertificate(cert, key)
    before = shown(certificate)
    certificate.look()
    assert not caplog.records
    shutil.copy(second.cert, cert)  # its key comes a moment later
    certificate.look()
    certificate.look()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    shutil.copy(second.key, key)
    certificate.look()
    after = shown(certificate)
    assert after != before
    cert.unlink()
    certificate.look()
    shutil.copy(third.cert, cert)
    shutil.copy(third.key, key)
    certificate.look()
    assert shown(certificate) not in (before, after)
