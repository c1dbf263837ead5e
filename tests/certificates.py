"""Certificates for servers on this machine and for their clients, from an authority that nobody else trusts."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, in PEM files of their own and in one."""

    cert: Path
    key: Path
    both: Path

    def keystore(self, password: str) -> Path:
        """A file with both for Java (PKCS 12), beside the others."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.serialization import pkcs12

        key: Any = form.load_pem_private_key(self.key.read_bytes(), None)
        made = x509.load_pem_x509_certificate(self.cert.read_bytes())
        lock = form.BestAvailableEncryption(password.encode())
        path = self.cert.with_suffix(".p12")
        path.write_bytes(pkcs12.serialize_key_and_certificates(b"server", key, made, None, lock))
        return path

    def server(self, clients: Path | None = None) -> ssl.SSLContext:
        """What a server listens with; it lets nobody in without a certificate of the authority `clients`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        return context


class Authority:
    """Signs certificates.

    Args:
        folder: a new folder for its files.

    Attributes:
        ca: the file with its own certificate.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._key = _new_key()
        self._made = _signed("Authority of the tests", self._key, None, self._key)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(_pem(self._made))

    def issue(
        self, name: str, hosts: Sequence[str] = (), *, days: int = 2, passphrase: bytes | None = None
    ) -> Certificate:
        """A certificate.

        Args:
            name: what it is issued to, and the name of its files.
            hosts: the names of a server; none for a client.
            days: until it ends; one that is negative has ended already.
            passphrase: the key's.
        """
        from cryptography.hazmat.primitives import serialization as form

        key = _new_key()
        made = _pem(_signed(name, key, self._made, self._key, hosts, days))
        lock = form.BestAvailableEncryption(passphrase) if passphrase else form.NoEncryption()
        private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock)
        found = Certificate(*(self._folder / f"{name}{end}.pem" for end in ("", "-key", "-both")))
        for path, content in zip(
            (found.cert, found.key, found.both), (made, private, private + made), strict=True
        ):
            path.write_bytes(content)
        return found


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority; the test is skipped, with the reason, where none can be made."""
    pytest.importorskip("cryptography", reason="no certificates: cryptography is not installed")
    return Authority(tmp_path_factory.mktemp("certificates") / "ours")


@pytest.fixture(scope="session")
def stranger(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another authority, which has signed nothing that the servers have."""
    return Authority(tmp_path_factory.mktemp("certificates") / "another")


def _new_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return bytes(certificate.public_bytes(Encoding.PEM))


def _signed(name: str, key: Any, issuer: Any, issuer_key: Any, hosts: Sequence[str] = (), days: int = 2) -> Any:
    """A certificate with what RFC 5280 asks for; of an authority if `issuer` is None."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID as Use

    subject, now, top = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
        datetime.now(UTC),
        not issuer,
    )
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    more: list[tuple[Any, bool]] = [
        (x509.BasicConstraints(ca=top, path_length=None), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
        (
            x509.KeyUsage(
                digital_signature=not top, key_cert_sign=top, crl_sign=top, decipher_only=False, **usage
            ),
            True,
        ),
    ]
    if not top:
        more.append((x509.ExtendedKeyUsage([Use.SERVER_AUTH if hosts else Use.CLIENT_AUTH]), False))
    if hosts:
        more.append((x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if top else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=5))
        .not_valid_after(now + timedelta(days=days))
    )
    for extension, critical in more:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())
