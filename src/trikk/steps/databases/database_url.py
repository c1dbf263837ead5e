"""Addresses of databases, in which secrets stand by reference: `postgresql://reader:${PASSWORD}@host/db`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trikk.core.errors import UsageError
from trikk.core.network.addresses import REFERENCE, Filled, fill, refuse_secrets

SCHEMES = {
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "redshift": "postgresql",
}


def check_url(url: str) -> None:
    """Check that an address is one that `read_sql` takes and that it holds no secret.

    Raises:
        UsageError: if the scheme is unknown or a password stands in it; the password is not repeated.
    """
    # The whole address may come from the environment: then only the step can check it.
    if REFERENCE.fullmatch(url):
        return
    scheme, _, rest = url.partition("://")
    if not rest and scheme == url:
        raise UsageError("the address of a database has no scheme", next=_hint())
    if scheme not in SCHEMES:
        raise UsageError(f"databases of kind {_short(scheme)!r} can't be read", next=_hint())
    refuse_secrets(url, f"the address of the {scheme} database")


def resolve(url: str, environment: Mapping[str, str] | None = None) -> Filled:
    """Put the environment's values in the place of `${NAME}`, as `fill` does.

    Raises:
        UsageError: as `check_url`, and if a variable is not set.
    """
    check_url(url)
    filled = fill(url, environment)
    if filled.scheme not in SCHEMES:
        raise UsageError("the address in the environment is not one of a database", where=url, next=_hint())
    return filled


def _short(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9+.-]{1,20}", text) else "?"


def _hint() -> str:
    return "use sqlite:///file, duckdb:///file, postgresql://user:${PASSWORD}@host/db or redshift://..."
