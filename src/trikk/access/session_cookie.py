"""The cookies of people's browsers: of a session, and of an attempt to begin one.

A session's value has the form of a token, and counts nowhere but in the cookie. Browsers keep cookies by host, for
all its ports together (RFC 6265, 8.5), so that a cookie's name has the port of the server: of two servers on one
machine neither overwrites what the other has set.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from trikk.web.callers import Headers
from trikk.web.refused import Refused

SESSION, ATTEMPT = "__Host-trikk", "__Host-trikk-sign-in"
"""With this prefix a browser takes them from this host alone, over TLS (or on its own machine), for all paths."""


def cookie_name(base: str, host: str) -> str:
    """What a cookie is called at a server.

    Args:
        base: what it is called where the server has no port in its address.
        host: the server, as browsers call it: what they send as Host.
    """
    _, colon, port = host.rpartition(":")
    return f"{base}-{port}" if colon and port.isdigit() else base


def session_in(headers: Headers) -> str:
    """What a browser shows; "" if it shows nothing."""
    cookies, host = (
        "; ".join(value.decode("latin-1") for name, value in headers if name == wanted)
        for wanted in (b"cookie", b"host")
    )
    return cookie_in(cookies, cookie_name(SESSION, host))


def cookie_in(text: str, name: str) -> str:
    """The value of the first cookie of a name in a Cookie header; "" if there is none."""
    pairs = (pair.strip().partition("=") for pair in text.split(";"))
    return next((value for key, _, value in pairs if key == name), "")


def check_origin(headers: Headers) -> None:
    """Refuse a change with a cookie that does not say from which page it comes: one of ours does.

    That it is one of ours was checked before (`trikk.web.callers`).

    Raises:
        Refused: 403.
    """
    if not any(name == b"origin" for name, _ in headers):
        mend = "browsers send Origin by themselves; other programs use tokens"
        raise Refused(403, "a change with a session's cookie has to say its Origin", next=mend)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a browser keeps while somebody signs in; the provider sees digests and copies of it.

    Attributes:
        state: comes back with the code, so that nobody signs somebody else in.
        nonce: comes back in the signed token, so that no old one counts.
        verifier: proves that who takes the code to the provider has asked for it.
    """

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Attempt:
        """One that nobody can guess."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))
