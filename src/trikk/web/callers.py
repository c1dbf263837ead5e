"""By which names a server may be called, and from which web pages: else any page that somebody opens could ask.

A page may send requests to this machine under its own site's name (DNS rebinding) or as a form; it can't choose
what the browser writes into Host and Origin. Starlette's TrustedHostMiddleware takes an IPv6 address for a port,
and its CORSMiddleware answers foreign pages all the same: it only keeps them from reading.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from trikk.core.errors import UsageError
from trikk.core.network.tls import is_here
from trikk.web.refused import Refused
from trikk.web.request_body import Scope

Headers = list[tuple[bytes, bytes]]
_LOCAL = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{0,5})?")
_SHOWN, _LONGEST = 60, 253


class Callers:
    """Who may call.

    Args:
        bound: the address that the server listens on; if others reach it, it has the machine's name, too, and
            all addresses in numbers: a page can't rebind these.
        hosts: more names; "*" for every name.
        origins: web pages that may ask, such as "https://console.example.com".

    Raises:
        UsageError: if a name or origin can't be one.
    """

    def __init__(self, bound: str, hosts: Iterable[str], origins: Iterable[str]) -> None:
        given = [name.strip("[]").rstrip(".").lower() for name in hosts]
        for name in given:
            if name != "*" and not _HOST.fullmatch(f"[{name}]" if ":" in name else name):
                raise UsageError(
                    f"--allow-host {name[:_SHOWN]!r} is not a name", next="give it without scheme and port"
                )
        self._names = {*_LOCAL, bound.lower(), *given}
        self._numbers = not is_here(bound)
        if self._numbers:
            # With and without its domain, as people on the same network call it.
            machine = socket.gethostname().lower()
            self._names |= {machine, machine.partition(".")[0]}
        self._origins = {origin.rstrip("/").lower() for origin in origins}
        for origin in self._origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or origin.count("/") != 2:
                problem = f"--allow-origin {origin[:_SHOWN]!r} is not an origin"
                raise UsageError(problem, next="write it as a browser does: https://name:port")

    def check(self, headers: Headers, version: str) -> str:
        """Refuse a request that came under a foreign name, or from a foreign page.

        Returns:
            The foreign page's origin that is allowed; "" for a request that is not a foreign page's.

        Raises:
            Refused: 400 without exactly one Host, 421 for a foreign name, 403 for a foreign page.
        """
        values: dict[bytes, list[str]] = {b"host": [], b"origin": []}
        for name, value in headers:
            if name in values:
                values[name].append(value.decode("latin-1").lower())
        hosts, origins = values[b"host"], values[b"origin"]
        # HTTP/1.0 has no Host, and no browser speaks it.
        if len(hosts) != 1 and (hosts or version != "1.0"):
            raise Refused(400, "the request does not name one Host", next="send one Host header")
        if hosts and not self._is_own(hosts[0]):
            mend = f"call it by a name that it knows, or start it with --allow-host {_name(hosts[0]) or 'NAME'}"
            raise Refused(421, f"this server is not called {hosts[0][:_SHOWN]!r}", next=mend)
        if not origins or (len(origins) == 1 and hosts and origins[0].partition("://")[2] == hosts[0]):
            return ""
        if len(origins) == 1 and origins[0] in self._origins:
            return origins[0]
        mend = "for a page that may, start it with --allow-origin https://NAME"
        raise Refused(403, f"pages of {origins[0][:_SHOWN]!r} may not ask this server", next=mend)

    def _is_own(self, host: str) -> bool:
        name = _name(host)
        return bool(name) and (name in self._names or "*" in self._names or (self._numbers and _is_number(name)))


def address_of(scope: Scope) -> str:
    """The address from where a request comes; "" if it has none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _name(host: str) -> str:
    """The name or address in a Host header, without the port; "" if it is not one."""
    match = _HOST.fullmatch(host)
    return "" if match is None else (match["six"] or match["name"]).rstrip(".")[:_LONGEST]


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
