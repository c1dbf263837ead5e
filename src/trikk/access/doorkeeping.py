"""How a server lets people in: the part of its options that `trikk serve` and `trikk endpoint` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trikk.core.errors import UsageError
from trikk.core.network.tls import is_here
from trikk.web.callers import Callers
from trikk.web.server_certificate import ServerCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeping:
    """Where a server listens, and whom it serves there."""

    host: str = "127.0.0.1"  # the address to listen on
    open_to_all: bool = False  # whether nobody has to say who they are, wherever it listens
    token_needed: bool = False  # whether a token is needed on this machine, too
    rate: float = 0.0  # requests a second of one caller; 0 for no limit
    # names by which it is called, beside this machine's, its certificate's and its address; "*" for any
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()  # web pages that may ask, beside those that come from its own address
    trust_proxies: tuple[str, ...] = ()  # addresses and networks whose X-Forwarded-* are believed
    tls_cert: Path | None = None  # a PEM file with its certificate; None for no TLS
    tls_key: Path | None = None  # with its key, if that is another file

    @property
    def needs_token(self) -> bool:
        """Whether whoever asks has to say who they are: a proxy brings people from elsewhere, too."""
        return not self.open_to_all and (self.token_needed or bool(self.trust_proxies) or not is_here(self.host))

    def certificate(self) -> ServerCertificate | None:
        """What it shows to clients; None without TLS.

        Raises:
            UsageError: if its files can't be used.
        """
        if self.tls_cert is None:
            if self.tls_key is not None:
                raise UsageError("--tls-key is the key of no certificate", next="give --tls-cert, too")
            return None
        return ServerCertificate(self.tls_cert, self.tls_key)

    def callers(self, certificate: ServerCertificate | None) -> Callers:
        """Under which names, and from which pages, it may be asked."""
        names = certificate.names if certificate is not None else []
        return Callers(self.host, [*self.allow_hosts, *names], self.allow_origins)
