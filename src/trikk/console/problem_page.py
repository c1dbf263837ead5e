"""What a browser shows when something was refused or went wrong, and the way to sign in where that is needed."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec
from starlette.responses import RedirectResponse, Response

from trikk.console.form_actions import ShownAgain
from trikk.console.rendering import page_response
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.sign_in_handlers import LocalPath
from trikk.server.http.problems import problem_headers, problem_of
from trikk.server.http.web_app import target_of

if TYPE_CHECKING:
    from trikk.access.identity import Identity
    from trikk.web.request_body import Scope


def problem_page(doors: Doors, error: BaseException, scope: Scope, identity: Identity | None) -> Response:
    """The page that says what happened, where, and what to do next; the sign-in page for somebody unknown."""
    if isinstance(error, ShownAgain):
        return error.response
    problem = problem_of(error)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        wanted = _page_of(scope, headers)
        address = f"/sign-in?return_to={quote(wanted, safe='')}" if wanted != "/" else "/sign-in"
        return RedirectResponse(address, 303, {"cache-control": "no-store"})
    context = {"problem": problem, "above": scope["path"].rpartition("/")[0] or "/"}
    response = page_response("problem.html.j2", context, doors, identity, headers, status=problem.status)
    response.headers.update(problem_headers(error, problem))
    return response


def _page_of(scope: Scope, headers: Mapping[str, str]) -> str:
    """Where to come back to after signing in: the page, or the one that a form was on; it is not sent again."""
    wanted = target_of(scope)
    if scope["method"] not in ("GET", "HEAD"):
        sender = urlsplit(headers.get("referer", ""))
        wanted = sender.path + (f"?{sender.query}" if sender.query else "")
    try:
        return msgspec.convert(wanted, LocalPath)
    except msgspec.ValidationError:
        return "/"
