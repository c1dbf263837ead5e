"""The page on which people sign in: at the provider of identities, or with a token that they were given.

A token that is typed in becomes the session's cookie, which no script can read. It is checked anew with every
request, as it is in a header, and ends when the token ends.
"""

from __future__ import annotations

from functools import wraps
from http import HTTPStatus
from typing import Annotated

from msgspec import Meta
from starlette.responses import Response

from trikk.access.identity import IdentityKind
from trikk.access.session_cookie import SESSION, cookie_name
from trikk.access.tokens import shown_id
from trikk.console.form_actions import ShownAgain, see_other
from trikk.console.form_tokens import check_form
from trikk.console.rendering import page_response
from trikk.core.network.tls import is_here
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.sign_in_handlers import LocalPath, sign_out
from trikk.server.http.routes import API, Call, Given
from trikk.web.refused import Refused


class SignInPageQuery(Given, frozen=True):
    """Where to go afterwards."""

    return_to: LocalPath = "/"


class TypedToken(Given, frozen=True):
    """A token that somebody has typed, and where they want to go."""

    token: Annotated[str, Meta(max_length=200)] = ""
    return_to: LocalPath = "/"


def show_sign_in(doors: Doors, call: Call) -> Response:
    """Show how people sign in; who was signed in, or has typed a token in, learns why they are here."""
    had_session = call.identity is None and call.cookie(SESSION)
    return _page(doors, call, "That session or token does not count, or no longer." if had_session else "")


def sign_in_with_token(doors: Doors, call: Call) -> Response:
    """Begin a session with a token; a wrong one counts as one that a request shows."""
    shown = call.body.token.strip()
    host = call.host.rpartition(":")[0] or call.host
    if call.scheme != "https" and not is_here(host.strip("[]")):
        raise Refused(400, "signing in takes TLS", next="--tls-cert and --tls-key, or a proxy: --trust-proxy")
    try:
        doors.guard.check_typed(shown, call.address)
    except Refused as error:
        if error.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise
        problem = error.what if shown_id(shown) else "that is not a token: it begins with trikk_"
        page = _page(doors, call, f"{problem[0].upper()}{problem[1:]}.", error.status)
        raise ShownAgain(error, error.status, page) from None
    response = see_other(call.body.return_to)
    response.set_cookie(cookie_name(SESSION, call.host), shown, secure=True, httponly=True, samesite="lax")
    return response


@wraps(sign_out)  # the log of changes has it under the API's name
def end_session(doors: Doors, call: Call) -> Response:
    """End a session: a person's on all servers; a token that was typed in counts on, and is no longer here."""
    check_form(call)
    if call.identity is not None and call.identity.kind is IdentityKind.PERSON:
        sign_out(doors, call)
    response = see_other("/sign-in")
    response.delete_cookie(cookie_name(SESSION, call.host), secure=True, httponly=True, samesite="lax")
    # Documents and artifacts that the browser has kept, and pages that Back would show.
    response.headers["clear-site-data"] = '"cache"'
    return response


def _page(doors: Doors, call: Call, problem: str, status: int = 200) -> Response:
    wanted = call.body.return_to if isinstance(call.body, TypedToken) else call.query.return_to
    context = {
        "return_to": wanted,
        "problem": problem,
        "provider": doors.sign_in is not None,
        "sign_in": f"{API}/sign-in",
    }
    return page_response("sign_in.html.j2", context, doors, call.identity, call.headers, status=status)
