"""What is logged goes to stderr, with the times of the project's zone, wherever the process runs."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from zoneinfo import ZoneInfo


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

    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    formatter.converter = local
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(level)
