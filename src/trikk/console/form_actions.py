"""What a page's buttons do: what a door of the REST API does, asked by a form.

So nothing can be done here that the API does not check, refuse and write down, under the same name. Afterwards the
browser is sent on to a page (303), so that loading it anew does nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from starlette.responses import RedirectResponse, Response

from trikk.console.form_tokens import check_form, form_token
from trikk.console.page_view import View
from trikk.console.rendering import form_context, page_response
from trikk.core.errors import TrikkError
from trikk.server.http.doors import Doors
from trikk.server.http.forms import BACK, DONE, KEY
from trikk.server.http.problems import status_of
from trikk.server.http.request_keys import Keyed
from trikk.server.http.route_table import ROUTES
from trikk.server.http.routes import API, HTML_TYPE, Answer, Call, Route
from trikk.web.refused import Refused

# A path on this server: no other site, whatever a form says.
_LOCAL = re.compile(r"/([!-.0-\[\]-~][!-\[\]-~]*)?")


@dataclass(frozen=True, slots=True)
class Action:
    """One form.

    Attributes:
        does: the operation of the API (`Route.operation`), which `said.py` has a sentence for.
        path: where the form is sent; the API's path without its beginning if not given.
        then: the page that follows, unless the form names one: the path of the form without its last part if not
            given. `{id}` is that of the document that the API answers.
        again: the page with the form, what was typed and why it was refused; a page that says why if not given.
    """

    does: str
    path: str = ""
    then: str = ""
    again: Callable[[Doors, Call, TrikkError], View] | None = None

    def route(self) -> Route:
        """Its route."""
        (door,) = (route for route in ROUTES if route.operation == self.does)
        path = self.path or door.path.removeprefix(API)

        @wraps(door.handler)
        def handler(doors: Doors, call: Call) -> Any:
            check_form(call)
            if door.fields is Keyed:
                call = replace(call, fields=_keyed(call.form.get(KEY, "")))
            try:
                return door.handler(doors, call)
            except TrikkError as error:
                if self.again is None:
                    raise
                raise _shown_again(self.again(doors, call, error), error, doors, call) from error

        def then(_: Doors, call: Call, answer: Any) -> Response:
            return see_other(self._next(path, call, answer))

        return Route(
            "POST",
            path,
            handler,
            content=HTML_TYPE,
            body=door.body,
            role=door.needs,
            longest=door.longest,
            is_page=True,
            then=then,
        )

    def _next(self, path: str, call: Call, answer: Any) -> str:
        back = call.form.get(BACK, "")
        if not _LOCAL.fullmatch(back):
            names = dict(call.path)
            if isinstance(answer, Answer):
                names |= {"id": _field(answer.document, "id")}
            quoted = {name: quote(str(value), safe="/") for name, value in names.items()}
            back = (self.then or path.rpartition("/")[0]).replace(":path}", "}").format(**quoted)
        parts = urlsplit(back)
        kept = "&".join(p for p in parts.query.split("&") if p and not p.startswith(f"{DONE}="))
        return f"{parts.path}?{kept}{'&' if kept else ''}{urlencode({DONE: self.does})}"


class ShownAgain(Refused):
    """A form that was refused, and is to be corrected: raised, since nothing was done.

    Attributes:
        response: the page with the form.
    """

    def __init__(self, error: TrikkError, status: int, response: Response) -> None:
        super().__init__(status, error.what, where=error.where, next=error.next)
        self.response = response


def _shown_again(view: View, error: TrikkError, doors: Doors, call: Call) -> ShownAgain:
    status = status_of(error)
    token, cookie = form_token(call)
    context = form_context(view, call, token)
    response = page_response(view.template, context, doors, call.identity, call.headers, cookie, status)
    return ShownAgain(error, status, response)


def _keyed(key: str) -> Keyed:
    try:
        return msgspec.convert({"idempotency-key": key} if key else {}, Keyed)
    except msgspec.ValidationError as error:
        raise Refused(422, f"the form's key does not fit: {error}", next="open the page again") from error


def _field(document: Any, name: str) -> Any:
    return document.get(name, "") if isinstance(document, dict) else getattr(document, name, "")


def see_other(path: str) -> Response:
    """Send the browser on to a page of this server."""
    return RedirectResponse(path, 303, {"cache-control": "no-store"})
