"""What people do with incidents by hand: acknowledge and resolve."""

from __future__ import annotations

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.incident import ACKNOWLEDGED, RESOLVED, Incident
from trikk.core.errors import Conflict, UsageError


def acknowledge(book: Book, incident: str, *, by: str, why: str, at: float) -> Incident:
    """Say that somebody knows: it is not escalated, and told again only when it ends.

    Raises:
        UnknownName: if there is no such incident.
        UsageError: if it is not open.
    """
    found = _open(book, incident)
    if not found.acknowledged:
        book.note(found, ACKNOWLEDGED, {"by": by, "why": why}, at=at, identity="acknowledged")
    return book.get(incident)


def resolve(book: Book, incident: str, *, by: str, why: str, at: float) -> Incident:
    """Resolve an incident though its condition may still hold; it opens anew for newer bad points only.

    Raises:
        UnknownName: if there is no such incident.
        UsageError: if it is not open.
        Conflict: if others keep changing it at this very moment.
    """
    for _ in range(10):
        found = _open(book, incident)
        if book.note(found, RESOLVED, {"by": by, "why": why}, at=at, identity="resolved", alone=True):
            return found
    raise Conflict(f"incident {incident} is being changed by others", next="try again")


def _open(book: Book, incident: str) -> Incident:
    found = book.get(incident)
    if not found.is_open:
        raise UsageError(
            f"incident {incident} is {found.state or 'not open'}", next="trikk incidents lists open ones"
        )
    return found
