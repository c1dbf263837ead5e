"""The table of all pages and forms of the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.console.form_actions import Action
from trikk.console.live_changes import LiveQuery, follow_changes
from trikk.console.page_routes import Page
from trikk.console.pages.overview.overview_page import show_overview
from trikk.console.problem_page import problem_page
from trikk.console.sign_in_page import SignInPageQuery, TypedToken, show_sign_in, sign_in_with_token
from trikk.console.static_files import StaticQuery, show_static
from trikk.server.http.routes import EVENTS_TYPE, HTML_TYPE, Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from trikk.access.identity import Identity
    from trikk.server.http.doors import Doors
    from trikk.web.request_body import Scope

PAGES: tuple[Page, ...] = (Page("/", show_overview),)
ACTIONS: tuple[Action, ...] = ()
_OTHERS = (
    Route("GET", "/live", follow_changes, content=EVENTS_TYPE, query=LiveQuery, statuses=(200, 204)),
    # Open: the page to sign in on needs them, and there is nothing of the project in them.
    Route("GET", "/static/{file}", show_static, content="*/*", query=StaticQuery, is_open=True),
    Route("GET", "/sign-in", show_sign_in, content=HTML_TYPE, query=SignInPageQuery, is_open=True, is_page=True),
    Route("POST", "/sign-in", sign_in_with_token, content=HTML_TYPE, body=TypedToken, is_open=True, is_page=True),
)


class Console:
    """The pages of one server."""

    routes: Sequence[Route] = (
        *_OTHERS,
        *(route for page in PAGES for route in page.routes()),
        *(action.route() for action in ACTIONS),
    )

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def problem(self, error: BaseException, scope: Scope, identity: Identity | None) -> Response:
        """The page that explains why a request was refused, or the way to sign in."""
        return problem_page(self._doors, error, scope, identity)
