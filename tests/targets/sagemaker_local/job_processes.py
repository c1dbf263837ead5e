"""Looking at the processes of jobs from outside."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def wait_for(path: Path) -> None:
    """Until a job has made a file."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)


def processes_with(text: str) -> list[int]:
    """The processes in whose command line a text stands."""
    pids = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if text.encode() in (folder / "cmdline").read_bytes():
                    pids.append(int(folder.name))
            except OSError:
                continue
    return pids


def kill_first_process_of(text: str) -> None:
    """Kill the parent of the process in whose command line a text stands, as a machine that dies does."""
    (pid, *_) = processes_with(text)
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
