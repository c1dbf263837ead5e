"""A project whose steps wait until a test lets them go on, and the processes that drive its runs."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.execution.command import WAIT, Folder, lives

from trikk.execution.project import Project
from trikk.execution.queued_run import enqueue
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.journals.journal import Cause

CODE = """
import os, time
from pathlib import Path
from trikk import Resources, pipeline, step

def note(text):
    with Path("notes").open("a") as out:
        out.write(f"{text}\\n")

@step
def begin(name: str) -> int:
    note(f"begin {name}")
    return os.getpid()

@step(resources=Resources(cpus=0))  # as many as a test wants, on however few cores
def hold(name: str, pid: int) -> int:
    note(f"hold {name} {os.getpid()}")
    while not Path("go").exists():
        time.sleep(0.02)
    return 1

@step
def finish(name: str, value: int) -> int:
    note(f"finish {name}")
    return value

@step(resources=Resources(cpus=1000))  # all that there are
def alone(name: str) -> int:
    note(f"in {name}")
    time.sleep(0.3)
    note(f"out {name}")
    return 1

@pipeline
def whole(name: str = "a"):
    alone(name)

@pipeline
def gated(name: str = "a"):
    finish(name, hold(name, begin(name)))

@pipeline
def short(name: str = "a"):
    begin(name)
"""


def processes(root: Path, module: str = "") -> list[int]:
    """The processes of a project that run a module of trikk, or any; the oldest first."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if str(root) in command and (not module or module in command):
                pids += [int(entry.name)] if lives(int(entry.name)) else []
    return sorted(pids)


def parent(pid: int) -> int:
    """The process that a process is a child of; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


def forkers(root: Path, server: int) -> list[int]:
    """A server's nursery and its template, those that are there; their forks have the same command lines."""
    nursery = [pid for pid in processes(root, "trikk.server.queue.nursery") if parent(pid) == server]
    forks = (pid for pid in processes(root) if parent(pid) in nursery)
    return nursery + [pid for pid in forks if Path(f"/proc/{pid}/comm").read_text() == "trikk template\n"]


class QueueFolder(Folder):
    """A project's folder, with runs that are asked for."""

    def __init__(self, root: Any) -> None:
        super().__init__(root)
        root.mkdir(exist_ok=True)
        self.write(pipelines=CODE, trikk='name = "queued"\n')
        self.project = Project.open(root)
        self._numbers = itertools.count(1)
        self.now = time.time

    def reopen(self) -> None:
        """Read trikk.toml again."""
        self.project.close()
        self.project = Project.open(self.root)

    def ask(self, session: Session, pipeline: str, trigger: str = "t", at: float = 5.0, **parameters: Any) -> str:
        """Write a run down that waits; returns its id."""
        tick = f"{next(self._numbers):05}"
        origin = {"kind": "trigger", "trigger": trigger, "tick": tick}
        cause = Cause(f"asked/{trigger}", "tick.started", f"tick/{tick}")
        added = enqueue(self.project, session.graph(pipeline), parameters, origin, cause, at=at)
        return str(added.entry.body["run"])

    def ask_one(self, pipeline: str, **parameters: Any) -> str:
        """Write one run down that waits."""
        with Session(self.project, How()) as session:
            return self.ask(session, pipeline, **parameters)

    def drive(self, run: str) -> subprocess.Popen[str]:
        """Start the process of a run."""
        return subprocess.Popen(
            [sys.executable, "-m", "trikk.server.queue.run_process", str(self.root), run],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def driven(self, run: str) -> tuple[int, str]:
        """Have a process drive a run, and wait for its end: the exit code, and what it says."""
        process = self.drive(run)
        out, _ = process.communicate(timeout=WAIT)
        return process.returncode, out

    def kinds(self, run: str) -> list[str]:
        """The kinds of a run's events."""
        return [event.kind for event in self.project.journal.events(run)]
