"""The end of a failed step's log as a message shows it: what was said, without what only a debugger needs.

A mail is read on a phone. Frames within libraries, the marks below a line of code, and a query's plan, with which
polars ends its errors, would push out of its few lines what the author's own step has said. The log has them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_MARKS = re.compile(r"[\s~^]*[~^][\s~^]*")
_LIBRARY = re.compile(r'  File ".*[/\\](site|dist)-packages[/\\].*", line \d+')
_PLANS = (
    "Resolved plan until failure:",
    "This error occurred with the following context stack:",
    "This error occurred in the following expression:",
)


def log_end(lines: Iterable[str], most: int) -> tuple[str, ...]:
    """The last lines that people need, `most` of them at most; tabs are blanks."""
    kept: list[str] = []
    for line in _without_plans(_without_frames(lines)):
        if line or (kept and kept[-1]):  # one blank line of several
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept[-most:])


def _without_frames(lines: Iterable[str]) -> Iterator[str]:
    within = False  # a frame of a library, whose lines are indented further
    for line in lines:
        within = bool(_LIBRARY.match(line)) or (within and line.startswith("    "))
        if not within and not _MARKS.fullmatch(line):
            yield line.expandtabs(4).rstrip()


def _without_plans(lines: Iterable[str]) -> Iterator[str]:
    within, begun = False, False  # from a plan's heading to the first blank line after what follows it
    for line in lines:
        if line.strip() in _PLANS:
            within, begun = True, False
        elif within and line:
            begun = True
        elif within and begun:
            within = False
        if not within:
            yield line
