"""The way from the ledger to somewhere else, which may be away: how far a thing has come, and what to do about it.

An attempt is written down before it is made, by the process that claims it, and its end afterwards. What a process
leaves that is killed

- before the first entry: nothing, and the next look begins;
- between the entries: an attempt of which nobody knows whether it arrived. It is made again, so a thing comes at
  least once; whoever receives it tells doubles by its key or Message-ID;
- after the second entry: nothing to do.

A thing has a `Progress`, the fold of its entries; `next_step` decides; both are pure. `hand_over` does it. What
the entries are called and say is up to the kind of thing (`Item`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from trikk.core.durations import lasting
from trikk.core.values import JSON
from trikk.runs.back_off import BackOff
from trikk.runs.claims import Claim, Claims, is_at_it
from trikk.runs.journals.ledger import Entry, Ledger


class State(StrEnum):
    """How far a thing has come."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given up"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self in (State.DELIVERED, State.GIVEN_UP)


@dataclass(slots=True)
class Progress:
    """The fold of a thing's attempts.

    Attributes:
        state: how far it has come; what has failed is tried again.
        attempts: how many were begun.
        first: when the first was begun, seconds since 1970; 0 if none was.
        at: when the last thing happened.
        claim: who made the last attempt; None if none was made.
        why: what went wrong at last.
    """

    state: State = State.WAITING
    attempts: int = 0
    first: float = 0.0
    at: float = 0.0
    claim: Claim | None = None
    why: str = ""

    def begin(self, claim: Claim, at: float) -> None:
        """Take in that a process has claimed an attempt."""
        self.state, self.claim = State.SENDING, claim
        self.attempts += 1
        self.at, self.first = at, self.first or at

    def end(self, state: State, at: float, why: str = "") -> None:
        """Take in how the attempt ended, or that there is no other."""
        self.state, self.why = state, why
        self.at, self.first = at, self.first or at


class Do(StrEnum):
    """What becomes of a thing now."""

    SEND = "send"
    WAIT = "wait"
    GIVE_UP = "give up"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with a thing now, and why."""

    do: Do
    why: str


def next_step(
    progress: Progress, back_off: BackOff, *, now: float, alive: bool | None, is_patient: bool = True
) -> Step:
    """Decide what becomes of a thing. Pure.

    Args:
        progress: how far it has come.
        back_off: its pauses, and when it is given up.
        now: the time, seconds since 1970.
        alive: whether the process that has claimed the last attempt is at it; None if that can't be told.
        is_patient: whether to wait out the pause; not if somebody asks for it to be sent now.
    """
    if progress.state.is_over:
        return Step(Do.NOTHING, f"it was {progress.state}")
    if progress.state is State.WAITING:
        return Step(Do.SEND, "it was not sent yet")
    if progress.state is State.SENDING:
        since = progress.claim.since if progress.claim else progress.at
        if is_at_it(alive, since, now):
            return Step(Do.WAIT, "another process is sending it")
        return _again(progress, back_off, now, "the process that was sending it ended; it may have arrived")
    number, pause = progress.attempts, back_off.pause(progress.attempts)
    if is_patient and not back_off.is_due(number, progress.at, now):
        return Step(Do.WAIT, f"attempt {number} failed, the next is due {pause:.0f} s after it")
    return _again(progress, back_off, now, f"attempt {number} failed: {progress.why}")


def _again(progress: Progress, back_off: BackOff, now: float, why: str) -> Step:
    if back_off.is_over(progress.first, now):
        attempts = f"{progress.attempts} attempts in {lasting(now - progress.first)} failed"
        return Step(Do.GIVE_UP, f"{attempts}; the last: {progress.why or why}")
    return Step(Do.SEND, why)


@dataclass(frozen=True, slots=True)
class Note:
    """An entry to be added to a thing's subject; arguments as of `Claims.take`."""

    kind: str
    body: dict[str, JSON]
    identity: str | None = None
    after: int | None = None


class Item(Protocol):
    """A thing that is to be handed over; says what its entries are."""

    @property
    def subject(self) -> str:
        """Where its entries are."""

    @property
    def progress(self) -> Progress:
        """How far it has come."""

    @property
    def lost(self) -> str:
        """Why it can't be handed over any more, whatever is tried; "" if it can."""

    def note(self, step: Step) -> Note:
        """The entry on a step: an attempt begins (what it says beside the claim), or no other follows."""

    def take_in(self, entry: Entry) -> None:
        """Take in an entry that was added."""


T = TypeVar("T", bound=Item)


def hand_over(
    ledger: Ledger,
    items: Iterable[T],
    send: Callable[[Sequence[T]], Iterator[tuple[T, Note]]],
    back_off: BackOff,
    *,
    now: float,
    is_patient: bool = True,
) -> list[tuple[T, Entry]]:
    """Send those things that are due and that nobody else is sending, and write down what became of them.

    Args:
        ledger: where their entries are.
        items: the things.
        send: sends those that this process has claimed, and yields for each the entry that tells how that ended.
            It is added before the next one is sent: a process that is killed leaves few attempts without an end.
        back_off: their pauses, and when they are given up.
        now: the time, seconds since 1970.
        is_patient: as of `next_step`.

    Returns:
        Those that were given up, then those that were tried, each with the entry that says so.
    """
    ends: list[tuple[T, Entry]] = []
    claimed: list[T] = []
    with Claims(ledger, now) as claims:
        for item in items:
            step = _step(item, back_off, now, is_patient=is_patient)
            if step.do is Do.SEND and _added(claims.take, item, item.note(step)) is not None:
                claimed.append(item)
            elif step.do is Do.GIVE_UP and (entry := _added(claims.note, item, item.note(step))) is not None:
                ends.append((item, entry))
        for item, end in send(claimed):
            if (entry := _added(claims.note, item, end)) is not None:
                ends.append((item, entry))
    return ends


def _step(item: Item, back_off: BackOff, now: float, *, is_patient: bool) -> Step:
    progress = item.progress
    alive = progress.claim.is_alive() if progress.state is State.SENDING and progress.claim else None
    step = next_step(progress, back_off, now=now, alive=alive, is_patient=is_patient)
    return Step(Do.GIVE_UP, item.lost) if step.do is Do.SEND and item.lost else step


def _added(add: Callable[..., Entry | None], item: Item, note: Note) -> Entry | None:
    entry = add(item.subject, note.kind, note.body, identity=note.identity, after=note.after)
    if entry is not None:
        item.take_in(entry)
    return entry
