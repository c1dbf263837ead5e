"""Addresses of databases, in which secrets stand by reference: `postgresql://reader:${PASSWORD}@host/db`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from trikk.core.errors import UsageError
from trikk.core.network.addresses import REFERENCE, Filled, fill, refuse_secrets

SCHEMES = {
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "redshift": "postgresql",
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """An address with its secrets in place: never to be shown, logged or stored.

    Attributes:
        scheme: the scheme as it was written.
        url: the whole address.
        template: the address as it was written, to be shown in its place.
        filled: the same with the values that stand in it.
    """

    scheme: str
    url: str
    template: str
    filled: Filled

    @property
    def port(self) -> int | None:
        """The port in the address, None if it names none; raises UsageError if it is no number."""
        try:
            return urlsplit(self.url).port
        except ValueError:
            raise UsageError("the port in the address is not a number", where=self.template) from None

    def __repr__(self) -> str:
        return f"Resolved({self.template!r})"

    def hide(self, text: str) -> str:
        """Return `text` with every secret in it replaced by ***."""
        text, password = self.filled.hide(text), _password(self.url)
        for secret in sorted(filter(None, {password, unquote(password)}), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def check_url(url: str) -> None:
    """Check that an address is one that `read_sql` takes and that it holds no secret.

    Raises:
        UsageError: if the scheme is unknown or a password stands in it; the password is not repeated.
    """
    if REFERENCE.fullmatch(url):
        return
    scheme, _, rest = url.partition("://")
    if not rest and scheme == url:
        raise UsageError("the address of a database has no scheme", next=_hint())
    if scheme not in SCHEMES:
        raise UsageError(f"databases of kind {_short(scheme)!r} can't be read", next=_hint())
    refuse_secrets(url, f"the address of the {scheme} database")


def resolve(url: str, environment: Mapping[str, str] | None = None) -> Resolved:
    """Put the environment's values in the place of `${NAME}`, as `fill` does.

    Raises:
        UsageError: as `check_url`, and if a variable is not set.
    """
    check_url(url)
    filled = fill(url, environment)
    scheme = filled.text.partition("://")[0]
    if scheme not in SCHEMES:
        raise UsageError("the address in the environment is not one of a database", where=url, next=_hint())
    return Resolved(scheme, filled.text, url, filled)


def _password(url: str) -> str:
    """What stands between the first colon and the last @ of the authority."""
    scheme, _, authority = url.partition("://")
    if SCHEMES.get(scheme) != "postgresql":
        return ""
    user, at, _ = re.split(r"[/?#]", authority, maxsplit=1)[0].rpartition("@")
    if not at:
        user, at, _ = authority.rpartition("@")
    return user.partition(":")[2] if at else ""


def _short(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9+.-]{1,20}", text) else "?"


def _hint() -> str:
    return "use sqlite:///file, duckdb:///file, postgresql://user:${PASSWORD}@host/db or redshift://..."
