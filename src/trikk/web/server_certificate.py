"""The certificate that a server shows, proven before it listens, and read again when its files change.

New files are loaded into a context of their own, which shakes hands with itself: what is wrong with them (half is
written, the key is another's, it has expired) changes nothing for those who connect.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

from trikk.core.errors import UsageError
from trikk.core.network.tls import explain, load_identity

_FILES = (
    "--tls-cert and --tls-key name PEM files with the server's certificate (behind it those that lead to its "
    "authority) and its key"
)
_log = logging.getLogger("trikk.access")


class ServerCertificate:
    """A certificate and its key.

    Args:
        cert: a PEM file with the certificate, and behind it those that lead to its authority.
        key: a PEM file with its key; None if that is in `cert`.

    Attributes:
        context: what a server listens with: TLS 1.2 or later. It shows the newest whole certificate.
        names: by which the server may be called, as the certificate has them.

    Raises:
        UsageError: if a file is missing or holds something else, the key is locked or another certificate's, or
            the certificate has expired.
    """

    def __init__(self, cert: Path, key: Path | None) -> None:
        self._cert, self._key = str(cert), str(key or "")
        self._seen = self._stamps()
        self._newest, self.names = self._load()
        self.context = _new_context()
        load_identity(self.context, self._cert, self._key, _FILES)
        self.context.sni_callback = self._show_newest

    def look(self) -> None:
        """Take in the files if they have changed; wrong ones are logged, and the last go on to count."""
        if (stamps := self._stamps()) == self._seen:
            return
        self._seen = stamps
        try:
            self._newest, self.names = self._load()
        except UsageError as error:
            _log.error("the new certificate is not used: %s", error)
        else:
            _log.info("a new certificate counts: %s", self._cert)

    def _show_newest(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        stamps: list[tuple[int, int, int] | None] = []
        for file in filter(None, (self._cert, self._key)):
            try:
                about = Path(file).stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((about.st_mtime_ns, about.st_size, about.st_ino))
        return stamps

    def _load(self) -> tuple[ssl.SSLContext, list[str]]:
        context = _new_context()
        load_identity(context, self._cert, self._key, _FILES)
        try:
            shown = _shown_to_itself(context, self._cert)
        except ssl.SSLError as error:
            trouble = explain(error)
            why = str(error.reason) if trouble is None else trouble.what
            mend = "have it renewed, as a server's certificate"
            raise UsageError(f"{self._cert} can't be used for TLS: {why}", next=mend) from error
        named = shown.get("subjectAltName", ())
        return context, [name for kind, name in named if kind in ("DNS", "IP Address") and "*" not in name]


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _shown_to_itself(server: ssl.SSLContext, cert: str) -> Any:
    """What a client reads of the certificate, by a handshake in memory; raises SSLError if a client refuses it.

    The client trusts the file itself: who has signed it, others have to judge.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cert)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(to_client, to_server)
    answers = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [asks, answers]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    return asks.getpeercert()
