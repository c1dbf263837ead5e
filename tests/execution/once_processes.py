"""Processes that run a cause once and are killed meanwhile: `python -m tests.execution.once_processes FOLDER`.

Prints as JSON, for each cause, what its runs, its entries and its one step left behind.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trikk.core.errors import JournalError
from trikk.execution.once import Job, attempts_of, run_once
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.journals.lease import Holder

NOW = datetime(2020, 4, 1, 6, tzinfo=UTC)
MOST = 20
PIPELINES = """
from pathlib import Path
from trikk import pipeline, step

@step
def note(cause: str) -> None:
    with Path("done.txt").open("a") as file:
        file.write(f"{cause}\\n")
    if Path(f"bad-{cause}").exists():
        raise ValueError("a bad cause")

@pipeline
def work(cause: str):
    note(cause)
"""


class Dying:
    """A journal whose process is killed, or that fails, before its n-th write."""

    def __init__(self, behind: Any, at: int, die: Callable[[], None]) -> None:
        self.behind, self.left, self.die = behind, at, die

    def __getattr__(self, name: str) -> Any:
        if name in ("add", "create", "append", "append_many"):
            self.left -= 1
            if self.left == 0:
                self.die()
        return getattr(self.behind, name)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise JournalError("the disk is full")


def look(root: Path, cause: str, *, at: int = 0, die: Callable[[], None] = kill, repeats: bool = False) -> Any:
    """One look of a process at a cause; the journal fails before its write number `at`."""
    project = Project.open(root)
    entries = project.journal.entries(f"cause/{cause}")
    project.__dict__["journal"] = Dying(project.journal, at, die)
    job = Job(f"cause/{cause}", "work", {"kind": "test", "cause": cause}, {"cause": cause}, NOW, repeats=repeats)
    with Session(project, How(inline=True)) as session:
        after = entries[-1].seq if entries else 0
        return run_once(project, session, job, attempts_of(entries), after=after, now=NOW)


def forked(*looks: Callable[[], Any]) -> list[int]:
    """Each look in a process of its own, all at the same time; how they ended."""
    children = []
    for one in looks:
        child = os.fork()
        if not child:
            one()
            os._exit(0)
        children.append(child)
    return [os.waitpid(child, 0)[1] for child in children]


def left_by(root: Path, cause: str) -> dict[str, Any]:
    journal = Project.open(root).journal
    entries = [e for e in journal.entries(f"cause/{cause}") if e.kind.startswith("start.")]
    rows = [row for row in journal.runs(limit=None) if row.origin.get("cause") == cause]
    return {
        "runs": sorted(row.state for row in rows),
        "entries": [e.kind for e in entries],
        "ended": [[e.body["state"], e.body["run"]] for e in entries if "state" in e.body],
        "done": (root / "done.txt").read_text().splitlines().count(cause),
    }


def killed(root: Path, *, repeats: bool) -> dict[str, Any]:
    """A process killed before each of its writes, and what undisturbed looks make of it."""
    found = {}
    for at in range(1, MOST):
        cause = f"{'again' if repeats else 'once'}-{at}"
        (status,) = forked(lambda cause=cause, at=at: look(root, cause, at=at, repeats=repeats))
        for _ in range(2):
            forked(lambda cause=cause: look(root, cause, repeats=repeats))
        found[cause] = {**left_by(root, cause), "killed": os.WIFSIGNALED(status)}
        if not os.WIFSIGNALED(status):
            break
    return found


def failing(root: Path) -> dict[str, Any]:
    """A run that fails at every attempt, and one that does only at first."""
    for cause in ("bad", "mended", "only"):
        (root / f"bad-{cause}").touch()
    for number in range(4):
        for cause in ("bad", "mended", "only"):
            forked(lambda cause=cause: look(root, cause, repeats=cause != "only"))
        if number == 0:
            (root / "bad-mended").unlink()
    return {cause: left_by(root, cause) for cause in ("bad", "mended", "only")}


def at_once(root: Path) -> dict[str, Any]:
    """Three processes at the same cause at the same time."""
    found = {}
    for number in range(4):
        cause = f"race-{number}"
        forked(*[lambda cause=cause: look(root, cause, repeats=True) for _ in range(3)])
        forked(lambda cause=cause: look(root, cause, repeats=True))
        found[cause] = left_by(root, cause)
    return found


def elsewhere(root: Path) -> dict[str, Any]:
    """Attempts of a process on another host: one has begun nothing, the run of one is over at the second look."""
    journal, now = Project.open(root).journal, time.time()
    holder = {"host": "elsewhere", "boot": "", "pid": 1, "started": 0.0}
    body: dict[str, Any] = {"pipeline": "work", "parameters": {}, "holder": holder, "since": now}
    for cause in ("nothing", "over"):
        journal.add(f"cause/{cause}", "start.claimed", body, at=0.0, identity="start/1")
    origin = {"kind": "test", "cause": "over", "at": 0.0}
    journal.create("elsewhere001", "work", {"parameters": {}, "origin": origin, "lock": {}, "graph": ""}, at=0.0)
    lease = journal.acquire("elsewhere001", Holder(**holder), ttl=600.0, now=now)
    before = []
    for _ in range(2):
        forked(lambda: look(root, "over"), lambda: look(root, "nothing"))
        before.append(left_by(root, "over")["entries"])
        journal.append("elsewhere001", "run.succeeded", {}, at=1.0, lease=lease) if len(before) == 1 else None
    return {"before": before[0], "nothing": left_by(root, "nothing"), "over": left_by(root, "over")}


def alive_but_failed(root: Path, last: int) -> dict[str, Any]:
    """A process that could not write down how its run ended, lives on, and looks again."""

    def twice() -> None:
        try:
            look(root, "full", at=last, die=fail)
        except JournalError:
            look(root, "full")

    forked(twice)
    return left_by(root, "full")


def main() -> None:
    root = Path(sys.argv[1])
    (root / "trikk.toml").write_text('name = "once"\n')
    (root / "pipelines.py").write_text(PIPELINES)
    (root / "done.txt").touch()
    os.chdir(root)
    look(root, "warm")  # what is imported here, the forks need not
    found: dict[str, Any] = {"once": killed(root, repeats=False), "again": killed(root, repeats=True)}
    found |= {"failing": failing(root), "at once": at_once(root), "elsewhere": elsewhere(root)}
    found["full"] = alive_but_failed(root, last=len(found["once"]) - 1)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
