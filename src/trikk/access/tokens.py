"""Tokens: what programs and people's browsers show to be known by. The ledger has digests, never what is shown.

A person's session is a token, so that it ends as one does, with its streams, on all servers.

A token is `trikk_ID_SECRET`. The secret is 256 random bits, so that a plain digest of it is as good as a slow one:
there is nothing to guess. All tokens are entries of one subject: who keeps up with them (`Tokens.look`) reads only
what was added since, and one indexed look tells that nothing was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from typing import Any

import msgspec

from trikk.access.identity import EVERYWHERE, LOCAL, Identity, IdentityKind, Role
from trikk.core.clock import iso
from trikk.core.errors import Conflict, RecordError, UnknownName, UsageError
from trikk.core.names import check_name, new_run_id
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.web.refused import Refused

SUBJECT = "tokens"
_SHOWN = re.compile(r"trikk_([0-9a-z]{12})_([0-9a-f]{64})")
_LONGEST_LIFE = 10 * 365 * 86_400.0  # seconds


class TokenEntry(StrEnum):
    """What happens to a token."""

    CREATED = "token.created"
    REVOKED = "token.revoked"


class TokenState(StrEnum):
    """Whether a token counts."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Token(Record, frozen=True):
    """A token, as it may be shown.

    Attributes:
        id: names it in the journal and in front of its secret; no secret itself.
        name: of whoever has it; one valid token has it at a time.
        role: what it is good for.
        environment: where; `EVERYWHERE` for all.
        created: wall time in seconds since 1970, as are `expires` (None for never) and `revoked` (None if not).
        by: who made it; of a session, the person as their provider of identities knows them.
        kind: a program's, or a person's session.
    """

    id: str
    name: str
    role: Role
    environment: str
    created: float
    by: str
    expires: float | None = None
    revoked: float | None = None
    kind: IdentityKind = IdentityKind.TOKEN

    def state_at(self, now: float) -> TokenState:
        """Whether it counts at that moment."""
        if self.revoked is not None:
            return TokenState.REVOKED
        return TokenState.EXPIRED if self.expires is not None and now >= self.expires else TokenState.VALID

    def document(self, now: float) -> TokenDocument:
        """It and its state, as commands and the API show it."""
        return TokenDocument(**self._described(), state=self.state_at(now))

    def shown_once(self, shown: str) -> ShownToken:
        """It, and what its owner has to show."""
        return ShownToken(**self._described(), state=TokenState.VALID, shown=shown)

    def _described(self) -> dict[str, Any]:
        times = {
            name: None if (moment := getattr(self, name)) is None else iso(moment)
            for name in ("created", "expires", "revoked")
        }
        return {**msgspec.structs.asdict(self), **times}

    @property
    def identity(self) -> Identity:
        """Who shows it."""
        return Identity(self.name, self.kind, self.role, self.environment, self.id)


class TokenDocument(Record, frozen=True):
    """A token as documents have it: times are ISO 8601 in UTC."""

    id: str
    name: str
    role: Role
    environment: str
    created: str
    by: str
    expires: str | None
    revoked: str | None
    state: TokenState
    kind: IdentityKind


class ShownToken(TokenDocument, frozen=True):
    """A token that was made just now, with what its owner has to show."""

    shown: str


class TokenList(Record, frozen=True):
    """Tokens, as they are listed."""

    tokens: list[TokenDocument]


class Tokens:
    """The tokens of one project, as far as was looked.

    One thread may `look` while others ask: each entry is taken in by one assignment.

    Args:
        ledger: the project's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._by_id: dict[str, Token] = {}
        self._digests: dict[str, str] = {}
        self.seq = 0  # of the last entry that was read

    def look(self) -> Tokens:
        """Read what was added since the last look; raises JournalError if it can't be read."""
        for entry in self._ledger.entries(SUBJECT, after=self.seq):
            self._take_in(entry)
            self.seq = entry.seq
        return self

    def _take_in(self, entry: Entry) -> None:
        body = dict(entry.body)
        if entry.kind == TokenEntry.CREATED:
            digest = str(body.pop("digest", ""))
            try:
                token = Token.read(body)
            except RecordError:
                return  # a role that only a newer trikk knows: it is no token here, and keeps nobody else out
            self._digests[token.id] = digest
            self._by_id[token.id] = token
        elif entry.kind == TokenEntry.REVOKED and (known := self._by_id.get(str(body["id"]))) is not None:
            self._by_id[known.id] = msgspec.structs.replace(known, revoked=entry.at)

    def forget_sessions(self, now: float) -> None:
        """Forget people's sessions that count no longer, as each sign-in adds one; for the thread that looks."""
        for token in self.listed():
            if token.kind is IdentityKind.PERSON and token.state_at(now) is not TokenState.VALID:
                del self._by_id[token.id]
                del self._digests[token.id]

    def listed(self) -> list[Token]:
        """All of them, the newest last."""
        return list(self._by_id.values())

    def get(self, token_id: str) -> Token | None:
        """A token by its id."""
        return self._by_id.get(token_id)

    def valid(self, environment: str, now: float) -> list[Token]:
        """Those of programs that count in an environment at that moment."""
        wheres = (environment, EVERYWHERE)
        known = (t for t in self.listed() if t.kind is IdentityKind.TOKEN and t.environment in wheres)
        return [t for t in known if t.state_at(now) is TokenState.VALID]

    def named(self, name: str, now: float, environment: str = EVERYWHERE) -> Token:
        """The token that a name or an id means: of several of that name the valid one, else the newest.

        Whoever shows the whole token means that one, too: it may be all that they have of one that has leaked.

        Raises:
            UnknownName: if there is none, of that environment.
        """
        name = shown_id(name) or name
        listed = [t for t in self.listed() if environment in (EVERYWHERE, t.environment)]
        known = [t for t in listed if name in (t.id, t.name)]
        if not known:
            mend = None if environment == EVERYWHERE else f"this asks for tokens of environment {environment} only"
            raise UnknownName("token", name[:100], {t.name for t in listed}, next=mend)
        return next((t for t in known if t.state_at(now) is TokenState.VALID), known[-1])

    def check(self, shown: str, environment: str, now: float, kind: IdentityKind = IdentityKind.TOKEN) -> Token:
        """The token that somebody shows.

        Raises:
            Refused: 401 if it is not one, or counts no longer; 403 if it is of another environment.
        """
        parts = _SHOWN.fullmatch(shown)
        token_id, secret = parts.groups() if parts else ("", "")
        token = self._by_id.get(token_id)
        # Compared though there is no such token, so that answers to both take as long.
        same = hmac.compare_digest(self._digests.get(token_id, ""), _digest(secret))
        if token is None or not same or token.kind is not kind:
            raise _refused("this token is not known here", "ask who runs the server for one: trikk token create")
        if (state := token.state_at(now)) is not TokenState.VALID:
            problem = "was revoked" if state is TokenState.REVOKED else "has expired"
            raise _refused(f"the token {token.name} {problem}", f"make a new one: trikk token create {token.name}")
        if token.environment not in (environment, EVERYWHERE):
            problem = f"the token {token.name} is for environment {token.environment}, and this is {environment}"
            raise Refused(403, problem, next="use a token of this environment, or call a server of that one")
        return token


