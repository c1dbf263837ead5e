"""The machine and how busy it is: figures mean little without."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def state() -> dict[str, object]:
    """CPUs, memory in bytes, kernel, interpreter, and the load as the run begins."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _first_value(Path("/proc/cpuinfo"), "model name"),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_at_start": load(),
    }


def load() -> float:
    """Processes that wanted a CPU, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def _first_value(path: Path, key: str) -> str:
    """The value of a `key : value` line."""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"
