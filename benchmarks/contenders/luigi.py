"""Luigi: one worker, which runs tasks in its own process; two, forked, where steps can go in parallel."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.peer import Peer
from benchmarks.jobs import Command

TASKS = {
    "one": ["Chain", "--number", "1", "--end", "1"],
    "chain50": ["Chain", "--number", "50", "--end", "50"],
    "fan50": ["Fan", "--workers", "2"],
    "frame_pandas": ["Consumed"],
    "resume": ["Delicate", "--number", "10"],
}


class Luigi(Peer):
    """Targets are files of the folder, so it is fresh each time and survives a failure."""

    name = "luigi"
    label = "luigi"
    module = "luigi"
    packages = ("luigi",)

    def start(self, folder: Path, case: str) -> Command:
        """The `luigi` command with the local scheduler."""
        return self.command(folder, "luigi", "--module", "luigi_flow", *TASKS[case], "--local-scheduler")
