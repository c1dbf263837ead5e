"""The ledger's entries on models, incidents and reports as one list of things that happened."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from trikk.alerts.incidents.decision import Change
from trikk.alerts.incidents.incident import DELIVERED, GIVEN_UP, Incident
from trikk.core.record import Record
from trikk.execution import once
from trikk.models.state import VERSION_REGISTERED, ModelState, Move
from trikk.models.version import ModelVersion
from trikk.reports.sending import deliveries
from trikk.runs.journals.ledger import Entry, Follower, Ledger
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
    return Happenings(ledger, environment).between(since, until)


class Happenings:
    """What happened in a project, kept in memory: each look reads what is new. Threads may share it.

    Args:
        ledger: the project's.
        environment: whose moves of aliases are told.
    """

    def __init__(self, ledger: Ledger, environment: str) -> None:
        self._ledger, self._environment = ledger, environment
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._followers = [Follower(self._ledger, prefix) for prefix in ("model/", "incident/", "report/")]
        self._models: dict[str, ModelState] = {}
        self._incidents: dict[str, Incident] = {}
        self._happened: list[Happening] = []

    def between(
        self,
        since: float | None = None,
        until: float | None = None,
        *,
        after: tuple[float, int] | None = None,
        limit: int | None = None,
    ) -> list[Happening]:
        """What happened from `since` to before `until` (seconds since 1970), in its order.

        Args:
            since: the first moment; None for the beginning.
            until: the one after the last; None for the end.
            after: `at` and `seq` of the happening behind which to begin.
            limit: how many at most; all if None.
        """
        with self._lock:
            self._take_in()
            happened = self._happened
        first = 0 if since is None else bisect_left(happened, since, key=lambda one: one.at)
        if after is not None:
            first = max(first, bisect_right(happened, after, key=_place))
        end = len(happened) if until is None else bisect_left(happened, until, key=lambda one: one.at)
        return happened[first : end if limit is None else min(end, first + limit)]

    def _take_in(self) -> None:
        try:
            new = [
                happening
                for follower in self._followers
                for entry in follower.new()
                if (happening := self._of(entry)) is not None
            ]
        except BaseException:
            self._begin()  # what was read and not taken in would be missing for ever
            raise
        if new:  # another list: who reads the old one is not disturbed
            self._happened = sorted([*self._happened, *new], key=_place)

    def _of(self, entry: Entry) -> Happening | None:
        """What an entry tells; None if nothing."""
        kind, _, name = entry.subject.partition("/")
        if kind == "report":
            return _delivered(entry)
        if kind == "model":
            state = self._models.setdefault(name, ModelState(name))
            state.take_in(entry)
            return self._of_model(state, entry)
        cause, _, number = name.rpartition("-")
        incident = self._incidents.setdefault(name, Incident(name, cause, int(number)))
        incident.apply(entry)
        tell = _OF_INCIDENTS.get(entry.kind)
        return None if tell is None else tell(incident, entry)

    def _of_model(self, state: ModelState, entry: Entry) -> Happening | None:
        if entry.kind == VERSION_REGISTERED:
            return _registered(entry)
        newest = (*state.moves[-1:], *state.requests[-1:])
        move = next((one for one in newest if one.seq == entry.seq), None)
        is_told = move is not None and move.environment == self._environment
        return _moved(state.name, move) if move is not None and is_told else None


def _place(happening: Happening) -> tuple[float, int]:
    return happening.at, happening.seq


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
    Change.MUTED: "muted",
    Change.UNMUTED: "no longer muted",
    Change.NOTED: "noted",
}
_OF_INCIDENTS: dict[str, Callable[[Incident, Entry], Happening | None]] = {
    **dict.fromkeys(_VERBS, _decided),
    DELIVERED: _sent,
    GIVEN_UP: _sent,
    once.CLAIMED: _started,
    once.DONE: _started,
    once.NOT_BEGUN: _started,
}


def _delivered(entry: Entry) -> Happening | None:
    if entry.kind != deliveries.ATTEMPTED or not entry.body["reached"]:
        return None
    _, name, _, period, customer = entry.subject.split("/", 4)
    body: Mapping[str, Any] = entry.body
    whose = "" if customer == "*" else f" for {customer}"
    sentence = f"report {name} on {period}{whose} sent to {len(body['reached'])}"
    return Happening(entry.at, entry.seq, REPORT, f"{name}/{period}", sentence)
