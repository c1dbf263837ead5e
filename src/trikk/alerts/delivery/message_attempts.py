"""How one message comes to one channel: attempts with growing pauses, and an end. Pure.

An attempt is written down before it is made, and its outcome afterwards. A process that dies between the two
leaves an attempt of which nobody knows whether it arrived; it is made again: a message comes at least once.

A channel that is away delays its messages. They are given up after `GIVE_UP` only, by when a message tells of what
everybody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.alerts.delivery.times import lasting
from trikk.runs.journals.lease import is_at_it

GIVE_UP = 3 * 86400.0
"""Seconds after the first attempt after which a message is not sent any more."""
_FIRST, _LONGEST = 60.0, 3600.0


@dataclass(slots=True)
class Delivery:
    """The fold of a message's attempts on one channel.

    Attributes:
        state: waiting, sending, delivered, failed (it is tried again) or "given up".
        attempts: how many were begun.
        first: when the first attempt was made, seconds since 1970.
        at: when the last thing happened.
        holder: the process that made the last attempt, as JSON.
        why: what went wrong at last.
    """

    state: str = "waiting"
    attempts: int = 0
    first: float = 0.0
    at: float = 0.0
    holder: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    def apply(self, kind: str, at: float, body: Mapping[str, Any]) -> None:
        """Take in that an attempt was begun ("sending"), or how it ended."""
        self.at, self.first = at, self.first or at
        if kind == "sending":
            self.state, self.attempts, self.holder = "sending", body["attempt"], body["holder"]
        else:
            self.state = {"delivered": "delivered", "failed": "failed", "given_up": "given up"}[kind]
            self.why = body.get("why", "")


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with a delivery now: "send", "wait", "give up" or "nothing", and why."""

    do: str
    why: str


def next_step(delivery: Delivery, *, now: float, alive: bool | None) -> Step:
    """Decide what becomes of a delivery.

    Args:
        delivery: how far it has come.
        now: the time, seconds since 1970.
        alive: whether the process that made the last attempt lives; None if that can't be told from here.
    """
    if delivery.state in ("delivered", "given up"):
        return Step("nothing", f"it was {delivery.state}")
    if delivery.state == "waiting":
        return Step("send", "it was not sent yet")
    if delivery.state == "sending":
        if is_at_it(alive, delivery.at, now):
            return Step("wait", "another process is sending it")
        return _again(delivery, now, "the process that was sending it ended; it may have arrived")
    pause = min(_FIRST * 2.0 ** min(delivery.attempts - 1, 10), _LONGEST)
    if now < delivery.at + pause:
        return Step("wait", f"attempt {delivery.attempts} failed, the next is due {pause:.0f} s after it")
    return _again(delivery, now, f"attempt {delivery.attempts} failed: {delivery.why}")


def _again(delivery: Delivery, now: float, why: str) -> Step:
    if now >= delivery.first + GIVE_UP:
        tried = f"{delivery.attempts} attempts in {lasting(now - delivery.first)} failed"
        return Step("give up", f"{tried}; the last: {delivery.why or why}")
    return Step("send", why)
