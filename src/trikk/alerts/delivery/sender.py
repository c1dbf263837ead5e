"""Messages that are due, sent: one by one or as a digest, each attempt and its outcome written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from trikk.alerts.config import AlertSettings
from trikk.alerts.delivery.channels import send
from trikk.alerts.delivery.failure import failure_of
from trikk.alerts.delivery.message import Message, digest, message, run_of
from trikk.alerts.delivery.message_attempts import next_step
from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.incident import DELIVERED, GIVEN_UP, SENDING, UNDELIVERED, Incident, Told
from trikk.core.errors import TrikkError, UsageError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.runs.journals.lease import Holder


@dataclass(slots=True)
class _Due:
    """A message whose attempt this process has taken on."""

    incident: Incident
    told: Told
    attempt: int
    message: Message


def deliver(
    project: Project, settings: AlertSettings, book: Book, incidents: Iterable[Incident], now: float
) -> tuple[list[dict[str, JSON]], list[str]]:
    """Send what is due of these incidents; a channel that fails stops no other, and is tried again later.

    Args:
        project: the project.
        settings: its channels.
        book: its incidents.
        incidents: those that may have something to tell.
        now: the time, seconds since 1970.

    Returns:
        For each attempt incident, message, channel, state ("delivered", "failed", "given up") and why; and what is
        wrong with channels, in sentences.
    """
    due: dict[str, list[_Due]] = {}
    found: list[dict[str, JSON]] = []
    for incident in incidents:
        for told in incident.told:
            for channel in told.channels:
                _take(project, settings, book, incident, told, channel, now, due, found)
    errors: list[str] = []
    for channel, waiting in due.items():
        found += _send(project, settings, book, channel, waiting, now, errors)
    return found, errors


def _take(
    project: Project,
    settings: AlertSettings,
    book: Book,
    incident: Incident,
    told: Told,
    channel: str,
    now: float,
    due: dict[str, list[_Due]],
    found: list[dict[str, JSON]],
) -> None:
    """Take the next attempt on, if it is due and nobody else was faster."""
    delivery = incident.delivery(told.key, channel)
    alive = Holder(**delivery.holder).is_alive() if delivery.state == "sending" else None
    step = next_step(delivery, now=now, alive=alive)
    base: dict[str, JSON] = {"message": told.key, "channel": channel}
    if step.do == "send" and channel not in settings.channels:
        step = type(step)("give up", f"there is no channel {channel!r} any more")
    if step.do == "give up":
        identity = f"{told.key}/{channel}/given_up"
        if book.note(incident, GIVEN_UP, {**base, "why": step.why}, at=now, identity=identity):
            found.append({"incident": incident.id, **base, "state": "given up", "why": step.why})
    elif step.do == "send":
        attempt = delivery.attempts + 1
        body = {**base, "attempt": attempt, "holder": asdict(Holder.current()), "why": step.why}
        if book.note(incident, SENDING, body, at=now, identity=f"{told.key}/{channel}/{attempt}"):
            written = message(
                incident,
                told,
                project=project.settings.name,
                zone=project.settings.timezone,
                url=settings.url,
                failure=failure_of(project, run_of(told)),
            )
            due.setdefault(channel, []).append(_Due(incident, told, attempt, written))


def _send(
    project: Project,
    settings: AlertSettings,
    book: Book,
    channel: str,
    waiting: list[_Due],
    now: float,
    errors: list[str],
) -> list[dict[str, JSON]]:
    """Send one channel's messages: each by itself, or as a digest if they are many."""
    if len(waiting) > settings.digest:
        together = digest([d.message for d in waiting], project=project.settings.name, url=settings.url)
        groups = [(together, waiting)]
    else:
        groups = [(one.message, [one]) for one in waiting]
    found: list[dict[str, JSON]] = []
    away = ""
    for text, members in groups:
        why = away or _try(project, settings, channel, text, errors)
        away = why  # the rest of this channel waits for its next attempt too
        for one in members:
            base: dict[str, JSON] = {"message": one.told.key, "channel": channel}
            more: dict[str, JSON] = {"attempt": one.attempt, **({"why": why} if why else {})}
            more |= {"digest": len(members)} if len(members) > 1 else {}
            identity = f"{one.told.key}/{channel}/{one.attempt}/end"
            book.note(one.incident, UNDELIVERED if why else DELIVERED, {**base, **more}, at=now, identity=identity)
            state = "failed" if why else "delivered"
            found.append({"incident": one.incident.id, **base, **more, "state": state})
    return found


def _try(project: Project, settings: AlertSettings, channel: str, text: Message, errors: list[str]) -> str:
    """Send one message; why it failed, or "" if it was taken."""
    try:
        send(project.settings, channel, settings.channels[channel], text)
    except UsageError as error:
        errors.append(f"channel {channel}: {error.what}; {error.next}")
        return error.what
    except TrikkError as error:
        return error.what
    except Exception as error:  # noqa: BLE001 - a channel must never stop the others
        return f"{type(error).__name__} while sending"
    return ""
