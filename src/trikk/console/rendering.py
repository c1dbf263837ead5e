"""Templates become pages: what every template knows, and the headers that every page has.

Whatever a template writes is escaped, unless it is markup that was made here. The policy allows scripts, styles,
pictures and connections of this server alone, so that even a hole in that would run nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode
from uuid import uuid4

from starlette.responses import Response

from trikk.access.identity import Identity, IdentityKind, Role
from trikk.console import shown_values
from trikk.console.form_tokens import form_token
from trikk.console.said import SAID
from trikk.console.static_files import static_address
from trikk.core.errors import MissingExtra
from trikk.server.http.conditions import has_it, tag_of
from trikk.server.http.doors import Doors
from trikk.server.http.forms import BACK, DONE, FORM_TOKEN, joined
from trikk.server.http.routes import HTML_TYPE, Call

if TYPE_CHECKING:
    from jinja2 import Environment

    from trikk.console.page_view import View

FOLDER = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
NAVIGATION = (
    ("Overview", "/"),
    ("Pipelines", "/pipelines"),
    ("Runs", "/runs"),
    ("Tables", "/tables"),
    ("Models", "/models"),
    ("Monitors", "/monitors"),
    ("Incidents", "/incidents"),
    ("Triggers", "/triggers"),
    ("Backfills", "/backfills"),
    ("Streams", "/streams"),
    ("Approvals", "/approvals"),
    ("Reports", "/reports"),
    ("Costs", "/costs"),
    ("Settings", "/settings"),
)


def html_response(view: View, doors: Doors, call: Call) -> Response:
    """The page that a view comes to, or the word that the browser has it already."""
    token, cookie = form_token(call)
    context = form_context(view, call, token)
    return page_response(view.template, context, doors, call.identity, call.headers, cookie)


def form_context(view: View, call: Call, token: str) -> dict[str, Any]:
    """What the template of a view knows beside what all templates do."""
    path, _, query = call.target.partition("?")
    given = joined(parse_qsl(query))
    done = given.pop(DONE, "")
    return {
        "view": view,
        "document": view.document,
        "path": path,
        "query": given,
        "done": SAID.get(done, ""),
        FORM_TOKEN.replace("-", "_"): token,
        "url_with": partial(_with, path, given),
        **view.context,
    }


def page_response(
    template: str,
    context: Mapping[str, Any],
    doors: Doors,
    identity: Identity | None,
    headers: Mapping[str, str],
    cookie: str = "",
    status: int = 200,
) -> Response:
    """A page from its template.

    Args:
        template: its file.
        context: what it shows.
        doors: of the server.
        identity: who looks, and sees what they may; None for nobody in particular.
        headers: of the request.
        cookie: to be set.
        status: of the answer.
    """
    is_signed_in = identity is not None and identity.kind is not IdentityKind.LOCAL
    text = (
        environment(doors.site.project.settings.timezone)
        .get_template(template)
        .render(
            project=doors.site.project.settings.name,
            environment=doors.site.project.settings.environment,
            identity=identity,
            signed_in=is_signed_in,
            may=partial(_may, identity),
            navigation=NAVIGATION,
            **context,
        )
    )
    body = text.encode("utf-8", "replace")  # a name of a file may hold what UTF-8 can't
    # Kept by the browser, and asked for each time; not where people sign in: Back asks nobody, and would show a
    # page of a session that has ended.
    kept = "no-store" if is_signed_in else "private, no-cache"
    answer = HEADERS | {"cache-control": kept} | ({"set-cookie": cookie} if cookie else {})
    if status == 200:
        answer["etag"] = tag_of(body)
        if has_it(answer["etag"], headers):
            return Response(status_code=304, headers=answer)
    return Response(body, status, answer, HTML_TYPE)


@cache
def environment(zone: str) -> Environment:
    """The templates, for pages whose times are those of a zone.

    Raises:
        MissingExtra: if Jinja is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtra("the console", "server") from None
    made = Environment(
        loader=FileSystemLoader([FOLDER / "templates", FOLDER / "pages"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "moment": partial(shown_values.moment, zone=zone),
        "tick": partial(shown_values.tick, zone=zone),
        "duration": shown_values.duration,
        "size": shown_values.size,
        "number": shown_values.number,
        "percent": shown_values.percent,
        "text": shown_values.text,
        "lines": shown_values.lines,
        "pretty": shown_values.pretty,
        "path": partial(quote, safe=""),
    }
    made.globals |= {"static": static_address, "zone": zone, "back_field": BACK, "new_key": uuid4}
    return made


def _may(identity: Identity | None, role: str) -> bool:
    """Whether who looks may do what takes a role: else no button is shown, and the API would refuse it."""
    return identity is not None and identity.role.may(Role(role))


def _with(path: str, query: Mapping[str, str], **changes: object) -> str:
    """The address of this page with other query parameters; None leaves one out."""
    kept = {name: str(value) for name, value in {**query, **changes}.items() if value is not None}
    return f"{path}?{urlencode(kept)}" if kept else path
