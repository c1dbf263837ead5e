"""Times and durations for people."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from trikk.core.durations import show_seconds

_DAY = 86400.0


def lasting(seconds: float) -> str:
    """A duration: as elsewhere, but days where there are two of them or more: "5 days"."""
    return show_seconds(seconds) if seconds < 2 * _DAY else f"{seconds / _DAY:.3g} days"


def moment(at: float, zone: str) -> str:
    """A time (seconds since 1970) as people of a place read it: "2020-03-22 23:59 NZDT"."""
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"
