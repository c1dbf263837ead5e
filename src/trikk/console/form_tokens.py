"""Forms that only a page of ours can send: each carries a token that another site can't know.

The token follows from a cookie: the session's, or where nobody signs in one that is made for this. So no server
keeps anything, and any server of a project takes a form that another has rendered. The cookie goes to no other
site (SameSite), its value is in no page, and a browser says besides from which page it sends a form (Origin, which
is checked for everybody in `trikk.web.callers`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from trikk.access.identity import IdentityKind
from trikk.access.session_cookie import SESSION, cookie_name
from trikk.server.http.forms import FORM_TOKEN
from trikk.server.http.routes import Call
from trikk.web.refused import Refused

_FORM = "trikk-form"
_LEAST = 32  # characters of the cookie


def form_token(call: Call) -> tuple[str, str]:
    """The token of all forms of a page, and the cookie that has to be set for it: "" if there is one already."""
    known = _secret(call)
    made = "" if known else secrets.token_urlsafe(32)
    name = cookie_name(_FORM, call.host)
    return _token(known or made), f"{name}={made}; Path=/; HttpOnly; SameSite=Strict" if made else ""


def check_form(call: Call) -> None:
    """Refuse a form that does not come from a page of ours.

    Raises:
        Refused: 403.
    """
    if call.identity is not None and call.identity.kind is IdentityKind.TOKEN and not _secret(call):
        return  # a program with a token in its header: no browser sends one by itself
    known = _secret(call)
    if not known or not hmac.compare_digest(_token(known), call.form.get(FORM_TOKEN, "")):
        raise Refused(
            403, "this form comes from no page of this server", next="open the page again, and send it anew"
        )


def _secret(call: Call) -> str:
    values = (call.cookie(base) for base in (SESSION, _FORM))
    return next((value for value in values if len(value) >= _LEAST), "")


def _token(known: str) -> str:
    return hmac.new(known.encode(), b"form", hashlib.sha256).hexdigest()
