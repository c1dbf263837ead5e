"""Durations and sizes as people write them: "90s", "10m", "1.5h"; "512MB", "4GB"."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from trikk.core.errors import UsageError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*\Z")

Duration = str | int | float | timedelta


def seconds(value: Duration, *, what: str = "duration") -> float:
    """Return a duration in seconds.

    Args:
        value: a number of seconds, a timedelta, or a text such as "250ms", "10s", "5m", "2h", "1d".
        what: how to call it in an error.

    Raises:
        UsageError: if it is negative, not finite, or not understood.
    """
    number: float | None = None
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str) and (match := _TEXT.match(value)) and match[2].lower() in _UNITS:
        number = float(match[1]) * _UNITS[match[2].lower()]
    if number is None or not math.isfinite(number) or number < 0:
        raise UsageError(
            f"{what}: {value!r} is not a length of time", next='write seconds, or a text such as "10s", "5m", "2h"'
        )
    return number


def bytes_of(value: str | int, *, what: str = "size") -> int:
    """Return a size in bytes, given as a number or as a text such as "512MB" or "4GiB".

    Raises:
        UsageError: if it is negative or not understood.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _TEXT.match(value)) and match[2].upper() in _SIZES:
        return int(float(match[1]) * _SIZES[match[2].upper()])
    raise UsageError(f"{what}: {value!r} is not a size", next='write bytes, or a text such as "512MB", "4GB"')


def show_seconds(value: float) -> str:
    """A duration for people: "42 ms", "3.1 s", "4 min 05 s", "2 h 10 min"."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def lasting(value: float) -> str:
    """A duration for people: as of `show_seconds`, but days where there are two of them or more: "5 days"."""
    days = value / _UNITS["d"]
    if days < 2:
        return show_seconds(value)
    return f"{days:.3g} days" if days < 100 else f"{days:,.0f} days"


def exactly(value: float) -> str:
    """A duration for people that is not rounded, in the largest unit it is a whole number of: "15 min", "90 s"."""
    units = {"days": _UNITS["d"], "h": _UNITS["h"], "min": _UNITS["m"]}
    for name, length in units.items():
        if value % length == 0 and value >= (2 * length if name == "days" else length):
            return f"{value / length:.0f} {name}"
    return f"{value:.15g} s"


def show_bytes(value: float) -> str:
    """A size for people, in powers of ten: "812 B", "56.1 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
