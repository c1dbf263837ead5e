"""Times for people."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo


def moment(at: float, zone: str) -> str:
    """A time (seconds since 1970) as people of a place read it: "2020-03-22 23:59 NZDT"."""
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"
