"""People sign in: from what a provider of identities says of them to a session, which is a token in a cookie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from trikk.access.audit import recorded
from trikk.access.identity import Identity, IdentityKind
from trikk.access.identity_provider import IdentityProvider
from trikk.access.session_cookie import Attempt
from trikk.access.sign_in_settings import SignInSettings
from trikk.access.tokens import Token, begin_session
from trikk.core.clock import Clock
from trikk.core.text import printable, shorten
from trikk.runs.journals.ledger import Ledger
from trikk.web.rate_limits import RateLimit, network_of, too_often
from trikk.web.refused import Refused

_RATE, _AT_ONCE = 1 / 2, 30  # of one address: a second, and at once; an office may be behind one
_LONGEST = 100  # characters of a name


class SignIn:
    """How people sign in to one server. May be used by any thread.

    Args:
        settings: as trikk.toml has them.
        ledger: the project's.
        environment: that the server works in.
        clock: time.

    Raises:
        MissingExtra: if a package is missing.
    """

    def __init__(self, settings: SignInSettings, ledger: Ledger, environment: str, clock: Clock) -> None:
        self._settings = settings
        self._provider = IdentityProvider(settings, clock)
        self._ledger = ledger
        self._environment = environment
        self._clock = clock
        self._often = RateLimit(_RATE, _AT_ONCE)

    def begin(self, back_to: str, address: str) -> tuple[str, Attempt]:
        """Where a browser goes to sign in, and what it keeps meanwhile.

        Raises:
            Refused: 429 if that address asks too often, 503 if the provider is away.
        """
        self._count(address)
        attempt = Attempt.new()
        return self._provider.address(attempt, back_to), attempt

    def finish(self, code: str, attempt: Attempt, back_to: str, address: str) -> tuple[Token, str]:
        """Begin the session of who comes back with a code.

        Returns:
            The session, and what goes into the cookie.

        Raises:
            Refused: 401 if what the provider says does not count, 403 if they may do nothing here, 429 if that
                address asks too often, 503 if the provider is away.
            JournalError: if it can't be written down.
        """
        self._count(address)
        claims = self._provider.claims(code, attempt, back_to)
        name, role = self._name(claims), self._settings.role_of(claims.get(self._settings.groups))
        if role is None:
            mend = "ask who runs the server for a role: [access.oidc] roles"
            raise Refused(403, f"{name} is in no group that may do anything here", next=mend)
        identity = Identity(name, IdentityKind.PERSON, role, self._environment)
        with recorded(self._ledger, identity, address, "sign_in", {"role": role}, self._clock) as change:
            session, shown = begin_session(
                self._ledger,
                identity,
                by=f"{claims['sub']} at {self._settings.issuer}",
                now=self._clock.now(),
                lasts=self._settings.lasts,
            )
            change.made["session"] = session.id
        return session, shown

    def _count(self, address: str) -> None:
        if wait := self._often.wait(network_of(address), self._clock.monotonic()):
            raise too_often("this address signs in too often", wait)

    def _name(self, claims: Mapping[str, Any]) -> str:
        """As a person is written down: their mail address, unless it is said not to be theirs.

        It has an @, so that it is no token's name.
        """
        mail = claims.get("email")
        if isinstance(mail, str) and "@" in mail and claims.get("email_verified", True) is True:
            return shorten(printable(mail), _LONGEST)
        host = urlsplit(self._settings.issuer).hostname
        return f"{shorten(printable(claims['sub']), _LONGEST)}@{host}"
