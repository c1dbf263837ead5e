"""Runs that are started once for a cause, whatever dies when: claimed in the ledger, run, their end written down.

A cause is whatever calls for a run and can be named: an incident, a moment of a schedule, an object that has
arrived. It has a subject in the ledger, and its run has an origin by which it is found again. Of many processes
one claims an attempt before it starts anything, and notes its end afterwards:

    start.claimed   pipeline, parameters, holder, token, since          identity start/N
    start.queued    pipeline, parameters, run; with the run's beginning identity start/N
    start.done      pipeline, attempt, run, state, why                  identity start/N/end
    start.failed    the same, where no run was started

A server has no time to run anything: it queues the run, which is written down with its entry in one transaction,
and whoever looks after the run is over notes its end.

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

from trikk.core.errors import Conflict, TrikkError
from trikk.core.values import JSON
from trikk.execution.queued_run import RunQueue, enqueue
from trikk.pipeline.parameters.tick_parameters import as_texts
from trikk.runs.claims import Claim, Claims, is_at_it
from trikk.runs.journals.journal import Cause
from trikk.runs.journals.ledger import Entry
from trikk.runs.states import OVER, RunStatus

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.execution.session import Session

CLAIMED, QUEUED, DONE, NOT_BEGUN = "start.claimed", "start.queued", "start.done", "start.failed"
KINDS = (CLAIMED, QUEUED, DONE, NOT_BEGUN)
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
        claim: which process took it on, and when by the clock on the wall; None if its run was queued.
        state: `BEING_MADE`; `RunStatus.QUEUED` if its run was queued and its end is not noted; or the run's, or
            `RunStatus.FAILED` where there is no run.
        run: the run; "" if there is none (yet).
        why: what went wrong.
    """

    pipeline: str
    parameters: dict[str, JSON]
    claim: Claim | None
    state: str = BEING_MADE
    run: str = ""
    why: str = ""

    @property
    def is_claimed(self) -> bool:
        """Whether a process took it on, and its end is not noted."""
        return self.state == BEING_MADE

    @property
    def is_queued(self) -> bool:
        """Whether its run was queued, and its end is not noted; one that was claimed may have ended queued."""
        return self.claim is None and self.state == RunStatus.QUEUED


def take_in(attempts: list[Attempt], entry: Entry) -> None:
    """Take one more entry of a subject into the list of its attempts; of other kinds than `KINDS` none."""
    body: Mapping[str, Any] = entry.body
    if entry.kind == CLAIMED:
        attempts.append(Attempt(body["pipeline"], body["parameters"], Claim.read(entry.at, body)))
    elif entry.kind == QUEUED:
        attempts.append(Attempt(body["pipeline"], body["parameters"], None, RunStatus.QUEUED, body["run"]))
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
    if last.is_queued:
        return Move.NOTE if seen.state in OVER else Move.NOTHING
    if last.is_claimed and seen.run:
        return Move.NOTHING if seen.is_driven and seen.state not in OVER else Move.NOTE
    if last.is_claimed:
        if last.claim is not None and is_at_it(seen.alive, last.claim.since, now):
            return Move.NOTHING
        return Move.ATTEMPT if may_attempt else Move.NOTE
    if not (job.repeats and may_attempt) or RunStatus.SUCCEEDED in (last.state, seen.state) or seen.is_driven:
        return Move.NOTHING  # somebody may have resumed it by hand, with or without success
    if seen.state == RunStatus.WAITING:
        return Move.NOTHING  # people are to decide, and then it goes on by itself
    return Move.ATTEMPT


def run_once(
    project: Project,
    session: Session | RunQueue,
    job: Job,
    attempts: Sequence[Attempt],
    *,
    after: int,
    now: datetime,
    wanted: bool = True,
) -> dict[str, JSON] | None:
    """Run what a cause calls for to its end, or queue it, if that is still to be done and nobody else does it.

    Safe to be called by several processes at once, and again after a kill at any moment.

    Args:
        project: the project.
        session: its code, or where its runs are queued; a job that repeats can't be queued.
        job: what to run, and for what.
        attempts: those that the subject has, by `attempts_of`.
        after: `seq` of the last entry of the subject that `attempts` and `wanted` were read from; 0 for none.
            Nothing is begun if there is a later one.
        now: the time that steps take for the present, and that is written down.
        wanted: whether it is still to be begun; what was begun is noted all the same.

    Returns:
        How an attempt ended, if this call has written it down: pipeline, attempt, run ("" for none), state, why;
        its state is "queued" if it was queued.
    """
    with Claims(project.journal, now.timestamp()) as claims:
        one = _Once(project, session, job, attempts, after, now, claims)
        move, seen = look_and_decide(project, job, attempts, wanted=wanted, now=session.how.clock.now())
        if move is Move.ATTEMPT:
            return one.attempt(seen.run)
        return one.note_lost(seen, wanted=wanted) if move is Move.NOTE else None


def look_and_decide(
    project: Project, job: Job, attempts: Sequence[Attempt], *, wanted: bool, now: float
) -> tuple[Move, Seen]:
    """What is to be done for a cause, by what is seen of its last attempt; arguments as of `next_move`."""
    seen = _look(project, job, attempts)
    return next_move(job, attempts, seen, wanted=wanted, now=now), seen


