"""What commands, requests and links do with subscriptions: each here once, for whoever asks."""

from __future__ import annotations

from html import escape

from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.mailing import sns
from trikk.mailing.topics.links import CONFIRM, UNSUBSCRIBE, Ticket, link, link_key, opened
from trikk.mailing.topics.subscriptions import (
    Change,
    Standing,
    Subscription,
    confirm,
    of_topic,
    subscribe,
    unsubscribe,
)


def add_subscriber(project: Project, topic: str, address: str, *, by: str, agreed: bool, at: float) -> Change:
    """Subscribe an address, after asking it if it is not known to want it.

    Nobody is asked who asks for their own address, who is said to have agreed, or who is a topic of SNS, which
    asks its own subscribers.

    Args:
        project: the project.
        topic: the topic.
        address: a mail address, or `sns:ARN`.
        by: who asks for it.
        agreed: whether `by` says that they have agreed.
        at: the time, seconds since 1970.

    Raises:
        UsageError: if topic or address is none, or the question could not be answered by a link.
        ProjectError: if the mail server's address in trikk.toml can't be used.
    """
    is_sure = agreed or address.lower() == by.lower() or address.startswith(sns.PREFIX)
    if not is_sure and not link(project.settings, project.state_dir, Ticket(CONFIRM, topic, address)):
        raise UsageError(
            f"nobody could confirm that {address} wants it: this project has no address on the web",
            next='if they have agreed, say so: --agreed; or set url = "https://..." in [alerts] of trikk.toml, '
            "where `trikk serve` is reached",
        )
    change = subscribe(project.journal, topic, address, by=by, agreed=is_sure, at=at)
    if change.changed and change.subscription is not None and change.subscription.state is Standing.ASKED:
        _ask(project, change.subscription, at)
    return change


def remove_subscriber(project: Project, topic: str, address: str, *, by: str, at: float) -> Change:
    """Unsubscribe an address; one that does not subscribe stays so."""
    return unsubscribe(project.journal, topic, address, by=by, how="by hand", at=at)


def look_at_link(project: Project, token: str, purpose: str) -> tuple[Ticket, Subscription | None]:
    """What a link is for, and how things stand; nothing is changed. UsageError if it is not one of ours."""
    ticket = opened(link_key(project.state_dir), token, purpose)
    return ticket, of_topic(project.journal, ticket.topic).get(ticket.address)


def follow_link(project: Project, token: str, purpose: str, *, at: float) -> Ticket:
    """Do what a link is for; following it twice changes nothing more.

    Raises:
        UsageError: if it is not one of ours, or the question that it answers is no longer open.
    """
    ticket = opened(link_key(project.state_dir), token, purpose)
    if purpose == UNSUBSCRIBE:
        unsubscribe(project.journal, ticket.topic, ticket.address, by=ticket.address, how="by link", at=at)
    else:
        confirm(project.journal, ticket.topic, ticket.address, seq=ticket.seq, at=at)
    return ticket


def _ask(project: Project, asked: Subscription, at: float) -> None:
    """Mail the question, which holds the only link that answers it."""
    from trikk.mailing.letter_outbox import Recipients, queue, send_letters  # here: servers at rest do without

    url = link(project.settings, project.state_dir, Ticket(CONFIRM, asked.topic, asked.address, asked.seq))
    name = project.settings.name
    lines = (
        f"{asked.by} wants you to get mails of {asked.topic} from the project {name}.",
        "If you want them, confirm it within 7 days. If not, do nothing: you get no other mail.",
    )
    body: dict[str, JSON] = {
        "subject": f"[{name}] do you want mails of {asked.topic}?",
        "text": "\n\n".join([*lines, url]),
        "html": "".join(f"<p>{escape(line)}</p>" for line in lines)
        + f'<p><a href="{escape(url)}">Confirm</a></p>',
    }
    identity = f"confirm/{asked.topic}/{asked.seq}"
    queue(project.journal, identity, body, Recipients((asked.address,)), at=at)
    places = (project.journal, project.artifacts, project.settings, project.state_dir)
    send_letters(*places, at=at, only=identity)
