"""How people sign in: a section of trikk.toml.

People are known by what a provider says of them, and may what their groups may.

    [access.oidc]
    issuer = "https://login.example.com/realms/plant"
    client_id = "trikk"
    client_secret = "${OIDC_SECRET}"                     # not for a public client
    groups = "groups"                                    # the claim with a person's groups
    roles = {"ml" = "developer", "shift" = "operator"}   # what a group may; the highest counts
    default = "viewer"                                   # what others may; nothing if not given
    scopes = ["profile", "email"]                        # beside "openid"
    lasts = "12h"                                        # until they sign in again
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from trikk.access.identity import Role
from trikk.core.durations import seconds
from trikk.core.errors import ProjectError, UsageError
from trikk.core.network.addresses import REFERENCE
from trikk.core.network.tls import is_here
from trikk.core.settings import FILE, Settings

_KEYS = {"issuer", "client_id", "client_secret", "groups", "roles", "default", "scopes", "lasts"}
_LONGEST = 30 * 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """What `[access.oidc]` says, checked.

    Attributes:
        issuer: the provider's address, as it names itself.
        client_id: what the provider calls this project.
        client_secret: `${NAME}`, or "" for a public client.
        groups: the claim with a person's groups.
        roles: by group.
        default: the role of who is in none of these; None for none.
        scopes: that are asked for, "openid" among them.
        lasts: seconds that a session lasts.
    """

    issuer: str
    client_id: str
    client_secret: str
    groups: str
    roles: Mapping[str, Role]
    default: Role | None
    scopes: tuple[str, ...]
    lasts: float

    def role_of(self, groups: object) -> Role | None:
        """The highest role of a person's groups, as the claim has them; None if they may nothing."""
        listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        roles = [self.roles[group] for group in listed if isinstance(group, str) and group in self.roles]
        ordered = sorted([*roles, *filter(None, [self.default])], key=list(Role).index)
        return ordered[-1] if ordered else None


def sign_in_settings(settings: Settings) -> SignInSettings | None:
    """How people sign in to this project; None if they don't.

    Raises:
        ProjectError: if the section can't be used.
    """
    try:
        return _read(settings.access)
    except UsageError as error:
        raise ProjectError(error.what, where=str(settings.root / FILE), next=error.next) from None


def _read(access: Mapping[str, Any]) -> SignInSettings | None:
    if unknown := sorted(set(access) - {"oidc"}):
        raise UsageError(f"unknown setting 'access.{unknown[0]}'", next="there is: [access.oidc]")
    oidc = access.get("oidc")
    if oidc is None:
        return None
    if not isinstance(oidc, dict):
        raise UsageError("access.oidc must be a section", next="write [access.oidc], and its settings below it")
    if unknown := sorted(set(oidc) - _KEYS):
        known = ", ".join(sorted(_KEYS))
        raise UsageError(f"unknown setting 'access.oidc.{unknown[0]}'", next=f"there are: {known}")
    lasts = seconds(oidc.get("lasts", "12h"), what="access.oidc.lasts")
    if not 60 <= lasts <= _LONGEST:
        raise UsageError("access.oidc.lasts is no time for a session", next="write one of 1m to 30d")
    roles = oidc.get("roles", {})
    _check("roles", roles, lambda value: isinstance(value, dict), '{"ml" = "developer"}')
    secret = _text(oidc, "client_secret", "${OIDC_SECRET}", "")
    if secret and not REFERENCE.fullmatch(secret):
        raise UsageError("access.oidc.client_secret stands in plain", next='write "${OIDC_SECRET}"')
    scopes = oidc.get("scopes", ["profile", "email"])
    _check("scopes", scopes, _are_words, '["profile", "email"]')
    default = oidc.get("default")
    return SignInSettings(
        issuer=_issuer(_text(oidc, "issuer", "https://login.example.com")),
        client_id=_text(oidc, "client_id", "trikk"),
        client_secret=secret,
        groups=_text(oidc, "groups", "groups", "groups"),
        roles={group: _role(f"roles.{group}", role) for group, role in roles.items()},
        default=None if default is None else _role("default", default),
        scopes=tuple(dict.fromkeys(["openid", *scopes])),
        lasts=lasts,
    )


def _check(key: str, value: object, fits: Callable[[Any], bool], example: str) -> None:
    if not fits(value):
        raise UsageError(f"access.oidc.{key} is not as it must be", next=f"write {key} = {example}")


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word.isascii() and word for word in value)


def _text(oidc: Mapping[str, Any], key: str, example: str, default: str | None = None) -> str:
    value = oidc.get(key, default)
    _check(key, value, lambda text: isinstance(text, str) and text.isprintable(), f'"{example}"')
    if not value and default is None:
        raise UsageError(f"access.oidc.{key} is empty", next=f'write {key} = "{example}"')
    return str(value)


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_here(parts.hostname or ""))
    if not is_safe or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(
            "access.oidc.issuer is no address of a provider", next="write https://..., without a query"
        )
    return text


def _role(key: str, value: object) -> Role:
    try:
        return Role(str(value))
    except ValueError:
        problem = f"access.oidc.{key} is no role"
        raise UsageError(problem, next=f"use one of {', '.join(Role)}") from None
