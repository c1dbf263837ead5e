"""How a gate's results say shares, ages and what went wrong."""

from __future__ import annotations

import re

from trikk.core.durations import show_seconds
from trikk.core.errors import TrikkError

_VALUES = re.compile(r"(?:; valid columns)?: \[.*")  # what polars could not convert
PROBLEM = 300  # characters of an error that are shown


def problem_of(error: BaseException) -> str:
    """What an exception says, in one short line; of polars' own the reason only, without values of rows."""
    try:
        text = error.what if isinstance(error, TrikkError) else str(error)
    except Exception:  # noqa: BLE001 - the author's __str__ may do anything
        text = ""
    line = in_short(text)
    name = type(error).__name__
    if isinstance(error, TrikkError):
        return line
    if type(error).__module__.partition(".")[0] == "polars":
        reason = _VALUES.sub("", line)
        return f"it can't be computed: {reason}" if reason else "it can't be computed"
    return f"{name}: {line}" if line else name


def in_short(text: str) -> str:
    """The first paragraph of a text, as one line that is not too long; polars adds a plan after a blank line."""
    line = " ".join(text.strip().partition("\n\n")[0].split())
    return line if len(line) <= PROBLEM else line[:PROBLEM] + "..."


def share_text(share: float) -> str:
    """A share for people; never rounded to nothing."""
    return f"{share * 100:.2f} %" if share >= 0.0001 or share == 0 else "less than 0.01 %"


def age_text(value: float) -> str:
    """An age in seconds for people: days and hours where it is days."""
    days, rest = divmod(value, 86400)
    hours = round(rest / 3600)
    return show_seconds(rest) if not days else f"{days:.0f} d {hours} h" if hours else f"{days:.0f} d"
