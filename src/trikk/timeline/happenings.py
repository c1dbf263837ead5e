"""The ledger's entries on models, incidents and reports as one list of things that happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trikk.alerts.incidents.book import Book
from trikk.alerts.incidents.decision import Change
from trikk.alerts.incidents.incident import DELIVERED, GIVEN_UP, Incident
from trikk.core.record import Record
from trikk.execution import once
from trikk.models.registry import Registry
from trikk.models.state import VERSION_REGISTERED, Move
from trikk.models.version import ModelVersion
from trikk.reports.sending import deliveries
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.runs.states import RunStatus

MODEL, INCIDENT, MESSAGE, RUN, REPORT = "model", "incident", "message", "run", "report"


class Happening(Record, frozen=True):
    """One thing that happened."""

    at: float  # when, seconds since 1970; in a backfill the time that it was told
    seq: int  # of the ledger's entry: what happened at one time is in this order
    kind: str  # model, incident, message, run or report
    about: str  # the model's version, the incident's or the run's id, or the report and its period
    what: str  # in a few words
    why: str = ""  # the reason; "" if there is none
    severity: str = ""  # of an incident or a message: info, warning or alarm; "good" for a resolved one; else ""


def happenings(
    ledger: Ledger, environment: str, *, since: float | None = None, until: float | None = None
) -> list[Happening]:
    """Everything that happened from `since` to before `until` (seconds since 1970), in its order."""
    happened = [*_models(ledger, environment), *_incidents(ledger), *_reports(ledger)]
    # Filtered at the end: an incident's title is in its opening, which may be before the period.
    wanted = (one for one in happened if (since is None or one.at >= since) and (until is None or one.at < until))
    return sorted(wanted, key=lambda one: (one.at, one.seq))


def _models(ledger: Ledger, environment: str) -> Iterator[Happening]:
    registry = Registry(ledger)
    for name in registry.names():
        state = registry.state(name)
        moves = {move.seq: move for move in (*state.moves, *state.requests) if move.environment == environment}
        for entry in ledger.entries(f"model/{name}"):
            if entry.kind == VERSION_REGISTERED:
                yield _registered(entry)
            elif entry.seq in moves:
                yield _moved(name, moves[entry.seq])


def _registered(entry: Entry) -> Happening:
    version = ModelVersion.read(entry.body)
    run = f"by run {version.run} of {version.pipeline}" if version.run else ""
    return Happening(
        entry.at, entry.seq, MODEL, version.reference, f"{version.name} {version.version} registered", run
    )


def _moved(name: str, move: Move) -> Happening:
    is_now, ending = _IS_NOW.get(move.state, ("is", ""))
    former = f", was {move.former}" if move.former is not None else ""
    sentence = f"{name}@{move.alias} {is_now} {move.version}{former}{ending}"
    return Happening(move.at, move.seq, MODEL, f"{name}:{move.version}", sentence, move.why)


_IS_NOW = {"requested": ("is to be", ": waits for approval"), "returned": ("is rolled back to", "")}


def _incidents(ledger: Ledger) -> Iterator[Happening]:
    for known in Book(ledger).all():
        incident = Incident(known.id, known.cause, known.number)
        for entry in ledger.entries(f"incident/{known.id}"):
            incident.apply(entry)
            tell = _OF_INCIDENTS.get(entry.kind)
            if tell is not None and (happening := tell(incident, entry)) is not None:
                yield happening


def _decided(incident: Incident, entry: Entry) -> Happening | None:
    body: Mapping[str, Any] = entry.body
    if entry.kind == Change.UPDATED and "tell" not in body:
        return None
    verb = _VERBS[entry.kind]
    by = f" by {body['by']}" if body.get("by") else ""
    severity = "good" if entry.kind == Change.RESOLVED else incident.severity
    sentence = f"{incident.title}: {verb}{by} ({incident.id})"
    return Happening(entry.at, entry.seq, INCIDENT, incident.id, sentence, str(body.get("why") or ""), severity)


def _sent(incident: Incident, entry: Entry) -> Happening:
    body: Mapping[str, Any] = entry.body
    given_up = entry.kind == GIVEN_UP
    sentence = f"{'given up' if given_up else 'told'} on {body['channel']}: {incident.id} {body['message']}"
    why = str(body.get("why") or "") if given_up else ""
    return Happening(entry.at, entry.seq, MESSAGE, incident.id, sentence, why, "warning" if given_up else "")


def _started(incident: Incident, entry: Entry) -> Happening:
    body: Mapping[str, Any] = entry.body
    if entry.kind == once.CLAIMED:
        sentence = f"{incident.id} starts {body['pipeline']}"
        return Happening(entry.at, entry.seq, RUN, incident.id, sentence)
    run, state = str(body.get("run") or ""), str(body.get("state") or "failed")
    sentence = f"run {run} of {body['pipeline']} {state}" if run else f"{body['pipeline']} was not started"
    severity = "" if state == RunStatus.SUCCEEDED else "warning"
    return Happening(entry.at, entry.seq, RUN, run or incident.id, sentence, str(body.get("why") or ""), severity)


_VERBS: dict[str, str] = {
    Change.OPENED: "opened",
    Change.UPDATED: "worse",
    Change.ESCALATED: "still open",
    Change.ACKNOWLEDGED: "acknowledged",
    Change.RESOLVED: "resolved",
}
_OF_INCIDENTS: dict[str, Callable[[Incident, Entry], Happening | None]] = {
    **dict.fromkeys(_VERBS, _decided),
    DELIVERED: _sent,
    GIVEN_UP: _sent,
    once.CLAIMED: _started,
    once.DONE: _started,
    once.NOT_BEGUN: _started,
}


def _reports(ledger: Ledger) -> Iterator[Happening]:
    for entry in ledger.history("report/"):
        if entry.kind != deliveries.ATTEMPTED or not entry.body["reached"]:
            continue
        _, name, _, period, customer = entry.subject.split("/", 4)
        body: Mapping[str, Any] = entry.body
        whose = "" if customer == "*" else f" for {customer}"
        sentence = f"report {name} on {period}{whose} sent to {len(body['reached'])}"
        yield Happening(entry.at, entry.seq, REPORT, f"{name}/{period}", sentence)
