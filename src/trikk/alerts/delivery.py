"""How one message comes to one channel: attempts with growing pauses, and an end. Pure.

An attempt is written down before it is made, and its outcome afterwards. A process that dies between the two
leaves an attempt of which nobody knows whether it arrived; it is made again: a message comes at least once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ATTEMPTS = 8
_FIRST, _LONGEST = 60.0, 6 * 3600.0
_UNKNOWN = 900.0  # seconds after which a sender of whom nothing is known is given up


@dataclass(slots=True)
class Delivery:
    """The fold of a message's attempts on one channel.

    Attributes:
        state: waiting, sending, delivered, failed (it is tried again) or "given up".
        attempts: how many were begun.
        at: when the last thing happened, seconds since 1970.
        holder: the process that made the last attempt, as JSON.
        why: what went wrong at last.
    """

    state: str = "waiting"
    attempts: int = 0
    at: float = 0.0
    holder: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    def apply(self, kind: str, at: float, body: Mapping[str, Any]) -> None:
        """Take in that an attempt was begun ("sending"), or how it ended."""
        self.at = at
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
        if alive or (alive is None and now < delivery.at + _UNKNOWN):
            return Step("wait", "another process is sending it")
        return _again(delivery, "the process that was sending it ended; it may have arrived")
    pause = min(_FIRST * 2 ** (delivery.attempts - 1), _LONGEST)
    if now < delivery.at + pause:
        return Step("wait", f"attempt {delivery.attempts} failed, the next is due {pause:.0f} s after it")
    return _again(delivery, f"attempt {delivery.attempts} failed: {delivery.why}")


def _again(delivery: Delivery, why: str) -> Step:
    if delivery.attempts >= ATTEMPTS:
        return Step("give up", f"{delivery.attempts} attempts failed; the last: {delivery.why or why}")
    return Step("send", why)
