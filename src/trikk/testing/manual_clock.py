"""A clock that a test sets: waiting costs nothing, and jumps are possible."""

from __future__ import annotations


class ManualClock:
    """Both clocks stand still but for `sleep` and `advance`; wall time may also `jump`.

    Args:
        now: wall time at the beginning, seconds since 1970.
    """

    def __init__(self, now: float = 1_583_107_200.0) -> None:
        self._now = now
        self._monotonic = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Wall time in seconds since 1970-01-01 UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Let that much time pass, at once."""
        self.slept.append(seconds)
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set wall time forward or, with a negative number, back; monotonic time does not notice."""
        self._now += seconds