def shown_id(shown: str) -> str:
    """The id in what somebody shows, which is no secret; "" if it is no token at all."""
    parts = _SHOWN.fullmatch(shown)
    return parts[1] if parts else ""


def without_secrets(text: str) -> str:
    """A text in which somebody may have written a token, such as to revoke it, with its id alone."""
    return _SHOWN.sub(r"trikk_\1_***", text)


def create(
    ledger: Ledger,
    name: str,
    role: Role,
    *,
    environment: str,
    by: str,
    now: float,
    lasts: float | None,
) -> tuple[Token, str]:
    """Make a token.

    Args:
        ledger: the project's.
        name: whose it is, such as "ci".
        role: what it is good for.
        environment: where; `EVERYWHERE` for all environments.
        by: who makes it.
        now: wall time in seconds since 1970.
        lasts: seconds until it expires; None for never.

    Returns:
        The token, and what its owner has to show: it is kept nowhere, and can't be had again.

    Raises:
        UsageError: if the name, the environment or the time can't be.
        Conflict: if a valid token has the name.
    """
    check_name("token", name)
    if name == LOCAL.name:
        raise UsageError(f"{name!r} is whoever needs no token", next="choose another name")
    if environment != EVERYWHERE:
        check_name("environment", environment)
    if lasts is not None and not 0 < lasts <= _LONGEST_LIFE:
        raise UsageError("a token lasts more than no time and at most ten years", next="--expires 90d, or never")
    while True:
        known = Tokens(ledger).look()
        if any(t.name == name and t.state_at(now) is TokenState.VALID for t in known.listed()):
            raise Conflict(f"there is a valid token {name}", next=f"revoke it first: trikk token revoke {name}")
        expires = None if lasts is None else now + lasts
        token = Token(new_run_id(), name, role, environment, now, by, expires)
        try:
            return token, _add(ledger, token, after=known.seq)
        except Conflict:
            continue  # somebody else has made or revoked one meanwhile


def begin_session(ledger: Ledger, identity: Identity, *, by: str, now: float, lasts: float) -> tuple[Token, str]:
    """Begin a person's session; they may have several, one in each browser.

    Args:
        ledger: the project's.
        identity: the person.
        by: how their provider of identities knows them.
        now: wall time in seconds since 1970.
        lasts: seconds.

    Returns:
        The session, and what their browser shows from now on.
    """
    name, role, where = identity.name, identity.role, identity.environment
    session = Token(new_run_id(), name, role, where, now, by, now + lasts, kind=IdentityKind.PERSON)
    return session, _add(ledger, session)


def _add(ledger: Ledger, token: Token, after: int | None = None) -> str:
    """Write a token down; what its owner has to show."""
    secret = secrets.token_hex(32)
    body = {**token.to_json(), "digest": _digest(secret)}
    ledger.add(SUBJECT, TokenEntry.CREATED, body, at=token.created, identity=token.id, after=after)
    return f"trikk_{token.id}_{secret}"


def revoke(ledger: Ledger, name: str, *, by: str, now: float, environment: str = EVERYWHERE) -> Token:
    """Let a token count no longer; nothing happens if it was revoked before.

    Args:
        ledger: the project's.
        name: its name or id; a person's name means all their sessions.
        by: who does it.
        now: wall time in seconds since 1970.
        environment: of which tokens; `EVERYWHERE` for all.

    Raises:
        UnknownName: if there is none.
    """
    known = Tokens(ledger).look()
    token = known.named(name, now, environment)
    own = (t for t in known.listed() if t.kind is IdentityKind.PERSON and t.name == name)
    sessions = [t.id for t in own if environment in (EVERYWHERE, t.environment)]
    for token_id in dict.fromkeys([token.id, *sessions]):
        said: dict[str, JSON] = {"id": token_id, "by": by}
        ledger.add(SUBJECT, TokenEntry.REVOKED, said, at=now, identity=f"revoked {token_id}")
    return Tokens(ledger).look().named(token.id, now)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _refused(what: str, mend: str) -> Refused:
    return Refused(401, what, next=mend)
