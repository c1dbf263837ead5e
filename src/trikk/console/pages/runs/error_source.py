"""The author's lines around the one that an error came by, out of the code that the run is locked to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trikk.core.errors import TrikkError
from trikk.core.text import shorten
from trikk.runs.bundle import contents
from trikk.runs.states import StepStatus

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.runs.run_state import RunState

_WHERE = re.compile(r"(?P<file>.+?):(?P<line>\d{1,7})( in .*)?")  # as `traces.own_line` has it
_AROUND = 3  # lines before it, and after
_BYTES, _LONGEST = 1_000_000, 200  # of a file that is read; characters of a line


def lines_around(project: Project, run: RunState, task: Mapping[str, Any]) -> list[tuple[int, str, bool]]:
    """The lines around an error's, each with its number and whether it is that one; none where there are none.

    Args:
        project: the project.
        run: the run.
        task: a step of it, or an item of one, as JSON.
    """
    place = _WHERE.fullmatch(str((task["error"] or {}).get("where") or ""))
    bundle = str(run.lock.get("code") or "")
    # What has not failed with this lock has an error of before the run was resumed, maybe with other code.
    if place is None or not bundle or task["state"] not in (StepStatus.FAILED, StepStatus.RETRYING):
        return []
    try:
        digest = contents(project.store, bundle).get(place["file"])
        path = None if digest is None else project.store.fetch(digest)
        if path is None or path.stat().st_size > _BYTES:
            return []
        lines = path.read_text("utf-8", errors="replace").split("\n")  # as Python counts them
    except (TrikkError, OSError):
        return []
    line = int(place["line"])
    if not 0 < line <= len(lines):
        return []
    first = max(1, line - _AROUND)
    shown = lines[first - 1 : line + _AROUND]
    return [
        (number, shorten(text.expandtabs(4), _LONGEST), number == line) for number, text in enumerate(shown, first)
    ]
