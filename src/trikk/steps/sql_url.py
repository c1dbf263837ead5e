"""Addresses of databases, in which secrets stand by reference: `postgresql://reader:${PASSWORD}@host/db`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from trikk.core.errors import UsageError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_OPTIONS = {"password", "passfile", "sslpassword"}
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
        secrets: every text that came from the environment, and the password: to be hidden in error texts.
        template: the address as it was written, to be shown in its place.
    """

    scheme: str
    url: str
    secrets: tuple[str, ...]
    template: str

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
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def check_url(url: str) -> None:
    """Check that an address is one that `read_sql` takes and that it holds no secret.

    Raises:
        UsageError: if the scheme is unknown or a password stands in it; the password is not repeated.
    """
    if _REFERENCE.fullmatch(url):
        return
    scheme, _, rest = url.partition("://")
    if not rest and scheme == url:
        raise UsageError("the address of a database has no scheme", next=_hint())
    if scheme not in SCHEMES:
        raise UsageError(f"databases of kind {_short(scheme)!r} can't be read", next=_hint())
    options = parse_qsl(url.partition("?")[2])
    given = [_password(url), *(value for name, value in options if name.lower() in _SECRET_OPTIONS)]
    if any(value and not _REFERENCE.fullmatch(value) for value in given):
        raise UsageError(
            f"the address of the {scheme} database holds a password",
            next="put the password into the environment and write ${NAME} in its place",
        )


def resolve(url: str, environment: Mapping[str, str] | None = None) -> Resolved:
    """Put the environment's values in the place of `${NAME}`.

    In the user and password part they are percent-encoded, so that a password may hold any character.

    Raises:
        UsageError: as `check_url`, and if a variable is not set.
    """
    check_url(url)
    known = os.environ if environment is None else environment
    secrets: list[str] = []

    def value(name: str) -> str:
        if name not in known or not known[name]:
            raise UsageError(f"the environment variable {name} is not set", where=url, next=f"export {name}=...")
        secrets.append(known[name])
        return known[name]

    user, at, rest = url.rpartition("@")
    user = _REFERENCE.sub(lambda m: quote(value(m[1]), safe=""), user)
    full = user + at + _REFERENCE.sub(lambda m: value(m[1]), rest)
    scheme = full.partition("://")[0]
    if scheme not in SCHEMES:
        raise UsageError("the address in the environment is not one of a database", where=url, next=_hint())
    password = _password(full)
    if password:
        secrets += [password, unquote(password)]
    secrets += [quote(secret, safe="") for secret in secrets]
    return Resolved(scheme, full, tuple(sorted({s for s in secrets if s})), url)


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
