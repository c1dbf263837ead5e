"""Incidents in the ledger: `incident/ID` has what happened to one, `incidents` lists openings and closings.

A cause's incidents are numbered. The opening of a number is one entry whose identity is cause and number, so that
of many processes one opens it; everything after that is added on condition that nobody else has added meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from trikk.alerts.incidents.decision import Change, Decision, Mute
from trikk.alerts.incidents.incident import Incident, IncidentState
from trikk.core.errors import Conflict, UnknownName, WrongState
from trikk.core.values import JSON
from trikk.runs.journals.ledger import Ledger

INDEX = "incidents"
_LISTED, _CLOSED = "incident.listed", "incident.closed"
_ROUNDS = 10  # of losing against looks and other people, each of which has changed the incident


class Book:
    """The project's incidents."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._numbers: dict[str, int] = {}
        self._order: list[tuple[str, int]] = []  # cause and number, as they were listed
        self._closed: set[str] = set()
        self._read = 0

    def latest(self, cause: str) -> Incident | None:
        """The newest incident of a cause as it is now; None if it never had one."""
        self._refresh()
        number = self._numbers.get(cause)
        return None if number is None else self._fold(cause, number)

    def causes(self) -> set[str]:
        """The causes that have, or had, an incident."""
        self._refresh()
        return set(self._numbers)

    def get(self, incident: str) -> Incident:
        """An incident by its id.

        Raises:
            UnknownName: if there is none.
        """
        listed = {f"{cause}-{number}": (cause, number) for cause, number in self._listed()}
        if incident not in listed:
            hint = None if listed else "trikk watch --once opens them"
            raise UnknownName("incident", incident, listed, next=hint)
        return self._fold(*listed[incident])

    def all(self) -> list[Incident]:
        """Every incident, by cause in the order of their first ones."""
        return list(self.each())

    def each(self, *, after: str | None = None, open_only: bool = False) -> Iterator[Incident]:
        """Incidents one by one as they are read; those behind one, by its id, or all.

        Raises:
            UnknownName: if there is no incident of that id.
        """
        listed = self._listed()
        if after is not None:
            ids = ["{}-{}".format(*pair) for pair in listed]
            if after not in ids:
                raise UnknownName("incident", after, ids)
            listed = listed[ids.index(after) + 1 :]
        for cause, number in listed:
            if open_only and f"{cause}-{number}" in self._closed:
                continue
            incident = self._fold(cause, number)
            if incident.is_open if open_only else incident.state:
                yield incident

    def newest(self, *, before: str | None = None) -> Iterator[Incident]:
        """Incidents one by one as they are read, the one that was opened last first; those before one, by its id.

        Raises:
            UnknownName: if there is no incident of that id.
        """
        self._refresh()
        ids = [f"{cause}-{number}" for cause, number in self._order]
        if before is not None and before not in ids:
            raise UnknownName("incident", before, ids)
        for cause, number in reversed(self._order[: len(ids) if before is None else ids.index(before)]):
            incident = self._fold(cause, number)
            if incident.state:
                yield incident

    def unfinished(self) -> list[Incident]:
        """The incidents that are open or have something to tell yet; the others are listed as closed, once."""
        incidents = self._not_closed()
        for incident in incidents:
            if incident.is_finished:
                # so that a project with years of incidents reads only those that can still change
                at, identity = incident.resolved or 0.0, f"closed {incident.id}"
                self.ledger.add(INDEX, _CLOSED, {"incident": incident.id}, at=at, identity=identity)
        return [incident for incident in incidents if incident.state and not incident.is_finished]

    def open(self) -> list[Incident]:
        """The incidents that are open; nothing is written, so that it can be asked while the journal is locked."""
        return list(self.each(open_only=True))

    def _not_closed(self) -> list[Incident]:
        listed = [pair for pair in self._listed() if "{}-{}".format(*pair) not in self._closed]
        return [self._fold(cause, number) for cause, number in listed]

    def acknowledge(self, incident: str, *, by: str, why: str, at: float) -> Incident:
        """Say that somebody knows: it is not escalated, and told again only when it ends.

        Raises:
            UnknownName: if there is no such incident.
            WrongState: if it is not open.
            Conflict: if others keep changing it at this very moment.
        """
        decision = Decision(Change.ACKNOWLEDGED, "acknowledged", why, by=by)
        return self._by_hand(incident, lambda known: None if known.acknowledged else decision, at)

    def resolve(self, incident: str, *, by: str, why: str, at: float) -> Incident:
        """Resolve it though its condition may hold; it opens anew for newer bad points only. Raises as above."""
        decision = Decision(Change.RESOLVED, "resolved", why, by=by)
        return self._by_hand(incident, lambda _: decision, at)

    def mute(self, incident: str, mute: Mute, *, at: float) -> Incident:
        """Tell nobody of it, nor of one that its cause opens, until a time. Raises as above."""

        def decided(known: Incident) -> Decision | None:
            key = f"muted/{known.mutes + 1}"
            is_same = known.mute == mute
            return None if is_same else Decision(Change.MUTED, key, mute.why, by=mute.by, mute=mute)

        return self._by_hand(incident, decided, at)

    def unmute(self, incident: str, *, by: str, why: str, at: float) -> Incident:
        """End a mute, also of one that is resolved; nothing happens to one that is not muted. Raises as above."""

        def decided(known: Incident) -> Decision | None:
            key = f"unmuted/{known.unmutes + 1}"
            return Decision(Change.UNMUTED, key, why, by=by) if known.is_muted(at) else None

        return self._by_hand(incident, decided, at, states=(IncidentState.OPEN, IncidentState.RESOLVED))

    def note(self, incident: str, text: str, *, by: str, at: float) -> Incident:
        """Write down what somebody has found out, the same words once, also of one that is resolved.

        Raises as above.
        """

        def decided(known: Incident) -> Decision | None:
            if any((note.by, note.text) == (by, text) for note in known.notes):
                return None  # its button was pressed twice
            return Decision(Change.NOTED, f"noted/{len(known.notes) + 1}", text, by=by)

        return self._by_hand(incident, decided, at, states=(IncidentState.OPEN, IncidentState.RESOLVED))

    def _by_hand(
        self,
        incident: str,
        decided: Callable[[Incident], Decision | None],
        at: float,
        *,
        states: Sequence[IncidentState] = (IncidentState.OPEN,),
    ) -> Incident:
        for _ in range(_ROUNDS):
            known = self.get(incident)
            if known.state not in states:
                raise WrongState(
                    f"incident {incident} is {known.state or 'not open'}", next="trikk incidents lists open ones"
                )
            decision = decided(known)  # asked at each round: another may do the same while this one tries
            if decision is None:
                return known
            changed = self.apply(known, known.cause, decision, at=at, channels=())
            if changed is not None:
                return changed
        raise Conflict(f"incident {incident} is being changed by others", next="try again")

    def apply(
        self, latest: Incident | None, cause: str, decision: Decision, *, at: float, channels: Sequence[str]
    ) -> Incident | None:
        """Write a decision down.

        Returns:
            The incident as it is then; None if somebody else has done something meanwhile, so that it has to be
            decided anew.
        """
        number = 1 if latest is None else latest.number
        after = 0 if latest is None else latest.seq
        if decision.kind is Change.OPENED:
            if latest is not None and latest.state:
                number, after = latest.number + 1, 0
            # listed first: one that dies here leaves an incident without a state, which the next look opens;
            # the other way round nobody would find the incident that was opened
            listed: dict[str, JSON] = {"cause": cause, "number": number}
            self.ledger.add(INDEX, _LISTED, listed, at=at, identity=f"{cause}#{number}")
        subject = subject_of(f"{cause}-{number}")
        try:
            body = decision.recorded(channels)
            added = self.ledger.add(subject, decision.kind.value, body, at=at, identity=decision.key, after=after)
        except Conflict:
            return None
        if added.repeated:
            return None
        return self._fold(cause, number)

    def entries(self, incident: Incident) -> list[dict[str, JSON]]:
        """Everything that happened to an incident, oldest first: kind, at and what each says."""
        entries: list[dict[str, JSON]] = []
        for entry in self.ledger.entries(subject_of(incident.id)):
            body = {key: value for key, value in entry.body.items() if key not in ("holder", "rule", "token")}
            entries.append({"kind": entry.kind, "at": entry.at, **body})
        return entries

    def _listed(self) -> list[tuple[str, int]]:
        """Every incident's cause and number."""
        self._refresh()
        return [(cause, number) for cause, last in self._numbers.items() for number in range(1, last + 1)]

    def _refresh(self) -> None:
        """Read what is new in the index."""
        for entry in self.ledger.entries(INDEX, after=self._read):
            body: Any = entry.body
            if entry.kind == _LISTED:
                self._order.append((body["cause"], body["number"]))
                self._numbers[body["cause"]] = max(self._numbers.get(body["cause"], 0), body["number"])
            elif entry.kind == _CLOSED:
                self._closed.add(body["incident"])
            self._read = entry.seq

    def _fold(self, cause: str, number: int) -> Incident:
        return Incident.fold(cause, number, self.ledger.entries(subject_of(f"{cause}-{number}")))


def subject_of(incident: str) -> str:
    """The ledger's subject of an incident, by its id."""
    return f"incident/{incident}"
