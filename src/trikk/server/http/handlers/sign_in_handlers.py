"""Requests of people's browsers: signing in by OpenID Connect, and out; and who is asking."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, unquote

from msgspec import Meta

from trikk.access.identity import Identity, IdentityKind
from trikk.access.session_cookie import ATTEMPT, SESSION, Attempt, cookie_name
from trikk.access.tokens import revoke
from trikk.core.network.tls import is_here
from trikk.core.record import Record
from trikk.server.http.doors import Doors
from trikk.server.http.routes import API, Answer, Call, Given, who
from trikk.web.refused import Refused

if TYPE_CHECKING:
    from starlette.responses import Response

    from trikk.access.signing_in import SignIn

_ATTEMPT_LASTS = 600  # seconds
# No other site: a link there would lead from this server to wherever it says.
LocalPath = Annotated[str, Meta(pattern=r"^/([!-.0-[\]-~][!-[\]-~]*)?$", max_length=1000)]


class SignInQuery(Given, frozen=True):
    """Where to go afterwards, on this server."""

    return_to: LocalPath = f"{API}/me"


class SignedInQuery(Given, frozen=True, forbid_unknown_fields=False):
    """What the provider sends the browser back with; some add more."""

    code: str = ""
    state: str = ""
    error: str = ""


class SignedOut(Record, frozen=True):
    """Whose session has ended."""

    name: str


def show_caller(doors: Doors, call: Call) -> Answer[Identity]:  # noqa: ARG001
    """Show who is asking, and what they may."""
    return Answer(call.identity)


def sign_in(doors: Doors, call: Call) -> Response:
    """Send a browser to the provider of identities to sign in. Other programs use tokens."""
    from starlette.responses import RedirectResponse

    query: SignInQuery = call.query
    address, attempt = _sign_in(doors).begin(_back_to(call), call.address)
    response = RedirectResponse(address, 303, {"cache-control": "no-store"})
    kept = ".".join([attempt.state, attempt.nonce, attempt.verifier, quote(query.return_to, safe="")])
    _set_cookie(response, cookie_name(ATTEMPT, call.host), kept, _ATTEMPT_LASTS)
    return response


def end_sign_in(doors: Doors, call: Call) -> Response:
    """Begin the session of somebody whom the provider of identities sends back."""
    from starlette.responses import RedirectResponse

    query: SignedInQuery = call.query
    signing, parts = _sign_in(doors), call.cookie(ATTEMPT).split(".", 3)
    if len(parts) != 4 or not query.state or not hmac.compare_digest(parts[0].encode(), query.state.encode()):
        mend = f"begin again, in one browser and within {_ATTEMPT_LASTS // 60} minutes: {API}/sign-in"
        raise Refused(401, "this browser has not begun to sign in, or something else since", next=mend)
    if not query.code:
        raise Refused(401, "the provider of identities has not let them in", next=f"begin again: {API}/sign-in")
    session, shown = signing.finish(query.code, Attempt(*parts[:3]), _back_to(call), call.address)
    response = RedirectResponse(unquote(parts[3]), 303, {"cache-control": "no-store"})
    lasts = 0 if session.expires is None else int(session.expires - session.created)
    _set_cookie(response, cookie_name(SESSION, call.host), shown, lasts)
    _set_cookie(response, cookie_name(ATTEMPT, call.host), "", 0)
    return response


def sign_out(doors: Doors, call: Call) -> Answer[SignedOut]:
    """End the session of who is asking, on all servers."""
    identity = call.identity
    if identity is None or identity.kind is not IdentityKind.PERSON:
        raise Refused(409, "nobody is signed in who could sign out", next="a token ends by: trikk token revoke")
    site = doors.site
    revoke(site.project.journal, identity.id, by=who(call), now=site.clock.now())
    gone = f"{cookie_name(SESSION, call.host)}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=lax"
    return Answer(SignedOut(identity.name), headers={"set-cookie": gone})


def _sign_in(doors: Doors) -> SignIn:
    if doors.sign_in is None:
        raise Refused(
            404, "nobody signs in here", next="[access.oidc] in trikk.toml says how; programs have tokens"
        )
    return doors.sign_in


def _back_to(call: Call) -> str:
    """Where the provider sends browsers back to: this server, as the browser calls it."""
    host = call.host
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if call.scheme != "https" and not is_here(name.strip("[]")):
        raise Refused(400, "signing in takes TLS", next="--tls-cert and --tls-key, or a proxy: --trust-proxy")
    return f"{call.scheme}://{host}{API}/signed-in"


def _set_cookie(response: Response, name: str, value: str, lasts: int) -> None:
    response.set_cookie(name, value, max_age=lasts, secure=True, httponly=True, samesite="lax")
