"""The last lines of a file, without reading all of it."""

from __future__ import annotations

from collections import deque
from pathlib import Path

_BYTES = 64_000


def tail_of(log: Path, lines: int) -> list[str]:
    """The last lines of a log; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _BYTES))
            return list(deque(file.read().decode(errors="replace").splitlines(), lines))
    except OSError:
        return []
