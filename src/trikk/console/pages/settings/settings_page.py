"""Settings: how the servers are, where alarms go, who has which token, and the log of changes."""

from __future__ import annotations

from functools import wraps
from typing import Any

from msgspec import structs
from starlette.responses import Response

from trikk.access.audit import AuditLine
from trikk.access.tokens import ShownToken
from trikk.console.form_tokens import check_form, form_token
from trikk.console.page_view import Sheet, View
from trikk.console.rendering import form_context, page_response
from trikk.core.errors import TrikkError
from trikk.core.package import __version__
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.access_handlers import create_token, list_tokens, read_audit
from trikk.server.http.handlers.health_handlers import readyz
from trikk.server.http.handlers.project.notice_handlers import list_channels
from trikk.server.http.handlers.watch_handlers import list_servers
from trikk.server.http.routes import Answer, Call

_ABOVE = [("Settings", "/settings")]
_TOKEN_COLUMNS = ("name", "kind", "role", "environment", "state", "created", "by", "expires", "id")


def show_settings(doors: Doors, call: Call) -> View:
    """Show how the servers are, and where alarms go."""
    project = doors.site.project
    document = {
        "project": project.settings.name,
        "environment": project.settings.environment,
        "timezone": project.settings.timezone,
        "version": __version__,
        "servers": list_servers(doors, call).document["servers"],
        "ready": readyz(doors, call).document,
        "channels": _channels(doors, call),
    }
    commands = [("Check the project:", "trikk doctor"), ("See what clean-up would free:", "trikk gc")]
    return View("Settings", "settings/settings.html.j2", document, live="project", commands=commands)


def _channels(doors: Doors, call: Call) -> dict[str, Any]:
    """Where alarms go, or why that can't be told: the rest of the page is there all the same."""
    try:
        return {
            "listed": [each.to_json() for each in list_channels(doors, call).document.channels],
            "trouble": None,
        }
    except TrikkError as error:
        return {"listed": [], "trouble": error.to_json()}


def show_tokens(doors: Doors, call: Call) -> View:
    """Show who has which token, and who is signed in."""
    tokens = list_tokens(doors, call).document.tokens

    def sheet() -> Sheet:
        return Sheet(_TOKEN_COLUMNS, [[getattr(token, name) for name in _TOKEN_COLUMNS] for token in tokens])

    commands = [("Make one:", "trikk token create NAME --role viewer"), ("List them:", "trikk token list")]
    listed = {"tokens": [token.to_json() for token in tokens]}
    return View(
        "Tokens", "settings/tokens.html.j2", listed, sheets={"tokens": sheet}, trail=_ABOVE, commands=commands
    )


@wraps(create_token)  # the log of changes has it under the name that the API and commands have for it
def make_token(doors: Doors, call: Call) -> Answer[ShownToken]:
    """Make a token."""
    check_form(call)
    return create_token(doors, call)


def show_new_token(doors: Doors, call: Call, answer: Answer[ShownToken]) -> Response:
    """Show a token that was made just now, this once."""
    token: ShownToken = answer.document
    trail = [*_ABOVE, ("Tokens", "/settings/tokens")]
    view = View(f"Token {token.name}", "settings/new_token.html.j2", {}, trail=trail)
    context = {**form_context(view, call, form_token(call)[0]), "token": token}
    response = page_response(view.template, context, doors, call.identity, call.headers, status=201)
    response.headers["cache-control"] = "no-store"
    return response


def show_audit(doors: Doors, call: Call) -> View:
    """Show who changed what, and what was refused, the newest first."""
    page = read_audit(doors, call).document
    columns = [field.name for field in structs.fields(AuditLine)]

    def sheet() -> Sheet:
        return Sheet(columns, [[_flat(value) for value in structs.astuple(line)] for line in page.lines])

    return View(
        "Log of changes",
        "settings/audit.html.j2",
        page.to_json(),
        sheets={"changes": sheet},
        trail=_ABOVE,
        live="project",
        commands=[("The same:", "trikk audit")],
    )


def _flat(value: Any) -> Any:
    return " ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value
