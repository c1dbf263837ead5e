"""Runs that are started once for a cause, whatever dies when: claimed in the ledger, run, their end written down.

A cause is whatever calls for a run and can be named: an incident, a moment of a schedule, an object that has
arrived. It has a subject in the ledger, and its run has an origin by which it is found again. Of many processes
one claims an attempt before it starts anything, and notes its end afterwards:

    start.claimed   pipeline, parameters, holder, token, since          identity start/N
    start.done      pipeline, attempt, run, state, why                  identity start/N/end
    start.failed    the same, where no run was started

A cause has one run, ever. What a process leaves that is killed

- before the claim: nothing, and the next look claims the same number;
- after the claim and before the run's first event: a claim. When nobody is at it any more, another attempt starts;
- while the run goes on: a run that is found by its origin. It is not started again: the claim's end is noted, and
  the next attempt resumes the run if the job is one that repeats, so what its steps have done is neither lost nor
  done twice;
- after the run's last event: the same, and there is nothing to resume.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.pipeline.parameters.tick_parameters import as_texts
from trikk.runs.claims import Claim, Claims, is_at_it
from trikk.runs.journals.ledger import Entry
from trikk.runs.states import OVER, RunStatus

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.execution.session import Session

CLAIMED, DONE, NOT_BEGUN = "start.claimed", "start.done", "start.failed"
KINDS = (CLAIMED, DONE, NOT_BEGUN)
BEING_MADE = "claimed"
"""The state of an attempt whose end is not noted."""


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
        claim: which process took it on, and when by the clock on the wall.
        state: `BEING_MADE`, or the run's, or `RunStatus.FAILED` where there is no run.
        run: the run; "" if there is none (yet).
        why: what went wrong.
    """

    pipeline: str
    parameters: dict[str, JSON]
    claim: Claim
    state: str = BEING_MADE
    run: str = ""
    why: str = ""

    @property
    def is_claimed(self) -> bool:
        """Whether its end is not noted."""
        return self.state == BEING_MADE


def take_in(attempts: list[Attempt], entry: Entry) -> None:
    """Take one more entry of a subject into the list of its attempts; of other kinds than `KINDS` none."""
    body: Mapping[str, Any] = entry.body
    if entry.kind == CLAIMED:
        attempts.append(Attempt(body["pipeline"], body["parameters"], Claim.read(entry.at, body)))
    elif entry.kind in KINDS:
        attempt = attempts[body["attempt"] - 1]
        attempt.state = body.get("state", RunStatus.FAILED)
        attempt.run, attempt.why = body.get("run", ""), body.get("why", "")


def attempts_of(entries: Iterable[Entry]) -> list[Attempt]:
    """The attempts that a subject's entries tell of, in order."""
    attempts: list[Attempt] = []
    for entry in entries:
        take_in(attempts, entry)
    return attempts


