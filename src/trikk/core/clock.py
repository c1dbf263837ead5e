"""Time as something that is passed in, so that retries, leases and schedules are tested in no time.

`now` is wall time and may jump; it is only recorded and compared across machines. `monotonic` never
goes backwards; everything that waits, waits by it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a component gets its time from."""

    def now(self) -> float:
        """Wall time in seconds since 1970-01-01 UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never decreases."""

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds (none if negative)."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Wall time in seconds since 1970-01-01 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never decreases."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds (none if negative)."""
        if seconds > 0:
            time.sleep(seconds)


def iso(moment: float) -> str:
    """Wall time (seconds since 1970) as ISO 8601 in UTC with milliseconds, such as 2020-03-26T04:00:00.000Z."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
