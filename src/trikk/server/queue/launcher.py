"""How the processes of runs are started: the port, and the plain way, a fresh interpreter for each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Protocol

from trikk.core.errors import RunError
from trikk.execution.project import Project
from trikk.server.presence.look_brief import REPORTS

LOG = "driver.log"
"""The file in a run's folder that has what its driver says."""


def log_of(project: Project, run: str) -> Path:
    """The file that a run's driver writes to; its folder is there after this call."""
    return project.logs_of(run) / LOG


class Launcher(Protocol):
    """Starts processes that drive runs, and knows which of them are there.

    Attributes:
        has_code: whether they are given code that was imported before, whatever is on the disk by now.
    """

    has_code: bool

    def start(self, run: str) -> None:
        """Start a process for a run.

        Raises:
            RunError: if none could be started.
        """

    def start_look(self, stdin: int, stdout: int, *, reports: bool) -> None:
        """Start a process that looks at the project (`trikk.server.presence.look_process`).

        Args:
            stdin: a descriptor, for it to read from; closed by who gave it, as the next.
            stdout: for it to write to.
            reports: whether it makes reports instead.

        Raises:
            OSError: if none could be started.
        """

    def is_there(self, run: str) -> bool:
        """Whether the process that was last started for a run is there."""

    def look(self) -> int:
        """Take note of processes that have ended; how many have since the last look."""

    def close(self) -> None:
        """Start no more; what was started goes on."""


class ColdLauncher:
    """Starts a fresh interpreter for each run.

    Args:
        project: the runs'.
    """

    has_code = False

    def __init__(self, project: Project) -> None:
        self._project = project
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lookers: list[subprocess.Popen[bytes]] = []

    def start(self, run: str) -> None:
        """Start an interpreter that drives the run; RunError if that can't be done."""
        command = [sys.executable, "-m", "trikk.server.queue.run_process", str(self._project.root), run]
        try:
            with log_of(self._project, run).open("ab") as log:
                self._processes[run] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            raise RunError(
                f"no process could be started for run {run}: {error.strerror}",
                where=error.filename,
                next="look how many processes and files there may be, and for room on the disk",
            ) from error

    def start_look(self, stdin: int, stdout: int, *, reports: bool) -> None:
        """Start an interpreter that looks; OSError if that can't be done."""
        command = [sys.executable, "-m", "trikk.server.presence.look_process", *([REPORTS] if reports else [])]
        looker = subprocess.Popen(command, stdin=stdin, stdout=stdout, start_new_session=True)
        self._lookers = [process for process in (*self._lookers, looker) if process.poll() is None]

    def is_there(self, run: str) -> bool:
        """Whether the run's process is there."""
        return run in self._processes and self._processes[run].poll() is None

    def look(self) -> int:
        """Reap the processes that have ended; how many."""
        over = [run for run, process in self._processes.items() if process.poll() is not None]
        for run in over:
            del self._processes[run]
        return len(over)

    def close(self) -> None:
        """Let go of the processes, which go on."""
        for process in (*self._processes.values(), *self._lookers):
            process.returncode = process.returncode or 0  # else Popen warns of a child that it leaves behind
        self._processes.clear()