class Move(StrEnum):
    """What is to be done for a cause: start its run or resume it, note how the last attempt ended, or nothing."""

    ATTEMPT = "attempt"
    NOTE = "note"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of the last attempt beside its entries.

    Attributes:
        alive: whether the process that claimed it is at it; None if that can't be told from here.
        run: the run that was started; "" if none was.
        state: the run's state; "" without a run.
        is_driven: whether a process, whichever, drives the run.
    """

    alive: bool | None = False
    run: str = ""
    state: str = ""
    is_driven: bool = False


def next_move(job: Job, attempts: Sequence[Attempt], seen: Seen, *, wanted: bool, now: float) -> Move:
    """Decide what is to be done for a cause. Pure.

    Args:
        job: what it calls for.
        attempts: what was done for it.
        seen: what is seen of the last of them.
        wanted: whether the run is still to be started; what was claimed is noted all the same.
        now: the time by the clock of the claims, seconds since 1970.
    """
    may_attempt = wanted and len(attempts) < job.attempts
    if not attempts:
        return Move.ATTEMPT if may_attempt else Move.NOTHING
    last = attempts[-1]
    if last.is_claimed and seen.run:
        return Move.NOTHING if seen.is_driven and seen.state not in OVER else Move.NOTE
    if last.is_claimed:
        if is_at_it(seen.alive, last.claim.since, now):
            return Move.NOTHING
        return Move.ATTEMPT if may_attempt else Move.NOTE
    if not (job.repeats and may_attempt) or RunStatus.SUCCEEDED in (last.state, seen.state) or seen.is_driven:
        return Move.NOTHING  # somebody may have resumed it by hand, with or without success
    if seen.state == RunStatus.WAITING:
        return Move.NOTHING  # people are to decide, and then it goes on by itself
    return Move.ATTEMPT


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
    with Claims(project.journal, now.timestamp()) as claims:
        one = _Once(project, session, job, attempts, after, now, claims)
        seen = one.look()
        move = next_move(job, attempts, seen, wanted=wanted, now=session.how.clock.now())
        if move is Move.ATTEMPT:
            return one.attempt(seen.run)
        return one.note_lost(seen, wanted=wanted) if move is Move.NOTE else None


@dataclass(frozen=True, slots=True)
class _Once:
    """One call of `run_once`; its attributes are those arguments, and this process's claims."""

    project: Project
    session: Session
    job: Job
    attempts: Sequence[Attempt]
    after: int
    now: datetime
    claims: Claims

    def look(self) -> Seen:
        """What is seen of the last attempt."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or not (last.is_claimed or self.job.repeats) or last.state == RunStatus.SUCCEEDED:
            return Seen()  # nothing can follow, so nothing is asked
        alive = last.claim.is_alive() if last.is_claimed else False
        run = self._run() if last.is_claimed and not alive else last.run
        if not run:
            return Seen(alive)
        # In this order: a driver that ends in between has written the last state of its run before it lets go.
        is_driven = self.project.is_driven(run)
        return Seen(alive, run, self.project.journal.row(run).state, is_driven)

    def attempt(self, run: str) -> dict[str, JSON] | None:
        """Claim the next attempt, and make it; None if another process was faster.

        Args:
            run: the run to resume; "" to start one.
        """
        number, problem = len(self.attempts) + 1, ""
        texts: dict[str, str] = {}
        try:
            texts = {} if run else self._texts()
        except TrikkError as error:
            problem = error.what
        claim: dict[str, JSON] = {"pipeline": self.job.pipeline, "parameters": dict(texts)}
        since = self.session.how.clock.now()
        # after=: an incident that was acknowledged or resolved meanwhile starts nothing any more
        if not self.claims.take(
            self.job.subject, CLAIMED, claim, identity=f"start/{number}", after=self.after, since=since
        ):
            return None
        if problem:
            return self._noted(number, "", RunStatus.FAILED, problem)
        return self._noted(number, *self._carried_out(run, texts))

    def _texts(self) -> dict[str, str]:
        graph, zone = self.session.graph(self.job.pipeline), self.project.settings.timezone
        return as_texts(graph, self.job.parameters, self.job.moment, zone)

    def _carried_out(self, run: str, texts: dict[str, str]) -> tuple[str, str, str]:
        """Start the run, or resume it: the run ("" for none), its state and what went wrong."""
        at = self.now.timestamp()
        origin: dict[str, JSON] = {**self.job.origin, "at": at}
        try:
            if run:
                from trikk.execution.resume import again_without_effects, resume

                how, ask = self.session.how, again_without_effects
                run_state = resume(self.project, run, how, code="current", confirm=lambda _: None, ask=ask)
            else:
                run_state = self.session.run(self.job.pipeline, texts, text=True, origin=origin, as_of=at)
        except TrikkError as error:
            run = run or self._run()
            state = self.project.journal.row(run).state if run else RunStatus.FAILED
            return run, state if state in OVER else RunStatus.FAILED, error.what
        return run_state.id, run_state.state, run_state.error or ""

    def note_lost(self, seen: Seen, *, wanted: bool) -> dict[str, JSON] | None:
        """Note what became of an attempt whose process has not said how it ended."""
        number = len(self.attempts)
        if seen.state == RunStatus.SUCCEEDED:
            return self._noted(number, seen.run, seen.state, "")
        if not seen.run:
            return self._noted(number, "", RunStatus.FAILED, "the process that was to start it is gone")
        goes_on = self.job.repeats and wanted and number < self.job.attempts
        mend = "the next look goes on" if goes_on else f"go on: trikk resume {seen.run}"
        return self._noted(number, seen.run, seen.state, f"the process that started it is gone; {mend}")

    def _run(self) -> str:
        """The cause's run; "" if none was begun."""
        rows = self.project.journal.runs(pipeline=self.job.pipeline, limit=None)
        origin = self.job.origin.items()
        return next((row.id for row in rows if all(row.origin.get(k) == v for k, v in origin)), "")

    def _noted(self, number: int, run: str, state: str, why: str) -> dict[str, JSON] | None:
        body: dict[str, JSON] = {"pipeline": self.job.pipeline, "attempt": number}
        body |= {"run": run, "state": state, "why": why}
        # By its identity, two processes that both find an attempt's process gone note it once.
        kind, identity = DONE if run else NOT_BEGUN, f"start/{number}/end"
        return body if self.claims.note(self.job.subject, kind, body, identity=identity) else None
