"""What is logged goes to stderr, with the times of the project's zone; and the last lines of a log."""

from __future__ import annotations

import logging
from collections import deque
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from trikk.core.text import printable_lines

_TAIL_BYTES = 64_000


class _Printable(logging.Formatter):
    """Records with the zone of their time, and with what users wrote, which steers no terminal."""

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._zone = zone

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - logging's
        moment = datetime.fromtimestamp(record.created, self._zone)
        return f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03} {moment:%Z}"

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def log_to_stderr(timezone: str, level: int = logging.INFO) -> None:
    """Send log records to stderr, unless the root logger has a handler already, as an author's code may give it.

    Args:
        timezone: the zone of the times, by its name in the tz database.
        level: records below it are left out.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable(ZoneInfo(timezone)))
    root.addHandler(handler)
    root.setLevel(level)


def tail_of(log: Path, lines: int) -> list[str]:
    """The last lines of a log, read from its last 64 kB; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return list(deque(file.read().decode(errors="replace").splitlines(), lines))
    except OSError:
        return []
