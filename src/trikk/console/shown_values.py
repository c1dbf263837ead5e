"""Values as pages show them: moments, durations, sizes, numbers, and any JSON.

All of them take what a document holds, `None` included, and give text that Jinja escapes, or markup that is safe.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from trikk.core.durations import lasting, show_bytes
from trikk.core.text import printable, printable_lines, shorten
from trikk.runs.shown_parameters import tick_text

NONE = Markup('<span class="none">&ndash;</span>')
_LONGEST = 200


def moment(given: float | str | None, form: str = "%Y-%m-%d %H:%M:%S", *, zone: str) -> Markup:
    """A moment, in seconds since 1970 or as ISO 8601 has it, in the project's zone; UTC when pointed at."""
    if given is None or given == "":
        return NONE
    if isinstance(given, str):
        at = datetime.fromisoformat(given).astimezone(UTC)
    else:
        at = datetime.fromtimestamp(given, UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        at.isoformat(timespec="milliseconds"),
        at.strftime("%Y-%m-%d %H:%M:%S"),
        at.astimezone(ZoneInfo(zone)).strftime(form),
    )


def tick(given: str | None, *, zone: str) -> str | Markup:
    """What a trigger's run is for: a moment by the project's clock, or an event."""
    return NONE if not given else printable(tick_text(given, ZoneInfo(zone)))


def duration(seconds: float | None) -> str | Markup:
    """A duration in seconds."""
    return NONE if seconds is None else lasting(max(0.0, seconds))


def size(count: float | None) -> str | Markup:
    """A number of bytes."""
    return NONE if count is None else show_bytes(count)


def number(value: Any, digits: int = 4) -> str | Markup:
    """A number in so many significant digits, thousands apart; other values as text."""
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return printable(str(value))
    if isinstance(value, int) or (abs(value) >= 10**digits and isfinite(value)):
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}"


def percent(value: float | None, digits: int = 1) -> str | Markup:
    """A share as a percentage."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def text(value: Any, most: int = _LONGEST) -> str | Markup:
    """Any value on one line: text as it is, anything else as JSON."""
    if value is None:
        return NONE
    return shorten(printable(value if isinstance(value, str) else json.dumps(value, default=str)), most)


def lines(value: str) -> str:
    """Text of several lines, with what can't be seen written out."""
    return printable_lines(value)


def pretty(value: Any) -> str:
    """Any value as indented JSON."""
    return printable_lines(json.dumps(value, indent=2, default=str, ensure_ascii=False))
