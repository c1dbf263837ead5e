"""What is logged goes to stderr, with the times of the project's zone, wherever the process runs."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from zoneinfo import ZoneInfo

from trikk.core.text import printable_lines


class _Printable(logging.Formatter):
    """Records with what users wrote in them written out, so that it steers no terminal."""

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
    zone = ZoneInfo(timezone)

    def local(seconds: float | None) -> time.struct_time:
        return datetime.fromtimestamp(time.time() if seconds is None else seconds, zone).timetuple()

    formatter = _Printable("%(asctime)s %(levelname)s %(name)s: %(message)s")
    formatter.converter = local
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(level)
