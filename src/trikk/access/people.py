"""Who has signed in, and which groups have which role."""

from __future__ import annotations

from collections.abc import Iterable

from trikk.access.identity import IdentityKind, Role
from trikk.access.sign_in_settings import SignInSettings
from trikk.access.tokens import Token, TokenState
from trikk.core.clock import iso
from trikk.core.record import Record


class Person(Record, frozen=True):
    """Somebody who has signed in.

    Attributes:
        name: as what they do is written down.
        role: what they may, by their last session.
        environment: where.
        signed_in: when they did so last, ISO 8601, as is `until`.
        until: when the last of their sessions ends that count now; None if none does.
        sessions: how many count now.
        known_as: how their provider of identities knows them.
    """

    name: str
    role: Role
    environment: str
    signed_in: str
    until: str | None
    sessions: int
    known_as: str


class People(Record, frozen=True):
    """Who has signed in, and what the settings say of roles.

    Attributes:
        people: those who have, by name.
        issuer: the provider of identities; "" if nobody signs in.
        roles: what a group may.
        default: the role of who is in none of these; None for none.
    """

    people: list[Person]
    issuer: str
    roles: dict[str, Role]
    default: Role | None


def people_of(tokens: Iterable[Token], settings: SignInSettings | None, now: float) -> People:
    """Everybody who has a session among these tokens, or had one."""
    sessions: dict[tuple[str, str], list[Token]] = {}
    for token in tokens:
        if token.kind is IdentityKind.PERSON:
            sessions.setdefault((token.name, token.environment), []).append(token)
    people = [_person(sessions[who], now) for who in sorted(sessions)]
    if settings is None:
        return People(people, "", {}, None)
    return People(people, settings.issuer, dict(settings.roles), settings.default)


def _person(sessions: list[Token], now: float) -> Person:
    """The person that sessions are of."""
    last = max(sessions, key=lambda session: session.created)
    ends = [s.expires for s in sessions if s.state_at(now) is TokenState.VALID and s.expires is not None]
    until = iso(max(ends)) if ends else None
    return Person(last.name, last.role, last.environment, iso(last.created), until, len(ends), last.by)
