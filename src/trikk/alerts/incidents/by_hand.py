"""What people do with incidents by hand: acknowledge and resolve."""

from __future__ import annotations

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.decision import Change, Decision
from trikk.alerts.incidents.incident import Incident
from trikk.core.errors import Conflict, UsageError

_ROUNDS = 10


def acknowledge(book: Book, incident: str, *, by: str, why: str, at: float) -> Incident:
    """Say that somebody knows: it is not escalated, and told again only when it ends.

    Raises:
        UnknownName: if there is no such incident.
        UsageError: if it is not open.
        Conflict: if others keep changing it at this very moment.
    """
    return _done(book, incident, Decision(Change.ACKNOWLEDGED, "acknowledged", why, by=by), at)


def resolve(book: Book, incident: str, *, by: str, why: str, at: float) -> Incident:
    """Resolve an incident though its condition may still hold; it opens anew for newer bad points only.

    Raises:
        UnknownName: if there is no such incident.
        UsageError: if it is not open.
        Conflict: if others keep changing it at this very moment.
    """
    return _done(book, incident, Decision(Change.RESOLVED, "resolved", why, by=by), at)


def _done(book: Book, incident: str, decision: Decision, at: float) -> Incident:
    for _ in range(_ROUNDS):
        known = book.get(incident)
        if not known.is_open:
            raise UsageError(
                f"incident {incident} is {known.state or 'not open'}", next="trikk incidents lists open ones"
            )
        if decision.kind is Change.ACKNOWLEDGED and known.acknowledged:
            return known  # asked at each round: another may acknowledge it while this one tries
        changed = book.apply(known, known.cause, decision, at=at, channels=())
        if changed is not None:
            return changed
    raise Conflict(f"incident {incident} is being changed by others", next="try again")
