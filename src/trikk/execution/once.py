"""Runs that are begun once for a cause, whatever dies when: taken on in the ledger, run, their end written down.

A cause is whatever calls for a run and can be named: an incident, a moment of a schedule, an object that has
arrived. It has a subject in the ledger, and its run has an origin by which it is found again. Of many processes
one takes an attempt on, by an entry, before it begins. If it dies, the journal tells by the origin whether it had
begun a run; only if it had not, and the process is dead (or on another host, and long silent), another takes the
cause on.

A cause has one run, ever. An attempt after one that has begun it resumes it, so that what its steps have done is
neither lost nor done twice.

    start.claimed   pipeline, parameters, holder, token, since          identity start/N
    start.done      pipeline, attempt, run, state, why                  identity start/N/end
    start.failed    the same, where no run was begun
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from trikk.core.errors import Conflict, TrikkError
from trikk.core.values import JSON
from trikk.runs.journals.lease import Holder, is_at_it
from trikk.runs.journals.ledger import Entry

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.execution.session import Session
    from trikk.pipeline.graph import Graph

CLAIMED, DONE, NOT_BEGUN = "start.claimed", "start.done", "start.failed"
KINDS = (CLAIMED, DONE, NOT_BEGUN)
_OVER = ("succeeded", "failed", "cancelled")
_HERE: set[str] = set()  # tokens of the attempts that this process is making


@dataclass(frozen=True, slots=True)
class Job:
    """What a cause calls for.

    Attributes:
        subject: where the cause's attempts are written down; its own in the ledger.
        pipeline: what is run.
        origin: by which the cause's run is known among those of the pipeline; the time is added to it.
        parameters: of the pipeline; texts are taken as they are written on a command line.
        moment: with its zone; fills in required dates and times that `parameters` does not have.
        attempts: how many there are at most.
        repeats: whether a run that does not succeed is resumed, with the code as it is then, when it is looked at
            again; otherwise only an attempt whose process died before it had begun a run is followed by another.
    """

    subject: str
    pipeline: str
    origin: Mapping[str, JSON]
    parameters: Mapping[str, JSON]
    moment: datetime
    attempts: int = 3
    repeats: bool = False


@dataclass(slots=True)
class Attempt:
    """One attempt to run what a cause calls for.

    Attributes:
        pipeline: its name.
        parameters: as they were given, as texts.
        holder: the process that took it on, as JSON.
        state: claimed, or the run's state, or "failed" where there is no run.
        run: the run; "" if there is none (yet).
        why: what went wrong.
        token: tells attempts of one process apart.
        since: when it was taken on, by the clock on the wall; 0 if that is not known.
    """

    pipeline: str
    parameters: dict[str, JSON]
    holder: Mapping[str, Any] = field(default_factory=dict)
    state: str = "claimed"
    run: str = ""
    why: str = ""
    token: str = ""
    since: float = 0.0

    def is_alive(self) -> bool | None:
        """Whether the process that took it on is still at it; None if that can't be told from here."""
        holder = Holder(**self.holder)
        return self.token in _HERE if holder == Holder.current() else holder.is_alive()


def take_in(attempts: list[Attempt], entry: Entry) -> None:
    """Take one more entry of a subject into the list of its attempts; of other kinds than `KINDS` none."""
    body: Mapping[str, Any] = entry.body
    if entry.kind == CLAIMED:
        attempts.append(Attempt(body["pipeline"], body["parameters"], body["holder"]))
        attempts[-1].token, attempts[-1].since = body.get("token", ""), body.get("since", 0.0)
    elif entry.kind in KINDS:
        attempt = attempts[body["attempt"] - 1]
        attempt.state = body.get("state", "failed")
        attempt.run, attempt.why = body.get("run", ""), body.get("why", "")


def attempts_of(entries: Iterable[Entry]) -> list[Attempt]:
    """The attempts that a subject's entries tell of, in order."""
    found: list[Attempt] = []
    for entry in entries:
        take_in(found, entry)
    return found


def run_once(
    project: Project,
    session: Session,
    job: Job,
    attempts: Sequence[Attempt],
    *,
    after: int,
    now: datetime,
    wanted: bool = True,
) -> dict[str, JSON] | None:
    """Run what a cause calls for to its end, if that is still to be done and nobody else does it.

    Safe to be called by several processes at once, and again after a kill at any moment.

    Args:
        project: the project.
        session: its code.
        job: what to run, and for what.
        attempts: those that the subject has, by `attempts_of`.
        after: `seq` of the last entry of the subject that `attempts` and `wanted` were read from; 0 for none.
            Nothing is begun if there is a later one.
        now: the time that steps take for the present, and that is written down.
        wanted: whether it is still to be begun; what was begun is noted all the same.

    Returns:
        How an attempt ended, if this call has written it down: pipeline, attempt, run ("" for none), state, why.
    """
    one = _Once(project, session, job, attempts, after, now)
    last = attempts[-1] if attempts else None
    if last is not None and last.state == "claimed":
        return one.found_again(last, wanted=wanted)
    if wanted and (last is None or one.is_to_be_repeated(last)):
        return one.begin(last.run if last else "")
    return None


