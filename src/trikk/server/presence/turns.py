"""Whether every part of a server turns: each says so whenever it has been round; one that does not is stuck."""

from __future__ import annotations

from dataclasses import dataclass

from trikk.core.clock import Clock


@dataclass(slots=True)
class _Part:
    limit: float
    last: float


class Turns:
    """The parts of a server, and when each has last been round. Its methods may be called by any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parts: dict[str, _Part] = {}

    def expect(self, part: str, within: float) -> None:
        """From now on expect a part to turn each time so many seconds have passed."""
        self._parts[part] = _Part(within, self._clock.monotonic())

    def turned(self, part: str) -> None:
        """Note that a part, which is expected, has been round."""
        self._parts[part].last = self._clock.monotonic()

    def stuck(self) -> list[str]:
        """The parts that have not been round for too long."""
        now = self._clock.monotonic()
        return [name for name, part in list(self._parts.items()) if now - part.last > part.limit]
