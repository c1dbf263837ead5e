"""Requests on who may do what, and who did: tokens, the log of changes."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from trikk.access.audit import AuditPage, read_page
from trikk.access.identity import EVERYWHERE, Identity, Role
from trikk.access.people import People, people_of
from trikk.access.sign_in_settings import sign_in_settings
from trikk.access.tokens import ShownToken, TokenDocument, TokenList, Tokens, create, revoke
from trikk.core.durations import seconds
from trikk.server.http.doors import Doors
from trikk.server.http.paging import PageQuery, number_cursor
from trikk.server.http.routes import API, NAME, Answer, Call, Given, who
from trikk.web.refused import Refused


class NewToken(Given, frozen=True):
    """A token that is asked for.

    Attributes:
        name: of whoever has it.
        role: what it is good for.
        environment: where; the server's if not given, "*" for all.
        expires: how long from now, or "never".
        by: who asks for it.
    """

    name: Annotated[str, Meta(pattern=NAME)]
    role: Role
    environment: Annotated[str, Meta(pattern=rf"^\*$|{NAME}")] | None = None
    expires: Annotated[str, Meta(pattern="^(never|[0-9]{1,9}([.][0-9]{1,3})? ?(ms|s|m|h|d))$")] = "90d"
    by: str = ""


def list_tokens(doors: Doors, call: Call) -> Answer[TokenList]:
    """List tokens, those that count no longer, too."""
    site = doors.site
    now, listed = site.clock.now(), Tokens(site.project.journal).look().listed()
    shown = [t.document(now) for t in listed if _may_have(call.identity, t.environment)]
    return Answer(TokenList(shown))


def list_people(doors: Doors, call: Call) -> Answer[People]:
    """List who has signed in, and what the settings say of roles."""
    site = doors.site
    listed = Tokens(site.project.journal).look().listed()
    sessions = [t for t in listed if _may_have(call.identity, t.environment)]
    return Answer(people_of(sessions, sign_in_settings(site.project.settings), site.clock.now()))


def create_token(doors: Doors, call: Call) -> Answer[ShownToken]:
    """Make a token. The answer has it, in `shown`: it can't be had again."""
    body: NewToken = call.body
    project, now = doors.site.project, doors.site.clock.now()
    environment = body.environment or project.settings.environment
    if not _may_have(call.identity, environment):
        problem = (
            f"a token of one environment makes none for {'all' if environment == EVERYWHERE else environment}"
        )
        raise Refused(403, problem, next="leave out environment")
    lasts = None if body.expires == "never" else seconds(body.expires, what="expires")
    token, shown = create(
        project.journal, body.name, body.role, environment=environment, by=who(call), now=now, lasts=lasts
    )
    headers = {"location": f"{API}/tokens/{token.id}"}
    return Answer(token.shown_once(shown), 201, headers)


def revoke_token(doors: Doors, call: Call) -> Answer[TokenDocument]:
    """Let a token, given by its id or name, count no longer; a person's name means all their sessions."""
    ledger, now = doors.site.project.journal, doors.site.clock.now()
    where = call.identity.environment if call.identity is not None else ""
    return Answer(revoke(ledger, call.path["token"], by=who(call), now=now, environment=where).document(now))


def read_audit(doors: Doors, call: Call) -> Answer[AuditPage]:
    """Read the log of changes and of what was refused, the newest first."""
    query: PageQuery = call.query
    return Answer(read_page(doors.site.project.journal, query.limit, number_cursor(query.cursor)))


def _may_have(identity: Identity | None, environment: str) -> bool:
    """Whether somebody may have to do with tokens of an environment."""
    return identity is not None and identity.environment in (EVERYWHERE, environment)
