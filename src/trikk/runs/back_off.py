"""When something that failed outside of a step is tried again. Pure.

The retries of a step are its author's (`trikk.pipeline.policies`); these are the pauses of what trikk does by
itself: messages, mails, evaluations, mirrors.
"""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 64  # 2.0**1024 overflows; every pause has reached its limit long before


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses that double from attempt to attempt.

    Attributes:
        first: seconds after the first attempt.
        longest: seconds that no pause exceeds.
        give_up: seconds after the first attempt after which there is no other; None for never.
    """

    first: float
    longest: float
    give_up: float | None = None

    def pause(self, attempts: int) -> float:
        """Seconds between that many attempts (one at least) and the next."""
        return min(self.first * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS), self.longest)

    def is_due(self, attempts: int, last: float, now: float) -> bool:
        """Whether the pause after that many attempts, the last one at `last`, is over."""
        return now >= last + self.pause(attempts)

    def is_over(self, first: float, now: float) -> bool:
        """Whether it is too late for another attempt after a first one at `first`."""
        return self.give_up is not None and now >= first + self.give_up