def _look(project: Project, job: Job, attempts: Sequence[Attempt]) -> Seen:
    """What is seen of the last attempt."""
    last = attempts[-1] if attempts else None
    if last is not None and last.is_queued:
        return Seen(None, last.run, project.journal.row(last.run).state)
    if last is None or not (last.is_claimed or job.repeats) or last.state == RunStatus.SUCCEEDED:
        return Seen()  # nothing can follow, so nothing is asked
    alive = last.claim.is_alive() if last.is_claimed and last.claim is not None else False
    run = _run_of(project, job) if last.is_claimed and not alive else last.run
    if not run:
        return Seen(alive)
    # In this order: a driver that ends in between has written the last state of its run before it lets go.
    is_driven = project.is_driven(run)
    return Seen(alive, run, project.journal.row(run).state, is_driven)


def _run_of(project: Project, job: Job) -> str:
    """The cause's run; "" if none was begun."""
    rows = project.journal.runs(pipeline=job.pipeline, limit=None)
    origin = job.origin.items()
    return next((row.id for row in rows if all(row.origin.get(k) == v for k, v in origin)), "")


@dataclass(frozen=True, slots=True)
class _Once:
    """One call of `run_once`; its attributes are those arguments, and this process's claims."""

    project: Project
    session: Session | RunQueue
    job: Job
    attempts: Sequence[Attempt]
    after: int
    now: datetime
    claims: Claims

    def attempt(self, run: str) -> dict[str, JSON] | None:
        """Claim the next attempt, and make it, or queue its run; None if another process was faster.

        Args:
            run: the run to resume; "" to start one.
        """
        number, problem = len(self.attempts) + 1, ""
        texts: dict[str, str] = {}
        try:
            texts = {} if run else self._texts()
            if isinstance(self.session, RunQueue):
                return self._queued(self.session, number, texts)
        except Conflict:
            return None
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
        assert not isinstance(self.session, RunQueue)
        return self._noted(number, *self._carried_out(self.session, run, texts))

    def _queued(self, queue: RunQueue, number: int, texts: Mapping[str, str]) -> dict[str, JSON] | None:
        """Write the run down for others to drive it; errors as of `enqueue`."""
        job, at = self.job, self.now.timestamp()
        origin: dict[str, JSON] = {**job.origin, "at": at}
        entry: dict[str, JSON] = {"pipeline": job.pipeline, "parameters": dict(texts)}
        cause = Cause(job.subject, QUEUED, f"start/{number}", entry, self.after)
        graph = queue.graph(job.pipeline)
        added = enqueue(self.project, graph, texts, origin, cause, at=at, text=True, as_of=at)
        if added.repeated:
            return None
        run = added.entry.body["run"]
        return {"pipeline": job.pipeline, "attempt": number, "run": run, "state": RunStatus.QUEUED, "why": ""}

    def _texts(self) -> dict[str, str]:
        graph, zone = self.session.graph(self.job.pipeline), self.project.settings.timezone
        return as_texts(graph, self.job.parameters, self.job.moment, zone)

    def _carried_out(self, session: Session, run: str, texts: dict[str, str]) -> tuple[str, str, str]:
        """Start the run, or resume it: the run ("" for none), its state and what went wrong."""
        at = self.now.timestamp()
        origin: dict[str, JSON] = {**self.job.origin, "at": at}
        try:
            if run:
                from trikk.execution.resume import again_without_effects, resume

                how, ask = session.how, again_without_effects
                run_state = resume(self.project, run, how, code="current", confirm=lambda _: None, ask=ask)
            else:
                run_state = session.run(self.job.pipeline, texts, text=True, origin=origin, as_of=at)
        except TrikkError as error:
            run = run or _run_of(self.project, self.job)
            state = self.project.journal.row(run).state if run else RunStatus.FAILED
            return run, state if state in OVER else RunStatus.FAILED, error.what
        return run_state.id, run_state.state, run_state.error or ""

    def note_lost(self, seen: Seen, *, wanted: bool) -> dict[str, JSON] | None:
        """Note what became of an attempt that was queued, or whose process has not said how it ended."""
        number = len(self.attempts)
        if seen.state == RunStatus.SUCCEEDED:
            return self._noted(number, seen.run, seen.state, "")
        if self.attempts[-1].is_queued:
            return self._noted(number, seen.run, seen.state, self.project.journal.row(seen.run).error or "")
        if not seen.run:
            return self._noted(number, "", RunStatus.FAILED, "the process that was to start it is gone")
        goes_on = self.job.repeats and wanted and number < self.job.attempts
        mend = "the next look goes on" if goes_on else f"go on: trikk resume {seen.run}"
        return self._noted(number, seen.run, seen.state, f"the process that started it is gone; {mend}")

    def _noted(self, number: int, run: str, state: str, why: str) -> dict[str, JSON] | None:
        body: dict[str, JSON] = {"pipeline": self.job.pipeline, "attempt": number}
        body |= {"run": run, "state": state, "why": why}
        # By its identity, two processes that both find an attempt's process gone note it once.
        kind, identity = DONE if run else NOT_BEGUN, f"start/{number}/end"
        return body if self.claims.note(self.job.subject, kind, body, identity=identity) else None
