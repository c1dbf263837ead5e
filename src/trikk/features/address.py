"""Addresses of online stores, in which secrets stand by reference: `redis://user:${PASSWORD}@host:6379/0`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from trikk.core.errors import UsageError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEMES = ("redis", "rediss", "sqlite")
_NEXT = "use redis://host:6379/0, rediss://... or sqlite:///file"


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its secrets in place: never to be shown, logged or stored.

    Attributes:
        scheme: redis, rediss or sqlite.
        url: the whole address.
        template: the address as it was written, to be shown in its place.
    """

    scheme: str
    url: str
    template: str

    @property
    def path(self) -> Path:
        """The file of an SQLite address."""
        return Path(unquote(self.url.removeprefix("sqlite:///"))).absolute()

    def hide(self, text: str) -> str:
        """`text` with what is secret in the address replaced by ***."""
        password = urlsplit(self.url).password
        for secret in sorted({s for s in (password, unquote(password or "")) if s}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text.replace(self.url, self.template)

    def __repr__(self) -> str:
        return f"Address({self.template!r})"


def check_address(text: str) -> None:
    """Refuse an address of an unknown kind, and one with a password in it, which is not repeated.

    Raises:
        UsageError: with what to write instead.
    """
    if _REFERENCE.fullmatch(text):
        return
    scheme = text.partition("://")[0]
    if scheme not in _SCHEMES or "://" not in text:
        raise UsageError("the address of an online store is of an unknown kind", next=_NEXT)
    if scheme == "sqlite" and not text.startswith("sqlite:///"):
        raise UsageError("an SQLite address has three slashes", next=_NEXT)
    user, at, _ = text.partition("://")[2].rpartition("@")
    options = dict(parse_qsl(text.partition("?")[2]))
    for secret in (user.partition(":")[2] if at else "", options.get("password", "")):
        if secret and not _REFERENCE.fullmatch(secret):
            raise UsageError(
                "the address of the online store holds a password",
                next="put the password into the environment and write ${NAME} in its place",
            )


def resolve(text: str, environment: Mapping[str, str] | None = None) -> Address:
    """Put the environment's values in the place of `${NAME}`, percent-encoded before the `@`.

    Raises:
        UsageError: as `check_address`, if a variable is not set, or if the whole is no address.
    """
    check_address(text)
    known = os.environ if environment is None else environment
    for name in _REFERENCE.findall(text):
        if not known.get(name):
            raise UsageError(f"the environment variable {name} is not set", where=text, next=f"export {name}=...")
    user, at, rest = text.rpartition("@")
    url = _REFERENCE.sub(lambda m: quote(known[m[1]], safe=""), user) + at
    url += _REFERENCE.sub(lambda m: known[m[1]], rest)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError("the address of the online store can't be read", where=text, next=_NEXT) from None
    if parts.scheme not in _SCHEMES:
        raise UsageError("the address in the environment is of an unknown kind", where=text, next=_NEXT)
    return Address(parts.scheme, url, text)
