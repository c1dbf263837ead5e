"""The guard of an HTTP server, `trikk serve` or an endpoint: who asks, whether they may, and how often.

What a request shows is checked against memory. One look at the journal each second keeps that true, however many
ask, so that a token ends everywhere within two seconds of its revocation, and an event stream with it. If the
journal can't be read, what was known last counts for `_KNOWN_FOR`: nobody can revoke anything meanwhile either,
unless this server alone can't reach it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor

from trikk.access.audit import Refusals
from trikk.access.doorkeeping import Doorkeeping
from trikk.access.identity import LOCAL, Identity, IdentityKind, Role
from trikk.access.session_cookie import check_origin, session_in
from trikk.access.tokens import Tokens, TokenState, shown_id
from trikk.core.clock import Clock
from trikk.core.errors import TrikkError, UsageError
from trikk.core.network.tls import is_here
from trikk.runs.journals.ledger import Ledger
from trikk.web.callers import Headers
from trikk.web.rate_limits import RateLimit, network_of, too_often
from trikk.web.refused import Refused
from trikk.web.server_certificate import ServerCertificate

_LOOK, _LOOK_SOON = 1.0, 0.05  # seconds between looks; for a token that nobody knows yet
_KNOWN_FOR, _SAY_AGAIN = 300.0, 60.0  # seconds
_TYPED = 20.0  # seconds that a thread waits for the loop at most
_WRONG_RATE, _WRONG_AT_ONCE = 1 / 6, 10  # wrong tokens of one address: a second, and at once
_REALM = 'Bearer realm="trikk"'
_log = logging.getLogger("trikk.access")


class Guard:
    """Tells who asks. Its methods belong to one event loop, but for `check_typed`.

    Args:
        ledger: the project's.
        environment: that the server works in.
        doorkeeping: how it lets people in.
        clock: time.
        sign_in: whether people sign in, and their browsers show a session.

    Attributes:
        refusals: where what it refuses is written down.
    """

    def __init__(
        self, ledger: Ledger, environment: str, doorkeeping: Doorkeeping, clock: Clock, *, sign_in: bool = False
    ) -> None:
        self._tokens = Tokens(ledger)
        self._environment = environment
        self._needs_token = doorkeeping.needs_token
        self._sign_in = sign_in
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "tokens")
        self._looked = self._said = -math.inf
        self._looking: asyncio.Future[None] | None = None
        self._wrong = RateLimit(_WRONG_RATE, _WRONG_AT_ONCE)
        self._often = RateLimit(doorkeeping.rate, 2 * doorkeeping.rate) if doorkeeping.rate else None
        self._open: dict[str, set[asyncio.Task[None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.refusals = Refusals(ledger, clock)

    def begin(self) -> None:
        """Look for the first time, before anything listens.

        Raises:
            UsageError: if a token is needed and there is none, and nobody signs in: nobody could ask anything.
            JournalError: if the journal can't be read.
        """
        # In the thread that looks from then on: it has its connection before there may be no descriptors left.
        self._thread.submit(self._look).result()
        asked = self._needs_token and not self._sign_in
        if asked and not self._tokens.valid(self._environment, self._clock.now()):
            raise UsageError(
                f"whoever asks this server needs a token, and there is none for environment {self._environment}",
                next="make one: trikk token create NAME --role operator; where everybody who reaches it may do "
                "everything: --open-to-all",
            )

    async def keep_looking(self, certificate: ServerCertificate | None = None) -> None:
        """Keep up with the ledger and the certificate's files, and end what goes on for ended tokens; for ever."""
        self._loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK)
            await self._look_once()
            self._end_streams()
            if certificate is not None:
                certificate.look()

    async def identify(self, headers: Headers, address: str, *, changes: bool = False) -> Identity | None:
        """Who asks; None for somebody who does not say, where that has to be said.

        Args:
            headers: of the request.
            address: from where it comes.
            changes: whether it is to change something.

        Raises:
            Refused: 401 if what is shown does not count, 403 if it is for elsewhere, or a browser does not say
                from which page it wants to change something, 429 after too many of these,
                503 if it can't be told.
        """
        shown = _bearer(headers)
        if shown is None:
            person = await self._person(headers, changes=changes)
            return person or (None if self._needs_token else LOCAL)
        return await self._checked(shown, address)

    def check_typed(self, shown: str, address: str) -> None:
        """Check a token that somebody has typed in, as one that a request shows; called by other threads.

        Raises:
            Refused: as of `identify`.
        """
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._checked(shown, address), self._loop).result(_TYPED)

    async def _checked(self, shown: str, address: str) -> Identity:
        """Who shows a token."""
        await self._look_for(shown)
        try:
            return self._tokens.check(shown, self._environment, self._clock.now()).identity
        except Refused as error:
            if error.status == 401:
                if wait := self._wrong.wait(network_of(address), self._clock.monotonic()):
                    raise too_often("too many wrong tokens came from this address", wait) from None
                error.headers["www-authenticate"] = f'{_REALM}, error="invalid_token"'
            raise

    async def _person(self, headers: Headers, *, changes: bool) -> Identity | None:
        """Who is signed in; None for nobody, also if their session has ended: no page can take its cookie away.

        Who has typed a token into the page to sign in on has that in the cookie, and counts as it does.
        """
        shown = session_in(headers)
        if not shown_id(shown):
            return None
        await self._look_for(shown)
        known = self._tokens.get(shown_id(shown))
        kind = (
            IdentityKind.TOKEN if known is not None and known.kind is IdentityKind.TOKEN else IdentityKind.PERSON
        )
        try:
            session = self._tokens.check(shown, self._environment, self._clock.now(), kind)
        except Refused:
            return None
        if changes:
            check_origin(headers)
        return session.identity

    async def _look_for(self, shown: str) -> None:
        if self._tokens.get(shown_id(shown)) is None and shown_id(shown):
            await self._look_once(_LOOK_SOON)  # it may have been made a moment ago
        if self._clock.monotonic() > self._looked + _KNOWN_FOR:
            raise Refused(503, "the journal can't be read, so nobody can be known", next="try again in a minute")

    def admit(self, identity: Identity | None, needed: Role, address: str) -> Identity:
        """Let somebody do what takes a role.

        Raises:
            Refused: 401 if they do not say who they are, 403 if their role is not enough, 429 if they ask too
                often.
        """
        if identity is None:
            mend = "send a token: Authorization: Bearer TOKEN; trikk token create makes one"
            people = "; people sign in: /api/v1/sign-in" if self._sign_in else ""
            raise Refused(401, "it takes a token", next=mend + people, headers={"www-authenticate": _REALM})
        if not identity.role.may(needed):
            raise Refused(
                403,
                f"it takes the role {needed}, and {identity.name} has {identity.role}",
                next="ask for a token of that role",
                headers={"www-authenticate": f'{_REALM}, error="insufficient_scope", scope="{needed}"'},
            )
        is_neighbour = identity == LOCAL and is_here(address)
        if self._often is not None and not is_neighbour:
            caller = f"{identity.kind} {identity.name}" if identity != LOCAL else network_of(address)
            if wait := self._often.wait(caller, self._clock.monotonic()):
                raise too_often(f"{identity.name} asks too often", wait)
        return identity

    async def while_valid(self, identity: Identity | None, answering: asyncio.Task[None]) -> bool:
        """Wait for an answer that takes its time, and end it when the token ends that it is given for.

        Returns:
            Whether it came to its own end.
        """
        token = identity.id if identity is not None else ""
        if not token:
            await answering
            return True
        tasks = self._open.setdefault(token, set())
        tasks.add(answering)
        try:
            await asyncio.wait([answering])
        finally:
            answering.cancel()  # else it goes on when whoever waits here is told to stop
            tasks.discard(answering)
            if not tasks:
                self._open.pop(token, None)
        if answering.cancelled():
            return False
        answering.result()
        return True

    def close(self) -> None:
        """Look no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.refusals.close()

    def _end_streams(self) -> None:
        now = self._clock.now()
        for token_id, tasks in list(self._open.items()):
            token = self._tokens.get(token_id)
            if token is None or token.state_at(now) is not TokenState.VALID:
                for task in tasks:
                    task.cancel()

    async def _look_once(self, least: float = 0.0) -> None:
        """Look, together with whoever wants the same meanwhile; not if the last look is younger than that."""
        if self._looking is None:
            if self._clock.monotonic() < self._looked + least:
                return
            self._looking = asyncio.ensure_future(self._look_in_thread())
        await asyncio.shield(self._looking)

    async def _look_in_thread(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        except TrikkError as error:
            if self._clock.monotonic() > self._said + _SAY_AGAIN:
                self._said = self._clock.monotonic()
                _log.warning("tokens can't be looked at: %s", error.what)
        except Exception as error:  # noqa: BLE001 - whatever it is: with no looks, revoked tokens would count on
            _log.error("tokens can't be looked at", exc_info=error)
        finally:
            self._looking = None

    def _look(self) -> None:
        began, known = self._clock.monotonic(), self._tokens.seq
        self._tokens.look()
        if self._tokens.seq != known:  # nothing else makes more of them
            self._tokens.forget_sessions(self._clock.now())
        self._looked = began


def _bearer(headers: Headers) -> str | None:
    """The token that a request shows; None if it shows none.

    Another scheme is none: a proxy that asks people itself may pass on what they told it.

    Raises:
        Refused: 400 if it shows several.
    """
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) > 1:
        raise Refused(400, "the request has several Authorization headers", next="send one")
    scheme, _, shown = given[0].decode("latin-1").partition(" ") if given else ("", "", "")
    return shown.strip() if scheme.lower() == "bearer" else None
