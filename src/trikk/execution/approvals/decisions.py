"""Decide what a run asks: exactly once, whoever decides at the same time, and whether or not a process drives it.

A decision is an event of the run, written on the condition that the run has no later event than was read. So it
can't come after another decision, after the question was withdrawn, or into a run that is over. If the run waits,
its decision queues it again: a server takes it from there, or the command that decided goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from trikk.core.clock import iso
from trikk.core.errors import ApprovalExpired, Conflict, RunError, UnknownName, UsageError
from trikk.core.text import printable
from trikk.core.values import JSON
from trikk.runs.approval_state import BY_EXPIRY, ApprovalState, by_expiry
from trikk.runs.events import EventKind
from trikk.runs.journals.journal import Journal
from trikk.runs.run_state import RunState
from trikk.runs.states import OVER, RunStatus


def decide(
    journal: Journal, run: str, step: str | None = None, *, approved: bool, by: str, why: str, now: float
) -> RunState:
    """Approve or refuse what a run asks.

    The same decision of the same person for the same reason again is no other: who is not sure that it arrived may
    repeat it.

    Args:
        journal: the project's.
        run: the run's full id.
        step: which step's question; may be None if the run asks one thing only.
        approved: the decision.
        by: who decides.
        why: the reason, for those who ask later.
        now: wall time in seconds since 1970.

    Returns:
        The run's state after the decision; queued if nobody drives the run.

    Raises:
        RunError: if the run asks nothing, or somebody else has decided before.
        ApprovalExpired: if the question has expired; that is written down now, if it was not, and queues the run.
        UnknownName: if there is no such run, or that step asks nothing.
        UsageError: if there is no reason.
    """
    if not why.strip():
        raise UsageError("a decision needs a reason", next='say why: --why "the error is half of last week\'s"')
    body: dict[str, JSON] = {"approved": approved, "by": by, "why": printable(why.strip())}
    while True:
        state = RunState.fold(run, journal.events(run))
        approval = _meant(state, step)
        if (approval.approved, approval.by, approval.why) == (approved, by, body["why"]):
            return state
        _check_open(state, approval)
        has_expired = approval.has_expired(now)
        decision = by_expiry(approval) if has_expired else {"step": approval.step, **body}
        try:
            state.apply(journal.append(run, EventKind.APPROVAL_DECIDED, decision, at=now, after=state.seq))
        except Conflict:
            continue  # its driver has written something, or somebody else has decided
        if has_expired:
            raise _too_late(state, state.approvals[approval.step])
        return state


def expire(journal: Journal, now: float) -> list[str]:
    """Decide, as declared, what waiting runs have asked and nobody has decided in time.

    Costs a read of the events of each run that waits; a look every ten seconds or so is often enough.

    Returns:
        The ids of the runs that are queued again.
    """
    waiting = [row.id for row in journal.runs(state=RunStatus.WAITING, limit=None)]
    return [run for run in waiting if _expire_in(journal, run, now)]


def _expire_in(journal: Journal, run: str, now: float) -> bool:
    state = RunState.fold(run, journal.events(run))
    late = [approval for approval in state.open_approvals() if approval.has_expired(now)]
    if state.state != RunStatus.WAITING or not late:
        return False
    try:
        batch = [(EventKind.APPROVAL_DECIDED, by_expiry(approval)) for approval in late]
        journal.append_many(run, batch, at=now, after=state.seq)
    except Conflict:
        return False  # somebody has decided at this very moment, or another server was faster
    return True


def open_approvals(journal: Journal, pipeline: str | None = None) -> Iterator[tuple[RunState, ApprovalState]]:
    """What runs (of a pipeline) ask now, with the run, the newest first.

    An expired question is there until it is decided.
    """
    for status in (RunStatus.WAITING, RunStatus.RUNNING, RunStatus.QUEUED):
        for row in journal.runs(pipeline=pipeline, state=status, limit=None):
            # Thousands may wait for their first start, and have asked nothing; most that run ask nothing either.
            if row.started is None or not journal.has_event(row.id, EventKind.APPROVAL_ASKED):
                continue
            state = RunState.fold(row.id, journal.events(row.id))
            yield from ((state, approval) for approval in state.open_approvals())


def asked_document(state: RunState, approval: ApprovalState) -> dict[str, JSON]:
    """What a run asks, as `trikk approvals --json` lists it."""
    return {"run": state.id, "pipeline": state.pipeline, **approval.to_json()}


def _meant(state: RunState, step: str | None) -> ApprovalState:
    if step is not None:
        if step not in state.approvals:
            raise UnknownName("approval", step, state.approvals)
        return state.approvals[step]
    opened = state.open_approvals()
    if len(opened) > 1:
        names = ", ".join(approval.step for approval in opened)
        raise RunError(f"run {state.id} asks several things", next=f"name the step: {names}")
    if not (opened or state.approvals):
        raise RunError(f"run {state.id} asks nothing", next="what is asked: trikk approvals")
    return opened[0] if opened else list(state.approvals.values())[-1]


def _check_open(state: RunState, approval: ApprovalState) -> None:
    """Raise RunError unless a question can be decided."""
    if not approval.is_open:
        raise _too_late(state, approval)
    if state.state in OVER:
        mend = f"trikk resume {state.id} goes on with it, and then it can be decided"
        raise RunError(f"run {state.id} has {state.state}", next=mend)


def _too_late(state: RunState, approval: ApprovalState) -> RunError:
    """The error for a question that is decided."""
    error = ApprovalExpired if approval.by == BY_EXPIRY else RunError
    when = "" if approval.at is None else f" at {iso(approval.at)}"
    shown = f"trikk show {state.id}"
    if not approval.approved and state.state in OVER:
        shown = f"ask anew: trikk resume {state.id} --again {approval.step}"
    return error(f"{approval.step} of run {state.id} was {approval.verdict}{when}", next=shown)
