"""An attempt's log: its end, the lines that have a word in them, or all of it as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from trikk.core.errors import UnknownName
from trikk.server.http.handlers.data_handlers import bytes_of
from trikk.server.http.routes import TEXT_TYPE, Given
from trikk.tracking.run_document import task_named

if TYPE_CHECKING:
    from trikk.server.http.doors import Doors
    from trikk.server.http.routes import Call

_END = 32 << 10  # bytes of a log's end that are shown
_MATCHES = 200
_LINE = 500  # bytes of a line that are shown
_AT_ONCE = 1 << 20


class LogQuery(Given, frozen=True):
    """Which attempt's log."""

    attempt: int | None = None  # the last one if not given


def log_path(state_dir: Path, run: str, label: str, attempt: int) -> Path:
    """Where the log of an attempt of a step, or of an item of one ("fit[3]"), is; checked names only."""
    name, _, item = label.partition("[")
    middle = f".{item.rstrip(']')}" if item else ""
    return state_dir / "runs" / run / f"{name}{middle}.{attempt}.log"


def read_log(path: Path, search: str = "") -> dict[str, Any]:
    """A log's end, or with `search` the lines that contain it, in whichever case.

    Returns:
        `size` in bytes, None if there is no file; `text`, or `matches`, the first ones, as (number, line);
        `is_whole`.
    """
    try:
        size = path.stat().st_size
        if search:
            matches = _matches(path, search)
            shown = matches[:_MATCHES]
            return {"size": size, "text": "", "matches": shown, "is_whole": len(matches) <= _MATCHES}
        with path.open("rb") as file:
            file.seek(max(0, size - _END))
            text = file.read(_END).decode(errors="replace")
    except OSError:
        return {"size": None, "text": "", "matches": [], "is_whole": True}
    return {"size": size, "text": text, "matches": [], "is_whole": size <= _END}


def _matches(path: Path, search: str) -> list[tuple[int, str]]:
    wanted, matches = search.encode().lower(), []
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file), 1):
            if wanted in line.lower():
                matches.append((number, line[:_LINE].decode(errors="replace").rstrip("\r\n")))
                if len(matches) > _MATCHES:
                    break
    return matches


def _lines(file: Any) -> Iterator[bytes]:
    """Lines, of which one that never ends is cut, so that it does not fill the memory."""
    while line := file.readline(_AT_ONCE):
        yield line


def download_log(doors: Doors, call: Call) -> Response:
    """Download the whole log of an attempt."""
    project, run, label = doors.site.project, call.path["run"], call.path["step"]
    state = project.run(run)
    attempt = call.query.attempt or task_named(state, label).attempts
    path = log_path(project.settings.state, run, label, attempt)
    if not path.is_file():
        raise UnknownName("log", f"{label} {attempt}", [], next=f"clean-up may have removed it: trikk logs {run}")
    size = path.stat().st_size
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{path.name}"',
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "content-length": str(size),
    }
    return StreamingResponse(bytes_of(path, 0, size), 200, headers, f"{TEXT_TYPE}; charset=utf-8")
