"""Requests on topics and who subscribes to them, and the pages of the links that mails have."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from trikk.access.audit import recorded
from trikk.access.identity import Identity, IdentityKind, Role
from trikk.core.errors import UsageError
from trikk.core.record import Record
from trikk.mailing.topics.links import CONFIRM, UNSUBSCRIBE, Ticket
from trikk.mailing.topics.subscribing import add_subscriber, follow_link, look_at_link, remove_subscriber
from trikk.mailing.topics.subscriptions import Change, Standing, Subscription
from trikk.server.http.doors import Doors
from trikk.server.http.paging import PageQuery, page_of
from trikk.server.http.problems import status_of
from trikk.server.http.routes import HTML_TYPE, Answer, Call, Given, who

if TYPE_CHECKING:
    from starlette.responses import Response

_HEADERS = {
    # The address has the token: no other site may learn it, and nothing of the page is kept or framed.
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    "referrer-policy": "same-origin",  # with none at all, the page's own form would come from Origin: null
    "x-content-type-options": "nosniff",
}
_STYLE = "font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:3em auto;padding:0 1em;"
Topic = Annotated[
    str, Meta(min_length=1, max_length=320, description="city, report/NAME, table/NAME, stream/NAME.")
]
Address = Annotated[str, Meta(min_length=3, max_length=320, description="A mail address, or sns:ARN.")]


class NewSubscription(Given, frozen=True):
    """Who is to get what; unless they have agreed, or it is the caller's own address, a mail asks them."""

    topic: Topic
    address: Address
    agreed: bool = False
    by: str = ""


class NamedSubscription(Given, frozen=True):
    """Who is to get nothing more of what."""

    topic: Topic
    address: Address
    by: str = ""


class SubscriptionsQuery(PageQuery, frozen=True):
    """Which subscriptions are listed."""

    topic: Topic | None = None


class LinkQuery(Given, frozen=True):
    """What a link of a mail holds."""

    token: Annotated[str, Meta(min_length=1, max_length=2000)]


class SubscriptionsPage(Record, frozen=True):
    """Subscriptions by topic and address."""

    subscriptions: list[Subscription]
    next: str | None


def list_subscriptions(doors: Doors, call: Call) -> Answer[SubscriptionsPage]:
    """List who subscribes to what."""
    query: SubscriptionsQuery = call.query
    listed = doors.site.subscriptions.listed()
    first = 0 if query.cursor is None else bisect_right(listed, query.cursor, key=_cursor)
    wanted = (one for one in islice(listed, first, None) if query.topic in (None, one.topic))
    return Answer(SubscriptionsPage(*page_of(list(islice(wanted, query.limit + 1)), query.limit, _cursor)))


def subscribe(doors: Doors, call: Call) -> Answer[Change]:
    """Have an address get what is sent to a topic, after asking it."""
    body: NewSubscription = call.body
    site, by = doors.site, who(call)
    change = add_subscriber(site.project, body.topic, body.address, by=by, agreed=body.agreed, at=site.clock.now())
    is_asked = change.subscription is not None and change.subscription.state is Standing.ASKED
    return Answer(change, 202 if is_asked else 200)


def unsubscribe(doors: Doors, call: Call) -> Answer[Change]:
    """Have an address get nothing more of a topic."""
    body: NamedSubscription = call.body
    site = doors.site
    return Answer(remove_subscriber(site.project, body.topic, body.address, by=who(call), at=site.clock.now()))


def _refused_in_words(handler: Callable[[Doors, Call], Response]) -> Callable[[Doors, Call], Response]:
    """Have a link that does not count be answered by a page: who opens it reads no JSON."""

    @functools.wraps(handler)
    def answer(doors: Doors, call: Call) -> Response:
        try:
            return handler(doors, call)
        except UsageError as error:
            return _page(f"{error.what[:1].upper()}{error.what[1:]}: {error.next}.", status=status_of(error))

    return answer


@_refused_in_words
def show_unsubscribe_page(doors: Doors, call: Call) -> Response:
    """Ask whether to unsubscribe; nothing is changed, since programs that look at mails follow their links."""
    ticket, standing = look_at_link(doors.site.project, call.query.token, UNSUBSCRIBE)
    if standing is None:
        return _page(f"{ticket.address} does not get mails of {ticket.topic}.")
    return _page(f"Shall {ticket.address} get no more mails of {ticket.topic}?", "Unsubscribe")


@_refused_in_words
def follow_unsubscribe_link(doors: Doors, call: Call) -> Response:
    """Unsubscribe, as a page's button or a mail program does (RFC 8058)."""
    ticket = _follow(doors, call, UNSUBSCRIBE)
    return _page(f"{ticket.address} gets no more mails of {ticket.topic}.")


@_refused_in_words
def show_confirm_page(doors: Doors, call: Call) -> Response:
    """Ask whether somebody wants what they were asked about; nothing is changed."""
    ticket, _ = look_at_link(doors.site.project, call.query.token, CONFIRM)
    return _page(f"Shall {ticket.address} get mails of {ticket.topic}?", "Yes, send them")


@_refused_in_words
def follow_confirm_link(doors: Doors, call: Call) -> Response:
    """Take somebody's yes."""
    ticket = _follow(doors, call, CONFIRM)
    return _page(f"{ticket.address} gets mails of {ticket.topic} from now on. Each has a link to unsubscribe.")


def _follow(doors: Doors, call: Call, purpose: str) -> Ticket:
    """Do what a link is for; what changes something by that is in the log of changes, as what tokens change."""
    project, token, now = doors.site.project, call.query.token, doors.site.clock.now()
    ticket, known = look_at_link(project, token, purpose)
    is_asked = known is not None and known.seq == ticket.seq and now < (known.expires or 0.0)
    if known is None or not (is_asked or purpose == UNSUBSCRIBE):
        return follow_link(project, token, purpose, at=now)  # no change: else a link could fill the log
    reader, target = Identity(ticket.address, IdentityKind.LINK, Role.VIEWER), {"topic": ticket.topic}
    with recorded(project.journal, reader, call.address, f"{purpose}_by_link", target, doors.site.clock):
        return follow_link(project, token, purpose, at=now)


def _cursor(one: Subscription) -> str:
    return f"{one.topic} {one.address}"


def _page(sentence: str, button: str = "", *, status: int = 200) -> Response:
    """A page that says one thing, and has a button that sends the same link as a POST."""
    from starlette.responses import Response

    form = (
        f'<form method="post"><button name="List-Unsubscribe" value="One-Click">{escape(button)}</button></form>'
    )
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Subscriptions</title>'
        f'<meta name="viewport" content="width=device-width"></head><body style="{_STYLE}">'
        f"<p>{escape(sentence)}</p>{form if button else ''}</body></html>"
    )
    return Response(text, status, headers=_HEADERS, media_type=HTML_TYPE)
