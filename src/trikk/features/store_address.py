"""Addresses of online stores, in which secrets stand by reference: `redis://user:${PASSWORD}@host:6379/0`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trikk.core.errors import UsageError
from trikk.core.network.addresses import REFERENCE, Filled, fill, refuse_secrets

_SCHEMES = ("redis", "rediss", "sqlite")
_NEXT = "use redis://host:6379/0, rediss://... or sqlite:///file"


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its secrets in place: never to be shown, logged or stored.

    Attributes:
        scheme: redis, rediss or sqlite.
        url: the whole address.
        template: the address as it was written, to be shown in its place.
        filled: the same with the values that stand in it.
    """

    scheme: str
    url: str
    template: str
    filled: Filled

    @property
    def path(self) -> Path:
        """The file of an SQLite address."""
        return Path(unquote(self.url.removeprefix("sqlite:///"))).absolute()

    def hide(self, text: str) -> str:
        """`text` with what is secret in the address replaced by ***."""
        password = urlsplit(self.url).password
        text = self.filled.hide(text)
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
    if REFERENCE.fullmatch(text):
        return
    scheme = text.partition("://")[0]
    if scheme not in _SCHEMES or "://" not in text:
        raise UsageError("the address of an online store is of an unknown kind", next=_NEXT)
    if scheme == "sqlite" and not text.startswith("sqlite:///"):
        raise UsageError("an SQLite address has three slashes", next=_NEXT)
    refuse_secrets(text, "the address of the online store")


def resolve(text: str, environment: Mapping[str, str] | None = None) -> Address:
    """Put the environment's values in the place of `${NAME}`, as `fill` does.

    Raises:
        UsageError: as `check_address`, if a variable is not set, or if the whole is no address.
    """
    check_address(text)
    filled = fill(text, environment)
    url = filled.text
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError("the address of the online store can't be read", where=text, next=_NEXT) from None
    if parts.scheme not in _SCHEMES:
        raise UsageError("the address in the environment is of an unknown kind", where=text, next=_NEXT)
    return Address(parts.scheme, url, text, filled)
