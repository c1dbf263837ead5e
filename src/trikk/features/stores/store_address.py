"""Addresses of online stores, in which secrets stand by reference: `redis://user:${PASSWORD}@host:6379/0`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trikk.core.errors import UsageError
from trikk.core.network.addresses import REFERENCE, Filled, fill, refuse_secrets

_SCHEMES = ("redis", "rediss", "sqlite")
_NEXT = "use redis://host:6379/0, rediss://... or sqlite:///file"


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


def resolve(text: str, environment: Mapping[str, str] | None = None) -> Filled:
    """Put the environment's values in the place of `${NAME}`, as `fill` does.

    Raises:
        UsageError: as `check_address`, if a variable is not set, or if the whole is not an address.
    """
    check_address(text)
    filled = fill(text, environment)
    try:
        _ = urlsplit(filled.text).port
    except ValueError:
        raise UsageError("the address of the online store can't be read", where=text, next=_NEXT) from None
    if filled.scheme not in _SCHEMES:
        raise UsageError("the address in the environment is of an unknown kind", where=text, next=_NEXT)
    return filled


def sqlite_path(address: Filled) -> Path:
    """The file of an SQLite address."""
    return Path(unquote(address.text.removeprefix("sqlite:///"))).absolute()