@dataclass(frozen=True, slots=True)
class _Once:
    """One call of `run_once`; its attributes are those arguments."""

    project: Project
    session: Session
    job: Job
    attempts: Sequence[Attempt]
    after: int
    now: datetime

    def is_to_be_repeated(self, last: Attempt) -> bool:
        """Whether an attempt that has ended is followed by another."""
        if not self.job.repeats or last.state == "succeeded" or len(self.attempts) >= self.job.attempts:
            return False
        if not last.run:
            return True
        row = self.project.journal.row(last.run)  # somebody may have resumed it
        return row.state != "succeeded" and not self.project.is_driven(last.run)

    def begin(self, run: str) -> dict[str, JSON] | None:
        """Take the next attempt on, and carry it out; None if another process was faster."""
        number, problem = len(self.attempts) + 1, ""
        given: dict[str, str] = {}
        try:
            given = {} if run else self._given()
        except TrikkError as error:
            problem = error.what
        token, holder = secrets.token_hex(8), asdict(Holder.current())
        claim: dict[str, JSON] = {"pipeline": self.job.pipeline, "parameters": dict(given)}
        _HERE.add(token)
        try:
            claim |= {"holder": holder, "token": token, "since": self.session.how.clock.now()}
            if not self._added(CLAIMED, claim, f"start/{number}", after=self.after):
                return None
            if problem:
                return self._ended(number, "", "failed", problem)
            return self._ended(number, *self._carried_out(run, given))
        finally:
            _HERE.discard(token)

    def _given(self) -> dict[str, str]:
        graph, zone = self.session.graph(self.job.pipeline), self.project.settings.timezone
        return as_texts(graph, self.job.parameters, self.job.moment, zone)

    def _carried_out(self, run: str, given: dict[str, str]) -> tuple[str, str, str]:
        """Begin the run, or resume it: the run ("" for none), its state and what went wrong."""
        at = self.now.timestamp()
        origin: dict[str, JSON] = {**self.job.origin, "at": at}
        try:
            if run:
                from trikk.execution.resume import again_without_effects, resume

                how, ask = self.session.how, again_without_effects
                done = resume(self.project, run, how, code="current", confirm=lambda _: None, ask=ask)
            else:
                done = self.session.run(self.job.pipeline, given, text=True, origin=origin, as_of=at)
        except TrikkError as error:
            run = run or self._run()
            state = self.project.journal.row(run).state if run else "failed"
            return run, state if state in _OVER else "failed", error.what
        return done.id, done.state, done.error or ""

    def found_again(self, last: Attempt, *, wanted: bool) -> dict[str, JSON] | None:
        """What became of an attempt whose process has not said how it ended."""
        alive, number = last.is_alive(), len(self.attempts)
        run = "" if alive else self._run()
        state = self.project.journal.row(run).state if run else ""
        if run and state not in _OVER and self.project.is_driven(run):
            return None
        if not run and is_at_it(alive, last.since, self.session.how.clock.now()):
            return None
        goes_on = number < self.job.attempts and wanted
        if not run and goes_on:
            return self.begin("")
        why = "" if state == "succeeded" else "the process that was to start it is gone"
        if run and why:
            mend = "the next look goes on" if goes_on and self.job.repeats else f"go on: trikk resume {run}"
            why = f"the process that started it is gone; {mend}"
        return self._ended(number, run, state or "failed", why)

    def _run(self) -> str:
        """The cause's run; "" if none was begun."""
        rows = self.project.journal.runs(pipeline=self.job.pipeline, limit=None)
        wanted = self.job.origin.items()
        return next((row.id for row in rows if all(row.origin.get(k) == v for k, v in wanted)), "")

    def _ended(self, number: int, run: str, state: str, why: str) -> dict[str, JSON] | None:
        ended: dict[str, JSON] = {"pipeline": self.job.pipeline, "attempt": number}
        ended |= {"run": run, "state": state, "why": why}
        return ended if self._added(DONE if run else NOT_BEGUN, ended, f"start/{number}/end") else None

    def _added(self, kind: str, body: dict[str, JSON], identity: str, *, after: int | None = None) -> bool:
        """Add an entry; whether this call has added it."""
        at = self.now.timestamp()
        try:
            added = self.project.journal.add(self.job.subject, kind, body, at=at, identity=identity, after=after)
        except Conflict:
            return False
        return not added.repeated


def as_texts(graph: Graph, given: Mapping[str, JSON], moment: datetime, zone: str) -> dict[str, str]:
    """The parameters of a pipeline as texts: those given, and the day and time where it needs them.

    Args:
        graph: the pipeline.
        given: values as JSON; texts stay as they are.
        moment: what its required dates and times are filled in with, if they are not given.
        zone: the name of the time zone whose day it is.
    """
    found = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    for spec in graph.parameters:
        if spec.required and spec.name not in found:
            if spec.kind.name == "date":
                found[spec.name] = moment.astimezone(ZoneInfo(zone)).date().isoformat()
            elif spec.kind.name == "datetime":
                found[spec.name] = moment.isoformat()
    return found
