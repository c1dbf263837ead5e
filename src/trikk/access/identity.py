"""Who asks, and what they may do: four roles, each of which may do what those before it may."""

from __future__ import annotations

from enum import StrEnum

from trikk.core.record import Record

EVERYWHERE = "*"
"""The environment of a token that counts in all of them."""


class Role(StrEnum):
    """What somebody may do; in this order, each includes the ones before it."""

    VIEWER = "viewer"  # looks at everything, and asks models
    OPERATOR = "operator"  # starts, stops and decides: runs, triggers, incidents, approvals
    DEVELOPER = "developer"  # changes what runs work with: models' aliases, tables
    ADMIN = "admin"  # tokens, the log of changes

    def may(self, needed: Role) -> bool:
        """Whether this role is enough where that one is needed."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class IdentityKind(StrEnum):
    """How it is known who asks."""

    LOCAL = "local"  # nobody has to say: somebody on this machine, or a server that is open to all
    TOKEN = "token"  # noqa: S105 - a kind, no secret
    PERSON = "person"  # signed in
    COMMAND = "command"  # the user of a machine, at a command
    WEBHOOK = "webhook"  # whoever has its secret
    LINK = "link"  # whoever has the mail with it


class Identity(Record, frozen=True):
    """Somebody who asks.

    Attributes:
        name: as it is written down, and by which they are told apart: a token's name, a person's.
        kind: how it is known.
        role: what they may do.
        environment: where they may; `EVERYWHERE` for all environments.
        id: of the token or session by which they are known; "" for none.
    """

    name: str
    kind: IdentityKind
    role: Role
    environment: str = EVERYWHERE
    id: str = ""


LOCAL = Identity("local", IdentityKind.LOCAL, Role.ADMIN)
"""Who asks where nobody has to say who they are."""
